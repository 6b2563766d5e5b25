"""The router of this room: its modules put their operations on it."""

from ninja import Router

router = Router(tags=["calls"])
