"""A network of a test's own: two wires, one to the service and one to the budget server, and machines at their ends.

Everything is in name spaces that end with the test, and needs no rights of root. The wires are bridges, and the service
has an address of the loopback range on its wire, as ``http`` is allowed for no other one: the kernel passes such
addresses on where ``route_localnet`` is set, and no machine keeps the range for itself.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SERVICE, BUDGET = "service", "budget"
ADDRESSES = {SERVICE: "127.77.1", BUDGET: "127.77.2"}
"""The network of each wire; the servers have the first address in it, and the machines those after it."""
ORPHAN_RETRIES = 5
"""How often the kernel repeats what a closed connection had still to send. Its usual 8 are 100 s, and these are 12: as
much shorter as the time-outs of these machines."""

_WIRE = """
ip link set lo up
ip route del table local 127.0.0.0/8 dev lo
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
"""
_SERVERS = _WIRE + "".join(
    # An address that no machine's port has: a port that is taken out of the bridge would else be listened to.
    f"ip link add {wire} address 02:00:00:00:00:01 type bridge\n"
    f"ip addr add {network}.1/24 dev {wire}\n"
    f"ip link set {wire} up\n"
    for wire, network in ADDRESSES.items()
)
_MACHINE = f"""
{_WIRE}
echo {ORPHAN_RETRIES} > /proc/sys/net/ipv4/tcp_orphan_retries
[ ! -e /etc/machine-id ] || mount --bind "$1" /etc/machine-id
mount --bind "$2" /proc/sys/kernel/random/boot_id
hostname "$0"
echo $$
exec cat
"""
_LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
with socket.socket(fileno=int(sys.argv[2])) as parent:
    socket.send_fds(parent, [b"!"], [listener.fileno()])
"""


class NameSpaces:
    """Name spaces that are held by a process of their own. ``under`` in front of a command runs it there."""

    def __init__(self, begin: list[str], kinds: str) -> None:
        self._kinds = kinds
        self._process = subprocess.Popen(
            begin, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if not said.isdigit():
            _, reason = self._process.communicate(timeout=20)
            pytest.skip(f"no network of its own can be made here: {reason.strip()}")
        self.pid = int(said)

    @property
    def under(self) -> list[str]:
        return ["nsenter", "--preserve-credentials", *(f"-{kind}" for kind in self._kinds), "-t", str(self.pid)]

    def run(self, *command: str) -> None:
        """Runs a command there; it must succeed."""
        ran = subprocess.run([*self.under, *command], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr

    def close(self) -> None:
        self._process.communicate(timeout=20)


class FleetNetwork:
    """The wires and the end of them at which the servers are."""

    def __init__(self) -> None:
        for program in ("unshare", "nsenter", "ip"):
            if shutil.which(program) is None:
                pytest.skip(f"needs {program}")
        begin = ["unshare", "-Urnm", "sh", "-ec", f"{_SERVERS}\necho $$\nexec cat"]
        self._servers = NameSpaces(begin, "Unm")
        self._machines: dict[str, tuple[int, NameSpaces]] = {}
        self._deafened: dict[str, set[int]] = {wire: set() for wire in ADDRESSES}

    def listen(self, wire: str) -> socket.socket:
        """A listening socket at the servers' end of a wire, for this process."""
        address = f"{ADDRESSES[wire]}.1"
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [*self._servers.under, sys.executable, "-c", _LISTEN, address, str(theirs.fileno())]
            subprocess.run(command, pass_fds=[theirs.fileno()], check=True)
            _, [descriptor], _, _ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptor)

    def attach(self, name: str, machine_id: Path, boot_id: Path, up_seconds: int) -> list[str]:
        """Makes a machine that has been up for so long, with both wires; returns what runs a command on it."""
        own = ["unshare", "-nmuT", "--monotonic", str(up_seconds), "--boottime", str(up_seconds), "--fork"]
        begin = [*self._servers.under, *own, "sh", "-ec", _MACHINE, name, str(machine_id), str(boot_id)]
        machine = NameSpaces(begin, "UnmuT")
        number = len(self._machines) + 2
        self._machines[name] = number, machine
        for wire, network in ADDRESSES.items():
            port = f"{wire}{number}"
            self._servers.run(
                *("ip", "link", "add", port, "type", "veth", "peer", "name", wire, "netns", str(machine.pid))
            )
            self._servers.run("ip", "link", "set", port, "master", wire, "up")
            machine.run("ip", "addr", "add", f"{network}.{number}/24", "dev", wire)
            machine.run("ip", "link", "set", wire, "up")
        return machine.under

    def unplug(self, name: str, wire: str) -> None:
        """The machine notices that the wire is gone: what is sent fails, or waits in the kernel."""
        self._machines[name][1].run("ip", "link", "set", wire, "down")

    def silence(self, name: str, wire: str) -> None:
        """Nothing comes through any more, and neither side notices."""
        self._servers.run("ip", "link", "set", f"{wire}{self._machines[name][0]}", "nomaster")

    def deafen(self, name: str, wire: str) -> None:
        """What the machine sends arrives, and no answer comes back."""
        number = self._machines[name][0]
        self._deafened[wire].add(number)
        self._servers.run("ip", "route", "replace", "blackhole", f"{ADDRESSES[wire]}.{number}")

    def restore(self, name: str, wire: str) -> None:
        """The wire works again."""
        number, machine = self._machines[name]
        machine.run("ip", "link", "set", wire, "up")
        self._servers.run("ip", "link", "set", f"{wire}{number}", "master", wire)
        if number in self._deafened[wire]:
            self._deafened[wire].remove(number)
            self._servers.run("ip", "route", "del", "blackhole", f"{ADDRESSES[wire]}.{number}")

    def close(self) -> None:
        with contextlib.ExitStack() as stack:
            for _, machine in [(0, self._servers), *self._machines.values()]:
                stack.callback(machine.close)
