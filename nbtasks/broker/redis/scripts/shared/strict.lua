-- What all scripts that look at the server's data share: anybody may have written them, and the scripts read them
-- strictly. What makes no sense is as good as nothing, and costs only itself.
local strict = {}

-- Returns a whole number that is not negative, or nil. Lua's own tonumber takes 1e3, 0x10, nan and " 7 ", too.
function strict.number(text)
  if type(text) == 'string' and #text <= 15 and string.find(text, '^%d+$') then return tonumber(text) end
end

-- Returns batch, first, count, attempt and frame of an entry, or nil. A frame has at least four bytes for each call: who
-- claims more calls than that is not believed. Field order is fixed by the scripts: b, i, n, a, x, d.
function strict.entry(fields)
  if type(fields) ~= 'table' or #fields < 12 then return nil end
  local batch, first, count, attempt = fields[2], strict.number(fields[4]), strict.number(fields[6]), strict.number(fields[8])
  if not (first and count and attempt and #batch <= 20 and string.find(batch, '^%x+$')) then return nil end
  if strict.is_bloated(fields) or count < 1 or count * 4 > #fields[12] or first + count > 2147483647 or attempt > 2147483647 then return nil end
  return batch, first, count, attempt, fields[12]
end

-- Whether an entry has more bytes than any of ours: what is large travels apart, so a chunk has some 100 KB. Whoever had
-- to read it to its end could be given up meanwhile by who waits for an answer, and would meet it again and again.
function strict.is_bloated(fields)
  local bytes = 0
  for _, text in ipairs(type(fields) == 'table' and fields or {}) do bytes = bytes + #text end
  return bytes > 16777216
end

-- Returns first and count out of "first count", where they lie within an entry's own, or nil.
function strict.part(text, first, count)
  local a, b = string.match(text or '', '^(%d+) (%d+)$')
  a, b = strict.number(a), strict.number(b)
  if a and b and a >= first and a + b <= first + count then return a, b end
end

-- Whether one id of a stream is later than another one.
function strict.later(one, other)
  local a, b = string.match(one, '^(%d+)%-(%d+)$')
  local c, d = string.match(other, '^(%d+)%-(%d+)$')
  a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
  return a > c or (a == c and b > d)
end

-- Whether an id of a stream is one that the server gave itself.
function strict.is_own_id(id)
  return #string.match(id, '^%d*') <= 15
end

-- Make a stream anew that takes no more ids, for its last one is the largest: with what lies in it and nobody holds.
function strict.renew(key)
  local held, kept = {}, {}
  local pending = redis.pcall('XPENDING', key, 'w', '-', '+', 10000)
  for _, item in ipairs(pending.err and {} or pending) do held[item[1]] = true end
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+', 'COUNT', 10000)) do
    if not held[entry[1]] and #entry[2] <= 100 and strict.is_own_id(entry[1]) then kept[#kept + 1] = entry[2] end
  end
  redis.call('DEL', key)
  for _, fields in ipairs(kept) do redis.call('XADD', key, '*', unpack(fields)) end
end

-- Run a command on a key of ours once more, after an error. Where somebody has put something of another type, there is
-- nothing from now on: it would stop everybody who comes there. The workers' logs say so.
function strict.again(err, key, ...)
  if string.find(err, 'WRONGTYPE', 1, true) then
    redis.call('DEL', key)
  elseif string.find(err, 'exhausted', 1, true) or string.find(err, 'equal or smaller', 1, true) then
    strict.renew(key)
  else
    return redis.call(...)
  end
  local root = string.match(key, '^nb:{.-:0}:')
  if root then redis.pcall('XADD', root .. 'ctl', 'MAXLEN', '~', '10000', '*', 'k', 'odd', 'd', key) end
  return redis.call(...)
end

-- As redis.call, on a key of ours.
function strict.call(key, ...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  return strict.again(reply.err, key, ...)
end

-- The same for commands whose first argument is the key.
function strict.at(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  return strict.again(reply.err, key, command, key, ...)
end

-- Count a field of ours up or down by one; a number that no script of ours can have left there counts as none. Returns
-- the new number.
function strict.count(key, field, by)
  local n = redis.pcall('HINCRBY', key, field, by)
  if type(n) == 'number' and n >= 0 and n < 1e15 then return n end
  if type(n) == 'table' and not string.find(n.err, 'integer', 1, true) and not string.find(n.err, 'overflow', 1, true) then
    return strict.again(n.err, key, 'HINCRBY', key, field, by)
  end
  n = math.max(by, 0)
  redis.call('HSET', key, field, n)
  return n
end
