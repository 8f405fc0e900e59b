-- release: deletes the lock that the token still holds, and calls the next waiter.
--
-- KEYS[1]   the queue, KEYS[2] alive: see queue.lua
-- KEYS[3…]  the lock, or every slot that the token may hold
-- ARGV[1]   token
-- ARGV[2]   the name that waiters are told
-- ARGV[3]   the number of the first slot among the keys
--
-- Replies  1      released, and nobody waits
--          2      released, and somebody waits
--          0      the key is missing: it expired or was deleted
--          token  the key belongs to someone else
local other = 0
for number = 3, #KEYS do
  local holder = redis.call('GET', KEYS[number])
  if holder == ARGV[1] then
    redis.call('DEL', KEYS[number])
    if redis.call('EXISTS', KEYS[1]) == 0 then
      return 1
    end
    local now_ms = math.floor(now_in_us() / 1000)
    call_next(KEYS[1], KEYS[2], ARGV[2], now_ms, number - 3 + ARGV[3])
    return 2
  end
  other = holder or other
end
return other
