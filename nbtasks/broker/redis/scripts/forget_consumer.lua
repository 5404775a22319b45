-- Remove a dead consumer from a lane, but only when it holds nothing: removing it would drop what it holds.
-- KEYS[1] lane
-- ARGV    group, consumer
-- Returns 1 if it was removed.
if #strict.call(KEYS[1], 'XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
