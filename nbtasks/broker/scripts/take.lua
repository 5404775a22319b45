-- Take up to ARGV[3] entries without waiting, lane by lane in the order given.
-- KEYS[1] root of all keys; KEYS[2..] lanes
-- ARGV    group, consumer, most entries
-- Returns { {lane number from 0, entry id, fields, "1" if some call of its batch was revoked}, ... }
local taken, want = {}, tonumber(ARGV[3])
for k = 2, #KEYS do
  local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', want - #taken, 'STREAMS', KEYS[k], '>')
  if reply then
    for _, entry in ipairs(reply[1][2]) do
      local fields = entry[2]
      local flagged = fields and redis.call('HGET', KEYS[1] .. 'b:' .. fields[2], 'x') or false
      taken[#taken + 1] = {k - 2, entry[1], fields, flagged or ''}
    end
  end
  if #taken >= want then break end
end
return taken
