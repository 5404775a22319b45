-- Note that the server's clock was set: by how much it is ahead of what it would be otherwise.
-- KEYS[1] root of all keys
-- ARGV    what was noted so far, as it was told; what is to be noted (ms)
-- Returns 1, or 0 when somebody else was first.
server.let_on(KEYS[1])
local before = redis.pcall('GET', KEYS[1] .. 'ahead')
if (type(before) == 'string' and before or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1] .. 'ahead', ARGV[2])
return 1
