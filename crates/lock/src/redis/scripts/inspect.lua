-- inspect: reads who holds a lock, or each of its slots, without touching anything.
--
-- KEYS[1]   the fence
-- KEYS[2]   the queue
-- KEYS[3…]  the lock, or one key per slot
--
-- Replies  {fence or 0, how many wait, server time in µs, then for each lock: token or false, remaining ms}
local reply = {
  tonumber(redis.call('GET', KEYS[1]) or 0),
  redis.call('ZCARD', KEYS[2]),
  now_in_us(),
}
for at = 3, #KEYS do
  reply[#reply + 1] = redis.call('GET', KEYS[at])
  reply[#reply + 1] = redis.call('PTTL', KEYS[at])
end
return reply
