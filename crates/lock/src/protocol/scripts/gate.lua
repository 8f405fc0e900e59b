-- gate: whether this incarnation of the master may grant yet. It precedes every script that grants.
--
-- The gate is a hash:
--   incarnation, epoch  whose gate it is: the master's `master_replid`, and Sentinel's epoch at the claim
--   claim               the number of the claim, never the same twice
--   syncs               `sync_full` that the claim vouches for
--   open_from           server ms from which on it is open; missing while the claim is not confirmed
--   longest             the longest lease of any client, in ms
--   data_nodes          the most data nodes that were ever known
--   fast, from          1: may be opened at once, if the replicas have the history `from` as the master has
--   outcome             1, or why not: see gate_claim.lua
--   hold_until, hold_ms while leases of the last master may live (server ms) a grant is held back (ms)
--   hold_before         what the master before held its grants back for, if leases from before it may live
--   was_open, resynced  1: it has been open; 1: it was claimed again, and may have been open before
--   first               1: a new deployment
--   fence_at, seed      the fence counter as it was found at the claim, and as it was set
--   claimed_by, claimed_at, reason    for people: by whom, when (server ms), and why there is a pause
--
-- Returns the reply that refuses, or nil, the longest lease in ms, and the number of the claim:
--
--   {-2}                no open record of this incarnation
--   {-3}                this is another incarnation than the client knows
--   {-4, remaining ms}  the gate is closed
local function pass_gate(key, expected, now_us)
  local incarnation = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
  if incarnation ~= expected then
    return {-3}
  end
  local gate = redis.call('HMGET', key, 'incarnation', 'open_from', 'longest', 'claim')
  -- A record without a claim was written by an older version.
  if gate[1] ~= incarnation or not gate[2] or not gate[4] then
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
  return nil, longest_ms, tonumber(gate[4])
end
