-- Take one numbered flush of a session: record batches, add chunks. Exactly once under any retry.
-- KEYS[1] root of all keys
-- ARGV    session, number of this flush, session ttl (ms), most entries a lane may hold, then operations:
--   "B", batch, n, address, function, function frame or "", label frame, result ttl (ms)   a new batch
--   "N", batch, n, label frame                                                             a batch has n calls in the end
--   "F", function, function frame                                                          a function's record, once more
--   "O", batch, blob key                                                                   a blob that lives as long as the batch
--   "C", batch, address, lane, when it is due (ms of the server's time as it is reckoned, 0: now), first, count, frame                             a chunk of calls
-- and of a workflow, those batches first that wait for others, so that none ends before what comes after it is known:
--   "V", workflow, plan frame                                                              its graph
--   "W", batch, workflow, batches that it waits for, those that wait for it, "<batch>/<calls> ..." whose calls wait for
--        its calls one by one, "1" where one of these is to run only after a failure        the batch is a part of it
--   "P", as "C", with the ms to wait after it was released instead of when it is due         a chunk that is parked
--   "X", batch, batch that was submitted before, first, count, workflow                     it waits for these calls, too
--   "L", batch                                                                             all its chunks are there
--   "I", workflow, "" or "1"                                                               it begins to come, or all of it is there
-- Returns "OK", "DUP" (was applied before), {"GAP", last}, {"NOFN", function}, {"FULL", address}
-- Prefix-safe: the flush number is written last; a cut-off flush is sent again, and first result wins.
local root, session, number = KEYS[1], ARGV[1], tonumber(ARGV[2])
-- A number that this session has never sent was put there by somebody else: it is a gap as well.
local last = strict.number(strict.at('HGET', root .. 's:' .. session, 'n') or '0') or 0
if number == last then return 'DUP' end
if number ~= last + 1 then return {'GAP', last} end

local width = {B = 8, N = 4, F = 3, O = 3, C = 8, V = 3, W = 7, X = 6, P = 8, L = 2, I = 3}
local i, shipped, checked = 5, {}, {}
while ARGV[i] do
  if ARGV[i] == 'B' then
    local fn = ARGV[i + 4]
    if ARGV[i + 5] ~= '' then shipped[fn] = true
    elseif not shipped[fn] then
      if redis.call('EXISTS', root .. 'f:' .. fn) == 0 then return {'NOFN', fn} end
      shipped[fn] = true
    end
  elseif ARGV[i] == 'C' or ARGV[i] == 'P' then
    local lane = root .. 'q:' .. ARGV[i + 2] .. ':' .. ARGV[i + 3]
    if not checked[lane] then
      checked[lane] = true
      if strict.at('XLEN', lane) >= tonumber(ARGV[4]) then return {'FULL', ARGV[i + 2]} end
    end
  end
  i = i + width[ARGV[i]]
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
i = 5
local coming = {}
local due, sent = nil, {}
while ARGV[i] do
  local kind, batch = ARGV[i], ARGV[i + 1]
  if kind == 'B' then
    local fn = ARGV[i + 4]
    if ARGV[i + 5] ~= '' then redis.call('SET', root .. 'f:' .. fn, ARGV[i + 5]) end
    if strict.at('HEXISTS', root .. 'b:' .. batch, 'f') == 0 then
      if strict.count(root .. 'fu', fn, 1) == 1 then redis.call('PERSIST', root .. 'f:' .. fn) end
    end
    strict.at('SADD', root .. 'addresses', ARGV[i + 3])
    redis.call('HSET', root .. 'b:' .. batch, 's', session, 'n', ARGV[i + 2], 'q', ARGV[i + 3], 'f', fn,
      'm', ARGV[i + 6], 't', ARGV[i + 7])
    strict.at('ZADD', root .. 'batches', now, batch)
    sent[#sent + 1], sent[#sent + 2] = batch, ARGV[i + 6]
  elseif kind == 'N' then
    strict.at('HSET', root .. 'b:' .. batch, 'n', ARGV[i + 2], 'm', ARGV[i + 3])
    sent[#sent + 1], sent[#sent + 2] = batch, ARGV[i + 3]
  elseif kind == 'F' then
    redis.call('SET', root .. 'f:' .. batch, ARGV[i + 2])
  elseif kind == 'O' then
    strict.at('SADD', root .. 'ob:' .. batch, ARGV[i + 2])
    redis.call('PERSIST', ARGV[i + 2])
  elseif kind == 'V' then
    redis.call('SET', root .. 'wp:' .. batch, ARGV[i + 2])
  elseif kind == 'W' then
    local key, id = root .. 'b:' .. batch, ARGV[i + 2]
    if strict.at('HEXISTS', key, 'wf') == 0 then
      for name in string.gmatch(ARGV[i + 3], '%x+') do
        -- It has ended before where the server has lost this one, and not the other.
        if strict.at('HEXISTS', root .. 'b:' .. name, 'e') == 0 then strict.at('HSET', root .. 'g:' .. batch, name, '1') end
      end
      strict.at('HSET', root .. 'wo:' .. id, batch, '1')
      strict.at('SADD', root .. 'wf:' .. id, batch)
      -- Last: it says that all this is there.
      local after = ARGV[i + 6] ~= '' and '!|' or '|'
      redis.call('HSET', key, 'wf', id .. after .. ARGV[i + 4] .. '|' .. ARGV[i + 5])
    end
  elseif kind == 'X' then
    workflow_parts().await(root, batch, ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
  elseif kind == 'P' then
    if strict.at('HEXISTS', root .. 'b:' .. batch, 'rl') == 0 then
      local head = ARGV[i + 3] .. ' ' .. ARGV[i + 2] .. ' ' .. ARGV[i + 4] .. ' ' .. ARGV[i + 6] .. '\n'
      strict.at('HSET', root .. 'p:' .. batch, ARGV[i + 5], head .. ARGV[i + 7])
    end
  elseif kind == 'I' then
    if ARGV[i + 2] == '' then coming[batch] = true
    elseif coming[batch] then coming[batch] = nil
    else strict.at('HDEL', root .. 'wi', batch) end
  elseif kind == 'L' then
    -- It has ended before, all that it waits for: whoever promotes what is due queues it.
    if redis.call('EXISTS', root .. 'g:' .. batch) == 0 then
      strict.at('HSET', root .. 'rel', batch, '1')
      due = 0
    end
  else
    local address, lane, at = ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 4])
    if at > 0 then
      local head = lane .. ' ' .. batch .. ' ' .. ARGV[i + 5] .. ' ' .. ARGV[i + 6] .. ' 1\n'
      strict.at('ZADD', root .. 'z:' .. address, at, head .. ARGV[i + 7])
      if not due or at < due then due = at end
    else
      strict.at('XADD', root .. 'q:' .. address .. ':' .. lane, '*',
        'b', batch, 'i', ARGV[i + 5], 'n', ARGV[i + 6], 'a', '1', 'x', '', 'd', ARGV[i + 7])
    end
  end
  i = i + width[kind]
end
-- Last, and it may be there twice: nobody counts on it who does not know the batch from it.
for k = 1, #sent, 200 do
  strict.at('XADD', root .. 'ev', 'MAXLEN', '~', '50000', '*', unpack(sent, k, math.min(k + 199, #sent)))
end
if due then strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'due', 'd', due) end
-- What needs more than one flush may stay in part where its client dies between them: somebody looks after a minute.
for id in pairs(coming) do
  strict.at('HSET', root .. 'wi', id, session)
  strict.at('ZADD', root .. 'wx', 'NX', now + 60000, id)
end
redis.call('HSET', root .. 's:' .. session, 'n', number)
redis.call('PEXPIRE', root .. 's:' .. session, ARGV[3])
return 'OK'
