-- Keep the stream of events within bounds: entries differ in size, and XADD bounds only how many there are.
-- KEYS[1] root of all keys; KEYS[2] the stream
-- ARGV    most bytes
-- Returns how many entries were dropped.
-- One write. How large the entries are is reckoned from some of them, spread over the time that they span.
server.let_on(KEYS[1])
local key, most = KEYS[2], tonumber(ARGV[1])
local length = strict.at('XLEN', key)
if length == 0 then return 0 end
local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if not first then return 0 end
local from, to = tonumber(string.match(first[1], '^%d+')), tonumber(string.match(last[1], '^%d+'))
local bytes, seen = 0, 0
for k = 0, 19 do
  local at = string.format('%.0f', from + (to - from) * k / 20)
  for _, entry in ipairs(redis.call('XRANGE', key, at, '+', 'COUNT', 5)) do
    seen = seen + 1
    for _, text in ipairs(entry[2]) do bytes = bytes + #text + 8 end
  end
end
local total = bytes / seen * length
if total <= most then return 0 end
return redis.call('XTRIM', key, 'MAXLEN', '~', math.floor(length * most / total))
