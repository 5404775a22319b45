-- Look at the newest entry of each lane: most likely it is the one that a blocking read has just brought. Sent together
-- with that read, so that it costs no round trip of its own; an entry that is not the newest is looked at later.
-- KEYS[1] root of all keys; KEYS[2..] lanes
-- Returns { {lane number from 0, entry id, is the batch known, was it revoked, states from the entry's first call on}, ... }
-- Writes nothing.

-- What somebody else has put in the place of one of our keys is as good as nothing.
local function read(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then return nil end
  error(reply.err)
end

local found = {}
for k = 2, #KEYS do
  local entry = redis.call('XREVRANGE', KEYS[k], '+', '-', 'COUNT', 1)[1]
  local first, count = entry and tonumber(entry[2][4]), entry and tonumber(entry[2][6])
  if first and count then
    local batch = read('HMGET', KEYS[1] .. 'b:' .. entry[2][2], 's', 'x')
    local states = read('GETRANGE', KEYS[1] .. 'st:' .. entry[2][2], first, first + count - 1)
    local known = states and batch and batch[1]
    found[#found + 1] = {k - 2, entry[1], known or '', batch and batch[2] or '', states or ''}
  end
end
return found
