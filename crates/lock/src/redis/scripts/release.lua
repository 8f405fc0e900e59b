-- release: deletes the lock that the token still holds, and calls the next waiter.
--
-- KEYS[1]   the queue, KEYS[2] alive: see queue.lua
-- KEYS[3…]  the lock, or every slot that the token may hold
-- ARGV[1]   token
-- ARGV[2]   the name that waiters are told
--
-- Replies  {1}          released
--          {0}          the key is missing: it expired or was deleted
--          {-1, token}  the key belongs to someone else
local other = nil
for number = 3, #KEYS do
  local holder = redis.call('GET', KEYS[number])
  if holder == ARGV[1] then
    redis.call('DEL', KEYS[number])
    if redis.call('EXISTS', KEYS[1]) == 1 then
      waiters(KEYS[1], KEYS[2], ARGV[2], now_in_us()).call_first()
    end
    return {1}
  end
  other = other or holder
end
if other then
  return {-1, other}
end
return {0}
