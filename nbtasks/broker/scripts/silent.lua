-- Look for workers that have not been seen for a while and hold no lease.
-- KEYS[1] root of all keys
-- ARGV    how long (ms)
-- Returns {server time (ms), worker, ...}
-- Writes nothing.
local time = redis.call('TIME')
local found = {time[1] * 1000 + math.floor(time[2] / 1000)}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. 'workers', '-inf', found[1] - ARGV[1])) do
  if redis.call('EXISTS', KEYS[1] .. 'w:' .. worker) == 0 then found[#found + 1] = worker end
end
return found
