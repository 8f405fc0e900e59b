-- force_release: takes the lock from the holder that an operator was shown, and from nobody else.
-- The fence grows, so that the resource can refuse the deposed holder at once.
--
-- KEYS[1]   the queue, KEYS[2] alive: see queue.lua
-- KEYS[3]   the fence counter: see fence.lua
-- KEYS[4…]  the lock, or every slot
-- KEYS[n]   after them, in strict mode, the gate and the fences that were renewed: see renew.lua
-- ARGV[1]   the holder's id: the first 16 digits of the SHA-1 of its token
-- ARGV[2]   the name that waiters are told
-- ARGV[3]   floor: the greatest fence that this client has seen, or 0
-- ARGV[4]   the reign that the fence counter is for: see fence.lua
-- ARGV[5]   in strict mode the master_replid that the connection was verified for
--
-- Replies  {1, token, fence, claim}  taken from the owner of that token; later grants have a greater fence
--          {0}                nobody holds it
--          {-1, token}        someone else holds it
--          {-2}               the gate is not claimed for this incarnation: claim it first
local is_gated = ARGV[4] == ''
local locks = #KEYS - (is_gated and 2 or 0)
local claim = 0
if is_gated then
  local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  local record = redis.call('HMGET', KEYS[locks + 1], 'incarnation', 'claim')
  if incarnation ~= ARGV[5] or record[1] ~= incarnation then
    return {-2}
  end
  claim = tonumber(record[2] or 0)
end
local other = nil
for number = 4, locks do
  local holder = redis.call('GET', KEYS[number])
  if holder and string.sub(redis.sha1hex(holder), 1, 16) == ARGV[1] then
    local fence = raise_fence(KEYS[3], ARGV[4], tonumber(ARGV[3])) or tonumber(ARGV[3])
    if is_gated then
      -- Nobody older than this release writes the key again while the gate is closed.
      redis.call('HSET', KEYS[locks + 2], KEYS[number], string.format('%.0f', fence))
      redis.call('PEXPIRE', KEYS[locks + 2], 2 * tonumber(redis.call('HGET', KEYS[locks + 1], 'longest') or 1))
    end
    redis.call('DEL', KEYS[number])
    local now_ms = math.floor(now_in_us() / 1000)
    call_next(KEYS[1], KEYS[2], ARGV[2], now_ms, number - 4)
    return {1, holder, fence, claim}
  end
  other = other or holder
end
if other then
  return {-1, other}
end
return {0}
