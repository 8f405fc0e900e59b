-- give_back: undoes an adoption that was not confirmed. The lock goes back to the token of the ticket,
-- with what is left of its time, so that the ticket stays good. Nobody is granted anything by it, so it
-- passes no gate; it counts on the incarnation of the adoption alone.
--
-- KEYS[1]  the lock
-- ARGV[1]  the token that was adopted
-- ARGV[2]  the token of the ticket
-- ARGV[3]  in strict mode the master_replid that the connection was verified for
--
-- Replies  {1}          given back
--          {0}          the key is missing, or belongs to someone else
--          {-3}         this is another incarnation than the client knows
if ARGV[3] and string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') ~= ARGV[3] then
  return {-3}
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return {0}
end
local remaining_ms = redis.call('PTTL', KEYS[1])
if remaining_ms > 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', remaining_ms)
end
return {1}
