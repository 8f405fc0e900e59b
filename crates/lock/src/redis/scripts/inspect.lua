-- inspect: reads a lock without touching it.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence
--
-- Replies  {token or false, remaining ms, fence or 0}
local holder = redis.call('GET', KEYS[1])
return {holder, redis.call('PTTL', KEYS[1]), tonumber(redis.call('GET', KEYS[2]) or 0)}
