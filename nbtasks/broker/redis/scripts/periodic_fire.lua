-- Submit the calls of a periodic task for one due time, once, whoever says it and however often.
-- KEYS[1] root of all keys
-- ARGV    key id, periodic task, version of its frame, due time (ms) or "" for a run beside the schedule, when it is due
--         next (ms) or "", batch, "1" where runs may overlap or "", calls, address, label frame, result ttl (ms), then of
--         each chunk: lane, ms after the due time before which it may not start, first, count, frame
-- Returns {"OK"}; or why not: {"LATE"} another one has; {"EARLY"}; {"CHANGED"} it is another one, or is gone; {"NOFN"} its
--         function is lost; {"FULL"}; {"BUSY", batch} the run before goes on, and the due time was passed over;
--         {"WAIT"} it goes on, but both are due since before it began: it comes when that has ended
-- Prefix-safe: the calls are queued, then it is noted that they are, then the due time moves on. Cut off in between they
-- are queued again, in the same batch: the first result counts.
local root, index, id, due, batch = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[1], ARGV[2], ARGV[4], ARGV[6]
local key, now = root .. 'se:' .. ARGV[1] .. ':' .. id, server.now_ms()
local facts = strict.at('HMGET', key, 'v', 'f', 'l', 'cu', 'h', 'gone')
local function move_on()
  if due == '' then return end
  -- Whoever it ends with is there: that it was away before is no reason to remove it at the next time.
  if facts[6] then redis.call('HDEL', key, 'gone') end
  redis.call('ZADD', index, ARGV[5] ~= '' and ARGV[5] or 'inf', id)
end

if facts[1] ~= ARGV[3] then return {'CHANGED'} end
if due ~= '' then
  local score = strict.at('ZSCORE', index, id)
  if not score or tonumber(score) ~= tonumber(due) then return {'LATE'} end
  if now < tonumber(due) then return {'EARLY'} end
end
local fn, last, fence = facts[2], facts[3], strict.number(facts[4]) or 0
if last and last ~= batch and ARGV[7] == '' then
  local before = strict.at('HMGET', root .. 'b:' .. last, 's', 'e')
  if before[1] and not before[2] then
    if due == '' then return {'BUSY', last} end
    if tonumber(due) <= fence then return {'WAIT'} end
    redis.call('HINCRBY', key, 'sk', 1)
    move_on()
    return {'BUSY', last}
  end
end
if redis.call('EXISTS', root .. 'f:' .. fn) == 0 then return {'NOFN'} end
local lane = root .. 'q:' .. ARGV[9] .. ':' .. ARGV[12]
if strict.at('XLEN', lane) >= 2000000 then return {'FULL'} end

local record = root .. 'b:' .. batch
if strict.at('HEXISTS', record, 'f') == 0 then server.use(root, fn) end
strict.at('SADD', root .. 'addresses', ARGV[9])
-- Nobody is told how it ends: who wants to know looks.
if strict.at('HEXISTS', record, 's') == 0 then
  redis.call('HSET', record, 's', '-', 'n', ARGV[8], 'q', ARGV[9], 'f', fn, 'm', ARGV[10], 't', ARGV[11])
end
strict.at('ZADD', root .. 'batches', now, batch)
if strict.at('HEXISTS', record, 'fd') == 0 then
  local since = due ~= '' and tonumber(due) or now
  local ahead = tonumber(string.match(strict.at('GET', root .. 'ahead') or '', '^%-?%d+$')) or 0
  local k, waits = 12, nil
  while ARGV[k] do
    local at = since + tonumber(ARGV[k + 1])
    if at > now then
      local head = ARGV[k] .. ' ' .. batch .. ' ' .. ARGV[k + 2] .. ' ' .. ARGV[k + 3] .. ' 1\n'
      strict.at('ZADD', root .. 'z:' .. ARGV[9], at - ahead, head .. ARGV[k + 4])
      waits = at - ahead
    else
      strict.at('XADD', root .. 'q:' .. ARGV[9] .. ':' .. ARGV[k], '*',
        'b', batch, 'i', ARGV[k + 2], 'n', ARGV[k + 3], 'a', '1', 'x', '', 'd', ARGV[k + 4])
    end
    k = k + 5
  end
  if waits then server.tell(root, 'due', waits) end
  redis.call('HSET', record, 'fd', '1')
  strict.at('XADD', root .. 'ev', 'MAXLEN', '~', '50000', '*', batch, ARGV[10])
end
if last ~= batch then
  -- The last 30 runs, the newest first.
  local runs, kept = (due ~= '' and due or now) .. '/' .. batch, 1
  for run in string.gmatch(string.sub(facts[5] or '', 1, 2000), '%d+/%x+') do
    if kept < 30 then
      runs = runs .. ' ' .. run
      kept = kept + 1
    end
  end
  redis.call('HINCRBY', key, 'n', 1)
  redis.call('HSET', key, 'l', batch, 'h', runs)
end
-- What was due before this began, and comes later, has not overlapped with it then.
if due ~= '' and tonumber(due) > fence then redis.call('HSET', key, 'cu', now) end
move_on()
return {'OK'}
