-- acquire: grants the lock to a token, or says who holds it.
--
-- KEYS[1]  the lock, a plain string: the holder's token
-- KEYS[2]  the fence: the greatest fence granted so far
-- KEYS[3]  the gate, in strict mode only: a hash of incarnation, open_from (server ms), longest (ms)
-- ARGV[1]  token
-- ARGV[2]  TTL in ms
-- ARGV[3]  floor: the greatest fence that this client has seen, or 0
-- ARGV[4]  how long the fence is kept, in ms
-- ARGV[5]  in strict mode the incarnation (master_replid) that the connection was verified for
--
-- Replies  {1, fence, server time in us}       granted; asked again with the same token, granted again
--          {0, remaining ms or -1, token}      held
--          {-1, remaining ms}                  the gate is closed
--          {-2}                                the gate has no open record of this incarnation
--          {-3}                                this is another incarnation than the client knows
--          {-4, longest ms}                    the TTL is above the longest lease agreed on
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]

if ARGV[5] then
  local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if incarnation ~= ARGV[5] then
    return {-3}
  end
  local gate = redis.call('HMGET', KEYS[3], 'incarnation', 'open_from', 'longest')
  if gate[1] ~= incarnation or not gate[2] then
    return {-2}
  end
  local closed_ms = tonumber(gate[2]) - now_us / 1000
  if closed_ms > 0 then
    return {-1, math.ceil(closed_ms)}
  end
  if tonumber(ARGV[2]) > tonumber(gate[3]) then
    return {-4, tonumber(gate[3])}
  end
end

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {0, redis.call('PTTL', KEYS[1]), holder}
end

local stored = tonumber(redis.call('GET', KEYS[2]) or 0)
local fence = math.max(stored + 1, now_us, tonumber(ARGV[3]) + 1)
-- The fence goes first: if this user may not write it, nothing has been granted yet.
redis.call('SET', KEYS[2], string.format('%.0f', fence), 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, fence, now_us}
