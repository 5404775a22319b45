-- Look which calls of some batches lie in a queue, waiting or in a worker's hands: what has not ended must lie there.
-- KEYS[1] root of all keys
-- ARGV    address, place to go on from ("" for the beginning), most entries to look at, batches
-- Returns { {batch, first, count}, ... }, place to go on from, or "" at the end
-- Writes nothing. Places are looked through in the order in which calls move, so that few are missed between two looks;
-- where one look is enough, none is.
local root, address, most = KEYS[1], ARGV[1], tonumber(ARGV[3])
local places, page, seen, found, wanted = 'z@MOVING', 50, 0, {}, {}
for k = 4, #ARGV do wanted[ARGV[k]] = true end
local place, position = string.match(ARGV[2], '^(%a) (%S+)$')
local number = place and string.find(places, place, 1, true) or 1

local function note(batch, first, count)
  if batch and wanted[batch] then found[#found + 1] = {batch, first, count} end
end

-- What somebody else has put in the place of one of our keys is as good as nothing.
local function read(...)
  local reply = redis.pcall(...)
  return type(reply) == 'table' and not reply.err and reply or {}
end

local function delayed(offset)
  local members = read('ZRANGE', root .. 'z:' .. address, offset, offset + page - 1)
  for _, member in ipairs(members) do
    local batch, first, count, attempt = string.match(member, '^%a (%x+) (%d+) (%d+) (%d+) ?%S*\n')
    note(strict.entry({'b', batch or '', 'i', first, 'n', count, 'a', attempt, 'x', '', 'd', member}))
  end
  return #members, offset + #members
end

local function lane(name, after)
  local entries = read('XRANGE', root .. 'q:' .. address .. ':' .. name, after == '-' and '-' or '(' .. after, '+', 'COUNT', page)
  for _, entry in ipairs(entries) do
    local batch, first, count = strict.entry(entry[2])
    if batch and wanted[batch] then
      local kept = redis.pcall('HGET', root .. 'c:' .. address, name .. '/' .. entry[1])
      local a, b = strict.part(type(kept) == 'string' and kept or '', first, count)
      note(batch, a or first, b or count)
    end
  end
  return #entries, #entries > 0 and entries[#entries][1] or after
end

while number <= #places do
  place = string.sub(places, number, number)
  position = position or (place == 'z' and '0' or '-')
  local looked
  if place == 'z' then looked, position = delayed(tonumber(position)) else looked, position = lane(place, position) end
  seen = seen + looked
  if looked < page then number, position = number + 1, nil
  elseif seen >= most then return {found, place .. ' ' .. position} end
end
return {found, ''}
