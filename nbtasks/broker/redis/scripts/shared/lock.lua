-- What scripts share that has to do with locks. Who holds one is told by name: a call by "<batch>:<index>", code that has
-- taken it by itself by "<consumer>/<number>". Consumers are children of workers, and clients; what comes before the last
-- "/" is the worker, or the client, and has a lease.
-- lk:<lock> name -> "capacity token since(ms) consumer title", of those who hold it. lq:<lock> is the line: "capacity address
-- name", or "capacity @ name", by their tickets. A call of the line lies in z:<address>, far in the future. lt:<lock> name ->
-- "capacity ticket until(ms) address": whose turn it is. lh:<worker> has "<lock> <name>" of what it holds; locks: those with
-- a line.
-- Everything here may be done again after a cut. A script that needs some of it says lock_parts().name(...).
local lock = {}

-- Returns capacity, token, since when (ms) and consumer of one who holds a lock, or nil.
function lock.held(value)
  local capacity, token, since, consumer = string.match(string.sub(value or '', 1, 500), '^(%d+) (%d+) (%d+) (%S+)')
  capacity, token, since = strict.number(capacity), strict.number(token), strict.number(since)
  if capacity and token and since then return capacity, token, since, consumer end
end

-- Returns capacity, ticket, until when (ms) and address of one whose turn it is, or nil.
function lock.called(value)
  local capacity, ticket, till, address = string.match(string.sub(value or '', 1, 500), '^(%d+) (%d+) (%d+) (%S+)$')
  capacity, ticket, till = strict.number(capacity), strict.number(ticket), strict.number(till)
  if capacity and ticket and till then return capacity, ticket, till, address end
end

-- Returns whether a lease is there for the worker, or the client, of a consumer.
function lock.lives(root, consumer)
  local whose = string.match(consumer or '', '^(.+)/[^/]*$')
  return whose ~= nil and redis.call('EXISTS', root .. 'w:' .. whose) == 1
end

-- Returns whether there is a lease for code that has taken a lock, or waits for it, under a name.
function lock.code_lives(root, name)
  return lock.lives(root, string.match(name, '^(.+)/[^/]*$'))
end

-- Returns a number that grows, also where the server has lost the last one: it says who was first, and it is the token.
function lock.ticket(root, now)
  local base = now * 100
  local last = strict.number(strict.at('GET', root .. 'tk') or '0') or 0
  -- None of ours is ten years ahead of the time.
  if last > base + 31557600000000 then last = base end
  local next = math.max(base, last + 1)
  redis.call('SET', root .. 'tk', string.format('%.0f', next))
  return next
end

-- Returns how many more may hold a lock, for one who says how many may at most, himself not counted. The least that is
-- said counts: nobody holds it with more others than he has agreed to.
function lock.free(root, id, capacity, name, now)
  local n, least = 0, capacity
  local list = strict.at('HGETALL', root .. 'lk:' .. id)
  for k = 1, #list, 2 do
    local own = lock.held(list[k + 1])
    if own and list[k] ~= name then n, least = n + 1, math.min(least, own) end
  end
  list = strict.at('HGETALL', root .. 'lt:' .. id)
  for k = 1, #list, 2 do
    local own, _, till = lock.called(list[k + 1])
    if own and list[k] ~= name and till > now and till <= now + 5000 then n, least = n + 1, math.min(least, own) end
  end
  return least - n
end

-- Returns lane, batch, first, count, attempt and frame of a call that waits for a lock, and the member of z:<address> that
-- it is, or nil.
function lock.parked(root, address, name, ticket)
  local score = string.format('%.0f', 4000000000000000 + ticket)
  for _, member in ipairs(strict.at('ZRANGEBYSCORE', root .. 'z:' .. address, score, score, 'LIMIT', 0, 10)) do
    local cut = string.find(member, '\n', 1, true) or 1
    local lane, batch, first, count, attempt = string.match(string.sub(member, 1, math.min(cut - 1, 400)),
      '^([@LANES]) (%x+) (%d+) (%d+) (%d+) @')
    if lane and batch .. ':' .. first == name then
      local frame = string.sub(member, cut + 1)
      local known = strict.entry({'b', batch, 'i', first, 'n', count, 'a', attempt, 'x', '', 'd', frame})
      return known and lane, batch, first, count, attempt, frame, member
    end
  end
end

-- Returns whether a call has ended, or nobody knows it.
function lock.is_over(root, name)
  local batch, index = string.match(name, '^(%x+):(%d+)$')
  if not batch or strict.at('HEXISTS', root .. 'b:' .. batch, 's') == 0 then return true end
  local state = strict.at('GETRANGE', root .. 'st:' .. batch, index, index)
  return state ~= '' and state ~= '\0'
end

-- Tell one of the line that it is its turn; it has a while to come. Returns whether there is still somebody to come.
function lock.summon(root, id, place, ticket, now)
  local capacity, address, name = string.match(place, '^(%d+) (%S+) (%S+)$')
  local there = false
  local value = string.format('%s %.0f %.0f %s', capacity, ticket, now + 5000, address)
  if address == '@' then
    there = lock.code_lives(root, name)
    if there then
      redis.call('HSET', root .. 'lt:' .. id, name, value)
      strict.at('XADD', root .. 'lw:' .. name, 'MAXLEN', '10', '*', 'l', id)
      redis.call('PEXPIRE', root .. 'lw:' .. name, 60000)
    end
  else
    local lane, batch, first, count, attempt, frame, member = lock.parked(root, address, name, ticket)
    there = lane and not lock.is_over(root, name)
    if there then
      redis.call('HSET', root .. 'lt:' .. id, name, value)
      strict.at('XADD', root .. 'q:' .. address .. ':' .. RETURNED(lane), '*', 'b', batch, 'i', first, 'n', count,
        'a', attempt, 'x', strict.at('HGET', root .. 'b:' .. batch, 'x') or '', 'd', frame)
    end
    if member then redis.call('ZREM', root .. 'z:' .. address, member) end
  end
  redis.call('ZREM', root .. 'lq:' .. id, place)
  return there
end

-- Have those come whose turn it is, in their order. Where one was called and has not come, its queue has nobody who would
-- take it for now: others of that queue are passed over until it comes.
function lock.wake(root, id, now)
  local line, late, passed, left = root .. 'lq:' .. id, {}, 0, 500
  if strict.at('ZCARD', line) == 0 then
    if strict.at('EXISTS', root .. 'lt:' .. id) == 0 then strict.at('HDEL', root .. 'locks', id) end
    return
  end
  local called = strict.at('HGETALL', root .. 'lt:' .. id)
  for k = 1, #called, 2 do
    local capacity, _, till, address = lock.called(called[k + 1])
    local is_late = till and address ~= '@' and not (till > now and till <= now + 5000)
    -- Who is still in the line was not told of it, for the server was cut off.
    if is_late and not redis.call('ZSCORE', line, capacity .. ' ' .. address .. ' ' .. called[k]) then late[address] = true end
  end
  while passed < 2000 and left > 0 do
    local places = redis.call('ZRANGE', line, passed, passed + 19, 'WITHSCORES')
    if #places == 0 then break end
    for k = 1, #places, 2 do
      local capacity, address, name = string.match(places[k], '^(%d+) (%S+) (%S+)$')
      capacity = strict.number(capacity)
      if not capacity then redis.call('ZREM', line, places[k])
      elseif late[address] then passed = passed + 1
      elseif lock.free(root, id, capacity, name, now) < 1 then return
      else
        lock.summon(root, id, places[k], tonumber(places[k + 1]), now)
        -- Of many that have ended in the line, others take care a moment later.
        left = left - 1
      end
    end
  end
end

-- Take those out of the beginning of a line that have ended meanwhile: else they would count as waiting.
function lock.thin(root, id)
  local line, looked, found = root .. 'lq:' .. id, 0, 0
  repeat
    local places, gone = strict.at('ZRANGE', line, looked, looked + 99, 'WITHSCORES'), 0
    for k = 1, #places, 2 do
      local address, name = string.match(places[k], '^%d+ (%S+) (%S+)$')
      local over = not address or (address == '@' and not lock.code_lives(root, name))
      if address and address ~= '@' and lock.is_over(root, name) then
        local _, _, _, _, _, _, member = lock.parked(root, address, name, tonumber(places[k + 1]))
        if member then redis.call('ZREM', root .. 'z:' .. address, member) end
        over = true
      end
      if over then
        redis.call('ZREM', line, places[k])
        gone = gone + 1
      end
    end
    looked, found = looked + #places / 2 - gone, found + gone
  until #places < 200 or gone == 0 or found >= 2000
end

-- Take locks, {id, capacity} each, all of them or none. Returns the token; or nil, which one is to be waited for, the ticket
-- of one who has waited before, and whether somebody who has waited for longer could have it.
function lock.take(root, wanted, name, consumer, title, now)
  local ticket, turn = nil, {}
  for _, one in ipairs(wanted) do
    local _, own, till = lock.called(strict.at('HGET', root .. 'lt:' .. one[1], name))
    if own and (not ticket or own < ticket) then ticket = own end
    turn[one[1]] = till and till > now and till <= now + 5000
  end
  for n, one in ipairs(wanted) do
    local id, capacity = one[1], one[2]
    local _, _, _, whose = lock.held(strict.at('HGET', root .. 'lk:' .. id, name))
    if whose ~= consumer then
      -- It runs somewhere else, or did a moment ago: then this is a copy, which waits for its end.
      if whose or lock.free(root, id, capacity, name, now) < 1 then return nil, n, ticket, false end
      local head = strict.at('ZRANGE', root .. 'lq:' .. id, 0, 0, 'WITHSCORES')
      -- Those that are passed over do not keep others from their turn.
      if head[2] and not turn[id] and (not ticket or tonumber(head[2]) < ticket) then return nil, n, ticket, true end
    end
  end
  local token = lock.ticket(root, now)
  local worker = string.match(consumer, '^(.+)/[^/]*$')
  for _, one in ipairs(wanted) do
    strict.at('HSET', root .. 'lh:' .. worker, one[1] .. ' ' .. name, '1')
    strict.at('HSET', root .. 'lk:' .. one[1], name,
      string.format('%d %.0f %.0f %s %s', one[2], token, now, consumer, title))
    if ticket then redis.call('HDEL', root .. 'lt:' .. one[1], name) end
  end
  return token
end

-- Have somebody wait for a lock; one who has waited before has its old place.
function lock.queue(root, id, capacity, address, name, ticket)
  strict.at('ZADD', root .. 'lq:' .. id, string.format('%.0f', ticket), capacity .. ' ' .. address .. ' ' .. name)
  strict.at('HSET', root .. 'locks', id, '1')
end

-- Somebody is through with a lock, whether it has held it or was only called to it.
function lock.release(root, id, name, consumer, now)
  local _, _, _, whose = lock.held(strict.at('HGET', root .. 'lk:' .. id, name))
  if whose == consumer then
    redis.call('HDEL', root .. 'lk:' .. id, name)
    strict.at('HDEL', root .. 'lh:' .. string.match(consumer, '^(.+)/[^/]*$'), id .. ' ' .. name)
  end
  strict.at('HDEL', root .. 'lt:' .. id, name)
  lock.wake(root, id, now)
end
