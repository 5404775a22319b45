-- Move calls that are due from the delayed set to their lanes, and go on with the release of a large batch that has
-- waited for others.
-- KEYS[1] root of all keys
-- ARGV    address, the server's time as it is reckoned (ms), most to move
-- Returns {moved, ms until the next one is due or -1}
-- Prefix-safe: a call is added to its lane before it leaves the set.
server.let_on(KEYS[1])
local root, address = KEYS[1], ARGV[1]
local set = root .. 'z:' .. address
local now = tonumber(ARGV[2])
local due = strict.at('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  -- One that is none of ours is dropped with the others: it must not hold them up.
  local cut = string.find(member, '\n', 1, true) or 1
  local lane, batch, first, count, attempt, limit = string.match(string.sub(member, 1, math.min(cut - 1, 200)),
    '^([@LANES]) (%x+) (%d+) (%d+) (%d+) ?(%S*)$')
  local frame = string.sub(member, cut + 1)
  local known = batch and strict.entry({'b', batch, 'i', first, 'n', count, 'a', attempt, 'x', '', 'd', frame})
    and strict.at('HMGET', root .. 'b:' .. batch, 's', 'x')
  if known and known[1] then
    strict.at('XADD', root .. 'q:' .. address .. ':' .. lane, '*', 'b', batch, 'i', first, 'n', count,
      'a', attempt, 'x', limit == '?' and '3' or known[2] or '', 'd', frame)
  end
  redis.call('ZREM', set, member)
end
local partly = strict.at('HKEYS', root .. 'rel')[1]
if partly then workflow_parts().release(root, partly) end
if partly and strict.at('EXISTS', root .. 'rel') == 1 then return {#due, 0} end
local next = redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')
-- Nobody waits for a moment that is years away.
return {#due, next[2] and math.max(0, math.min(next[2] - now, 86400000)) or -1}
