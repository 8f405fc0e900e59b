-- gate_claim: records that the gate of this incarnation is pending, unless it is open already.
-- The claim opens nothing: first a majority of the data nodes must have it (WAIT), which proves
-- that a deposed master can confirm nothing more.
--
-- The record also holds how many replicas this life of the master has sent everything to
-- (`sync_full`). A replica that comes with a history of its own is counted there, and it may have
-- confirmed leases of another master: the gate closes again. So whoever confirms for an open gate
-- has followed this incarnation, and nobody else, since the claim.
--
-- KEYS[1]  the gate: a hash of incarnation, open_from (server ms), longest (ms), data_nodes, first,
--          syncs, resynced
-- ARGV[1]  the incarnation (master_replid) that the connection was verified for
-- ARGV[2]  longest lease in ms
-- ARGV[3]  data nodes that Sentinel knows, the master included
-- ARGV[4]  Sentinel's configuration epoch, 0 without Sentinel
-- ARGV[5]  1 if replicas confirm, 0 if this node speaks for itself alone
--
-- Replies  {1, remaining ms, longest ms}  the gate has a time from which on it is open (0: it is open)
--          {0, data nodes}                pending: confirm on a majority of so many, then gate_open
--          {-3}                           this is another incarnation than the client knows
local replication = redis.call('INFO', 'replication')
local incarnation = string.match(replication, 'master_replid:(%x+)')
if incarnation ~= ARGV[1] then
  return {-3}
end
local syncs = '0'
if ARGV[5] == '1' then
  syncs = string.match(redis.call('INFO', 'stats'), 'sync_full:(%d+)')
end
local gate = redis.call('HMGET', KEYS[1], 'incarnation', 'open_from', 'longest', 'data_nodes',
  'first', 'syncs')
local now_ms = math.ceil(now_in_us() / 1000)
local is_ours = gate[1] == incarnation
-- In a deployment that never had another master a new replica has confirmed nothing elsewhere.
local is_first = is_ours and gate[5] == '1' and ARGV[4] == '0'
if is_ours and gate[2] and (gate[6] == syncs or is_first) then
  redis.call('HSET', KEYS[1], 'syncs', syncs)
  local longest, closed_ms = tonumber(gate[3]), math.max(0, tonumber(gate[2]) - now_ms)
  if closed_ms > longest then
    -- No gate is closed for longer than a lease: the server's clock was set back.
    closed_ms = longest
    redis.call('HSET', KEYS[1], 'open_from', string.format('%.0f', now_ms + closed_ms))
  end
  return {1, closed_ms, longest}
end

-- A first life is one that can have followed nobody and forgotten nothing: no record at all, no
-- earlier replication history, no failover known to Sentinel, nothing flushed. Its gate need
-- only outlast the leases from before its start.
local first = 0
if is_first then
  first = 1
elseif not gate[1]
  and string.match(replication, 'master_replid2:0+%c')
  and ARGV[4] == '0'
  and not string.match(redis.call('INFO', 'commandstats'), 'cmdstat_flush') then
  first = 1
end
local resynced = 0
if is_ours and (gate[2] or redis.call('HGET', KEYS[1], 'resynced') == '1') then
  resynced = 1
end
local longest = math.max(tonumber(gate[3] or 0), tonumber(ARGV[2]))
local data_nodes = math.max(tonumber(gate[4] or 0), tonumber(ARGV[3]))
redis.call('HDEL', KEYS[1], 'open_from')
redis.call('HSET', KEYS[1], 'incarnation', incarnation, 'longest', longest, 'data_nodes', data_nodes,
  'first', first, 'syncs', syncs, 'resynced', resynced)
return {0, data_nodes}
