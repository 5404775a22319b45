-- Have a periodic task pause, or go on.
-- KEYS[1] root of all keys
-- ARGV    key id, periodic task, when it is due next (ms), or "" to pause
-- Returns 1; 0 where there is none.
local root, index, id = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[1], ARGV[2]
local key = root .. 'se:' .. ARGV[1] .. ':' .. id
if strict.at('HEXISTS', key, 'd') == 0 then return 0 end
if ARGV[3] == '' then
  redis.call('HSET', key, 'p', server.now_ms())
  redis.call('ZADD', index, 'inf', id)
elseif strict.at('HEXISTS', key, 'p') == 1 then
  redis.call('ZADD', index, ARGV[3], id)
  redis.call('HDEL', key, 'p')
end
server.tell(root, 'sd', '')
return 1
