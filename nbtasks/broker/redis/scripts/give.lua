-- Give calls of an entry to others, uncharged or charged: copy pieces of it to a lane, or put them aside until a rate
-- limit lets them start; keep a part or end the entry.
-- KEYS[1] root of all keys; KEYS[2] a lease, if the calls are given only while that is gone
-- ARGV    group, consumer that holds it, address, lane, entry id, target lane, or "<lane> <due (ms)> <limit>",
--         kept part "first count" or "", end of what the consumer takes the entry to hold (the index after the last call), then pieces: first,
--         count, attempt
-- Returns 1, or 0 when the consumer no longer holds the entry, or the lease is there (nothing was changed).
-- Prefix-safe: pieces are added before the entry is cut or ended.
server.let_on(KEYS[1])
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local root, group, address = KEYS[1], ARGV[1], ARGV[3]
local lane = root .. 'q:' .. address .. ':' .. ARGV[4]
local held = strict.call(lane, 'XPENDING', lane, group, ARGV[5], ARGV[5], 1, ARGV[2])
if #held == 0 then return 0 end
local cut = strict.at('HGET', root .. 'c:' .. address, ARGV[4] .. '/' .. ARGV[5])
if ARGV[7] ~= '' and cut == ARGV[7] then return 1 end
local entry = redis.call('XRANGE', lane, ARGV[5], ARGV[5])[1]
local batch, first, count, attempt, frame = strict.entry(entry and entry[2])
-- It is gone, or makes no sense.
if not batch then
  redis.call('XDEL', lane, ARGV[5])
  redis.call('HDEL', root .. 'c:' .. address, ARGV[4] .. '/' .. ARGV[5])
  redis.call('XACK', lane, group, ARGV[5])
  return 0
end
local flagged = strict.at('HGET', root .. 'b:' .. batch, 'x') or ''
-- What may have begun before stays in doubt, wherever it goes.
local last = strict.at('HGET', root .. 'd:' .. address, ARGV[4])
local lost = type(last) == 'string' and string.find(last, '^%d+%-%d+$') and not strict.later(ARGV[5], last)
local doubt = string.match(entry[2][10], '^[23]$') or lost and '2'
local aside, due, limit = string.match(ARGV[6], '^(%a) (%d+) (%S+)$')
local target = root .. 'q:' .. address .. ':' .. (aside and RETURNED(ARGV[4]) or ARGV[6])
-- Where the server lost the end of its file, it has forgotten what was given away before: that is queued again.
local seen_first, seen_count = strict.part(cut, first, count)
local stop = (seen_first or first) + (seen_count or count)
local left = stop - tonumber(ARGV[8])
if left > 0 then
  strict.at('XADD', target, '*', 'b', batch, 'i', ARGV[8], 'n', left, 'a', attempt, 'x', '2', 'd', frame)
end
-- A child and its supervisor may both give at once: what the first one has given, the second one does not have.
local pieces, p = {}, 9
while ARGV[p] do
  local n = math.min(tonumber(ARGV[p + 1]), stop - tonumber(ARGV[p]))
  if n > 0 then pieces[#pieces + 1] = {ARGV[p], n, ARGV[p + 2]} end
  p = p + 3
end
if aside then
  local set = root .. 'z:' .. address
  for _, piece in ipairs(pieces) do
    local head = table.concat({aside, batch, piece[1], piece[2], piece[3], limit}, ' ')
    strict.at('ZADD', set, due, head .. '\n' .. frame)
  end
  -- Who queues what is due sleeps until the first of them is.
  if #pieces > 0 and tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) >= tonumber(due) then
    server.tell(root, 'due', due)
  end
else
  for _, piece in ipairs(pieces) do
    strict.at('XADD', target, '*', 'b', batch, 'i', piece[1], 'n', piece[2], 'a', piece[3],
      'x', doubt or (tonumber(piece[3]) > 1) and '1' or flagged, 'd', frame)
  end
end
if ARGV[7] ~= '' then
  local kept_first, kept_count = strict.part(ARGV[7], first, count)
  if kept_first and kept_first + kept_count <= stop then
    redis.call('HSET', root .. 'c:' .. address, ARGV[4] .. '/' .. ARGV[5], ARGV[7])
  end
else
  redis.call('XDEL', lane, ARGV[5])
  redis.call('HDEL', root .. 'c:' .. address, ARGV[4] .. '/' .. ARGV[5])
  redis.call('XACK', lane, group, ARGV[5])
end
return 1
