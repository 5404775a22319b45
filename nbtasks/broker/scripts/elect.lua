-- Try to be the one worker that does a duty.
-- KEYS[1] root of all keys; KEYS[2] lock
-- ARGV    worker, ms
-- Returns 1 for the one that does it, also when it does already; else 0.
-- A script whose first write needs no memory may go on when the server is full: what ends work must never be refused.
redis.call('DEL', KEYS[1] .. 'gate')
local holder = redis.pcall('GET', KEYS[2])
-- A lock that lasts longer than anybody takes it for: the server's clock was set back. It may be a dead one's.
local taken = type(holder) == 'string' and redis.call('PTTL', KEYS[2]) <= tonumber(ARGV[2])
if taken and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
