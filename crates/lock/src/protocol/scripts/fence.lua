-- fence: one counter for all grants of a data set (in a Redis Cluster: of a hash slot).
--
-- The counter is a hash: `last`, the greatest fence, and `reign`, the life of the server and Sentinel's
-- epoch for which it was set to the server's time. It is raised by one for each grant, here or by a
-- plain HINCRBY. It runs slower than time: once set to the time again, after a failover that lost
-- increments, a flush or a restart, it is beyond every fence from before.
--
-- `floor` is the greatest fence that the client has seen: a counter that is not beyond it was lost.
-- In strict mode `reign` is empty: the claim of the gate sets the counter. Returns nil where it was lost.
-- A member of a quorum has the reign `quorum`: the fence is `floor` + 1, which all members were asked for,
-- or, where the counter is there already, one more than the counter.
local function raise_fence(key, reign, floor)
  local fence = redis.call('HINCRBY', key, 'last', 1)
  if reign == '' then
    return fence > floor and fence or nil
  end
  if reign == 'quorum' then
    if fence <= floor then
      fence = floor + 1
      redis.call('HSET', key, 'last', string.format('%.0f', fence))
    end
    return fence
  end
  if fence <= floor or redis.call('HGET', key, 'reign') ~= reign then
    fence = math.max(fence, floor + 1, now_in_us())
    redis.call('HSET', key, 'last', string.format('%.0f', fence), 'reign', reign)
  end
  return fence
end
