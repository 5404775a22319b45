-- Give orders to supervisors, and keep one of them for workers that are still to come.
-- KEYS[1] root of all keys
-- ARGV    task whose limits are set, or "", the order that is kept of it, or "" for none; signed orders
-- Returns how many orders were given.
-- Prefix-safe: who begins in the middle of it reads what is kept.
server.let_on(KEYS[1])
local root = KEYS[1]
if ARGV[1] ~= '' and ARGV[2] == '' then strict.at('HDEL', root .. 'tl', ARGV[1]) end
if ARGV[1] ~= '' and ARGV[2] ~= '' then strict.at('HSET', root .. 'tl', ARGV[1], ARGV[2]) end
for k = 3, #ARGV do server.tell(root, 'c', ARGV[k]) end
return #ARGV - 2
