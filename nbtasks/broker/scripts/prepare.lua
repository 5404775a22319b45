-- Make the consumer groups of lanes, from their beginning: calls that were added before the first worker count too.
-- KEYS[1] root of all keys; KEYS[2..] lanes
-- ARGV    group, addresses
-- A script whose first write needs no memory may go on when the server is full: what ends work must never be refused.
redis.call('DEL', KEYS[1] .. 'gate')
for k = 2, #KEYS do
  local reply = redis.pcall('XGROUP', 'CREATE', KEYS[k], ARGV[1], '0', 'MKSTREAM')
  if type(reply) == 'table' and reply.err and not string.find(reply.err, 'BUSYGROUP', 1, true) then return reply end
end
for k = 2, #ARGV do redis.call('SADD', KEYS[1] .. 'addresses', ARGV[k]) end
return 1
