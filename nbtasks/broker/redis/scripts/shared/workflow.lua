-- What scripts share that has to do with workflows: batches that wait, parked, for others to end.
-- p:<batch> holds the chunks of a parked batch, first call -> "lane address delay count\n<frame>"; g:<batch> those batches
-- that it waits for. The field wf of a batch says its place: the workflow, "!" where something that waits for it runs only
-- after a failure, the batches that wait for all of it, and those whose calls wait for its calls one by one.
-- A call that waits for batches that were submitted after it lies with the delayed ones; p:<id> of such a wait has
-- "on" -> "address\n<member>", and g:<id> the batches.
-- Everything here may be done again after a cut: what has been moved is not found any more.
-- A script that needs some of it says workflow_parts().name(...): what is made of them then, is not made otherwise.
local workflow = {}

-- Put what the field of a batch says of its place in a workflow into its facts.
function workflow.place(facts, text)
  facts.workflow, facts.excused, facts.waiting, facts.fed = string.match(text, '^(%x+)(!?)|([^|]*)|(.*)$')
end

-- Queue some calls of a parked chunk, now or after its delay; nothing where it is none of ours. ``record`` is where the
-- results are filed that they follow, or "": who opens them need not look for it.
function workflow.queue(root, name, piece, first, count, flag, record)
  local cut = string.find(piece, '\n', 1, true) or 1
  local lane, address, delay = string.match(string.sub(piece, 1, math.min(cut - 1, 300)), '^([@FRESH]) (%S+) (%d+) %d+$')
  local frame = string.sub(piece, cut + 1)
  local known = lane and strict.entry({'b', name, 'i', tostring(first), 'n', tostring(count), 'a', '1', 'x', '', 'd', frame})
  if not known then return end
  if tonumber(delay) > 0 then
    local time = redis.call('TIME')
    local ahead = tonumber(string.match(strict.at('GET', root .. 'ahead') or '', '^%-?%d+$')) or 0
    local at = time[1] * 1000 + math.floor(time[2] / 1000) - ahead + delay
    strict.at('ZADD', root .. 'z:' .. address, at, lane .. ' ' .. name .. ' ' .. first .. ' ' .. count .. ' 1\n' .. frame)
    strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'due', 'd', at)
  else
    strict.at('XADD', root .. 'q:' .. address .. ':' .. lane, '*',
      'b', name, 'i', first, 'n', count, 'a', '1', 'x', flag, 'd', frame, 'r', record)
  end
end

-- Nothing of a batch is parked any more, nor will be. One that is gone is not made anew by this.
function workflow.unpark(root, name)
  if strict.at('HEXISTS', root .. 'b:' .. name, 's') == 1 then redis.call('HSET', root .. 'b:' .. name, 'rl', '1') end
  redis.call('DEL', root .. 'p:' .. name)
  strict.at('HDEL', root .. 'rel', name)
end

-- A call may go on that was put aside: it is due now, if it still waits.
function workflow.go_on(root, parked)
  local text = strict.at('HGET', parked, 'on') or ''
  local address = string.match(string.sub(text, 1, 300), '^(%S+)\n')
  if address then
    strict.at('ZADD', root .. 'z:' .. address, 'XX', 0, string.sub(text, #address + 2))
    strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'due', 'd', 0)
  end
end

-- Have a call that was put aside go on when some batches have ended: "<batch> ...".
function workflow.put_aside(root, name, before, address, member)
  local parked, waiting = root .. 'p:' .. name, {}
  strict.at('HSET', parked, 'on', address .. '\n' .. member)
  for batch in string.gmatch(before, '%x+') do
    local known = strict.at('HMGET', root .. 'b:' .. batch, 's', 'e', 'wf')
    if known[1] and not known[2] then
      strict.at('HSET', root .. 'g:' .. name, batch, '1')
      waiting[#waiting + 1] = {batch, known[3] or ''}
    end
  end
  for _, one in ipairs(waiting) do
    local id, after, others, fed = string.match(one[2], '^(%x+)(!?)|([^|]*)|(.*)$')
    if not string.find(others or '', name, 1, true) then
      -- A batch of no workflow becomes one for this.
      redis.call('HSET', root .. 'b:' .. one[1], 'wf',
        (id or name) .. (after or '') .. '|' .. (others or '') .. ' ' .. name .. '|' .. (fed or ''))
    end
  end
  if #waiting > 0 then return end
  workflow.go_on(root, parked)
  redis.call('DEL', parked)
end

-- Queue what is parked of a batch, for all that it waits for has ended; a large one in several steps, by promote.
function workflow.release(root, name)
  local parked, firsts = root .. 'p:' .. name, {}
  for _, first in ipairs(strict.at('HKEYS', parked)) do
    if strict.number(first) then firsts[#firsts + 1] = tonumber(first)
    elseif first == 'on' then workflow.go_on(root, parked) end
  end
  table.sort(firsts)
  local flag = #firsts > 0 and strict.at('HGET', root .. 'b:' .. name, 'x') or ''
  for k, first in ipairs(firsts) do
    if k > 200 then
      strict.at('HSET', root .. 'rel', name, '1')
      strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'due', 'd', 0)
      return
    end
    local piece = redis.call('HGET', parked, first)
    local count = strict.number(string.match(string.sub(piece, 1, 300), '^%S+ %S+ %d+ (%d+)\n'))
    if count then workflow.queue(root, name, piece, first, count, flag or '', '') end
    redis.call('HDEL', parked, first)
  end
  workflow.unpark(root, name)
end

-- A batch has ended that another one waits for.
function workflow.met(root, name, before)
  strict.at('HDEL', root .. 'g:' .. name, before)
  if redis.call('EXISTS', root .. 'g:' .. name) == 0 then workflow.release(root, name) end
end

-- A parked batch waits for calls of a batch that was submitted before: its field af has "<batch>/<first>+<count>/<workflow>"
-- for each that does. What has ended has no time of its own any more; the workflow gives it one.
function workflow.await(root, name, before, first, count, id)
  local key = root .. 'b:' .. before
  if strict.at('HEXISTS', root .. 'b:' .. name, 'rl') == 1 or strict.at('HEXISTS', key, 's') == 0 then return end
  local mark, known = name .. '/' .. first .. '+' .. count .. '/' .. id, strict.at('HGET', key, 'af') or ''
  strict.at('SADD', root .. 'wf:' .. id, before)
  if not string.find(' ' .. known .. ' ', ' ' .. mark .. ' ', 1, true) then
    redis.call('HSET', key, 'af', known == '' and mark or known .. ' ' .. mark)
  end
  for _, blob in ipairs(strict.at('SMEMBERS', root .. 'ob:' .. before)) do
    if string.sub(blob, 1, #root + 2) == root .. 'o:' then redis.call('PERSIST', blob) end
  end
  for _, kind in ipairs({'ob:', 'st:', 'r:', 'b:'}) do redis.call('PERSIST', root .. kind .. before) end
  local states = strict.at('GETRANGE', root .. 'st:' .. before, first, first + count - 1)
  if string.find(states, '[^%z\4]') then workflow.note(root, id) end
  if #states < tonumber(count) or string.find(states, '\0', 1, true) then
    strict.at('HSET', root .. 'g:' .. name, before .. ':' .. first .. '+' .. count, '1')
  end
end

-- Calls have ended of a batch that others wait for which were submitted later. ``ended`` are those that have ended in all,
-- or more; ``new`` how those have that were told just now.
function workflow.follow(root, batch, followed, ended, new)
  for name, part, id in string.gmatch(followed, '(%x+)/(%d+%+%d+)/(%x+)') do
    local first, count = string.match(part, '^(%d+)%+(%d+)$')
    first, count = strict.number(first), strict.number(count)
    if string.find(new, '[^\4]') then workflow.note(root, id) end
    if first and count and count <= ended then
      local states = strict.at('GETRANGE', root .. 'st:' .. batch, first, first + count - 1)
      if #states == count and not string.find(states, '\0', 1, true) then workflow.met(root, name, batch .. ':' .. part) end
    end
  end
end

-- Whether something that was submitted later needs what a batch has given, and has not ended.
function workflow.is_needed(root, followed)
  for id in string.gmatch(followed, '/(%x+)') do
    if redis.call('EXISTS', root .. 'wo:' .. id) == 1 then return true end
  end
  return false
end

-- Calls have a result, and each feeds the call of the same index of other batches, which stand there with the number of
-- calls in each of their chunks: "<batch>/<calls> ...".
function workflow.feed(root, fed, first, count)
  for name, size in string.gmatch(fed, '(%x+)/(%d+)') do
    size = math.max(1, tonumber(size))
    local flag = strict.at('HGET', root .. 'b:' .. name, 'x') or ''
    for start = math.floor(first / size) * size, first + count - 1, size do
      local piece = strict.at('HGET', root .. 'p:' .. name, string.format('%d', start))
      if piece then
        local from, to = math.max(first, start), math.min(first + count, start + size)
        workflow.queue(root, name, piece, from, to - from, flag, first .. '+' .. count)
      end
    end
  end
end

-- Something has failed that must reach what comes after it: have a supervisor see to that.
function workflow.note(root, id)
  if strict.at('ZSCORE', root .. 'wx', id) == '0' then return end
  redis.call('ZADD', root .. 'wx', 0, id)
  strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'wf', 'd', '')
end

-- A batch has ended: release those that wait for it, and let nothing of its own be released any more.
function workflow.advance(root, batch, facts)
  for name in string.gmatch(facts.waiting or '', '%x+') do workflow.met(root, name, batch) end
  for name in string.gmatch(facts.fed or '', '(%x+)/') do workflow.unpark(root, name) end
  -- What runs only after a failure is not needed, perhaps.
  if facts.excused == '!' then workflow.note(root, facts.workflow) end
  redis.call('DEL', root .. 'p:' .. batch, root .. 'g:' .. batch)
  strict.at('HDEL', root .. 'rel', batch)
end
