-- Take permits to start calls of a task with a rate limit, in the server's time.
-- KEYS[1] root of all keys; KEYS[2] the limit
-- ARGV    time from one start to the next (us), most permits, calls in hand, address
-- Returns {permits, time until the first start (us; in the past where it is less than 0), ms until the other calls in
--         hand shall ask again}
-- Prefix-safe: one write. Permits that nobody uses are lost, so a crash means fewer starts, never more.
server.let_on(KEYS[1])
local every, most, in_hand = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = server.now_us()
-- Starts that were missed for so long are made up for: a call comes back a moment later than it could start.
local credit = 50000
-- Who gets a permit keeps its slot until the start. For a few starts in quick succession that is less work than to
-- come back for each of them.
local soon = 5000
local horizon = every <= 20000 and 100000 or soon
-- Calls that wait come back in a line: each when it is its turn, as long as that is within two seconds of the next
-- start. From there on they come 50 a second, so that the place of some that were revoked is not waited for.
local orderly, apart = 2000000, 20000

-- Moments in us have 16 digits.
local function number(text)
  return text and #text <= 16 and tonumber(text) or 0
end

local seen = redis.pcall('GET', KEYS[2])
local next, line = string.match(type(seen) == 'string' and seen or '', '^(%d+) (%d+)$')
-- No start is further away than this, unless the server's clock has gone back.
next = math.max(now - credit, math.min(number(next), now + horizon + every))
line = number(line)

local first, permits = next, 0
if next <= now + soon then
  permits = math.min(most, math.floor((now + horizon - next) / every) + 1)
  next = next + permits * every
end
local left, due = in_hand - permits, math.max(next, now)
if left > 0 then
  local longest = math.max(orderly, strict.at('ZCARD', KEYS[1] .. 'z:' .. ARGV[4]) * apart)
  local earliest = due
  due = math.min(math.max(line, earliest), earliest + longest)
  local turn = math.max(every, math.min(math.min(most, left) * every, horizon))
  line = due + (due + turn <= earliest + orderly and turn or math.min(turn, apart))
end
local kept = math.ceil((math.max(next, line, now) - now) / 1000) + 60000
redis.call('SET', KEYS[2], string.format('%.0f %.0f', next, line), 'PX', kept)
return {permits, math.ceil(first - now), math.ceil((due - now) / 1000)}
