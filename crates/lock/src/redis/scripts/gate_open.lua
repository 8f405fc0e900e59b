-- gate_open: sets from when on this incarnation may grant, after its claim was confirmed.
--
-- KEYS[1]  the gate: a hash of incarnation, open_from (server ms), longest (ms), data_nodes, first
-- ARGV[1]  the incarnation (master_replid) whose claim was confirmed
--
-- Replies  {1, remaining ms, longest ms}  open from then on
--          {-2}                           there is no claim of this incarnation
--          {-3}                           this is another incarnation than the client knows
local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if incarnation ~= ARGV[1] then
  return {-3}
end
local gate = redis.call('HMGET', KEYS[1], 'incarnation', 'open_from', 'longest', 'first')
if gate[1] ~= incarnation then
  return {-2}
end
local now_ms = math.ceil(now_in_us() / 1000)
if gate[2] then
  return {1, math.max(0, tonumber(gate[2]) - now_ms), tonumber(gate[3])}
end

local closed_ms = tonumber(gate[3])
if gate[4] == '1' then
  -- Whole seconds, rounded up by the server at worst, so one is taken off.
  local uptime = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
  closed_ms = math.max(0, closed_ms - math.max(0, uptime - 1) * 1000)
end
redis.call('HSET', KEYS[1], 'open_from', string.format('%.0f', now_ms + closed_ms))
return {1, closed_ms, tonumber(gate[3])}
