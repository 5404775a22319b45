-- Look at the delayed calls of a queue, those that are due first.
-- KEYS[1] root of all keys
-- ARGV    address, how many to pass over, most to look at
-- Returns { {when it is due (ms), its first line}, ... }
-- Writes nothing. Frames may be large, so they stay here.
local found = {}
local offset = tonumber(ARGV[2])
local members = strict.at('ZRANGE', KEYS[1] .. 'z:' .. ARGV[1], offset, offset + tonumber(ARGV[3]) - 1, 'WITHSCORES')
for k = 1, #members, 2 do
  found[#found + 1] = {members[k + 1], string.match(string.sub(members[k], 1, 200), '^[^\n]*')}
end
return found
