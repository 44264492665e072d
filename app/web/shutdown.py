"""Leaving service in two steps: proxies see the process unready before it refuses anybody."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fastapi import FastAPI


@contextmanager
def delayed_shutdown(app: FastAPI, delay: int) -> Iterator[None]:
    """Have SIGTERM make `/readyz` say no at once, and stop the server `delay` seconds later.

    A proxy that looks once a second then sends no request to a server that has closed its port.
    """
    if delay == 0:
        yield
        return
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)  # the server's own

    def announce(number: int, frame: FrameType | None) -> None:
        app.state.stopping = True
        if callable(stop):
            loop.call_soon_threadsafe(loop.call_later, delay, stop, number, frame)

    signal.signal(signal.SIGTERM, announce)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
