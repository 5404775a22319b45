-- Try to be the one worker that does a duty.
-- KEYS[1] root of all keys; KEYS[2] lock
-- ARGV    worker, ms
-- Returns 1 for the one that does it, also when it does already; else 0.
server.let_on(KEYS[1])
local holder = strict.at('GET', KEYS[2])
-- One that is held for longer than anybody asks for is held by nobody.
local left = redis.call('PTTL', KEYS[2])
if holder and holder ~= ARGV[1] and left >= 0 and left <= tonumber(ARGV[2]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
