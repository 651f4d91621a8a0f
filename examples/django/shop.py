"""A shop that tells its customers what happens to their orders, as one file of Django."""

import os
import sys

from django.conf import settings

settings.configure(
    DEBUG=True, SECRET_KEY="only here", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})

from django.core.management import execute_from_command_line  # noqa: E402
from django.db import transaction  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

from pushwire import Pushwire  # noqa: E402

push = Pushwire(os.environ.get("PUSHWIRE", "http://localhost:8000"),
                key=os.environ.get("SHOP_KEY"), sender="shop")


@require_POST
def ship(request, order):
    customer = request.GET["customer"]
    with transaction.atomic():
        # … the order is written; who hears of it must not hear before the others can see it.
        transaction.on_commit(lambda: push.send(
            customer, {"title": f"Order {order} is on its way", "url": f"/orders/{order}"},
            key=f"order-{order}-shipped"))
    return JsonResponse({"shipped": order})


def push_token(request):
    """What the customer's page connects with."""
    user = request.GET["user"]  # of your session, not of the query
    return JsonResponse({"token": push.token(user).token})


urlpatterns = [path("orders/<int:order>/ship", ship), path("push-token", push_token)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
