"""The same for asyncio."""

import asyncio

import pytest

from conftest import DEADLINE, answer, problem
from pushwire import AsyncPushwire, PushwireError


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE))


def test_many_at_once_and_no_more_than_its_connections(server):
    server.will(*[answer()] * 30)

    async def main():
        async with AsyncPushwire(server.url, sender="shop", connections=3) as push:
            return await asyncio.gather(*[push.send("alice", n) for n in range(30)])

    assert len(run(main())) == 30 and server.connections <= 3


def test_errors_are_raised_where_it_is_awaited(server):
    server.will(problem(422, "bad_field"))

    async def main():
        async with AsyncPushwire(server.url) as push:
            await push.publish("news", 1)

    with pytest.raises(PushwireError, match="bad_field"):
        run(main())


def test_closing_does_not_hang(server):
    server.will(problem(503, "stopping", "Retry-After: 25"))

    async def main():
        push = AsyncPushwire(server.url)
        sending = asyncio.create_task(push.send("alice", 1))
        while not server.asked:
            await asyncio.sleep(0.005)
        await push.close()
        with pytest.raises(PushwireError, match="closed"):
            await sending

    run(main())
