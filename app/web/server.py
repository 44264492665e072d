"""Serving the application with uvicorn, in as many processes as wanted."""

import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
from multiprocessing.process import BaseProcess

import uvicorn
from fastapi import FastAPI

from app.database.drift import log_drift
from app.main import create_app
from app.observability.metrics import serving_metrics
from app.settings import PROJECT
from app.web.protocol import Connection

_WATCHED = [str(PROJECT / "app"), str(PROJECT / "migration")]
# Seconds that a worker may take to import the application, until when it answers no health check:
# with uvicorn's 5, a machine that is slow at that moment would kill and start workers for ever.
_START = 60
_NEVER = 24 * 3600
_GRACE = 15  # seconds that requests under way have to finish, behind SHUTDOWN_DELAY of at most 10


class PortTakenError(Exception):
    """Nothing can listen there; the message says where and what to do."""


def serve(host: str, port: int, *, reload: bool, workers: int, metrics_port: int | None) -> None:
    """Serve until the process is told to stop; metrics too, if they have a port."""
    # To end when told to is success, to orchestrators too. uvicorn raises the signal once more when
    # it has ended the requests under way, with one worker; with several, it returns.
    signal.signal(signal.SIGTERM, lambda _, __: sys.exit(0))
    with serving_metrics(host, metrics_port, child_processes=reload or workers > 1):
        _run(host, port, reload=reload, workers=workers)


def _run(host: str, port: int, *, reload: bool, workers: int) -> None:
    uvicorn.run(
        "app.web.server:create_child_app",
        factory=True,
        host=host,
        port=port,
        reload=reload,
        reload_dirs=_WATCHED if reload else None,
        workers=workers,
        http=Connection,
        timeout_keep_alive=_NEVER,  # the class above does it, by KEEP_ALIVE_TIMEOUT
        log_config=None,  # app/observability/logging.py takes care of uvicorn's lines too
        server_header=False,
        # The application does it, by its setting TRUSTED_PROXIES, whatever server runs it.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_worker_healthcheck=_START,
    )


def check_port(host: str, port: int) -> None:
    """Raise `PortTakenError` before anything else is started in vain."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = addresses[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise PortTakenError(
            f"cannot listen on {host}:{port} ({error.strerror}); another one: make run PORT=8001"
        ) from error


def create_child_app() -> FastAPI:
    """Build the application in a process that ends with the one that has started it."""
    parent = multiprocessing.parent_process()
    if parent is not None:  # as with reload or workers; otherwise this is the only process
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    app = create_app()
    # What is there by now stays, and what a request makes is freed without a collection, but for
    # cycles: those may wait for 50,000 objects instead of 700, which saves a tenth of its time.
    gc.freeze()
    gc.set_threshold(50_000)
    if app.state.settings.environment == "development":
        threading.Thread(target=log_drift, daemon=True).start()
    return app


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
