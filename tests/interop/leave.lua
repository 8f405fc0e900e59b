-- The witness is told that somebody is about to give a slot back.
-- KEYS[1] a hash that counts; ARGV: kind (`foreign` or `ours`), slot.
redis.call('HINCRBY', KEYS[1], 'holders', -1)
redis.call('HINCRBY', KEYS[1], 'in:' .. ARGV[2], -1)
return redis.call('HINCRBY', KEYS[1], 'holders:' .. ARGV[1], -1)
