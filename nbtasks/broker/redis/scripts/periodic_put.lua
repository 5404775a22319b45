-- Put a periodic task, or another version of one. Its history stays, and where it is due at the same times, its next due
-- time, and a pause.
-- KEYS[1] root of all keys
-- ARGV    key id, periodic task, frame, its timetable as text, function, function frame or "", client that it ends with or
--         "", first due time (ms), ms for which results are kept
-- Returns {"NOFN"} where the function has to be sent along; else {"OK", when it is due next, or "" while it pauses}
-- Prefix-safe: it is done again, and then counts a use of the function at most once too often.
local root, index, id = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[1], ARGV[2]
local key, fn, client = root .. 'se:' .. ARGV[1] .. ':' .. id, ARGV[5], ARGV[7]
if ARGV[6] ~= '' then
  redis.call('SET', root .. 'f:' .. fn, ARGV[6])
elseif redis.call('EXISTS', root .. 'f:' .. fn) == 0 then
  return {'NOFN'}
end
local old = strict.at('HMGET', key, 'f', 'tt', 'p', 'k')
if old[1] ~= fn then server.use(root, fn) end
redis.call('HSET', key, 'd', ARGV[3], 'v', redis.sha1hex(ARGV[3]), 'f', fn, 'tt', ARGV[4], 'k', client, 't', ARGV[9])
redis.call('HDEL', key, 'gone')
-- While the notebook of the one before was closed, nothing was due.
local another = old[4] and old[4] ~= '' and old[4] ~= client
local score = strict.at('ZSCORE', index, id)
if not score or old[2] ~= ARGV[4] or another then
  score = old[3] and 'inf' or ARGV[8]
  redis.call('ZADD', index, score, id)
end
if old[1] and old[1] ~= fn then server.unuse(root, old[1], ARGV[9]) end
server.tell(root, 'sd', '')
return {'OK', score == 'inf' and '' or score}
