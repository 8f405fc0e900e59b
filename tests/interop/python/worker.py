"""One foreign worker: takes the lock as its own library does, and reports to the witness.

usage: worker.py LIBRARY NAME LIMIT PORT PASSWORD

LIBRARY is `atlan`, `redis-py` or `redlock-py`. The worker ends when the witness says that there
were enough grants. Nothing of the library is replaced: the lock is taken and given back by its own
code, and only the pauses between attempts, which belong to its caller, are ours.
"""

import asyncio
import os
import random
import sys
import time

LIBRARY, NAME, LIMIT, PORT, PASSWORD = sys.argv[1:6]
LIMIT, PORT = int(LIMIT), int(PORT)
PAUSE = 0.01
HOLD = 0.005

# The Application SDK reads its environment when it is imported.
os.environ.update(
    IS_LOCKING_DISABLED="false",
    REDIS_HOST="127.0.0.1",
    REDIS_PORT=str(PORT),
    REDIS_PASSWORD=PASSWORD,
    LOG_LEVEL="CRITICAL",
    # Nothing is to be sent anywhere from a test.
    ENABLE_OTLP_LOGS="false",
    ATLAN_ENABLE_OTLP_METRICS="false",
    ATLAN_ENABLE_OTLP_TRACES="false",
)

import redis  # noqa: E402

witness = redis.Redis(host="127.0.0.1", port=PORT, password=PASSWORD)
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "..", "enter.lua"), encoding="utf-8") as file:
    enter = witness.register_script(file.read())
with open(os.path.join(here, "..", "leave.lua"), encoding="utf-8") as file:
    leave = witness.register_script(file.read())


def is_done():
    return bool(witness.exists("witness:done"))


def hold(slot):
    """What is done under the lock: tell the witness, stay a little, tell it again."""
    enter(keys=["witness"], args=["foreign", slot])
    time.sleep(random.uniform(0, 2 * HOLD))
    leave(keys=["witness"], args=["foreign", slot])


async def atlan():
    """The two activities that the SDK's lock interceptor runs around a `@needs_lock` activity."""
    from application_sdk.execution._temporal import lock_activities
    from application_sdk.execution._temporal._lock_errors import LockAcquisitionError

    owner = f"interop:{os.getpid()}"
    while not is_done():
        try:
            lock = await lock_activities.acquire_distributed_lock(NAME, LIMIT, 30, owner)
        except LockAcquisitionError:
            await asyncio.sleep(random.uniform(0, 2 * PAUSE))
            continue
        hold(lock["slot_id"])
        if not await lock_activities.release_distributed_lock(
            lock["resource_id"], lock["owner_id"]
        ):
            sys.exit("the Application SDK says that its lock was somebody else's")
        await asyncio.sleep(random.uniform(0, PAUSE))


def redis_py():
    client = redis.Redis(host="127.0.0.1", port=PORT, password=PASSWORD)
    while not is_done():
        lock = client.lock(NAME, timeout=30, sleep=PAUSE, blocking_timeout=1)
        if not lock.acquire():
            continue
        hold(0)
        # Raises if the lock is not ours any more.
        lock.release()
        time.sleep(random.uniform(0, PAUSE))


def redlock_py():
    from redlock import Redlock

    servers = [{"host": "127.0.0.1", "port": PORT, "password": PASSWORD}]
    manager = Redlock(servers, retry_count=100, retry_delay=PAUSE)
    while not is_done():
        lock = manager.lock(NAME, 30_000)
        if not lock:
            continue
        hold(0)
        manager.unlock(lock)
        time.sleep(random.uniform(0, PAUSE))


if LIBRARY == "atlan":
    asyncio.run(atlan())
elif LIBRARY == "redis-py":
    redis_py()
elif LIBRARY == "redlock-py":
    redlock_py()
else:
    sys.exit(f"unknown library {LIBRARY}")
