-- inspect: reads who holds a lock, or each of its slots, without touching anything.
--
-- KEYS[1]   the queue
-- KEYS[2…]  the lock, or one key per slot
--
-- Replies  {how many wait, then for each lock: token or false, remaining ms}
local reply = {redis.call('ZCARD', KEYS[1])}
for at = 2, #KEYS do
  reply[#reply + 1] = redis.call('GET', KEYS[at])
  reply[#reply + 1] = redis.call('PTTL', KEYS[at])
end
return reply
