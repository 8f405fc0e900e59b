-- leave: takes a waiter out of the queue. If it had been called, the next one is.
--
-- KEYS[1]  the queue, KEYS[2] alive: see queue.lua
-- ARGV[1]  the waiter
-- ARGV[2]  the name that waiters are told
--
-- Replies  {1}
local queue = waiters(KEYS[1], KEYS[2], ARGV[2], now_in_us())
local was_called = queue.is_called(ARGV[1])
queue.leave(ARGV[1])
if was_called then
  queue.call_first()
end
return {1}
