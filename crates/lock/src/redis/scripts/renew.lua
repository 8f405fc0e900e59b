-- renew: keeps a held lock, never shortens it, and never revives one that lapsed.
--
-- KEYS[1]  the lock
-- KEYS[2]  in strict mode the fence counter: see fence.lua
-- KEYS[3]  in strict mode the gate
-- ARGV[1]  token
-- ARGV[2]  TTL in ms
-- ARGV[3]  the fence of this lease
-- ARGV[4]  in strict mode the master_replid that the connection was verified for
--
-- Replies  {1}          renewed
--          {2}          re-asserted: the key was missing and the gate still closed, so nobody else
--                       can have been granted on this incarnation
--          {0}          the key is missing
--          {-1, token}  the key belongs to someone else
--          {-3}         this is another incarnation than the client knows
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  -- Always a write, also when the key has more time left: the confirmation that follows must
  -- cover the expiry that this reply promises.
  redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1])))
  return {1}
end
if holder then
  return {-1, holder}
end
if not ARGV[4] then
  return {0}
end

local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if incarnation ~= ARGV[4] then
  return {-3}
end
local gate = redis.call('HMGET', KEYS[3], 'incarnation', 'open_from', 'resynced')
local now_ms = now_in_us() / 1000
-- A gate that was closed again for a replica's sake had been open before: somebody may have been here.
local was_open = gate[3] == '1' or (gate[2] and tonumber(gate[2]) <= now_ms)
if gate[1] == incarnation and was_open then
  return {0}
end
-- A fence that a client holds is never granted again.
if tonumber(redis.call('HGET', KEYS[2], 'last') or 0) < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[2], 'last', ARGV[3])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {2}
