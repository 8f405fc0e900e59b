-- raise_fence: the second phase of a quorum grant. The fence that the majority agreed on is written
-- back where the lock is still ours, so that every later majority meets it.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence counter: see fence.lua
-- ARGV[1]  token
-- ARGV[2]  the fence of this grant
--
-- Replies  {1}  the counter is at least that
--          {0}  the lock is not ours
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {0}
end
if tonumber(redis.call('HGET', KEYS[2], 'last') or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[2], 'last', ARGV[2])
end
return {1}
