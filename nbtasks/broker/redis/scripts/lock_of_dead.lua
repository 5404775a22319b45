-- Give back what a dead consumer has held, or all consumers of a worker or a client.
-- KEYS[1] root of all keys; KEYS[2] a lease, if it is done only while that is gone
-- ARGV    worker or client, consumer or "", most locks
-- Returns how many were given back: fewer than asked for at the end.
-- Prefix-safe: one lock after another, each as in lock_release.
server.let_on(KEYS[1])
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local root, found, now = KEYS[1], 0, server.now_ms()
local holds = KEYS[1] .. 'lh:' .. ARGV[1]
for _, one in ipairs(strict.at('HKEYS', holds)) do
  if found >= tonumber(ARGV[3]) then break end
  local id, name = string.match(one, '^(%S+) (%S+)$')
  local _, _, _, consumer = lock_parts().held(id and strict.at('HGET', root .. 'lk:' .. id, name))
  local worker = string.match(consumer or '', '^(.+)/[^/]*$')
  if worker ~= ARGV[1] then
    redis.call('HDEL', holds, one)
  elseif ARGV[2] == '' or consumer == ARGV[2] then
    lock_parts().release(root, id, name, consumer, now)
    found = found + 1
  end
end
return found
