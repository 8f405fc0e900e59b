-- enter: a place in the queue, and whether it is one's turn. It precedes the script that acquires.

-- Enters the queue, or stays in it, and returns how many are before. The members of a quorum are told
-- when the waiter arrived, so that all of them have the same order.
local function enter_queue(queue, alive, waiter, now_us, counts_for_ms, arrival)
  if arrival then
    redis.call('ZADD', queue, arrival, waiter)
  elseif not redis.call('ZSCORE', queue, waiter) then
    -- Behind everyone, also where the server's clock was set back.
    local last = redis.call('ZRANGE', queue, -1, -1, 'WITHSCORES')[2]
    local arrival = math.max(now_us, tonumber(last or 0) + 1)
    redis.call('ZADD', queue, string.format('%.0f', arrival), waiter)
  end
  local until_ms = math.floor(now_us / 1000) + counts_for_ms
  redis.call('HSET', alive, waiter, string.format('%.0f', until_ms))
  for _, key in ipairs({queue, alive}) do
    -- Never shorter: another waiter may count for longer than this one.
    if redis.call('PTTL', key) < 2 * counts_for_ms then
      redis.call('PEXPIRE', key, 2 * counts_for_ms)
    end
  end
  return redis.call('ZRANK', queue, waiter)
end

-- Of the `free` slots, in descending order, the one that `waiter` may take now; nil if those before it
-- can use them all. Each takes the highest that it knows of, so that the lower ones stay for those
-- who know fewer. A waiter in the queue goes first where one before it was called and did not come. One
-- that tells its `arrival` has its place by that, also if it is not in the queue yet.
local function slot_for(queue, alive, name, now_ms, free, waiter, slots, arrival)
  local missed = false
  local function take(known)
    for number, slot in ipairs(free) do
      if slot < known then
        return table.remove(free, number)
      end
    end
  end
  local at, rank = 0, waiter and redis.call('ZRANK', queue, waiter)
  while #free > 0 do
    local other, score = unpack(redis.call('ZRANGE', queue, at, at, 'WITHSCORES'))
    if not other or other == waiter or (missed and rank) or (arrival and arrival < tonumber(score)) then
      return take(slots)
    end
    local until_ms, is_called = count_until(alive, other, now_ms)
    if until_ms <= now_ms then
      missed = missed or is_called
      leave_queue(queue, alive, other)
    else
      local slot = take(slots_of(other))
      if slot and not is_called then
        call_next(queue, alive, name, now_ms, slot)
        if not redis.call('ZSCORE', queue, other) then
          -- It could not be called; its slot is for others.
          table.insert(free, slot)
          table.sort(free, function(a, b) return a > b end)
          at = at - 1
        end
      end
      at = at + 1
    end
  end
  return nil
end
