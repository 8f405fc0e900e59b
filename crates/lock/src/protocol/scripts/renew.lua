-- renew: keeps a held lock, never shortens it, and never revives one that lapsed.
--
-- While the gate of strict mode is closed and was never open, nobody can have been granted on this
-- incarnation, and a key that is missing here was only lost: it is written again. A key that is another's
-- may be older than the caller's grant, which the last master made and this one lacks. Then the caller
-- takes it. What the data of this master had at its promotion has fences up to `fence_at`; what was
-- renewed here since then is noted beside the gate.
--
-- KEYS[1]  the lock
-- KEYS[2]  in strict mode the gate: see gate.lua
-- KEYS[3]  in strict mode the fences that were renewed while the gate was never open, by lock
-- ARGV[1]  token
-- ARGV[2]  TTL in ms
-- ARGV[3]  the fence of this lease
-- ARGV[4]  in strict mode the master_replid that the connection was verified for
--
-- Replies  {1, claim}   renewed, in strict mode under this claim of the gate
--          {2, claim}   written again, or taken from an older grant
--          {0}          the key is missing, or a later grant is known
--          {-1, token}  the key belongs to someone else
--          {-2}         the gate is not claimed for this incarnation: claim it first
--          {-3}         this is another incarnation than the client knows
local holder, claim = redis.call('GET', KEYS[1]), 0
local function extend()
  -- Always a write, also when the key has more time left: the confirmation that follows must
  -- cover the expiry that this reply promises.
  redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1])))
  return {1, claim}
end
local function refuse()
  if holder then
    return {-1, holder}
  end
  return {0}
end
if not ARGV[4] then
  return holder == ARGV[1] and extend() or refuse()
end

local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if incarnation ~= ARGV[4] then
  return {-3}
end
local claimed, open_from, was_open, resynced, fence_at, longest, number = unpack(redis.call(
  'HMGET', KEYS[2], 'incarnation', 'open_from', 'was_open', 'resynced', 'fence_at', 'longest', 'claim'))
if claimed ~= incarnation or not number then
  return {-2}
end
claim = tonumber(number)
if (was_open == '1' or resynced == '1'
  or (open_from and tonumber(open_from) <= now_in_us() / 1000)) then
  return holder == ARGV[1] and extend() or refuse()
end

local fence = tonumber(ARGV[3])
local known = tonumber(redis.call('HGET', KEYS[3], KEYS[1]) or 0)
if known > fence then
  return {0}
end
local is_older = known > 0 or fence > tonumber(fence_at or 0)
if holder and holder ~= ARGV[1] and not is_older then
  return {-1, holder}
end
redis.call('HSET', KEYS[3], KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[3], 2 * math.max(tonumber(longest or 0), tonumber(ARGV[2])))
if holder == ARGV[1] then
  return extend()
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {2, claim}
