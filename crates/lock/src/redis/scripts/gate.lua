-- gate: whether this incarnation of the master may grant yet. It precedes every script that grants.
--
-- The gate is a hash: incarnation, open_from (server ms), longest (ms), data_nodes, first, syncs,
-- resynced. Returns the reply that refuses, or nil and the longest lease in ms:
--
--   {-2}                no open record of this incarnation
--   {-3}                this is another incarnation than the client knows
--   {-4, remaining ms}  the gate is closed
local function pass_gate(key, expected, now_us)
  local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if incarnation ~= expected then
    return {-3}
  end
  local gate = redis.call('HMGET', key, 'incarnation', 'open_from', 'longest')
  if gate[1] ~= incarnation or not gate[2] then
    return {-2}
  end
  local longest_ms = tonumber(gate[3])
  local closed_ms = tonumber(gate[2]) - now_us / 1000
  if closed_ms > longest_ms then
    -- No gate is closed for longer than a lease: the server's clock was set back.
    closed_ms = longest_ms
    redis.call('HSET', key, 'open_from', string.format('%.0f', now_us / 1000 + closed_ms))
  end
  if closed_ms > 0 then
    return {-4, math.ceil(closed_ms)}
  end
  return nil, longest_ms
end
