"""What befalls the cluster. Each returns since when it has a leader that takes writes."""

import signal
import time

from tests.cluster.patroni import Member
from tests.cluster.stage import Stage
from tests.faults.fault import Fault
from tests.faults.network import Namespaces

_PROMISE = 5  # seconds after the cluster is well
_WITHOUT_QUORUM = 45  # seconds; more than twice the leader's time to live


def settle(stage: Stage) -> None:
    """Let everybody go on, start who was killed, and wait until the cluster is whole."""
    for each in stage.cluster.members:
        each.send(signal.SIGCONT)
        if not each.is_running():
            stage.cluster.start(each)
    stage.cluster.wait_until_whole()


def switch_over(stage: Stage) -> float:
    leader, candidate = stage.cluster.leader, stage.cluster.find_standbys()["sync"]
    names = {"leader": leader.host.name, "candidate": candidate.host.name}
    answer = leader.ask("switchover", "POST", timeout=60, **names)
    stage.require(answer.is_success, f"the switchover was answered {answer.text}")
    return stage.cluster.wait_for_leader(other_than=leader)


def kill_leader(stage: Stage) -> float:
    leader = stage.cluster.leader
    leader.kill()
    return stage.cluster.wait_for_leader(other_than=leader)


def _freeze_leader(stage: Stage) -> float:
    leader = stage.cluster.leader
    leader.send(signal.SIGSTOP)
    return stage.cluster.wait_for_leader(other_than=leader)


def _lose_leader(stage: Stage) -> float:
    """Let every packet from its host vanish, and find it again when there is another leader."""
    assert isinstance(stage.network, Namespaces)
    leader = stage.cluster.leader
    stage.network.cut(leader.host)
    try:
        instant = stage.cluster.wait_for_leader(other_than=leader)
        time.sleep(_PROMISE)
    finally:
        stage.network.mend(leader.host)
    return instant


def _kill_synchronous(stage: Stage) -> float:
    return _kill(stage.cluster.find_standbys()["sync"])


def _kill_asynchronous(stage: Stage) -> float:
    return _kill(stage.cluster.find_standbys()["async"])


def _kill(member: Member) -> float:
    instant = time.monotonic()
    member.kill()
    return instant


def _freeze_synchronous(stage: Stage) -> float:
    """Let COMMIT wait until the leader has given the standby up for another."""
    frozen = stage.cluster.find_standbys()["sync"]
    frozen.send(signal.SIGSTOP)
    while stage.cluster.find_standbys().get("sync") in {frozen, None}:
        time.sleep(0.2)
    return time.monotonic()


def _freeze_standby_and_kill_leader(stage: Stage) -> float:
    stage.cluster.find_standbys()["async"].send(signal.SIGSTOP)
    return kill_leader(stage)


def _lose_quorum(stage: Stage) -> float:
    """Kill two of three etcd for a while; nothing is to happen."""
    instant = time.monotonic()
    _be_without_quorum(stage)
    return instant


def _lose_quorum_without_failsafe(stage: Stage) -> float:
    _be_without_quorum(stage)
    stage.cluster.leader.query("SELECT 1")
    return time.monotonic()


def _be_without_quorum(stage: Stage) -> None:
    gone = stage.cluster.members[1:]
    for each in gone:
        each.kill_etcd()
    time.sleep(_WITHOUT_QUORUM)
    for each in gone:
        each.start_etcd(stage.cluster.members)


def _forgo_failsafe(stage: Stage) -> None:
    stage.cluster.configure(failsafe_mode=False)


def _settle_with_failsafe(stage: Stage) -> None:
    settle(stage)
    stage.cluster.configure(failsafe_mode=True)


def _restart_leader(stage: Stage) -> float:
    answer = stage.cluster.leader.ask("restart", "POST", timeout=60)
    stage.require(answer.is_success, f"the restart was answered {answer.text}")
    stage.cluster.leader.query("SELECT 1")
    return time.monotonic()


def _need_hosts(stage: Stage) -> str | None:
    return None if stage.network.has_hosts else "needs root and network namespaces"


EVENTS = (
    Fault("switchover", _PROMISE, switch_over, clean=settle),
    Fault("kill -9 of leader and Patroni", _PROMISE, kill_leader, clean=settle),
    Fault("leader frozen", _PROMISE, _freeze_leader, clean=settle),
    Fault("leader vanished", _PROMISE, _lose_leader, clean=settle, find_missing=_need_hosts),
    Fault("synchronous standby killed", _PROMISE, _kill_synchronous, clean=settle),
    Fault("asynchronous standby killed", _PROMISE, _kill_asynchronous, clean=settle),
    Fault("synchronous standby frozen", _PROMISE, _freeze_synchronous, clean=settle),
    Fault("standby frozen, leader killed", _PROMISE, _freeze_standby_and_kill_leader, clean=settle),
    Fault(f"etcd without quorum for {_WITHOUT_QUORUM} s", _PROMISE, _lose_quorum, clean=settle),
    Fault(
        "the same without failsafe mode",
        _PROMISE,
        _lose_quorum_without_failsafe,
        prepare=_forgo_failsafe,
        clean=_settle_with_failsafe,
    ),
    Fault("leader restarted", _PROMISE, _restart_leader, clean=settle),
)
