-- Delete entries of a batch that no worker has taken and whose calls are all final: nobody may ever come for them.
-- KEYS[1] root of all keys; KEYS[2] lane
-- ARGV    group, hash of the lane's cuts, field of them ("<lane>/"), batch, entry id to go on after, most to look at
-- Returns {how many calls the batch's entries had, entry id to go on after, or "" at the end}
-- Prefix-safe: of what is deleted all calls are final, and each entry is deleted by itself.
-- A script whose first write needs no memory may go on when the server is full: what ends work must never be refused.
redis.call('DEL', KEYS[1] .. 'gate')
local group, batch, after, most = ARGV[1], ARGV[4], ARGV[5], tonumber(ARGV[6])
if redis.call('EXISTS', KEYS[2]) == 0 then return {0, ''} end

local function later(one, other)
  local a, b = string.match(one, '^(%d+)%-(%d+)$')
  local c, d = string.match(other, '^(%d+)%-(%d+)$')
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  return a > c or (a == c and b > d)
end

-- What was delivered is in a worker's hands. Before its first worker a lane has no group, and nothing was.
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local field = {}
  for k = 1, #info, 2 do field[info[k]] = info[k + 1] end
  if field.name == group and later(field['last-delivered-id'], after) then after = field['last-delivered-id'] end
end
local entries = redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', most)
local found = 0
for _, entry in ipairs(entries) do
  -- Field order is fixed by the scripts: b, i, n, a, x, d.
  local fields = entry[2]
  local first, count = tonumber(fields[4]), tonumber(fields[6])
  if fields[2] == batch and first and count then
    found = found + count
    local states = redis.call('GETRANGE', KEYS[1] .. 'st:' .. batch, first, first + count - 1)
    if #states == count and not string.find(states, '%z') then
      redis.call('XDEL', KEYS[2], entry[1])
      redis.call('HDEL', ARGV[2], ARGV[3] .. entry[1])
    end
  end
end
return {found, #entries == most and entries[#entries][1] or ''}
