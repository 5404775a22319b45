-- Look whether calls of a batch wait for a rate limit, or for a lock.
-- KEYS[1] root of all keys
-- ARGV    address, batch, how many delayed calls to pass over, most to look at
-- Returns {limit, or "@" and a lock, or "", ms until the next start, how many to pass over the next time, or -1 at the end,
--         index of the call that was found}
-- Writes nothing.
local offset, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local members = strict.at('ZRANGE', KEYS[1] .. 'z:' .. ARGV[1], offset, offset + most - 1)
for _, member in ipairs(members) do
  local batch, first, limit = string.match(member, '^%a (%x+) (%d+) %d+ %d+ (@?[%w:/.+%-_~%%]+)\n')
  if batch == ARGV[2] and string.sub(limit, 1, 1) == '@' then return {limit, 0, -1, first} end
  if batch == ARGV[2] then
    local seen = redis.pcall('GET', KEYS[1] .. 'rl:' .. limit)
    local next = string.match(type(seen) == 'string' and seen or '', '^%d+') or '0'
    if #next > 16 then next = '0' end
    return {limit, math.max(0, math.ceil((next - server.now_us()) / 1000)), -1, first}
  end
end
return {'', 0, #members == most and offset + most or -1, ''}
