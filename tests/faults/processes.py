"""Faults of the service's processes, of its clients, and of its mail server."""

import socket
import struct
import time

from anyio.from_thread import start_blocking_portal

from tests.faults.fault import Fault
from tests.faults.scene import WORKERS, Scene
from tests.smtp_server import running_smtp_server

_DELAY = 3
_DISCONNECTS = 1000
_MAILS = 20
_DAWDLERS = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: t\r\n",
    b"POST /api/v1/auth/signup HTTP/1.1\r\nHost: t\r\nContent-Length: 2000\r\n\r\n{",
)


def _kill_worker(scene: Scene) -> None:
    victim = scene.service.find_workers()[0]
    victim.kill()
    while len(scene.service.find_workers()) < WORKERS or victim in scene.service.find_workers():
        time.sleep(0.1)


def _stop_service(scene: Scene) -> None:
    code = scene.service.stop()
    scene.require(code == 0, f"the service ended with {code}")
    scene.service.start()


def _announce_stop(scene: Scene) -> None:
    """Stop, and see that everybody is served until the port closes."""
    started = time.monotonic()
    scene.service.server.process.terminate()
    time.sleep(_DELAY - 1)
    scene.require(not scene.ledger.failures_since(started), "not served until the port closes")
    _stop_service(scene)


def _delay_shutdown(scene: Scene) -> None:
    scene.service.restart(SHUTDOWN_DELAY=str(_DELAY))


def _disconnect(scene: Scene) -> None:
    """Send requests, writes among them, and leave before the answer; every other with a RST."""
    for number in range(_DISCONNECTS):
        with scene.clients.begin(write=number % 3 > 0) as client:
            if number % 2:
                linger = struct.pack("ii", 1, 0)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _dawdle(scene: Scene) -> None:
    """Hold twice the connections that there are for as long as the service lets us."""
    dawdlers = [scene.clients.connect() for _ in range(2 * WORKERS * 100)]
    try:
        for number, each in enumerate(dawdlers):
            _try_to_send(each, _DAWDLERS[number % len(_DAWDLERS)])
        deadline = time.monotonic() + 30
        left = sum(not _is_ended(each, deadline) for each in dawdlers)
        scene.require(not left, f"{left} dawdling clients are still connected")
    finally:
        for each in dawdlers:
            each.close()


def _try_to_send(client: socket.socket, data: bytes) -> None:
    try:
        client.sendall(data)
    except ConnectionError:
        return  # it had to make room already


def _is_ended(client: socket.socket, deadline: float) -> bool:
    """Wait for the server to end the connection."""
    client.settimeout(max(0.01, deadline - time.monotonic()))
    try:
        while client.recv(4096):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def _lose_mail_server(scene: Scene) -> None:
    """Sign up while no mail can be sent; all of it arrives once it can."""
    people = [f"mail{number}@example.com" for number in range(_MAILS)]
    taken = [scene.clients.sign_up(each, f"192.0.2.{n}") for n, each in enumerate(people)]
    scene.require(taken == [201] * _MAILS, f"sign-ups were answered {taken}")
    time.sleep(2)
    with start_blocking_portal() as portal:
        server = running_smtp_server(scene.mail_port)
        with portal.wrap_async_context_manager(server) as catcher:
            deadline = time.monotonic() + 40
            waiting = {*people}
            while waiting and time.monotonic() < deadline:
                time.sleep(0.1)
                waiting -= {str(message["To"]) for message in [*catcher.messages]}
    scene.require(not waiting, f"{len(waiting)} mails have not arrived")


def _restart_service(scene: Scene) -> None:
    scene.service.restart()


DISCONNECTS = Fault(f"{_DISCONNECTS} disconnects", 2, _disconnect)
PROCESS_FAULTS = (
    Fault("worker killed", 5, _kill_worker),
    Fault("SIGTERM, and a new start", 5, _stop_service),
    Fault(
        f"SIGTERM with SHUTDOWN_DELAY={_DELAY}",
        5,
        _announce_stop,
        prepare=_delay_shutdown,
        clean=_restart_service,
    ),
    DISCONNECTS,
    Fault(f"{2 * WORKERS * 100} clients that dawdle", 2, _dawdle),
    Fault("mail server away", 2, _lose_mail_server),
)
