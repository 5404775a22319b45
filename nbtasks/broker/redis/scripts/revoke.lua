-- Mark a batch as having revoked calls and tell the workers. The REVOKED records themselves go through finish.
-- KEYS[1] root of all keys
-- ARGV    batch, control frame, and "", or what of the batch runs on and is not to be run again: an index, or -1 for all
-- Returns 1, or 0 when nobody knows the batch.
server.let_on(KEYS[1])
local root, batch = KEYS[1], KEYS[1] .. 'b:' .. ARGV[1]
if not strict.at('HGET', batch, 's') then return 0 end
redis.call('HSET', batch, 'x', '1')
if ARGV[3] ~= '' then redis.call('HSET', batch, 'v' .. ARGV[3], ARGV[2]) end
server.tell(root, 'c', ARGV[2])
return 1
