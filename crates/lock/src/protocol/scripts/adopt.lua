-- adopt: hands a held lock over from one token to another, with a greater fence.
--
-- KEYS[1]  the lock
-- KEYS[2]  the fence counter: see fence.lua
-- KEYS[3]  the gate, in strict mode only: taking over is granting, and a replica that was promoted
--          may still have a token that was taken over or given back on its master
-- ARGV[1]  the token that holds
-- ARGV[2]  the token that is to hold
-- ARGV[3]  TTL in ms
-- ARGV[4]  floor: the greatest fence that this client has seen, or 0
-- ARGV[5]  the reign that the fence counter is for
-- ARGV[6]  in strict mode the master_replid that the connection was verified for
--
-- Replies  {1, fence, claim}  adopted, in strict mode under this claim of the gate; asked again with the
--                       same tokens, adopted again
--          {0}          the key is missing: it expired, was released or deleted
--          {-1, token}  the key belongs to someone else
--          {-2} {-3} {-4, ms}  refused by the gate: see gate.lua
--          {-5, longest ms}    the TTL is above the longest lease agreed on
local claim = 0
if ARGV[6] then
  local refusal, longest_ms, number = pass_gate(KEYS[3], ARGV[6], now_in_us())
  if refusal then
    return refusal
  end
  if tonumber(ARGV[3]) > longest_ms then
    return {-5, longest_ms}
  end
  claim = number
end

local holder = redis.call('GET', KEYS[1])
if not holder then
  return {0}
end
if holder ~= ARGV[1] and holder ~= ARGV[2] then
  return {-1, holder}
end
local fence = raise_fence(KEYS[2], ARGV[5], tonumber(ARGV[4]))
if not fence then
  return {-2}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {1, fence, claim}
