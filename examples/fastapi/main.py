"""A shop that tells its customers what happens to their orders."""

import os

from fastapi import FastAPI, HTTPException

from pushwire import AsyncPushwire, PushwireError

push = AsyncPushwire(os.environ.get("PUSHWIRE", "http://localhost:8000"),
                     key=os.environ.get("SHOP_KEY"), sender="shop")
app = FastAPI()


@app.on_event("shutdown")
async def close():
    await push.close()


@app.post("/orders/{order}/ship")
async def ship(order: int, customer: str):
    """The key makes it one message, however often the order is shipped again."""
    try:
        sent = await push.send(customer, {"title": f"Order {order} is on its way",
                                          "url": f"/orders/{order}"}, key=f"order-{order}-shipped")
    except PushwireError as error:
        raise HTTPException(502, error.detail)
    return {"message": sent.id, "seen_now": sent.delivered > 0}


@app.get("/push-token")
async def push_token(user: str):  # of your session, not of the query
    """What the customer's page connects with."""
    return {"token": (await push.token(user)).token}
