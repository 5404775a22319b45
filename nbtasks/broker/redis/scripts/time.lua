-- Tell the server's time.
-- KEYS[1] root of all keys
-- Returns {server time (us), what its clock is ahead (ms)}
-- Writes nothing.
local time, ahead = redis.call('TIME'), redis.pcall('GET', KEYS[1] .. 'ahead')
return {time[1] * 1000000 + time[2], type(ahead) == 'string' and ahead or ''}
