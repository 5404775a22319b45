-- Make the consumer groups of lanes, from their beginning: calls that were added before the first worker count too.
-- Where groups were lost, or the server is in another life, it is noted up to which entry calls may have begun: it may
-- have lost who took them. This is one step with the making of the group, so nothing is given out before it.
-- KEYS[1] root of all keys; KEYS[2..] lanes
-- ARGV    group, life of the server, addresses
-- Prefix-safe: what may have begun is noted before the group is there, and the life last.
server.let_on(KEYS[1])
local root, group, life = KEYS[1], ARGV[1], ARGV[2]
local lives = {}

-- Returns the last id that a lane has given out, and whether its group is there.
local function standing(lane)
  local info, there = redis.pcall('XINFO', 'STREAM', lane), false
  -- There is no lane yet, or somebody has put something else in its place.
  if info.err then return '0-0', false end
  for _, one in ipairs(redis.call('XINFO', 'GROUPS', lane)) do
    there = there or server.fields(one).name == group
  end
  return server.fields(info)['last-generated-id'], there
end

for k = 3, #ARGV do lives[ARGV[k]] = strict.at('HGET', root .. 'd:' .. ARGV[k], 'life') end
for k = 2, #KEYS do
  local address, lane = string.match(string.sub(KEYS[k], #root + 3), '^(.*):(%a)$')
  local before, last, there = lives[address], standing(KEYS[k])
  local doubts, noted = root .. 'd:' .. address, nil
  if before then noted = redis.call('HGET', doubts, lane) end
  if before and (before ~= life or not there) then
    redis.call('HSET', doubts, lane, last)
  elseif noted and not (string.find(noted, '^%d+%-%d+$') and #noted <= 41 and not strict.later(noted, last)) then
    -- None of us has noted that: it is about what will come.
    redis.call('HDEL', doubts, lane)
  end
  if not there then
    local reply = redis.pcall('XGROUP', 'CREATE', KEYS[k], group, '0', 'MKSTREAM')
    if reply.err and not string.find(reply.err, 'BUSYGROUP', 1, true) then
      strict.call(KEYS[k], 'XGROUP', 'CREATE', KEYS[k], group, '0', 'MKSTREAM')
    end
  end
end
for k = 3, #ARGV do
  redis.call('HSET', root .. 'd:' .. ARGV[k], 'life', life)
  strict.at('SADD', root .. 'addresses', ARGV[k])
end
return 1
