-- raise_fence: the second phase of a quorum grant. The fence that the majority agreed on is written
-- back where the lock is still ours, so that every later majority meets it.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence
-- ARGV[1]  token
-- ARGV[2]  the fence of this grant
--
-- Replies  {1}  the fence is at least that
--          {0}  the lock is not ours, or has a greater fence
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {0}
end
if tonumber(redis.call('GET', KEYS[2]) or 0) > tonumber(ARGV[2]) then
  return {0}
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', FENCE_KEPT_MS)
return {1}
