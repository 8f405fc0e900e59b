-- batch: what is simple of many requests of one client, in one go: grants locks that nobody holds or
-- waits for, and releases locks that nobody waits for. Whatever is not simple is left undone; asked
-- alone, acquire.lua and release.lua see to it.
--
-- KEYS     of each acquisition the fence, the queue and the lock; then
--          of each release the queue and the lock; then
--          in strict mode the gate: see gate.lua
-- ARGV[1]  how many acquisitions
-- ARGV[2]  floor: the greatest fence that this client has seen, or 0
-- ARGV[3]  in strict mode the incarnation that the connection was verified for, or empty
-- ARGV[4…] of each acquisition the token and the TTL in ms; then of each release the token
--
-- Replies  for each request what its own script replies, or nil: left undone
local call = redis.call
local acquisitions = tonumber(ARGV[1])
local releases = #ARGV - 3 - 2 * acquisitions
local replies = {}
for number = 1, acquisitions + releases do
  replies[number] = false
end
local key, word = 1, 4

local function grant_all()
  local now_us = now_in_us()
  local longest_ms, syncs = math.huge, -1
  if ARGV[3] ~= '' then
    local refusal, gate = pass_gate(KEYS[#KEYS], ARGV[3], now_us)
    if refusal then
      return
    end
    longest_ms, syncs = gate.longest_ms, gate.syncs
  end
  local at_least = math.max(now_us, ARGV[2] + 1)
  for number = 1, acquisitions do
    local fence, queue, lock = KEYS[key], KEYS[key + 1], KEYS[key + 2]
    local token, ttl_ms = ARGV[word], ARGV[word + 1]
    key, word = key + 3, word + 2
    if tonumber(ttl_ms) <= longest_ms and call('EXISTS', queue, lock) == 0 then
      local granted = raise_fence(fence, at_least)
      call('SET', lock, token, 'PX', ttl_ms)
      replies[number] = {1, granted, 0, syncs}
    end
  end
end

local function release_all()
  key, word = 1 + 3 * acquisitions, 4 + 2 * acquisitions
  for number = acquisitions + 1, acquisitions + releases do
    local queue, lock, token = KEYS[key], KEYS[key + 1], ARGV[word]
    key, word = key + 2, word + 1
    if call('GET', lock) == token and call('EXISTS', queue) == 0 then
      call('DEL', lock)
      replies[number] = {1}
    end
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
