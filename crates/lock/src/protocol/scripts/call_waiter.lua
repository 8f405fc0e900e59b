-- call_waiter: the end of release.lua, where somebody waits for the slot that it released.
call_next(KEYS[1], KEYS[2], ARGV[2], math.floor(now_in_us() / 1000), released + ARGV[3])
return 2
