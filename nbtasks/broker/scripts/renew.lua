-- Renew a worker's lease and its line in the list of workers.
-- KEYS[1] root of all keys
-- ARGV    worker, lease (ms), info (JSON), info ttl (ms)
-- Returns {1 if the lease had still been there, server time (ms)}
-- PEXPIRE comes first: a script whose first write needs no memory may go on when the server is full.
local root, worker = KEYS[1], ARGV[1]
local alive = redis.call('PEXPIRE', root .. 'w:' .. worker, ARGV[2])
if alive == 0 then redis.call('SET', root .. 'w:' .. worker, '1', 'PX', ARGV[2]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', root .. 'i:' .. worker, ARGV[3], 'PX', ARGV[4])
redis.call('ZADD', root .. 'workers', now, worker)
return {alive, now}
