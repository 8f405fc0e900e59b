-- forget: removes what is left of a resource that nobody holds, its fence among it.
--
-- KEYS[1]  the fence, KEYS[2] the queue, KEYS[3] alive
-- KEYS[4]  the lock
--
-- Replies  1 forgotten, 0 held: nothing was removed
if redis.call('GET', KEYS[4]) then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
