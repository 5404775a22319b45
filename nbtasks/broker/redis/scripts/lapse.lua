-- End the lease of a worker that has not renewed it since it was looked at.
-- KEYS[1] root of all keys
-- ARGV    worker, the value that its lease had, "" for none
-- Returns 1 when there is no lease now, 0 when it was renewed.
server.let_on(KEYS[1])
local key = KEYS[1] .. 'w:' .. ARGV[1]
local lease = redis.pcall('GET', key)
if type(lease) == 'string' and lease ~= ARGV[2] then return 0 end
redis.call('DEL', key)
return 1
