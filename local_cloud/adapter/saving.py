"""Saves ministack's state while it runs; by itself it would do so at its end only."""

import asyncio

from ministack import app

_SECONDS = 5.0


async def save_regularly() -> None:
    """Saves every few seconds, so that a killed process loses seconds and not everything. On ministack's loop."""
    while True:
        await asyncio.sleep(_SECONDS)
        save()


def save() -> None:
    app.save_all(app._build_persistence_save_dict())
