-- Mark a batch as having revoked calls and tell the workers. The REVOKED records themselves go through finish.
-- KEYS[1] root of all keys
-- ARGV    batch, control frame
-- Returns 1, or 0 when nobody knows the batch.
-- A script whose first write needs no memory may go on when the server is full: what ends work must never be refused.
redis.call('DEL', KEYS[1] .. 'gate')
local root = KEYS[1]
if redis.call('EXISTS', root .. 'b:' .. ARGV[1]) == 0 then return 0 end
redis.call('HSET', root .. 'b:' .. ARGV[1], 'x', '1')
redis.call('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'c', 'd', ARGV[2])
return 1
