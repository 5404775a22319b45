-- Say that a client is there with which periodic tasks end.
-- KEYS[1] root of all keys
-- ARGV    client, ms for which it counts as there, "0" where it has gone, ms for which it is remembered when this was said
-- Returns {when it was said before (ms) or "", the time (ms)}
-- Prefix-safe: it is said again every few seconds.
server.let_on(KEYS[1])
local root, client, now = KEYS[1], ARGV[1], server.now_ms()
local said = root .. 'ss:' .. client
local before = strict.at('GET', said) or ''
if ARGV[2] == '0' then
  redis.call('DEL', root .. 'sl:' .. client, said)
  return {before, now}
end
redis.call('SET', root .. 'sl:' .. client, '1', 'PX', ARGV[2])
redis.call('SET', said, string.format('%.0f', now), 'PX', ARGV[3])
return {before, now}
