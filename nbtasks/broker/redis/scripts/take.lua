-- Take up to ARGV[3] entries without waiting, lane by lane in the order given, and of one priority only: what comes
-- meanwhile goes before those of a lower one.
-- KEYS[1] root of all keys; KEYS[2..] lanes
-- ARGV    group, consumer, most entries
-- Returns { {lane number from 0, entry id, fields, "1" if some of its calls may be final already}, ... },
--         { {lane number, batch, frame}, ... } of copies: an entry whose batch is gone, or whose calls are all final and
--         were not revoked, has been worked off before. It ends here, as does one that is larger than any of ours, whose
--         frame is not told.
-- A client whose batch the server has lost sends all of it again, so nothing is missed.
-- Prefix-safe: an entry is deleted before it is acknowledged; one that is pending without content is none.
local root, group, consumer, want = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local taken, copies, looked_at, most = {}, {}, 0, 1000

-- Returns whether an entry is over, and whether some of its calls may be final; of one that is over, whether they
-- were revoked.
local function standing(fields)
  if strict.is_bloated(fields) then return true, '' end
  local name, first, count = strict.entry(fields)
  -- The worker says of one that makes no sense that it drops it.
  if not name then return false, '' end
  local batch = strict.at('HMGET', root .. 'b:' .. name, 's', 'x')
  if not batch[1] then return true, '' end
  local states = strict.at('GETRANGE', root .. 'st:' .. name, first, first + count - 1)
  if not string.find(states, '[^%z]') then return false, batch[2] or '' end
  if #states == count and not string.find(states, '%z') then return true, batch[2] or '' end
  return false, '1'
end

local function copy(lane, fields)
  if strict.is_bloated(fields) then return {lane, string.sub(fields[2], 1, 20), ''} end
  return {lane, fields[2], fields[12] or ''}
end

for k = 2, #KEYS do
  local dropped
  repeat
    dropped = false
    local reply = strict.call(KEYS[k], 'XREADGROUP', 'GROUP', group, consumer, 'COUNT', want - #taken, 'STREAMS', KEYS[k], '>')
    local entries = reply and reply[1][2] or {}
    for _, entry in ipairs(entries) do
      local over, flagged = false, ''
      if entry[2] then over, flagged = standing(entry[2]) end
      if over then
        dropped = true
        if flagged == '' then copies[#copies + 1] = copy(k - 2, entry[2]) end
        local address, lane = string.match(string.sub(KEYS[k], #root + 3), '^(.*):(%a)$')
        redis.call('XDEL', KEYS[k], entry[1])
        strict.at('HDEL', root .. 'c:' .. address, lane .. '/' .. entry[1])
        redis.call('XACK', KEYS[k], group, entry[1])
      else
        taken[#taken + 1] = {k - 2, entry[1], entry[2], flagged}
      end
    end
    looked_at = looked_at + #entries
  until not dropped or #taken >= want or looked_at >= most
  if #taken >= want or looked_at >= most then break end
  local next = KEYS[k + 1]
  if #taken > 0 and next and string.lower(string.sub(next, -1)) ~= string.lower(string.sub(KEYS[k], -1)) then break end
end
return {taken, copies}
