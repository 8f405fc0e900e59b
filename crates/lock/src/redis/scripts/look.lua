-- look: what a confirmation counts for. It is asked behind the `WAIT` that confirmed grants and
-- renewals: they are void where the node, its history or its gate is another by then.
--
-- KEYS[1]  the gate: see gate.lua
--
-- Replies  {incarnation or '' (no master), sync_full, the gate's incarnation or '', ms until it opens
--          (-1: it has no time), longest ms, syncs, data nodes}
local replication = redis.call('INFO', 'replication')
local incarnation = ''
if string.find(replication, 'role:master', 1, true) then
  incarnation = string.match(replication, 'master_replid:(%x+)')
end
local syncs = string.match(redis.call('INFO', 'stats'), 'sync_full:(%d+)')
local gate = redis.call('HMGET', KEYS[1], 'incarnation', 'open_from', 'longest', 'syncs', 'data_nodes')
local opens_in_ms = -1
if gate[2] then
  opens_in_ms = math.max(0, math.ceil(tonumber(gate[2]) - now_in_us() / 1000))
end
return {
  incarnation,
  tonumber(syncs),
  gate[1] or '',
  opens_in_ms,
  tonumber(gate[3] or 0),
  tonumber(gate[4] or 0),
  tonumber(gate[5] or 0),
}
