"""The micro-benchmarks of tasks on uvloop: what asyncio's users have today.

Usage: main.py CASE COUNT PENDING. Prints nanoseconds per operation.
"""

import asyncio
import sys
import time

import uvloop


async def spawn(count):
    async def nothing():
        return 1

    for _ in range(count):
        await asyncio.create_task(nothing())


async def gather(count):
    async def nothing():
        return 1

    for _ in range(count // 100):
        await asyncio.gather(*[nothing() for _ in range(100)])


async def give_way(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def lock(count):
    """Ten tasks want the same lock again and again, and each lets the others run while it holds it."""
    shared = asyncio.Lock()

    async def holder():
        for _ in range(count // 10):
            async with shared:
                await asyncio.sleep(0)

    await asyncio.gather(*[holder() for _ in range(10)])


async def queue(count):
    """One task puts, another gets."""
    items = asyncio.Queue(100)

    async def consumer():
        for _ in range(count):
            await items.get()

    task = asyncio.create_task(consumer())
    for number in range(count):
        await items.put(number)
    await task


async def queue_round_trip(count):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def partner():
        for _ in range(count):
            await back.put(await there.get())

    task = asyncio.create_task(partner())
    for number in range(count):
        await there.put(number)
        await back.get()
    await task


CASES = {
    "task-loop-spawn": spawn,
    "task-gather": gather,
    "task-our-yield": give_way,
    "task-lock": lock,
    "task-queue": queue,
    "task-queue-round-trip": queue_round_trip,
}


async def main():
    case, count = CASES[sys.argv[1]], int(sys.argv[2])
    await case(min(count, 1_000))
    start = time.perf_counter_ns()
    await case(count)
    print((time.perf_counter_ns() - start) / count)


uvloop.run(main())
