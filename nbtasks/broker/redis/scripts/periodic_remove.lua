-- Remove a periodic task. Runs that have begun go on.
-- KEYS[1] root of all keys
-- ARGV    key id, periodic task, client that it must end with or ""
-- Returns 1; 0 where there is none.
-- Prefix-safe: its function goes last; cut off before, it is kept for ever.
local root, index, id = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[1], ARGV[2]
server.let_on(root)
local key = root .. 'se:' .. ARGV[1] .. ':' .. id
local facts = strict.at('HMGET', key, 'f', 't', 'k')
if ARGV[3] ~= '' and facts[3] ~= ARGV[3] then return 0 end
redis.call('ZREM', index, id)
redis.call('DEL', key)
if not facts[1] then return 0 end
server.unuse(root, facts[1], math.min(strict.number(facts[2]) or 86400000, 3155760000000))
server.tell(root, 'sd', '')
return 1
