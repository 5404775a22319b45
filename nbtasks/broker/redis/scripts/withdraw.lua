-- Delete entries of a batch that no worker has taken and whose calls are all final: nobody may ever come for them.
-- KEYS[1] root of all keys; KEYS[2] lane
-- ARGV    group, hash of the lane's cuts, field of them ("<lane>/"), batch, entry id to go on after, most to look at
-- Returns {how many calls the batch's entries had, entry id to go on after, or "" at the end}
-- Prefix-safe: of what is deleted all calls are final, and each entry is deleted by itself.
server.let_on(KEYS[1])
local group, batch, after, most = ARGV[1], ARGV[4], ARGV[5], tonumber(ARGV[6])
if strict.at('XLEN', KEYS[2]) == 0 then return {0, ''} end

-- What was delivered is in a worker's hands. Before its first worker a lane has no group, and nothing was.
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local field = server.fields(info)
  if field.name == group and strict.later(field['last-delivered-id'], after) then after = field['last-delivered-id'] end
end
local entries = redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', most)
local found = 0
for _, entry in ipairs(entries) do
  local whose, first, count = strict.entry(entry[2])
  if whose == batch then
    found = found + count
    local states = strict.at('GETRANGE', KEYS[1] .. 'st:' .. batch, first, first + count - 1)
    if #states == count and not string.find(states, '%z') then
      redis.call('XDEL', KEYS[2], entry[1])
      strict.at('HDEL', ARGV[2], ARGV[3] .. entry[1])
    end
  end
end
return {found, #entries == most and entries[#entries][1] or ''}
