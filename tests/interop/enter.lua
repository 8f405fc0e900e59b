-- The witness is told that somebody believes to hold a slot.
-- KEYS[1] a hash that counts; ARGV: kind (`foreign` or `ours`), slot.
-- Replies with the number of holders, and how many grants there were of this kind.
local kind, slot = ARGV[1], ARGV[2]
local other = kind == 'ours' and 'foreign' or 'ours'
local holders = redis.call('HINCRBY', KEYS[1], 'holders', 1)
local in_slot = redis.call('HINCRBY', KEYS[1], 'in:' .. slot, 1)
redis.call('HINCRBY', KEYS[1], 'holders:' .. kind, 1)
local function raise(field, value)
  if value > tonumber(redis.call('HGET', KEYS[1], field) or 0) then
    redis.call('HSET', KEYS[1], field, value)
  end
end
raise('most', holders)
raise('most_in_a_slot', in_slot)
-- Both kinds at once in the slots of one limit: then they really share it.
if tonumber(redis.call('HGET', KEYS[1], 'holders:' .. other) or 0) > 0 then
  redis.call('HINCRBY', KEYS[1], 'mixed', 1)
end
-- A lock that goes from one kind to the other.
local last = redis.call('HGET', KEYS[1], 'last:' .. slot)
if last and last ~= kind then
  redis.call('HINCRBY', KEYS[1], 'changes', 1)
end
redis.call('HSET', KEYS[1], 'last:' .. slot, kind)
return { holders, redis.call('HINCRBY', KEYS[1], 'grants:' .. kind, 1) }
