-- constants: what all scripts agree on, and the SDK with them (`crates/lock/src/redis/script.rs`).

-- How long a waiter that was called has to take the lock.
local CLAIM_MS = 1000
-- How long a fence outlives its last grant: a week. A string, for it goes into commands as it is.
local FENCE_KEPT_MS = '604800000'
-- What the channel of a waiter begins with; its id follows.
local CHANNELS = 'leasehold:wake:'
