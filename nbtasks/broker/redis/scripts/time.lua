-- Tell the server's time.
-- KEYS[1] root of all keys
-- Returns {server time (us), what its clock is ahead (ms)}
-- Writes nothing.
local now, ahead = server.now_us(), redis.pcall('GET', KEYS[1] .. 'ahead')
return {now, type(ahead) == 'string' and ahead or ''}
