-- Note that nobody wants the result of a call any more that shares its batch with others.
-- KEYS[1] root of all keys
-- ARGV    batch, index, most calls of a batch
-- Returns how many calls of the batch are still wanted; 0 as well when nobody knows it.
local key = KEYS[1] .. 'b:' .. ARGV[1]
local n, index = strict.number(strict.at('HGET', key, 'n')), tonumber(ARGV[2])
if not n or n > tonumber(ARGV[3]) or index >= n then return 0 end
local marks = string.sub(strict.at('HGET', key, 'g') or '', 1, n)
marks = marks .. string.rep('0', n - #marks)
marks = string.sub(marks, 1, index) .. '1' .. string.sub(marks, index + 2)
redis.call('HSET', key, 'g', marks)
local _, gone = string.gsub(marks, '1', '')
return n - gone
