-- Take the locks of a call that is about to start, or have it wait for its turn: then it lies in no lane and in nobody's hands.
-- KEYS[1] root of all keys
-- ARGV    group, consumer, address, lane, entry id, lane that it comes back to, index of the call, what is shown of it, then
--         locks: id, how many may hold it
-- Returns {1, token}; {0, which lock it waits for, from 1}; {-1} where the consumer does not hold the entry any more.
-- Prefix-safe: what it takes is taken again; it has its place in the line, and lies there, before the entry ends.
server.let_on(KEYS[1])
local root, group, consumer, address, index = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[7]
local lane = root .. 'q:' .. address .. ':' .. ARGV[4]
if #strict.call(lane, 'XPENDING', lane, group, ARGV[5], ARGV[5], 1, consumer) == 0 then return {-1} end
local entry = redis.call('XRANGE', lane, ARGV[5], ARGV[5])[1]
local batch, _, _, attempt, frame = strict.entry(entry and entry[2])
if not batch then return {-1} end
local wanted, now = {}, server.now_ms()
for k = 9, #ARGV, 2 do wanted[#wanted + 1] = {ARGV[k], tonumber(ARGV[k + 1])} end
local name = batch .. ':' .. index
local token, place, ticket, others = lock_parts().take(root, wanted, name, consumer, ARGV[8], now)
if token then return {1, string.format('%.0f', token)} end
ticket = ticket or lock_parts().ticket(root, now)
local id, capacity = wanted[place][1], wanted[place][2]
lock_parts().queue(root, id, capacity, address, name, ticket)
local head = table.concat({ARGV[6], batch, index, 1, attempt, '@' .. id}, ' ')
strict.at('ZADD', root .. 'z:' .. address, string.format('%.0f', 4000000000000000 + ticket), head .. '\n' .. frame)
for _, one in ipairs(wanted) do
  if redis.call('HDEL', root .. 'lt:' .. one[1], name) == 1 or (others and one[1] == id) then
    lock_parts().wake(root, one[1], now)
  end
end
redis.call('XDEL', lane, ARGV[5])
redis.call('HDEL', root .. 'c:' .. address, ARGV[4] .. '/' .. ARGV[5])
redis.call('XACK', lane, group, ARGV[5])
return {0, place}
