-- Look at the newest entry of the first lane that has one: most likely it is the one that a blocking read has just
-- brought. Sent together with that read, so that it costs no round trip of its own; an entry that is not this one is
-- looked at later. It is on every call's way, so it asks for as little as it can.
-- KEYS[1] root of all keys; KEYS[2..] lanes, the likeliest first
-- Returns {lane number from 0, entry id} if its batch is known and none of its calls has ended or was revoked, else nothing.
-- Writes nothing.
for k = 2, #KEYS do
  local entry = redis.call('XREVRANGE', KEYS[k], '+', '-', 'COUNT', 1)[1]
  if entry then
    local fields = entry[2]
    local first, count = tonumber(fields[4]), tonumber(fields[6])
    if not first or not count then return false end
    -- What somebody else has put in the place of one of our keys is as good as nothing: it is looked at later, too.
    local batch = redis.pcall('HMGET', KEYS[1] .. 'b:' .. fields[2], 's', 'x', 'd')
    if batch.err or not batch[1] or batch[2] then return false end
    -- The number of ended calls is counted before their states are set: where there is none, no state is.
    if batch[3] then
      local states = redis.pcall('GETRANGE', KEYS[1] .. 'st:' .. fields[2], first, first + count - 1)
      if type(states) ~= 'string' or string.find(states, '[^%z]') then return false end
    end
    return {k - 2, entry[1]}
  end
end
return false
