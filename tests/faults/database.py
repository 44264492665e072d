"""Faults of the database: restarts, promotions, hosts and standbys that are gone, locks, disks."""

import signal
import time
from pathlib import Path

import psycopg

from tests.faults.fault import Fault
from tests.faults.network import Namespaces
from tests.faults.scene import Scene

_HANG = 25  # seconds
_SETTLED = 12  # seconds at its end, when all is as it stays
_HELD = 60  # requests; two processes have 40 connections
_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = 'app' AND pid <> pg_backend_pid()"
)


def _restart(scene: Scene) -> None:
    scene.cluster.primary.stop("fast")
    scene.cluster.primary.start()


def _crash(scene: Scene) -> None:
    scene.cluster.primary.stop("immediate")
    scene.cluster.primary.start()


def _be_away(scene: Scene) -> None:
    scene.cluster.primary.stop("fast")
    time.sleep(5)
    scene.cluster.primary.start()


def _terminate_backends(scene: Scene) -> None:
    for _ in range(10):
        scene.cluster.primary.query(_TERMINATE)
        time.sleep(0.3)


def _fail_over(scene: Scene) -> None:
    scene.cluster.primary.kill()
    scene.cluster.promote()


def _lose_host(scene: Scene) -> None:
    assert isinstance(scene.network, Namespaces)
    scene.network.cut(scene.cluster.primary.host)
    time.sleep(2)
    scene.cluster.promote()


def _find_host(scene: Scene) -> None:
    assert isinstance(scene.network, Namespaces)
    lost = scene.cluster.standby
    lost.kill()
    scene.network.mend(lost.host)
    scene.cluster.attach()


def _hang_standby(scene: Scene) -> None:
    """Have COMMIT wait for ever, on more connections than there are; reads go on after a while."""
    scene.cluster.standby.send(signal.SIGSTOP)
    held = [scene.clients.begin(write=True) for _ in range(_HELD)]
    time.sleep(_HANG)
    since = time.monotonic() - _SETTLED
    late = [each for each in scene.ledger.answers if each.ended >= since]
    reads = [each for each in late if not each.writes]
    scene.require(reads and all(each.is_good for each in reads), "reads do not go on")
    scene.require(any(each.writes for each in late), f"writes are not answered in {_SETTLED} s")
    scene.cluster.standby.send(signal.SIGCONT)
    for each in held:
        each.close()


def _lock_tables(scene: Scene) -> None:
    primary = scene.cluster.primary
    with psycopg.connect(f"{primary.conninfo} dbname=app") as holder:
        holder.execute('LOCK TABLE "user", login_session, marble')
        time.sleep(5)


def _fill_disk(scene: Scene) -> None:
    ballast = scene.cluster.primary.folder / "ballast"
    _fill(ballast)
    time.sleep(8)
    ballast.unlink()
    if not scene.cluster.primary.is_running():  # it ends if its log has no place
        scene.cluster.primary.kill()
        scene.cluster.primary.start()


def _fill(path: Path) -> None:
    block = bytes(64 * 1024)
    with path.open("wb", buffering=0) as file:
        for size in (len(block), 4096, 1):
            try:
                while file.write(block[:size]) == size:
                    pass
            except OSError:
                continue


def _follow_again(scene: Scene) -> None:
    scene.cluster.wait_for_standby()


def _attach(scene: Scene) -> None:
    scene.cluster.attach()


def _need_hosts(scene: Scene) -> str | None:
    return None if scene.network.has_hosts else "needs root and network namespaces"


RESTART = Fault("fast restart", 5, _restart, clean=_follow_again)
FAIL_OVER = Fault("kill -9, standby promoted", 15, _fail_over, clean=_attach)
DATABASE_FAULTS = (
    RESTART,
    Fault("immediate stop and start", 5, _crash, clean=_follow_again),
    Fault("away for 5 s", 5, _be_away, clean=_follow_again),
    Fault("all backends terminated, 10 times", 2, _terminate_backends),
    FAIL_OVER,
    Fault(
        "host vanishes, standby promoted",
        15,
        _lose_host,
        clean=_find_host,
        find_missing=_need_hosts,
    ),
    Fault("standby hangs for 25 s", 5, _hang_standby, clean=_follow_again),
    Fault("tables locked for 5 s", 5, _lock_tables),
    Fault("disk full", 10, _fill_disk, clean=_attach, find_missing=_need_hosts),
)
