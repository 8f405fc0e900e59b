-- adopt: hands a held lock over from one token to another, with a greater fence.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence
-- KEYS[3]  the gate, in strict mode only: taking over is granting, and a replica that was promoted
--          may still have a token that was taken over or given back on its master
-- ARGV[1]  the token that holds
-- ARGV[2]  the token that is to hold
-- ARGV[3]  TTL in ms
-- ARGV[4]  floor: the greatest fence that this client has seen, or 0
-- ARGV[5]  how long the fence is kept, in ms
-- ARGV[6]  in strict mode the incarnation (master_replid) that the connection was verified for
--
-- Replies  {1, fence, syncs}  adopted; asked again with the same tokens, adopted again; in strict
--                         mode with what the gate counted of `sync_full`
--          {0}          the key is missing: it expired, was released or deleted
--          {-1, token}  the key belongs to someone else
--          {-2}         the gate has no open record of this incarnation
--          {-3}         this is another incarnation than the client knows
--          {-4, remaining ms}  the gate is closed
local time, syncs = redis.call('TIME'), -1
if ARGV[6] then
  local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if incarnation ~= ARGV[6] then
    return {-3}
  end
  local gate = redis.call('HMGET', KEYS[3], 'incarnation', 'open_from', 'syncs')
  if gate[1] ~= incarnation or not gate[2] then
    return {-2}
  end
  local closed_ms = tonumber(gate[2]) - (time[1] * 1000 + time[2] / 1000)
  if closed_ms > 0 then
    return {-4, math.ceil(closed_ms)}
  end
  syncs = tonumber(gate[3])
end

local holder = redis.call('GET', KEYS[1])
if not holder then
  return {0}
end
if holder ~= ARGV[1] and holder ~= ARGV[2] then
  return {-1, holder}
end
local stored = tonumber(redis.call('GET', KEYS[2]) or 0)
local fence = math.max(stored + 1, time[1] * 1000000 + time[2], tonumber(ARGV[4]) + 1)
redis.call('SET', KEYS[2], string.format('%.0f', fence), 'PX', ARGV[5])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {1, fence, syncs}
