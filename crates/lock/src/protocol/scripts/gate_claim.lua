-- gate_claim: records that the gate of this incarnation is pending, unless it is claimed already.
-- The claim opens nothing: first a majority of the data nodes must have it (WAIT), which proves
-- that a deposed master can confirm nothing more.
--
-- The record also holds how many replicas this life of the master has sent everything to
-- (`sync_full`). A replica that comes with a history of its own is counted there, and it may have
-- confirmed leases of another master. So whoever confirms for this record has followed this
-- incarnation, and nobody else, since the claim. A new count is taken over where the Sentinels, asked
-- after it was read, name this master at the record's own epoch: nobody else was master since.
--
-- KEYS[1]  the gate: a hash, see gate.lua
-- KEYS[2]  the fences that were renewed while the gate was never open: see renew.lua
-- KEYS[3]  the fence counter: see fence.lua
-- ARGV[1]  the incarnation (master_replid) that the connection was verified for
-- ARGV[2]  longest lease in ms
-- ARGV[3]  data nodes that Sentinel knows, the master included
-- ARGV[4]  Sentinel's configuration epoch, 0 without Sentinel
-- ARGV[5]  `sync_full`, read before the Sentinels named this master; empty where nobody confirms
-- ARGV[6]  who claims
--
-- Replies  {1, remaining ms, longest ms, claim}  the gate has a time from which on it is open (0: now)
--          {0, data nodes, claim, outcome, longest ms}  pending: confirm on a majority of so many, then
--                                         gate_open with this claim; 1: perhaps at once, else why not
--          {-3}                           this is another incarnation than the client knows
--          {-6, epoch}                    the record is of a later epoch than the client's
--          {-7}                           `sync_full` is another by now
local NO_RECORD, FAST, NAMED_AGAIN, OTHER_BEFORE, EPOCH_SKIPPED, NOT_OPEN = 0, 1, 2, 3, 4, 5
local replication = redis.call('INFO', 'replication')
local incarnation = string.match(replication, 'master_replid:(%x+)')
if incarnation ~= ARGV[1] or not string.find(replication, 'role:master', 1, true) then
  return {-3}
end
local confirms, syncs = ARGV[5] ~= '', '0'
if confirms then
  syncs = string.match(redis.call('INFO', 'stats'), 'sync_full:(%d+)')
  if syncs ~= ARGV[5] then
    return {-7}
  end
end
local record = {}
local stored = redis.call('HGETALL', KEYS[1])
for at = 1, #stored, 2 do
  record[stored[at]] = stored[at + 1]
end
local epoch = tonumber(ARGV[4])
local record_epoch = tonumber(record.epoch or 0)
if record.incarnation and epoch < record_epoch then
  return {-6, record_epoch}
end
local now_us = now_in_us()
local now_ms = math.ceil(now_us / 1000)
local longest = math.max(tonumber(record.longest or 0), tonumber(ARGV[2]))
local data_nodes = math.max(tonumber(record.data_nodes or 0), tonumber(ARGV[3]))
local is_ours = record.incarnation == incarnation

local function seed_fences()
  if tonumber(redis.call('HGET', KEYS[3], 'last') or 0) < tonumber(record.seed or now_us) then
    redis.call('HSET', KEYS[3], 'last', string.format('%.0f', now_us))
  end
end

if is_ours and epoch == record_epoch and record.claim then
  seed_fences()
  if record.open_from then
    -- The pause was, or would have been, as long as the longest lease then agreed on: no longer one until the next.
    longest = tonumber(record.longest)
  end
  redis.call('HSET', KEYS[1], 'syncs', syncs, 'longest', longest, 'data_nodes', data_nodes)
  if not record.open_from then
    return {0, data_nodes, tonumber(record.claim), tonumber(record.outcome or NO_RECORD), longest}
  end
  local closed_ms = math.max(0, tonumber(record.open_from) - now_ms)
  if closed_ms > longest then
    -- No gate is closed for longer than a lease: the server's clock was set back.
    closed_ms = longest
    redis.call('HSET', KEYS[1], 'open_from', string.format('%.0f', now_ms + closed_ms))
  end
  return {1, closed_ms, longest, tonumber(record.claim)}
end

local was_open = record.was_open == '1' or record.resynced == '1'
  or (record.open_from and tonumber(record.open_from) <= now_ms)
-- A first life is one that can have followed nobody and forgotten nothing: no record at all, no
-- earlier replication history, no failover known to Sentinel, nothing flushed.
local first = not record.incarnation and epoch == 0
  and string.match(replication, 'master_replid2:0+%c')
  and not string.match(redis.call('INFO', 'commandstats'), 'cmdstat_flush')
-- The master before this one is the record's, its gate was open, and nobody was master in between.
local from = string.match(replication, 'master_replid2:(%x+)')
-- One that was claimed again may have been closed since: then only its own time counts.
local is_open = record.was_open == '1' or (record.open_from and tonumber(record.open_from) <= now_ms)
local outcome = FAST
if not confirms or not record.incarnation or not record.claim then
  outcome = NO_RECORD
elseif is_ours then
  outcome = NAMED_AGAIN
elseif record.incarnation ~= from then
  outcome = OTHER_BEFORE
elseif epoch ~= record_epoch + 1 then
  outcome = EPOCH_SKIPPED
elseif not is_open then
  outcome = NOT_OPEN
end
local fast = outcome == FAST
-- Leases of the master before the last may live, by a clock that is apart from this one by both differences.
local hold_before = 0
if fast and record.hold_until and tonumber(record.hold_until) > now_ms - longest then
  hold_before = tonumber(record.hold_ms)
end
local resynced = is_ours and (record.open_from or record.resynced == '1')

if not is_ours then
  if was_open or not record.incarnation then
    -- What the data has at this moment: every grant in it has a fence up to this one.
    record.fence_at = redis.call('HGET', KEYS[3], 'last') or '0'
    redis.call('DEL', KEYS[2])
  end
end
record.seed = nil
seed_fences()
local claim = string.format('%.0f', math.max(tonumber(record.claim or 0) + 1, now_us))
redis.call('HDEL', KEYS[1], 'open_from', 'hold_until', 'hold_ms', 'was_open', 'reason')
redis.call('HSET', KEYS[1], 'incarnation', incarnation, 'epoch', ARGV[4], 'claim', claim, 'syncs', syncs,
  'longest', longest, 'data_nodes', data_nodes, 'fast', fast and 1 or 0, 'outcome', outcome, 'from', from,
  'first', first and 1 or 0, 'resynced', resynced and 1 or 0, 'fence_at', record.fence_at or '0',
  'seed', redis.call('HGET', KEYS[3], 'last'), 'hold_before', hold_before, 'claimed_by', ARGV[6],
  'claimed_at', string.format('%.0f', now_ms))
return {0, data_nodes, tonumber(claim), outcome, longest}
