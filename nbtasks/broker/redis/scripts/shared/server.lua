-- What scripts share that has to do with the server: its clock, its memory, its answers, and what it tells all workers.
-- Submit and finish, which every call passes, write out what they need of it: a function costs time whenever a script
-- runs.
local server = {}

-- Returns the time in us.
function server.now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Returns the time in whole ms.
function server.now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Have a script go on also when the server is full: it may where its first write needs no memory. What ends work must
-- never be refused.
function server.let_on(root)
  redis.call('DEL', root .. 'gate')
end

-- Tell all workers something, by its kind.
function server.tell(root, kind, text)
  strict.at('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', kind, 'd', text)
end

-- Returns what stands in a list of names, each with its value behind it, as XINFO answers.
function server.fields(list)
  local fields = {}
  for k = 1, #list, 2 do fields[list[k]] = list[k + 1] end
  return fields
end

-- One more needs a function: it is kept as long as anything does.
function server.use(root, fn)
  strict.count(root .. 'fu', fn, 1)
  redis.call('PERSIST', root .. 'f:' .. fn)
end

-- One less does. Cut off between the two, a function is kept for ever; the other way round it could go while needed.
function server.unuse(root, fn, ttl)
  if strict.count(root .. 'fu', fn, -1) == 0 then
    redis.call('HDEL', root .. 'fu', fn)
    redis.call('PEXPIRE', root .. 'f:' .. fn, ttl)
  end
end
