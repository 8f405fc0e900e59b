-- gate_open: sets from when on this incarnation may grant, after its claim was confirmed.
--
-- KEYS[1]  the gate: a hash, see gate.lua
-- ARGV[1]  the incarnation (master_replid) whose claim was confirmed
-- ARGV[2]  the number of the claim
-- ARGV[3]  `fast`: at once, for the replicas were found to have all that the last master confirmed;
--          `pause`: after one longest lease
-- ARGV[4]  fast: for how long (ms) a grant is held back while leases of the last master may live
-- ARGV[5]  pause: why
--
-- Replies  {1, remaining ms, longest ms}  open from then on
--          {-2}                           this claim is not the record's
--          {-3}                           this is another incarnation than the client knows
--          {-8, uptime s}                 not at once: the server is not up for a longest lease, or the
--                                         history is another
local replication = redis.call('INFO', 'replication')
local incarnation = string.match(replication, 'master_replid:(%x+)')
if incarnation ~= ARGV[1] or not string.find(replication, 'role:master', 1, true) then
  return {-3}
end
local incarnation_now, claim, open_from, longest, first, fast, from, claimed_at, hold_before = unpack(redis.call(
  'HMGET', KEYS[1], 'incarnation', 'claim', 'open_from', 'longest', 'first', 'fast', 'from', 'claimed_at',
  'hold_before'))
if incarnation_now ~= incarnation or claim ~= ARGV[2] then
  return {-2}
end
local now_ms = math.ceil(now_in_us() / 1000)
local longest_ms = tonumber(longest)
if open_from then
  return {1, math.max(0, tonumber(open_from) - now_ms), longest_ms}
end

-- Whole seconds, rounded up by the server at worst, so one is taken off. Negative where the server's
-- clock was set back since its start.
local uptime = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(-?%d+)'))
local up_ms = math.max(0, uptime - 1) * 1000
if ARGV[3] == 'fast' then
  if fast ~= '1' or string.match(replication, 'master_replid2:(%x+)') ~= from or up_ms < longest_ms then
    return {-8, uptime}
  end
  redis.call('HSET', KEYS[1], 'open_from', string.format('%.0f', now_ms), 'was_open', 1,
    'hold_until', string.format('%.0f', tonumber(claimed_at) + longest_ms),
    'hold_ms', tonumber(ARGV[4]) + tonumber(hold_before or 0))
  return {1, 0, longest_ms}
end
local closed_ms = longest_ms
-- The gate of a first life need only outlast the leases from before its start. At a fixed address
-- another server may have been before it.
if first == '1' and ARGV[3] == 'pause' then
  closed_ms = math.max(0, longest_ms - up_ms)
end
redis.call('HSET', KEYS[1], 'open_from', string.format('%.0f', now_ms + closed_ms), 'reason', ARGV[5])
return {1, closed_ms, longest_ms}
