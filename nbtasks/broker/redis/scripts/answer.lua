-- Answer an order.
-- KEYS[1] root of all keys; KEYS[2] where this worker's answer to that order is
-- ARGV    signed answer, ms that it is kept
-- One write.
server.let_on(KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
