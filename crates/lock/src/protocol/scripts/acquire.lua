-- acquire: grants the lock, or one of several slots, to a token; or says who holds it, and lets wait.
-- What is free and awaited by nobody is granted by plain commands instead: see `grant.rs`.
--
-- KEYS[1]   the fence counter: see fence.lua
-- KEYS[2]   the queue, KEYS[3] alive: see queue.lua
-- KEYS[4…]  the lock, or one key per slot: a plain string, the holder's token
-- KEYS[n]   after them, in strict mode, the gate: see gate.lua
-- ARGV[1]   token
-- ARGV[2]   TTL in ms
-- ARGV[3]   floor: the greatest fence that this client has seen, or 0
-- ARGV[4]   the reign that the fence counter is for: see fence.lua
-- ARGV[5]   the name that waiters are told
-- ARGV[6]   in strict mode the master_replid that the connection was verified for, or empty
-- ARGV[7]   who waits; missing or empty in an attempt that does not wait
-- ARGV[8]   how long the waiter counts without asking again, in ms
-- ARGV[9]   in a quorum when the client arrived, in µs (0: it holds the lease already); missing: now
--
-- Replies  {1, fence, slot, claim}         granted; asked again with the same token, granted again; in
--                                          strict mode under this claim of the gate
--          {0, remaining ms or -1, token, before, foreign}  held; how many wait before (-1: not
--                                          waiting); 1 if some holder is no Leasehold client, whose
--                                          release calls nobody. Without a token the lock is free
--                                          but it is another waiter's turn
--          {-2} {-3} {-4, remaining ms}    refused by the gate: see gate.lua
--          {-5, longest ms}                the TTL is above the longest lease agreed on
local token, waiter = ARGV[1], ARGV[7] ~= '' and ARGV[7] or nil
local queue, alive = KEYS[2], KEYS[3]
local now_us = now_in_us()
local now_ms = math.floor(now_us / 1000)

local slots, claim = #KEYS - 3, 0
if ARGV[6] ~= '' then
  slots = slots - 1
  local refusal, longest_ms, number = pass_gate(KEYS[#KEYS], ARGV[6], now_us)
  if refusal then
    return refusal
  end
  if tonumber(ARGV[2]) > longest_ms then
    return {-5, longest_ms}
  end
  claim = number
end

local mine, free = nil, {}
local soonest_ms, holder, foreign = nil, '', 0
for slot = slots - 1, 0, -1 do
  local stored = redis.call('GET', KEYS[4 + slot])
  if stored == token then
    mine = slot
  elseif not stored then
    free[#free + 1] = slot
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

local is_free = #free > 0
local slot = mine
if not slot and is_free then
  slot = slot_for(queue, alive, ARGV[5], now_ms, free, waiter, slots, tonumber(ARGV[9]))
end
if not slot then
  local before = -1
  if waiter then
    before = enter_queue(queue, alive, waiter, now_us, tonumber(ARGV[8]), ARGV[9])
  end
  if is_free then
    return {0, CLAIM_MS, '', before, foreign}
  end
  return {0, soonest_ms, holder, before, foreign}
end

-- The fence goes first: if this user may not write it, nothing has been granted yet.
local fence = raise_fence(KEYS[1], ARGV[4], tonumber(ARGV[3]))
if not fence then
  return {-2}
end
redis.call('SET', KEYS[4 + slot], token, 'PX', ARGV[2])
if waiter then
  leave_queue(queue, alive, waiter)
end
return {1, fence, slot, claim}
