-- Look at the leases of all workers on the list.
-- KEYS[1] root of all keys
-- ARGV    most workers: those that were seen last
-- Returns {server time (ms), worker, its lease's value or "", ms since its last renewal by the server's clock, or -1
--         where it was said to be dead, ...}
-- Writes nothing.
local now = server.now_ms()
local found = {now}
local workers = redis.pcall('ZREVRANGE', KEYS[1] .. 'workers', 0, ARGV[1] - 1, 'WITHSCORES')
for k = 1, workers.err and 0 or #workers, 2 do
  local lease, seen = redis.pcall('GET', KEYS[1] .. 'w:' .. workers[k]), tonumber(workers[k + 1])
  found[#found + 1] = workers[k]
  found[#found + 1] = type(lease) == 'string' and #lease <= 100 and lease or ''
  found[#found + 1] = seen == 0 and -1 or math.max(0, math.min(now, now - seen))
end
return found
