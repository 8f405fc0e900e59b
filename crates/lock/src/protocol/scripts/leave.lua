-- leave: takes a waiter out of the queue. If it had been called, the next one is.
--
-- KEYS[1]  the queue, KEYS[2] alive: see queue.lua
-- ARGV[1]  the waiter
-- ARGV[2]  the name that waiters are told
--
-- Replies  {1}
local now_ms = math.floor(now_in_us() / 1000)
local until_ms, was_called = count_until(KEYS[2], ARGV[1], now_ms)
leave_queue(KEYS[1], KEYS[2], ARGV[1])
if was_called and until_ms > now_ms then
  -- Which slot it was called for is not recorded; any that it knew may be free.
  call_next(KEYS[1], KEYS[2], ARGV[2], now_ms, 0)
end
return {1}
