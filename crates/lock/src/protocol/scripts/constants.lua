-- constants: what all scripts agree on, and the SDK with them (`crates/lock/src/protocol/script.rs`).

-- How long a waiter that was called has to take the lock.
local CLAIM_MS = 1000
-- What the channel of a waiter begins with; the id of its locker follows.
local CHANNELS = 'leasehold:wake:'
