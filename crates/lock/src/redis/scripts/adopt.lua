-- adopt: hands a held lock over from one token to another, with a greater fence.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence
-- ARGV[1]  the token that holds
-- ARGV[2]  the token that is to hold
-- ARGV[3]  TTL in ms
-- ARGV[4]  floor: the greatest fence that this client has seen, or 0
-- ARGV[5]  how long the fence is kept, in ms
--
-- Replies  {1, fence}   adopted; asked again with the same tokens, adopted again
--          {0}          the key is missing: it expired, was released or deleted
--          {-1, token}  the key belongs to someone else
local holder = redis.call('GET', KEYS[1])
if not holder then
  return {0}
end
if holder ~= ARGV[1] and holder ~= ARGV[2] then
  return {-1, holder}
end
local time = redis.call('TIME')
local stored = tonumber(redis.call('GET', KEYS[2]) or 0)
local fence = math.max(stored + 1, time[1] * 1000000 + time[2], tonumber(ARGV[4]) + 1)
redis.call('SET', KEYS[2], string.format('%.0f', fence), 'PX', ARGV[5])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {1, fence}
