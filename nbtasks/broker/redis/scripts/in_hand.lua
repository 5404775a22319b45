-- Look which calls workers have in hand, of one lane.
-- KEYS[1] lane
-- ARGV    group, hash of the lane's cuts, field of them ("<lane>/"), entry id to go on from, most to look at
-- Returns { {batch, first, count}, ... }, entry id to go on from, or "" at the end
-- Writes nothing.
local most = tonumber(ARGV[5])
local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[4], '+', most)
-- Before its first worker a lane has no group, and nothing is held.
if pending.err then return {{}, ''} end
local found = {}
for _, item in ipairs(pending) do
  local entry = redis.call('XRANGE', KEYS[1], item[1], item[1])[1]
  if entry then
    local batch, first, count = strict.entry(entry[2])
    if batch then
      local a, b = strict.part(strict.at('HGET', ARGV[2], ARGV[3] .. item[1]), first, count)
      found[#found + 1] = {batch, a or first, b or count}
    end
  end
end
return {found, #pending == most and '(' .. pending[#pending][1] or ''}
