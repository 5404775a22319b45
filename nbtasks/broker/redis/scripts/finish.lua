-- Store results (the first one wins), tell the session, put retries aside, end entries. One call per flush.
-- KEYS[1] root of all keys
-- ARGV    group, largest record that is pushed whole (bytes), then operations in this order:
--   "R", batch, first, count, states (one byte a call), record     results of count calls in a row
--   "E", batch, frame                                              an event for the session
--   "P", batch, first, count, frame or ""                          states of the tasks' own, or that they are over
--   "Z", batch, address, lane, when it is due (ms), first, count, attempt, frame    to be run again then
--   "Y", as "Z", and: an id, batches                                to be run again when these have ended, at the latest then
--   "O", batch, blob key                                           a blob that belongs to a result
--   "N", batch, first, names (64 hex digits a call)                 results that are there by now, for later runs
--   "S", batch                                                     its number of calls is known now: it may be over
--   "U", lock, name, consumer                                      a call is through with a lock
--   "H", frame, "1" or ""                                           a note in the stream of events; with "1" of those
--                                                                   results that stand before it and were new
--   "A", address, lane, entry id, kept part "first count" or ""    an entry is done, or the part of it that was kept
-- Returns the number of results that were new.
-- Prefix-safe: record before state before event, everything before the entry is deleted and acknowledged. The
-- counter of ended calls goes first: where it runs ahead, the states are counted when it says that all have ended.
-- What waits for a call, or for a batch, is queued before the state, or the end, is noted: cut off, it is queued again.
local root, i, fresh = KEYS[1], 3, 0
local width = {R = 6, E = 3, P = 5, Z = 9, Y = 11, O = 3, N = 4, S = 2, U = 4, A = 5, H = 3}
local most_whole = 500
-- As in adopt; and ms, about a hundred years.
local most_sessions, longest_ttl = 4, 3155760000000
-- As in core/states.py.
local success = 4
local batches, streams, due, moment = {}, {}, nil, nil
-- Which of the last results were new: "" for all of them.
local news = false

local function now()
  if not moment then
    local time = redis.call('TIME')
    moment = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return moment
end

-- As server.let_on.
if ARGV[3] ~= 'R' and ARGV[3] ~= 'E' then redis.call('DEL', root .. 'gate') end

-- Have the events of sessions kept for another day. Where there is no stream yet, it is seen to when there is one.
local function keep_streams(sessions)
  for _, session in ipairs(sessions) do
    if not streams[session] then streams[session] = redis.call('PEXPIRE', root .. 'e:' .. session, 86400000) end
  end
end

local function tell(session, ...)
  strict.at('XADD', root .. 'e:' .. session, 'MAXLEN', '~', '20000', '*', ...)
  if streams[session] == 0 then streams[session] = redis.call('PEXPIRE', root .. 'e:' .. session, 86400000) end
end

-- Returns the sessions that hear of a batch: the last few ones, as they are put down.
local function sessions_of(text)
  local all, last = {}, {}
  for session in string.gmatch(text, '%x+') do all[#all + 1] = session end
  for k = math.max(1, #all - most_sessions + 1), #all do last[#last + 1] = all[k] end
  return last
end

-- Returns for how long (ms) results are kept.
local function ttl_of(text)
  return math.min(strict.number(text) or 86400000, longest_ttl)
end

-- Returns what is known of a batch, or false. Only the number of ended calls changes while this runs.
local function known(batch)
  if batches[batch] == nil then
    local fields = strict.at('HMGET', root .. 'b:' .. batch, 's', 'n', 'd', 't', 'f', 'wf', 'af')
    batches[batch] = fields[1] and {sessions = sessions_of(fields[1]), n = strict.number(fields[2]),
      ended = fields[3] and strict.number(fields[3]) or 0, counted = not fields[3] or strict.number(fields[3]) ~= nil,
      ttl = ttl_of(fields[4]), fn = fields[5], followed = fields[7]}
    if fields[6] then workflow_parts().place(batches[batch], fields[6]) end
    -- Before anything else is written, for neither of these needs memory.
    if batches[batch] then keep_streams(batches[batch].sessions) else redis.call('DEL', root .. 'gate') end
  end
  return batches[batch]
end

-- Have a batch go with its values when its time is over, its own record last; not while something needs them that was
-- submitted later.
local function expire(batch, ttl, followed)
  if followed and workflow_parts().is_needed(root, followed) then return end
  local blobs = strict.at('SMEMBERS', root .. 'ob:' .. batch)
  for _, key in ipairs(blobs) do
    -- Of what is named there only pieces of large values are ours to expire.
    if string.sub(key, 1, #root + 2) == root .. 'o:' then redis.call('PEXPIRE', key, ttl) end
  end
  if #blobs > 0 then redis.call('PEXPIRE', root .. 'ob:' .. batch, ttl) end
  for _, kind in ipairs({'st:', 'r:', 'b:'}) do redis.call('PEXPIRE', root .. kind .. batch, ttl) end
end

-- The batches of a workflow are kept until the last of them has ended: what comes later needs their results.
local function expire_workflow(id, batch, ttl)
  strict.at('HDEL', root .. 'wo:' .. id, batch)
  if redis.call('EXISTS', root .. 'wo:' .. id) == 1 then return end
  for _, name in ipairs(strict.at('SMEMBERS', root .. 'wf:' .. id)) do
    local facts = name ~= batch and strict.at('HMGET', root .. 'b:' .. name, 'e', 'af') or {}
    if facts[1] then expire(name, ttl, facts[2]) end
  end
  redis.call('PEXPIRE', root .. 'wp:' .. id, ttl)
  redis.call('PEXPIRE', root .. 'wf:' .. id, ttl)
  expire(batch, ttl, batches[batch].followed)
end

-- A batch whose calls have all ended is kept for its time. Cut off, it is done again: the batch's own time comes last.
local function close(batch)
  local facts = batches[batch]
  local ttl, fn = facts.ttl, facts.fn
  if facts.workflow then workflow_parts().advance(root, batch, facts) end
  if facts.followed then workflow_parts().follow(root, batch, facts.followed, facts.n, '') end
  -- A cut between these two keeps a function for ever; the other way round it could go while it is needed.
  if fn and redis.call('HSETNX', root .. 'b:' .. batch, 'e', now()) == 1 and strict.count(root .. 'fu', fn, -1) == 0 then
    -- Nobody else needs the function.
    redis.call('HDEL', root .. 'fu', fn)
    redis.call('PEXPIRE', root .. 'f:' .. fn, ttl)
  end
  if facts.workflow then expire_workflow(facts.workflow, batch, ttl) else expire(batch, ttl, facts.followed) end
end

-- See whether all calls of a batch have ended, by their states.
local function settle(batch)
  local facts = batches[batch]
  local n = facts.n
  if not n or redis.call('PTTL', root .. 'b:' .. batch) >= 0 then return end
  local states = n > 0 and strict.at('GETRANGE', root .. 'st:' .. batch, 0, n - 1) or ''
  -- To look for one takes a fifth of the time that it takes to count them.
  local is_open = string.find(states, '\0', 1, true)
  if is_open or #states < n then
    local _, open = string.gsub(states, '%z', '')
    facts.ended = #states - open
    redis.call('HSET', root .. 'b:' .. batch, 'd', facts.ended)
  else
    close(batch)
  end
end

local function count_ended(batch, won)
  local facts = batches[batch]
  if won > 0 and not facts.counted then
    -- Somebody else has written there: their states are counted.
    redis.call('HSET', root .. 'b:' .. batch, 'd', facts.n or 0)
    facts.counted = true
  end
  if won > 0 then facts.ended = redis.call('HINCRBY', root .. 'b:' .. batch, 'd', won) end
end

-- ``won`` calls have ended now. Where that is all of them, nobody has to look at their states.
local function settle_if_over(batch, won)
  local facts = batches[batch]
  if not facts.n or facts.ended < facts.n then return end
  if won > 0 and won == facts.n then close(batch) else settle(batch) end
end

-- A name leads to the call that has its result, for as long as results are kept.
local function name_results(batch, first, names)
  local states = strict.at('GETRANGE', root .. 'st:' .. batch, first, first + #names / 64 - 1)
  local unnamed = string.rep('0', 64)
  for k = 1, #states do
    local name = string.sub(names, 64 * k - 63, 64 * k)
    if string.byte(states, k) == success and name ~= unnamed then
      redis.call('SET', root .. 'm:' .. name, batch .. ' ' .. (first + k - 1), 'PX', batches[batch].ttl)
    end
  end
end

-- A client that does not keep up, or sleeps, gets short notes instead of whole records, and fetches them itself.
local function push(batch, first, count, record, wins)
  local short = #record <= tonumber(ARGV[2])
  for _, session in ipairs(batches[batch].sessions) do
    local inline = short and strict.at('XLEN', root .. 'e:' .. session) < most_whole and record or ''
    tell(session, 'k', 'r', 'b', batch, 'i', first, 'n', count, 'w', wins, 'd', inline)
  end
end

-- Where the server lost the end of its file, it has forgotten what was given away of an entry: that is queued again.
local function give_lost_part(address, lane, id, kept)
  local name = root .. 'q:' .. address .. ':' .. lane
  local seen = strict.at('HGET', root .. 'c:' .. address, lane .. '/' .. id)
  if seen == kept then return end
  local entry = strict.at('XRANGE', name, id, id)[1]
  local batch, first, count, attempt, frame = strict.entry(entry and entry[2])
  if not batch then return end
  local a, b = strict.part(seen, first, count)
  first, count = a or first, b or count
  local kept_first, kept_count = string.match(kept, '^(%d+) (%d+)$')
  local from = kept_first + kept_count
  local left = first + count - from
  if left > 0 then
    strict.at('XADD', root .. 'q:' .. address .. ':' .. RETURNED(lane), '*', 'b', batch, 'i', from, 'n', left,
      'a', attempt, 'x', '2', 'd', frame)
  end
end

while ARGV[i] do
  local kind, batch = ARGV[i], ARGV[i + 1]
  if kind == 'A' then
    if ARGV[i + 4] ~= '' then give_lost_part(batch, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]) end
    local lane = root .. 'q:' .. batch .. ':' .. ARGV[i + 2]
    strict.at('XDEL', lane, ARGV[i + 3])
    strict.at('HDEL', root .. 'c:' .. batch, ARGV[i + 2] .. '/' .. ARGV[i + 3])
    redis.call('XACK', lane, ARGV[1], ARGV[i + 3])
  elseif kind == 'H' then
    if ARGV[i + 2] == '' or news == '' then
      strict.at('XADD', root .. 'ev', 'MAXLEN', '~', '50000', '*', 'h', batch)
    elseif news then
      strict.at('XADD', root .. 'ev', 'MAXLEN', '~', '50000', '*', 'h', batch, 'w', news)
    end
  elseif kind == 'U' then
    lock_parts().release(root, batch, ARGV[i + 2], ARGV[i + 3], now())
  elseif not known(batch) then
    -- The batch is gone (expired, or the server lost it): nobody can ask for this any more.
  elseif kind == 'R' then
    local first, count, new, record = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
    local st, rs = root .. 'st:' .. batch, root .. 'r:' .. batch
    local old = strict.at('GETRANGE', st, first, first + count - 1)
    local blank = string.rep('\0', #old)
    local won = 0
    if old == blank then
      won = count
      count_ended(batch, won)
      strict.at('HSET', rs, first .. '+' .. count, record)
      if batches[batch].fed and batches[batch].fed ~= '' then workflow_parts().feed(root, batches[batch].fed, first, count) end
      redis.call('SETRANGE', st, first, new)
      news = ''
      push(batch, first, count, record, '')
    else
      local wins, k = {}, 0
      while k < count do
        if k >= #old or string.byte(old, k + 1) == 0 then
          local from = k
          while k < count and (k >= #old or string.byte(old, k + 1) == 0) do k = k + 1 end
          count_ended(batch, k - from)
          strict.at('HSET', rs, (first + from) .. '+' .. (k - from), record)
          if batches[batch].fed and batches[batch].fed ~= '' then workflow_parts().feed(root, batches[batch].fed, first + from, k - from) end
          redis.call('SETRANGE', st, first + from, string.sub(new, from + 1, k))
          wins[#wins + 1] = (first + from) .. '+' .. (k - from)
          won = won + k - from
        else
          k = k + 1
        end
      end
      news = won > 0 and table.concat(wins, ' ')
      if won > 0 then push(batch, first, count, record, news) end
    end
    fresh = fresh + won
    -- Not only where it is new: before a cut it may have been, and nobody was told.
    local id = batches[batch].workflow
    if id and string.find(new, '[^\4]') then workflow_parts().note(root, id) end
    if batches[batch].followed then
      workflow_parts().follow(root, batch, batches[batch].followed, batches[batch].ended, new)
    end
    settle_if_over(batch, won)
  elseif kind == 'E' then
    for _, session in ipairs(batches[batch].sessions) do
      tell(session, 'k', 'e', 'b', batch, 'd', ARGV[i + 2])
    end
  elseif kind == 'O' then
    if redis.call('HEXISTS', root .. 'b:' .. batch, 'e') == 0 then
      strict.at('SADD', root .. 'ob:' .. batch, ARGV[i + 2])
      redis.call('PERSIST', ARGV[i + 2])
    end
  elseif kind == 'N' then
    name_results(batch, tonumber(ARGV[i + 2]), ARGV[i + 3])
  elseif kind == 'S' then
    settle(batch)
  elseif kind == 'P' then
    local key = root .. 'ow:' .. batch
    if ARGV[i + 4] ~= '' then
      strict.at('HSET', key, ARGV[i + 2], ARGV[i + 4])
      redis.call('PEXPIRE', key, 86400000)
    elseif redis.call('EXISTS', key) == 1 then
      for k = ARGV[i + 2], ARGV[i + 2] + ARGV[i + 3] - 1 do strict.at('HDEL', key, string.format('%d', k)) end
    end
  elseif kind == 'Z' or kind == 'Y' then
    local at = tonumber(ARGV[i + 4])
    local member = ARGV[i + 3] .. ' ' .. batch .. ' ' .. ARGV[i + 5] .. ' ' .. ARGV[i + 6] .. ' ' .. ARGV[i + 7] .. '\n'
      .. ARGV[i + 8]
    strict.at('ZADD', root .. 'z:' .. ARGV[i + 2], at, member)
    if kind == 'Y' then workflow_parts().put_aside(root, ARGV[i + 9], ARGV[i + 10], ARGV[i + 2], member) end
    if not due or at < due then due = at end
  end
  i = i + width[kind]
end
if due then strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'due', 'd', due) end
return fresh
