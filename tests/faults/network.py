"""Where the servers are: hosts in network namespaces of their own, or ports on loopback."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers import find_free_port

INSIDE = "FAULTS_FOLDER"  # set where a program has namespaces of its own
_NETWORK = "10.99.0"
# Its own network, mounts and processes: when the first of them is killed, the kernel ends the rest.
_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# The first process of a namespace inherits what others leave behind; a shell reaps it.
_SHELL = ("sh", "-c", '"$@" & wait $!', "sh")


@dataclass(frozen=True)
class Host:
    """A host's address, and the command before commands that are to run there."""

    name: str
    address: str
    port: int
    within: tuple[str, ...] = ()


def _share(name: str) -> Host:
    return Host(name, "127.0.0.1", find_free_port())


class Loopback:
    """Ports of this machine, which cannot be cut off from it."""

    has_hosts = False

    def __init__(self, names: str = "ab", *, apart: bool = False) -> None:
        """Give each host an address of its own, which Linux has, or a port of its own."""
        self.hosts = [
            Host(name, f"127.0.0.{number}", 5432) if apart else _share(name)
            for number, name in enumerate(names, 2)
        ]

    def mount(self, folder: Path) -> None:
        folder.mkdir()


class Namespaces:
    """Hosts on a bridge; everything is inside of namespaces that end with this process."""

    has_hosts = True

    def __init__(self, names: str = "ab") -> None:
        Path("/run/netns").mkdir(exist_ok=True)
        _do("mount -t tmpfs none /run/netns")  # which nobody outside of here sees
        _do("ip link set lo up")
        _do("ip link add br0 type bridge")
        _do(f"ip address add {_NETWORK}.1/24 dev br0")
        _do("ip link set br0 up")
        self.hosts = [self._add_host(name, number) for number, name in enumerate(names, 2)]

    def _add_host(self, name: str, number: int) -> Host:
        _do(f"ip netns add {name}")
        _do(f"ip link add {name}0 type veth peer name eth0 netns {name}")
        _do(f"ip link set {name}0 master br0 up")
        _do(f"ip -n {name} address add {_NETWORK}.{number}/24 dev eth0")
        _do(f"ip -n {name} link set eth0 up")
        _do(f"ip -n {name} link set lo up")
        within = ("ip", "netns", "exec", name)
        return Host(name, f"{_NETWORK}.{number}", 5432, within)

    def mount(self, folder: Path) -> None:
        """Make a small disk, which can be filled."""
        folder.mkdir()
        _do(f"mount -t tmpfs -o size=200m,mode=755 none {folder}")

    def cut(self, host: Host) -> None:
        """Let every packet from the host vanish: no answer, no RST, as if its power had failed."""
        _do(f"ip -n {host.name} route delete {_NETWORK}.0/24")
        _do(f"ip -n {host.name} route add blackhole {_NETWORK}.0/24")

    def mend(self, host: Host) -> None:
        _do(f"ip -n {host.name} route delete blackhole {_NETWORK}.0/24")
        _do(f"ip -n {host.name} route add {_NETWORK}.0/24 dev eth0 src {host.address}")


Network = Loopback | Namespaces


def make_network(names: str = "ab", *, apart: bool = False) -> Network:
    return Namespaces(names) if INSIDE in os.environ else Loopback(names, apart=apart)


def find_wrapper() -> tuple[str, ...]:
    """Return the command that gives the program namespaces of its own; nothing if it may not."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        return ()
    probe = "ip link add br0 type bridge && mount -t tmpfs none /mnt"
    done = subprocess.run([*_UNSHARE, "sh", "-c", probe], capture_output=True, check=False)
    return (*_UNSHARE, *_SHELL) if done.returncode == 0 else ()


def _do(command: str) -> None:
    subprocess.run(command.split(), check=True)
