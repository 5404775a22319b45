-- See that locks get on that somebody waits for: whose holder has no lease any more, or who was called and will not come.
-- KEYS[1] root of all keys
-- ARGV    locks
-- Prefix-safe: each step by itself, and it is done again.
server.let_on(KEYS[1])
local root, now = KEYS[1], server.now_ms()
for _, id in ipairs(ARGV) do
  local list = strict.at('HGETALL', root .. 'lk:' .. id)
  for k = 1, #list, 2 do
    local _, _, _, consumer = lock_parts().held(list[k + 1])
    if not lock_parts().lives(root, consumer) then
      redis.call('HDEL', root .. 'lk:' .. id, list[k])
      local worker = string.match(consumer or '', '^(.+)/[^/]*$')
      if worker then strict.at('HDEL', root .. 'lh:' .. worker, id .. ' ' .. list[k]) end
    end
  end
  list = strict.at('HGETALL', root .. 'lt:' .. id)
  for k = 1, #list, 2 do
    local _, _, _, address = lock_parts().called(list[k + 1])
    local gone
    if address == '@' then gone = not lock_parts().code_lives(root, list[k]) else gone = not address or lock_parts().is_over(root, list[k]) end
    if gone then redis.call('HDEL', root .. 'lt:' .. id, list[k]) end
  end
  lock_parts().thin(root, id)
  lock_parts().wake(root, id, now)
end
return 1
