-- Take workflows in which something has failed, so that it reaches what comes after it; whoever takes one and dies leaves
-- it to the next one.
-- KEYS[1] root of all keys
-- ARGV    most to take, ms until another one may take them, then pairs: workflow that has been seen to, its mark
-- Returns { {workflow, mark}, ... }; where only a part of it has come yet, {workflow, mark, ms until its client's session ends}
-- Prefix-safe: what is taken stays there until it has been seen to, and longer where something has failed meanwhile.
server.let_on(KEYS[1])
local set, taken, i = KEYS[1] .. 'wx', {}, 3
while ARGV[i] do
  if strict.at('ZSCORE', set, ARGV[i]) == ARGV[i + 1] then
    redis.call('ZREM', set, ARGV[i])
    strict.at('HDEL', KEYS[1] .. 'wi', ARGV[i])
  end
  i = i + 2
end
local now = server.now_ms()
for _, id in ipairs(strict.at('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local mark = string.format('%.0f', now + ARGV[2])
  redis.call('ZADD', set, mark, id)
  taken[#taken + 1] = {id, mark}
  local session = strict.at('HGET', KEYS[1] .. 'wi', id)
  if session then taken[#taken][3] = redis.call('PTTL', KEYS[1] .. 's:' .. string.sub(session, 1, 100)) end
end
return taken
