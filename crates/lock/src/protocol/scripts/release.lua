-- release: deletes the lock that the token still holds. The rest of the script, call_waiter.lua, calls the
-- next waiter. It comes after the functions that it needs, because each call of a script makes its
-- functions anew, and nobody waits for most locks.
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
local released = nil
local other = 0
for number = 3, #KEYS do
  local holder = redis.call('GET', KEYS[number])
  if holder == ARGV[1] then
    redis.call('DEL', KEYS[number])
    released = number - 3
    break
  end
  other = holder or other
end
if not released then
  return other
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 1
end
