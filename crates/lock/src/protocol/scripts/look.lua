-- look: what a confirmation counts for. It is asked behind the `WAIT` that confirmed grants and
-- renewals: they are void where the node, its history or its gate is another by then.
--
-- KEYS[1]  the gate: see gate.lua
-- ARGV[1]  who has been silent for more seconds than this has not acknowledged what is confirmed
--
-- Replies  {incarnation or '' (no master), sync_full, the gate's incarnation or '', ms until it opens
--          (-1: it has no time), longest ms, syncs, data nodes, the gate's epoch, for how long (ms) a
--          grant is held back before it is written again (-1: it counts at once), server time in µs,
--          the number of the claim, replicas by their addresses, other connections that may have
--          acknowledged}
local replication = redis.call('INFO', 'replication')
local incarnation = ''
if string.find(replication, 'role:master', 1, true) then
  incarnation = string.match(replication, 'master_replid:(%x+)')
end
local syncs = string.match(redis.call('INFO', 'stats'), 'sync_full:(%d+)')
-- A connection without a port (`redis-cli --rdb`), or beside another of the same replica, may have acknowledged
-- something, unless it has been silent for so long.
local replicas, others, acknowledging = 0, 0, {}
for ip, port, rest in string.gmatch(replication, 'slave%d+:ip=([^,]*),port=(%d+),([^%c]*)') do
  local address = ip .. ':' .. port
  local is_silent = tonumber(string.match(rest, 'lag=(%-?%d+)') or 0) > tonumber(ARGV[1])
  if port ~= '0' and not acknowledging[address] then
    replicas = replicas + 1
    acknowledging[address] = 0
  end
  if not is_silent then
    if port == '0' or acknowledging[address] > 0 then
      others = others + 1
    else
      acknowledging[address] = 1
    end
  end
end
local claimed, open_from, longest, claimed_syncs, data_nodes, epoch, hold_until, hold_ms, claim = unpack(
  redis.call('HMGET', KEYS[1], 'incarnation', 'open_from', 'longest', 'syncs', 'data_nodes', 'epoch',
    'hold_until', 'hold_ms', 'claim'))
local now_us = now_in_us()
local opens_in_ms = -1
if open_from then
  opens_in_ms = math.max(0, math.ceil(tonumber(open_from) - now_us / 1000))
end
local held_back_ms = -1
if hold_until and tonumber(hold_ms) > 0 then
  local left_ms = math.ceil(tonumber(hold_until) - now_us / 1000)
  -- What counts now was written a longest lease ago at most.
  if left_ms + tonumber(longest) > 0 then
    held_back_ms = math.max(0, math.min(tonumber(hold_ms), left_ms))
  end
end
return {
  incarnation,
  tonumber(syncs),
  claimed or '',
  opens_in_ms,
  tonumber(longest or 0),
  tonumber(claimed_syncs or 0),
  tonumber(data_nodes or 0),
  tonumber(epoch or 0),
  held_back_ms,
  now_us,
  tonumber(claim or 0),
  replicas,
  others,
}
