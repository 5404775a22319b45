-- Move calls that are due from the delayed set to their lanes.
-- KEYS[1] root of all keys
-- ARGV    address, the server's time as it is reckoned (ms), most to move
-- Returns {moved, ms until the next one is due or -1}
-- Prefix-safe: a call is added to its lane before it leaves the set.
-- A script whose first write needs no memory may go on when the server is full: what ends work must never be refused.
redis.call('DEL', KEYS[1] .. 'gate')
local root, address = KEYS[1], ARGV[1]
local set = root .. 'z:' .. address
local now = tonumber(ARGV[2])
local due = redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  -- One that is none of ours is dropped with the others: it must not hold them up.
  local cut = string.find(member, '\n', 1, true) or 1
  local lane, batch, first, count, attempt, limit = string.match(string.sub(member, 1, cut - 1), '^(%a) (%x+) (%d+) (%d+) (%d+) ?(%S*)$')
  if batch and redis.call('EXISTS', root .. 'b:' .. batch) == 1 then
    redis.call('XADD', root .. 'q:' .. address .. ':' .. lane, '*', 'b', batch, 'i', first, 'n', count,
      'a', attempt, 'x', limit == '?' and '3' or redis.call('HGET', root .. 'b:' .. batch, 'x') or '', 'd', string.sub(member, cut + 1))
  end
  redis.call('ZREM', set, member)
end
local next = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
return {#due, next[2] and math.max(0, next[2] - now) or -1}
