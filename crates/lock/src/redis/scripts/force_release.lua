-- force_release: takes the lock from the holder that an operator was shown, and from nobody else.
-- The fence grows, so that the resource can refuse the deposed holder at once.
--
-- KEYS[1]   the queue, KEYS[2] alive: see queue.lua
-- KEYS[3]   the fence
-- KEYS[4…]  the lock, or every slot
-- ARGV[1]   the holder's id: the first 16 digits of the SHA-1 of its token
-- ARGV[2]   how long a called waiter has to take the lock, in ms
-- ARGV[3]   what a waiter's channel begins with
-- ARGV[4]   the name that waiters are told
-- ARGV[5]   how long the fence is kept, in ms
--
-- Replies  {1, token, fence}  taken from the owner of that token; later grants have a greater fence
--          {0}                nobody holds it
--          {-1, token}        someone else holds it
local other = nil
for number = 4, #KEYS do
  local holder = redis.call('GET', KEYS[number])
  if holder and string.sub(redis.sha1hex(holder), 1, 16) == ARGV[1] then
    local queue = waiters(KEYS[1], KEYS[2], ARGV[3], ARGV[4], tonumber(ARGV[2]))
    local stored = tonumber(redis.call('GET', KEYS[3]) or 0)
    local fence = math.max(stored + 1, queue.now_us)
    redis.call('SET', KEYS[3], string.format('%.0f', fence), 'PX', ARGV[5])
    redis.call('DEL', KEYS[number])
    queue.call_first()
    return {1, holder, fence}
  end
  other = other or holder
end
if other then
  return {-1, other}
end
return {0}
