-- Give out again what was delivered to nobody: entries that lie before the last delivered one and that nobody holds.
-- A server that has lost the end of its file may come back with such entries, and who writes to it may move the group:
-- they would wait for ever.
-- KEYS[1] root of all keys; KEYS[2] lane; KEYS[3] lane for returned work
-- ARGV    group, field of the lane's cuts ("<lane>/"), address, entry id to go on after, most to look at
-- Returns {how many were found, entry id to go on after, or "" at the end}
-- Prefix-safe: the copy is added before the entry is deleted, and first result wins.
server.let_on(KEYS[1])
local group, cuts, after, most = ARGV[1], KEYS[1] .. 'c:' .. ARGV[3], ARGV[4], tonumber(ARGV[5])
if strict.at('XLEN', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[2]) == 0 then return {0, ''} end
local last
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local field = server.fields(info)
  if field.name == group then last = field['last-delivered-id'] end
end
if not last then return {0, ''} end
-- A group that is ahead of its stream, or a stream that takes no more ids, would deliver nothing any more.
local newest = server.fields(redis.call('XINFO', 'STREAM', KEYS[2]))['last-generated-id']
if not strict.is_own_id(newest) then
  strict.renew(KEYS[2])
  return {0, ''}
end
if strict.later(last, newest) then
  redis.call('XGROUP', 'SETID', KEYS[2], group, newest)
  last = newest
end
local entries = redis.call('XRANGE', KEYS[2], '(' .. after, last, 'COUNT', most)
local found = 0
for _, entry in ipairs(entries) do
  local id = entry[1]
  if #redis.call('XPENDING', KEYS[2], group, id, id, 1) == 0 then
    local batch, first, count, attempt, frame = strict.entry(entry[2])
    if batch then
      found = found + 1
      local a, b = strict.part(strict.at('HGET', cuts, ARGV[2] .. id), first, count)
      strict.at('XADD', KEYS[3], '*', 'b', batch, 'i', a or first, 'n', b or count, 'a', attempt, 'x', '2', 'd', frame)
    end
    strict.at('HDEL', cuts, ARGV[2] .. id)
    redis.call('XDEL', KEYS[2], id)
  end
end
return {found, #entries == most and entries[#entries][1] or ''}
