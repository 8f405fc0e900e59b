-- release: deletes the lock if the token still holds it.
--
-- KEYS[1]  the lock
-- ARGV[1]  token
--
-- Replies  {1}          released
--          {0}          the key is missing: it expired or was deleted
--          {-1, token}  the key belongs to someone else
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  redis.call('DEL', KEYS[1])
  return {1}
end
if holder then
  return {-1, holder}
end
return {0}
