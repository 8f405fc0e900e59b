-- acquire: grants the lock, or one of several slots, to a token; or says who holds it.
--
-- KEYS[1]   the fence: the greatest fence granted so far
-- KEYS[2]   the queue, KEYS[3] alive: see queue.lua
-- KEYS[4…]  the lock, or one key per slot: a plain string, the holder's token
-- KEYS[n]   after them, in strict mode, the gate: incarnation, open_from (server ms), longest (ms), syncs
-- ARGV[1]   token
-- ARGV[2]   TTL in ms
-- ARGV[3]   floor: the greatest fence that this client has seen, or 0
-- ARGV[4]   how long the fence is kept, in ms
-- ARGV[5]   in strict mode the incarnation (master_replid) that the connection was verified for
-- ARGV[6]   who waits, or empty for an attempt that does not wait
-- ARGV[7]   how long the waiter counts without asking again, in ms
-- ARGV[8]   how long a called waiter has to take the lock, in ms
-- ARGV[9]   what a waiter's channel begins with
-- ARGV[10]  the name that waiters are told
-- ARGV[11]  the slot to look at first, from 0
--
-- Replies  {1, fence, slot, syncs}         granted; asked again with the same token, granted again;
--                                          in strict mode with what the gate counted of `sync_full`
--          {0, remaining ms or -1, token, before, foreign}  held; how many wait before (-1: not
--                                          waiting); 1 if some holder is no Leasehold client, whose
--                                          release calls nobody. Without a token the lock is free
--                                          but it is another waiter's turn
--          {-1, remaining ms}              the gate is closed
--          {-2}                            the gate has no open record of this incarnation
--          {-3}                            this is another incarnation than the client knows
--          {-4, longest ms}                the TTL is above the longest lease agreed on
local token, ttl_ms, waiter = ARGV[1], tonumber(ARGV[2]), ARGV[6]
local claim_ms = tonumber(ARGV[8])
local queue = waiters(KEYS[2], KEYS[3], ARGV[9], ARGV[10], claim_ms)

local slots, syncs = #KEYS - 3, -1
if ARGV[5] ~= '' then
  slots = slots - 1
  local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if incarnation ~= ARGV[5] then
    return {-3}
  end
  local gate = redis.call('HMGET', KEYS[#KEYS], 'incarnation', 'open_from', 'longest', 'syncs')
  if gate[1] ~= incarnation or not gate[2] then
    return {-2}
  end
  local closed_ms = tonumber(gate[2]) - queue.now_us / 1000
  if closed_ms > 0 then
    return {-1, math.ceil(closed_ms)}
  end
  if ttl_ms > tonumber(gate[3]) then
    return {-4, tonumber(gate[3])}
  end
  syncs = tonumber(gate[4])
end

local mine, vacant, free = nil, nil, 0
local soonest_ms, holder, foreign = nil, '', 0
for step = 0, slots - 1 do
  local slot = (tonumber(ARGV[11]) + step) % slots
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

if not mine and (free == 0 or not queue.may_take(waiter, free)) then
  local before = -1
  if waiter ~= '' then
    before = queue.enter(waiter, tonumber(ARGV[7]))
  end
  if free > 0 then
    return {0, claim_ms, '', before, foreign}
  end
  return {0, soonest_ms, holder, before, foreign}
end

local slot = mine or vacant
local stored = tonumber(redis.call('GET', KEYS[1]) or 0)
local fence = math.max(stored + 1, queue.now_us, tonumber(ARGV[3]) + 1)
-- The fence goes first: if this user may not write it, nothing has been granted yet.
redis.call('SET', KEYS[1], string.format('%.0f', fence), 'PX', ARGV[4])
redis.call('SET', KEYS[4 + slot], token, 'PX', ARGV[2])
if waiter ~= '' then
  queue.leave(waiter)
end
return {1, fence, slot, syncs}
