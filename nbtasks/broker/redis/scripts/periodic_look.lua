-- Look at periodic tasks.
-- KEYS[1] root of all keys
-- ARGV    key id, from which place on, how many; or "" and names
-- Returns the time (ms), then of each: {periodic task, frame, when it is due next or "", paused since or "", runs, passed
--         over because the run before went on, missed, "1" where whoever it ends with is there or "", its last runs as
--         "due/batch ...", and of each of these a state code: 0 where it goes on, 4 where all calls have succeeded, that of
--         the first other call, 255 where it is not known any more}
local root, index = KEYS[1], KEYS[1] .. 'sd:' .. ARGV[1]
local names = {}
if ARGV[2] ~= '' then
  names = strict.at('ZRANGE', index, ARGV[2], ARGV[2] + ARGV[3] - 1)
else
  for k = 3, #ARGV do names[#names + 1] = ARGV[k] end
end

local function state_of(batch)
  local facts = strict.at('HMGET', root .. 'b:' .. batch, 's', 'e')
  if not facts[1] then return '255' end
  if not facts[2] then return '0' end
  local states = strict.at('GETRANGE', root .. 'st:' .. batch, 0, 99999)
  local other = string.find(states, '[^\4]')
  return other and tostring(string.byte(states, other)) or '4'
end

local reply = {server.now_ms()}
for _, id in ipairs(names) do
  local facts = strict.at('HMGET', root .. 'se:' .. ARGV[1] .. ':' .. id, 'd', 'p', 'n', 'sk', 'ms', 'k', 'h')
  local score = strict.at('ZSCORE', index, id)
  if facts[1] then
    local there = (facts[6] or '') == '' or redis.call('EXISTS', root .. 'sl:' .. facts[6]) == 1
    local runs, states = string.sub(facts[7] or '', 1, 2000), {}
    for batch in string.gmatch(runs, '%d+/(%x+)') do
      if #states < 30 then states[#states + 1] = state_of(batch) end
    end
    reply[#reply + 1] = {id, facts[1], score and score ~= 'inf' and score or '', facts[2] or '', facts[3] or '0',
      facts[4] or '0', facts[5] or '0', there and '1' or '', runs, table.concat(states, ' ')}
  end
end
return reply
