-- Give out again what was delivered to nobody: entries that lie before the last delivered one and that nobody holds.
-- A server that has lost the end of its file may come back with such entries; they would wait for ever.
-- KEYS[1] root of all keys; KEYS[2] lane; KEYS[3] lane for returned work
-- ARGV    group, field of the lane's cuts ("<lane>/"), address, entry id to go on after, most to look at
-- Returns {how many were found, entry id to go on after, or "" at the end}
-- Prefix-safe: the copy is added before the entry is deleted, and first result wins.
-- A script whose first write needs no memory may go on when the server is full: what ends work must never be refused.
redis.call('DEL', KEYS[1] .. 'gate')
local group, cuts, after, most = ARGV[1], KEYS[1] .. 'c:' .. ARGV[3], ARGV[4], tonumber(ARGV[5])
if redis.call('EXISTS', KEYS[2]) == 0 then return {0, ''} end
local last
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local field = {}
  for k = 1, #info, 2 do field[info[k]] = info[k + 1] end
  if field.name == group then last = field['last-delivered-id'] end
end
if not last then return {0, ''} end
local entries = redis.call('XRANGE', KEYS[2], '(' .. after, last, 'COUNT', most)
local found = 0
for _, entry in ipairs(entries) do
  local id, field = entry[1], {}
  if #redis.call('XPENDING', KEYS[2], group, id, id, 1) == 0 then
    found = found + 1
    for k = 1, #entry[2], 2 do field[entry[2][k]] = entry[2][k + 1] end
    local kept = redis.call('HGET', cuts, ARGV[2] .. id)
    local first, count = field.i, field.n
    if kept then first, count = string.match(kept, '^(%d+) (%d+)$') end
    redis.call('XADD', KEYS[3], '*', 'b', field.b or '', 'i', first or '', 'n', count or '', 'a', field.a or '1',
      'x', '2', 'd', field.d or '')
    redis.call('HDEL', cuts, ARGV[2] .. id)
    redis.call('XDEL', KEYS[2], id)
  end
end
return {found, #entries == most and entries[#entries][1] or ''}
