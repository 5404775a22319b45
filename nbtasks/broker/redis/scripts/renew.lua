-- Renew a worker's lease and its line in the list of workers.
-- KEYS[1] root of all keys
-- ARGV    worker, the lease's new value, info (JSON), info ttl (ms)
-- Returns {1 if there had still been a lease, server time (us), what the server's clock is ahead (ms)}
server.let_on(KEYS[1])
local root, worker = KEYS[1], ARGV[1]
local alive = redis.call('EXISTS', root .. 'w:' .. worker)
-- Without a time to live: that would end when the server's clock is set.
redis.call('SET', root .. 'w:' .. worker, ARGV[2])
local now, ahead = server.now_us(), redis.pcall('GET', root .. 'ahead')
redis.call('SET', root .. 'i:' .. worker, ARGV[3], 'PX', ARGV[4])
strict.at('ZADD', root .. 'workers', math.floor(now / 1000), worker)
return {alive, now, type(ahead) == 'string' and #ahead <= 20 and ahead or ''}
