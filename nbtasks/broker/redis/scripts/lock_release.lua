-- Give locks back, or leave their lines.
-- KEYS[1] root of all keys
-- ARGV    name, consumer, then locks: id, how many may hold it
-- Prefix-safe: each is given back by itself.
server.let_on(KEYS[1])
local root, now = KEYS[1], server.now_ms()
for k = 3, #ARGV, 2 do
  strict.at('ZREM', root .. 'lq:' .. ARGV[k], ARGV[k + 1] .. ' @ ' .. ARGV[1])
  lock_parts().release(root, ARGV[k], ARGV[1], ARGV[2], now)
end
redis.call('DEL', root .. 'lw:' .. ARGV[1])
return 1
