-- As withdraw, for calls that are due later.
-- KEYS[1] root of all keys
-- ARGV    address, batch, least score (ms), how many to pass over, most to look at
-- Returns {how many calls the batch's members had, how many to pass over the next time, or -1 at the end}
-- Prefix-safe: of what is deleted all calls are final, and each member is deleted by itself.
server.let_on(KEYS[1])
local set, batch, offset, most = KEYS[1] .. 'z:' .. ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local members = strict.at('ZRANGEBYSCORE', set, ARGV[3], '+inf', 'LIMIT', offset, most)
local found, passed = 0, offset
for _, member in ipairs(members) do
  passed = passed + 1
  local whose, first, count, attempt = string.match(member, '^%a (%x+) (%d+) (%d+) (%d+) ?%S*\n')
  whose, first, count = strict.entry({'b', whose or '', 'i', first, 'n', count, 'a', attempt, 'x', '', 'd', member})
  if whose == batch then
    found = found + count
    local states = strict.at('GETRANGE', KEYS[1] .. 'st:' .. batch, first, first + count - 1)
    if #states == count and not string.find(states, '%z') then
      redis.call('ZREM', set, member)
      passed = passed - 1
    end
  end
end
return {found, #members == most and passed or -1}
