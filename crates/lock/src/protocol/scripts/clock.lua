-- clock: the server's time in microseconds. Clients never compare their clocks with each other.
local function now_in_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
