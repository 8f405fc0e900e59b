-- leave: takes a waiter out of the queue. If it had been called, the next one is.
--
-- KEYS[1]  the queue, KEYS[2] alive: see queue.lua
-- ARGV[1]  the waiter
-- ARGV[2]  how long a called waiter has to take the lock, in ms
-- ARGV[3]  what a waiter's channel begins with
-- ARGV[4]  the name that waiters are told
--
-- Replies  {1}
local claim_ms = tonumber(ARGV[2])
local queue = waiters(KEYS[1], KEYS[2], ARGV[3], ARGV[4], claim_ms)
local counts_until = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
queue.leave(ARGV[1])
if counts_until > 0 and counts_until <= queue.now_ms + claim_ms then
  queue.call_first()
end
return {1}
