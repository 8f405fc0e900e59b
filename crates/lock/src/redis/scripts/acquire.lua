-- acquire: grants the lock, or one of several slots, to a token; or says who holds it.
--
-- KEYS[1]   the fence: the greatest fence granted so far
-- KEYS[2]   the queue, KEYS[3] alive: see queue.lua
-- KEYS[4…]  the lock, or one key per slot: a plain string, the holder's token
-- KEYS[n]   after them, in strict mode, the gate: see gate.lua
-- ARGV[1]   token
-- ARGV[2]   TTL in ms
-- ARGV[3]   floor: the greatest fence that this client has seen, or 0
-- ARGV[4]   the name that waiters are told
-- ARGV[5]   in strict mode the incarnation (master_replid) that the connection was verified for, or empty
-- ARGV[6]   who waits; missing in an attempt that does not wait
-- ARGV[7]   how long the waiter counts without asking again, in ms
--
-- Replies  {1, fence, slot, syncs}         granted; asked again with the same token, granted again;
--                                          in strict mode with what the gate counted of `sync_full`
--          {0, remaining ms or -1, token, before, foreign}  held; how many wait before (-1: not
--                                          waiting); 1 if some holder is no Leasehold client, whose
--                                          release calls nobody. Without a token the lock is free
--                                          but it is another waiter's turn
--          {-2} {-3} {-4, remaining ms}    refused by the gate: see gate.lua
--          {-5, longest ms}                the TTL is above the longest lease agreed on
local token, waiter = ARGV[1], ARGV[6]
local now_us = now_in_us()

local slots, syncs = #KEYS - 3, -1
if ARGV[5] ~= '' then
  slots = slots - 1
  local refusal, gate = pass_gate(KEYS[#KEYS], ARGV[5], now_us)
  if refusal then
    return refusal
  end
  if tonumber(ARGV[2]) > gate.longest_ms then
    return {-5, gate.longest_ms}
  end
  syncs = gate.syncs
end

local function grant(slot)
  -- The fence goes first: if this user may not write it, nothing has been granted yet.
  local fence = raise_fence(KEYS[1], math.max(now_us, ARGV[3] + 1))
  redis.call('SET', KEYS[4 + slot], token, 'PX', ARGV[2])
  return {1, fence, slot, syncs}
end

-- The common case in as few steps as it takes: one lock, nobody holds it, and nobody waits.
if slots == 1 and redis.call('EXISTS', KEYS[2], KEYS[4]) == 0 then
  return grant(0)
end

local mine, vacant, free = nil, nil, 0
local soonest_ms, holder, foreign = nil, '', 0
for step = 0, slots - 1 do
  local slot = (now_us + step) % slots
  local stored = redis.call('GET', KEYS[4 + slot])
  if stored == token then
    mine = slot
  elseif not stored then
    vacant, free = vacant or slot, free + 1
  else
    local remaining_ms = redis.call('PTTL', KEYS[4 + slot])
    if #(string.match(stored, '/(%x+)$') or '') ~= 32 then
      foreign = 1
    end
    if not soonest_ms or soonest_ms < 0 or (remaining_ms >= 0 and remaining_ms < soonest_ms) then
      soonest_ms, holder = remaining_ms, stored
    end
  end
end

local queue = waiters(KEYS[2], KEYS[3], ARGV[4], now_us)
if not mine and (free == 0 or not queue.may_take(waiter, free)) then
  local before = -1
  if waiter then
    before = queue.enter(waiter, tonumber(ARGV[7]))
  end
  if free > 0 then
    return {0, CLAIM_MS, '', before, foreign}
  end
  return {0, soonest_ms, holder, before, foreign}
end

local granted = grant(mine or vacant)
if waiter then
  queue.leave(waiter)
end
return granted
