-- Look who holds a lock.
-- KEYS[1] root of all keys
-- ARGV    lock, most holders, address, name of who waits for it or "", how many may hold it
-- Returns {how many wait, how many of them before who asks, or -1 where it does not wait in the line, how many hold it,
--         server time (ms), name, value, name, value, ...}
-- Writes nothing.
local root = KEYS[1]
local function count(command, ...)
  local reply = redis.pcall(command, ...)
  return type(reply) == 'number' and reply or 0
end
local line, holders = root .. 'lq:' .. ARGV[1], root .. 'lk:' .. ARGV[1]
local rank = redis.pcall('ZRANK', line, ARGV[5] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
local found = {count('ZCARD', line), type(rank) == 'number' and rank or -1, count('HLEN', holders), server.now_ms()}
if found[3] > 5000 then return found end
local list = redis.pcall('HGETALL', holders)
for k = 1, list.err and 0 or math.min(#list, 2 * tonumber(ARGV[2])) do found[#found + 1] = string.sub(list[k], 1, 500) end
return found
