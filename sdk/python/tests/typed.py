"""Read by mypy: what an application writes holds under strict settings."""

from pushwire import AsyncPushwire, Pushwire, PushwireError, sign_token

push = Pushwire("http://localhost:8000", key="pw_a_b", sender="shop")
number: int = push.send("alice", {"title": "hi"}, ttl=60).delivered
push.send(["alice", "bob"], None, event="order")
push.send_many([{"channel": "a", "event": "order", "args": [1, "b"], "attachments": [], "except": "0" * 16}])
for result in push.send_many([{"receiver": "alice", "message": 1}, {"broadcast": True, "message": 2}]):
    text: str = result.code if isinstance(result, PushwireError) else result.id
online: bool = push.presence(["alice"])["alice"].online
token: str = sign_token("s" * 32, "alice", channels=["news"])


async def main() -> None:
    async with AsyncPushwire() as later:
        text: str = (await later.send("alice", "hi")).id
        page = await later.history("alice", after="0")
        texts: list[str] = [one.sender for one in page.messages]
