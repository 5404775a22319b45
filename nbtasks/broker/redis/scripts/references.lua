-- Look which entries were queued since anybody asked, and nobody has taken yet. That is what a second consumer group of
-- each lane is for, which holds nothing: to be queued is to be told, whatever queues it, in one step.
-- KEYS[1] root of all keys; KEYS[2..] lanes
-- ARGV    the second group, the group of those who take entries, most entries to look at of each lane; and of each lane
--         an entry that was told just now, or ''
-- Returns {number of entries, of each lane}
-- Prefix-safe: what was told to nobody is found by who compares what waits with what was told.
server.let_on(KEYS[1])
local mine, takers, most = ARGV[1], ARGV[2], tonumber(ARGV[3])
local page, found = 20, {}

-- Returns the last entries that both groups have been given; nil where there is no such group.
local function positions(lane)
  local told, taken
  local infos = redis.pcall('XINFO', 'GROUPS', lane)
  for _, info in ipairs(infos.err and {} or infos) do
    local field = server.fields(info)
    if field.name == mine then told = field['last-delivered-id'] end
    if field.name == takers then taken = field['last-delivered-id'] end
  end
  return told, taken
end

for k = 2, #KEYS do
  local lane, n = KEYS[k], 0
  local told, taken = positions(lane)
  if not told then
    -- Where something else stands in the place of a lane, it is for those who take to be rid of it.
    redis.pcall('XGROUP', 'CREATE', lane, mine, '0', 'MKSTREAM')
    told = '0-0'
  end
  local woken = ARGV[k + 2] or ''
  if woken ~= '' and not (taken and not strict.later(woken, taken)) then n = 1 end
  if taken and strict.later(taken, told) then redis.pcall('XGROUP', 'SETID', lane, mine, taken) end
  repeat
    local reply = redis.pcall('XREADGROUP', 'GROUP', mine, 'p', 'COUNT', page, 'NOACK', 'STREAMS', lane, '>')
    local entries = type(reply) == 'table' and not reply.err and reply[1] and reply[1][2] or {}
    n = n + #entries
  until #entries < page or n >= most
  found[#found + 1] = n
end
return found
