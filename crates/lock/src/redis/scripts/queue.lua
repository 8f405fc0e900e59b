-- queue: who is next. It precedes every script that can free a lock or find one free.
--
-- The queue is a sorted set of waiters by their time of arrival; `alive` is a hash of the server
-- time (ms) until which each of them counts. A waiter is one locker, called over a channel of its
-- own. Once called it has a claim's time to take the lock, then the next one is called.
local function waiters(queue, alive, name, now_us)
  local self = {}
  local now_ms = math.floor(now_us / 1000)

  local function call(waiter, message)
    -- An error (no permission to publish) counts as not heard: that waiter polls.
    local heard = redis.pcall('PUBLISH', CHANNELS .. waiter, message .. ' ' .. name)
    return type(heard) == 'number' and heard > 0
  end

  function self.leave(waiter)
    redis.call('ZREM', queue, waiter)
    redis.call('HDEL', alive, waiter)
  end

  -- Calls the first `free` waiters, or without `free` the first that was not called yet. Whoever
  -- is dead or out of reach leaves the queue. The one behind is told to look when the claim ends; of
  -- two messages the last one leaves first, and the lock waits for the one that is called.
  function self.call_first(free)
    local at = 0
    while not free or at < free do
      local waiter, behind = unpack(redis.call('ZRANGE', queue, at, at + 1))
      if not waiter then
        return
      end
      local counts_until = tonumber(redis.call('HGET', alive, waiter) or 0)
      if counts_until <= now_ms then
        self.leave(waiter)
      elseif counts_until <= now_ms + CLAIM_MS then
        at = at + 1
      else
        if behind and (not free or at + 1 == free) then
          call(behind, 'soon')
        end
        if call(waiter, 'free') then
          redis.call('HSET', alive, waiter, now_ms + CLAIM_MS)
          at = at + 1
          if not free then
            return
          end
        else
          self.leave(waiter)
        end
      end
    end
  end

  -- Whether a waiter was called and may still come for the lock.
  function self.is_called(waiter)
    local counts_until = tonumber(redis.call('HGET', alive, waiter) or 0)
    return counts_until > 0 and counts_until <= now_ms + CLAIM_MS
  end

  -- Enters the queue, or stays in it, and returns how many are before.
  function self.enter(waiter, counts_for_ms)
    redis.call('ZADD', queue, 'NX', string.format('%.0f', now_us), waiter)
    redis.call('HSET', alive, waiter, now_ms + counts_for_ms)
    redis.call('PEXPIRE', queue, 2 * counts_for_ms)
    redis.call('PEXPIRE', alive, 2 * counts_for_ms)
    return redis.call('ZRANK', queue, waiter)
  end

  -- Whether a lock that is `free` times free may be taken now: by a waiter among the first, or by
  -- anyone while fewer are waiting.
  function self.may_take(waiter, free)
    local function before()
      return waiter and redis.call('ZRANK', queue, waiter) or redis.call('ZCARD', queue)
    end
    if before() < free then
      return true
    end
    self.call_first(free)
    return before() < free
  end

  return self
end

