-- Have the events of a batch sent to one more session; the sessions before the last few are dropped.
-- KEYS[1] root of all keys
-- ARGV    batch, session, most sessions
-- Returns 1, or 0 when nobody knows the batch.
server.let_on(KEYS[1])
local key = KEYS[1] .. 'b:' .. ARGV[1]
local known = strict.at('HGET', key, 's')
if not known then return 0 end
local sessions = {}
for name in string.gmatch(known, '%x+') do
  if name ~= ARGV[2] then sessions[#sessions + 1] = name end
end
sessions[#sessions + 1] = ARGV[2]
local from = math.max(1, #sessions - tonumber(ARGV[3]) + 1)
redis.call('HSET', key, 's', table.concat(sessions, ' ', from))
return 1
