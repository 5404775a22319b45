-- Pass over due times of a periodic task.
-- KEYS[1] root of all keys
-- ARGV    key id, periodic task, the first of them (ms), when it is due next (ms) or "", how many are counted as missed,
--         "1" where whoever it ends with is gone or ""
-- Returns 1; 0 where another one has moved on meanwhile.
local root, index, id = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[1], ARGV[2]
server.let_on(root)
local key, score = root .. 'se:' .. ARGV[1] .. ':' .. id, strict.at('ZSCORE', index, id)
if not score or tonumber(score) ~= tonumber(ARGV[3]) then return 0 end
if redis.call('EXISTS', key) == 0 then
  redis.call('ZREM', index, id)
  return 1
end
if tonumber(ARGV[5]) > 0 then strict.at('HINCRBY', key, 'ms', ARGV[5]) end
if ARGV[6] ~= '' then
  redis.call('HSETNX', key, 'gone', server.now_ms())
else
  strict.at('HDEL', key, 'gone')
end
redis.call('ZADD', index, ARGV[4] ~= '' and ARGV[4] or 'inf', id)
return 1
