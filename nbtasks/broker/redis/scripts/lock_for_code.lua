-- Take a lock for code that waits for it, or give that a place in the line; the same code asks again now and then.
-- KEYS[1] root of all keys
-- ARGV    lock, how many may hold it, name, consumer, what is shown of it, "1" to wait for it
-- Returns {1, token}; {0, how many are before it in the line}; {-1} where it was not to wait.
-- Prefix-safe: what it takes is taken again.
server.let_on(KEYS[1])
local root, id, capacity, name, now = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3], server.now_ms()
local place = ARGV[2] .. ' @ ' .. name
local before = strict.at('ZSCORE', root .. 'lq:' .. id, place)
if before then
  -- Perhaps somebody has died, or nobody has called it.
  lock_parts().wake(root, id, now)
  if redis.call('ZSCORE', root .. 'lq:' .. id, place) then return {0, redis.call('ZRANK', root .. 'lq:' .. id, place)} end
end
local token, _, ticket, others = lock_parts().take(root, {{id, capacity}}, name, ARGV[4], ARGV[5], now)
if token then return {1, string.format('%.0f', token)} end
if ARGV[6] ~= '1' then return {-1} end
lock_parts().queue(root, id, capacity, '@', name, ticket or lock_parts().ticket(root, now))
strict.at('HDEL', root .. 'lt:' .. id, name)
if others then lock_parts().wake(root, id, now) end
return {0, redis.call('ZRANK', root .. 'lq:' .. id, place) or 0}
