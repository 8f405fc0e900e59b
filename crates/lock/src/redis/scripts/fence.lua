-- fence: the greatest fence granted on a resource. It only grows.
--
-- Makes it `at_least` that, and greater than it was, and returns it. Who grants passes the time, so
-- that fences go on growing where the last one was forgotten. (Redis writes a whole number as it is,
-- without an exponent, up to 2^53.) Who raises many passes the same number as `digits` too: putting it
-- into digits takes as long as writing them.
local function raise_fence(key, at_least, digits)
  local before = redis.call('SET', key, digits or at_least, 'PX', FENCE_KEPT_MS, 'GET')
  if not before or tonumber(before) < at_least then
    return at_least
  end
  local fence = before + 1
  redis.call('SET', key, fence, 'PX', FENCE_KEPT_MS)
  return fence
end
