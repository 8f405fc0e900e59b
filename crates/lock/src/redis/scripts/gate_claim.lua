-- gate_claim: records that the gate of this incarnation is pending, unless it is open already.
-- The claim opens nothing: first a majority of the data nodes must have it (WAIT), which proves
-- that a deposed master can confirm nothing more.
--
-- KEYS[1]  the gate: a hash of incarnation, open_from (server ms), longest (ms), data_nodes, first
-- ARGV[1]  the incarnation (master_replid) that the connection was verified for
-- ARGV[2]  longest lease in ms
-- ARGV[3]  data nodes that Sentinel knows, the master included
-- ARGV[4]  Sentinel's configuration epoch, 0 without Sentinel
--
-- Replies  {1, remaining ms}  the gate has a time from which on it is open (0: it is open)
--          {0, data nodes}    pending: confirm on a majority of so many data nodes, then gate_open
--          {-3}               this is another incarnation than the client knows
local replication = redis.call('INFO', 'replication')
local incarnation = string.match(replication, 'master_replid:(%x+)')
if incarnation ~= ARGV[1] then
  return {-3}
end
local gate = redis.call('HMGET', KEYS[1], 'incarnation', 'open_from', 'longest', 'data_nodes')
local time = redis.call('TIME')
local now_ms = math.ceil(time[1] * 1000 + time[2] / 1000)
if gate[1] == incarnation and gate[2] then
  return {1, math.max(0, tonumber(gate[2]) - now_ms)}
end

-- A first life is one that can have followed nobody and forgotten nothing: no record at all, no
-- earlier replication history, no failover known to Sentinel, nothing flushed. Its gate need
-- only outlast the leases from before its start.
local first = 0
if not gate[1]
  and string.match(replication, 'master_replid2:0+%c')
  and ARGV[4] == '0'
  and not string.match(redis.call('INFO', 'commandstats'), 'cmdstat_flush') then
  first = 1
end
if gate[1] == incarnation then
  first = tonumber(redis.call('HGET', KEYS[1], 'first') or 0)
end
local longest = math.max(tonumber(gate[3] or 0), tonumber(ARGV[2]))
local data_nodes = math.max(tonumber(gate[4] or 0), tonumber(ARGV[3]))
redis.call('HDEL', KEYS[1], 'open_from')
redis.call('HSET', KEYS[1], 'incarnation', incarnation, 'longest', longest, 'data_nodes', data_nodes,
  'first', first)
return {0, data_nodes}
