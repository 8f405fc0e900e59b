-- queue: who is next. It is part of every script that can free a lock or find one free.
--
-- The queue is a sorted set of waiters in the order of their arrival. `alive` is a hash of the server
-- time (ms) until which each of them counts; negative once the waiter was called, then until when it
-- may take the lock. A waiter is the id of a locker, and for slots `/` and how many slots it knows of:
-- it can use slot 0 to that number less one.
local function count_until(alive, waiter, now_ms)
  local until_ms = tonumber(redis.call('HGET', alive, waiter) or 0)
  -- Further away than a claim lasts: the server's clock was set back.
  if until_ms < 0 and -until_ms > now_ms + CLAIM_MS then
    return 0, true
  end
  return math.abs(until_ms), until_ms < 0
end

local function leave_queue(queue, alive, waiter)
  redis.call('ZREM', queue, waiter)
  redis.call('HDEL', alive, waiter)
end

-- How many slots a waiter knows of; a plain lock is slot 0.
local function slots_of(waiter)
  return tonumber(string.match(waiter, '/(%d+)$') or 1)
end

-- Tells a waiter `free`, or `soon`. The message: the word, the waiter's slots or `-`, the name.
local function tell(waiter, word, name)
  local id, slots = string.match(waiter, '^(%x+)/?(%d*)$')
  if not id then
    return false
  end
  local message = word .. ' ' .. (slots == '' and '-' or slots) .. ' ' .. name
  -- An error (no permission to publish) counts as not heard: that waiter polls.
  local heard = redis.pcall('PUBLISH', CHANNELS .. id, message)
  return type(heard) == 'number' and heard > 0
end

-- Calls the first waiter that was not called yet and can use the slot that became free. A waiter that
-- is dead or out of reach leaves the queue. The next one, and the last one, are told to look when the
-- claim ends: whichever of them runs takes the lock from a process that is stopped.
local function call_next(queue, alive, name, now_ms, slot)
  local at = 0
  while true do
    local waiter, behind = unpack(redis.call('ZRANGE', queue, at, at + 1))
    if not waiter then
      return
    end
    local until_ms, is_called = count_until(alive, waiter, now_ms)
    if until_ms <= now_ms then
      leave_queue(queue, alive, waiter)
    elseif is_called or slots_of(waiter) <= slot then
      at = at + 1
    else
      local last = behind and redis.call('ZRANGE', queue, -1, -1)[1]
      if last and last ~= behind then
        tell(last, 'soon', name)
      end
      if behind then
        tell(behind, 'soon', name)
      end
      if tell(waiter, 'free', name) then
        redis.call('HSET', alive, waiter, string.format('%.0f', -(now_ms + CLAIM_MS)))
        return
      end
      leave_queue(queue, alive, waiter)
    end
  end
end
