-- batch: what is simple of many requests of one client, in one go: grants locks that nobody holds or
-- waits for, and releases locks that nobody waits for. Whatever is not simple is left undone; asked
-- alone, acquire.lua and release.lua see to it.
--
-- KEYS     of each acquisition the queue and the lock; of each the fence;
--          of each release the queue; of each the lock; then
--          in strict mode the gate: see gate.lua
-- ARGV[1]  how many acquisitions, ARGV[2] how many releases
-- ARGV[3]  floor: the greatest fence that this client has seen, or 0
-- ARGV[4]  in strict mode the incarnation that the connection was verified for, or empty
-- ARGV[5…] of each acquisition the token and the TTL in ms; then of each release the token
--
-- Replies  {syncs, of each acquisition the fence, of each release 1}; nil for a request that was left
--          undone. `syncs` is what the gate counted of `sync_full`, or -1. All in one level: a table
--          for each request would cost as much as reading its keys.
--
-- A call costs more than a key, so all keys of a kind are asked for in one call where there can be one.
local call = redis.call
local acquisitions, releases = tonumber(ARGV[1]), tonumber(ARGV[2])
local replies = {-1}
for number = 2, 1 + acquisitions + releases do
  replies[number] = false
end

local function is_there(first, last)
  return call('EXISTS', unpack(KEYS, first, last)) > 0
end

local function grant_all()
  local now_us = now_in_us()
  local longest_ms = math.huge
  if ARGV[4] ~= '' then
    local refusal, gate = pass_gate(KEYS[#KEYS], ARGV[4], now_us)
    if refusal then
      return
    end
    longest_ms, replies[1] = gate.longest_ms, gate.syncs
  end
  local at_least = math.max(now_us, ARGV[3] + 1)
  local digits = string.format('%.0f', at_least)
  local some_there, granted = is_there(1, 2 * acquisitions), {}
  for number = 1, acquisitions do
    local queue_at, lock = 2 * number - 1, KEYS[2 * number]
    local token, ttl_ms = ARGV[3 + 2 * number], ARGV[4 + 2 * number]
    local is_free = not (some_there or granted[lock]) or not is_there(queue_at, queue_at + 1)
    if is_free and tonumber(ttl_ms) <= longest_ms then
      local fence = raise_fence(KEYS[2 * acquisitions + number], at_least, digits)
      call('SET', lock, token, 'PX', ttl_ms)
      granted[lock] = true
      replies[1 + number] = fence
    end
  end
end

local function release_all()
  local queues = 3 * acquisitions
  local locks = queues + releases
  local some_wait = is_there(queues + 1, locks)
  local holders = call('MGET', unpack(KEYS, locks + 1, locks + releases))
  local released, done = {}, {}
  for number = 1, releases do
    local lock, token = KEYS[locks + number], ARGV[4 + 2 * acquisitions + number]
    local queue_at = queues + number
    local is_mine = holders[number] == token and not done[lock]
    if is_mine and not (some_wait and is_there(queue_at, queue_at)) then
      released[#released + 1], done[lock] = lock, number
    end
  end
  if #released > 0 then
    call('DEL', unpack(released))
  end
  for _, number in pairs(done) do
    replies[1 + acquisitions + number] = 1
  end
end

-- An error leaves the rest undone: asked alone, the request that met it is told.
if acquisitions > 0 then
  pcall(grant_all)
end
if releases > 0 then
  pcall(release_all)
end
return replies
