-- Be the call that a key stands for, unless there is one that waits or runs.
-- KEYS[1] root of all keys; KEYS[2] the key
-- ARGV    batch of a call that is about to be submitted, for how long (ms) it counts, 0 for as long as it waits or
--         runs, for how long (ms) a claim is believed whose batch is not recorded yet
-- Returns the batch of the call that there is: the own one where there was none.
-- Prefix-safe: one write.
server.let_on(KEYS[1])
local root, key, mine = KEYS[1], KEYS[2], ARGV[1]
local now, span = server.now_ms(), tonumber(ARGV[2])
local batch, since, till = string.match(string.sub(strict.at('GET', key) or '', 1, 100), '^(%x+) (%d+) (%d+)$')
since, till = strict.number(since), strict.number(till)
if since and till and #batch <= 20 and batch ~= mine and (till == 0 or now < till) then
  if strict.at('HEXISTS', root .. 'b:' .. batch, 's') == 0 then
    if since <= now and now - since < tonumber(ARGV[3]) then return batch end
  else
    local state = strict.at('GETRANGE', root .. 'st:' .. batch, 0, 0)
    if state == '' or state == '\0' then return batch end
  end
end
-- A month: longer than a call waits, most likely; and who asks meanwhile asks its state.
local kept = span > 0 and span or 2592000000
redis.call('SET', key, string.format('%s %.0f %.0f', mine, now, span > 0 and now + span or 0), 'PX', kept)
return mine
