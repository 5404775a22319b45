-- Tell the one beat that is elected which periodic tasks are due.
-- KEYS[1] root of all keys; KEYS[2] lock
-- ARGV    beat, ms for which it is elected, key id, most periodic tasks
-- Returns {1 where it is elected, 0 where another one is, -1 where nothing is due; the time (ms); the next due time or "";
--         then of each that is due: periodic task, its due time, version of its frame or "", 1 where whoever it ends with
--         is there else 0, since when (ms) that is gone or ""}
server.let_on(KEYS[1])
local root, index, now = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[3], server.now_ms()
local next = strict.at('ZRANGE', index, 0, 0, 'WITHSCORES')[2]
if next == 'inf' then next = nil end
if not next or tonumber(next) > now then return {-1, now, next or ''} end
local holder = strict.at('GET', KEYS[2])
local left = redis.call('PTTL', KEYS[2])
-- One that is held for longer than anybody asks for is held by nobody.
if holder and holder ~= ARGV[1] and left >= 0 and left <= tonumber(ARGV[2]) then return {0, now, next} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local reply = {1, now, next}
local due = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[4])
for k = 1, #due, 2 do
  local facts = strict.at('HMGET', root .. 'se:' .. ARGV[3] .. ':' .. due[k], 'v', 'k', 'gone')
  local there = (facts[2] or '') == '' or redis.call('EXISTS', root .. 'sl:' .. facts[2]) == 1
  for _, part in ipairs({due[k], due[k + 1], facts[1] or '', there and 1 or 0, facts[3] or ''}) do
    reply[#reply + 1] = part
  end
end
return reply
