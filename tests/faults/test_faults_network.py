"""A network that loses calls, or is silent for seconds: the sweep ends by itself, with the same bits."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

import psutil
import pytest
from fault_grid import PATIENCE, ROOT, Witness, is_trial, wait_for
from fault_table import judge

pytestmark = [pytest.mark.slow, pytest.mark.faults]

RAY = [sys.executable, "-m", "ray.scripts.scripts"]
PER_CENT = 1
"""Of Ray's calls that lose the request, the answer, or the answer while the call goes on; each."""

BLACKOUT_SECONDS, BETWEEN_SECONDS = 5, 15


@pytest.fixture
def place():
    """A folder for Ray's files: short, since it holds sockets."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_calls_that_ray_loses(grid_of, undisturbed, place, record_property):
    """Ray's own fault injection, in every process of it, as `RAY_testing_rpc_failure` asks for it."""
    chances = dict.fromkeys(("req_failure_prob", "resp_failure_prob", "in_flight_failure_prob"), PER_CENT)
    injected = {"RAY_testing_rpc_failure": json.dumps({"*": {"num_failures": -1, **chances}})}
    grid = grid_of("lost-calls", seeds=6)
    witness, lost = Witness(grid), [0]

    def finished():
        if witness.look() >= len(lost):
            lost.append(lost_calls(place))
        return witness.look() == grid.wanted()

    driver = grid.start(env={**os.environ, **injected, "TMPDIR": str(place)})
    wait_for(finished, driver, grid, 2 * PATIENCE)
    assert driver.wait(PATIENCE) == 0, grid.log()
    assert lost[-1] > 10, "Ray has lost no calls"
    judge(record_property, "calls that Ray loses", lost[-1], witness, undisturbed(grid.seeds))


def lost_calls(place):
    """How many calls Ray's logs say to have lost."""
    logs = [log for log in place.glob("sweep-*/session_2*/logs/*") if log.is_file()]
    return sum(log.read_text(errors="replace").count("Inject RPC") for log in logs)


class TwoMachines:
    """Two network namespaces joined by a veth pair, with a node of Ray in each.

    Each has processes of its own, too, and a folder for Ray's files: Ray looks for a driver's node among the
    processes that it sees, and would talk to the other machine's past the network.

    Attributes:
        address: of the head, which is in the first.
    """

    def __init__(self, place):
        self.mark = uuid.uuid4().hex
        self.names = [f"sweep{self.mark[:6]}{end}" for end in "ab"]
        self.devices = [f"v{self.mark[:6]}{end}" for end in "ab"]
        self.address = "10.231.77.1:6379"
        self.place = place
        self.holders = []
        self.blackouts = 0
        self.stopped = threading.Event()

    def join(self):
        """Make both and the link between them; False where that is not allowed."""
        steps = [f"netns add {name}" for name in self.names]
        steps.append(f"link add {self.devices[0]} type veth peer name {self.devices[1]}")
        for number, (name, device) in enumerate(zip(self.names, self.devices, strict=True), start=1):
            steps += [
                f"link set {device} netns {name}",
                f"-n {name} addr add 10.231.77.{number}/24 dev {device}",
                f"-n {name} link set {device} up",
                f"-n {name} link set lo up",
            ]
        return all(ip(step) for step in steps) and all(self.hold(name) for name in self.names)

    def hold(self, name):
        """A process that keeps a machine's namespaces, its own file system over `place` among them."""
        command = f"mount -t tmpfs none {self.place} && echo ready && exec sleep infinity"
        holder = subprocess.Popen(
            [
                "nsenter", f"--net=/run/netns/{name}",
                "unshare", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child",
                "bash", "-c", command,
            ],
            stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.holders.append(holder)
        return holder.stdout.readline() == b"ready\n"

    def inside(self, number, command):
        """The command on that machine."""
        (first,) = psutil.Process(self.holders[number].pid).children()
        into = ["nsenter", f"--target={first.pid}", "--net", "--mount", "--pid"]
        return [*into, "bash", "-c", f'cd {ROOT} && exec "$@"', "x", *command]

    def start_nodes(self):
        for number, options in enumerate((["--head", "--port=6379"], [f"--address={self.address}"])):
            command = [
                *RAY, "start", *options, f"--node-ip-address=10.231.77.{number + 1}", "--num-cpus=1",
                "--include-dashboard=false", f"--temp-dir={self.place}",
            ]  # fmt: skip
            if number:
                command = [part for part in command if not part.startswith(("--include", "--temp"))]
            subprocess.run(
                self.inside(number, command),
                env=self.environment(), check=True, capture_output=True, timeout=PATIENCE,
                start_new_session=True,
            )  # fmt: skip

    def environment(self):
        """Nothing is set for Ray, and the home holds no token."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return {**kept, "TEST_CLUSTER": self.mark, "TMPDIR": str(self.place), "HOME": str(self.place)}

    def networks_of_trials(self):
        """The network namespaces in which trials run now."""
        found = set()
        for process in psutil.process_iter():
            try:
                if is_trial(process) and process.environ().get("TEST_CLUSTER") == self.mark:
                    found.add(str(Path(f"/proc/{process.pid}/ns/net").readlink()))
            except (psutil.Error, OSError):
                continue
        return found

    def black_out(self):
        """Cut the link again and again, until `stopped`."""
        while not self.stopped.wait(BETWEEN_SECONDS):
            ip(f"-n {self.names[1]} link set {self.devices[1]} down")
            self.blackouts += 1
            self.stopped.wait(BLACKOUT_SECONDS)
            ip(f"-n {self.names[1]} link set {self.devices[1]} up")

    def close(self):
        """End what runs on either, and take both away."""
        self.stopped.set()
        for process in psutil.process_iter():
            try:
                if process.environ().get("TEST_CLUSTER") == self.mark:
                    process.kill()
            except (psutil.Error, OSError):
                continue
        for holder in self.holders:
            holder.kill()
            holder.wait()
        for name in self.names:
            ip(f"netns delete {name}")
        ip(f"link delete {self.devices[0]}")


def ip(arguments):
    """Whether `ip` did it."""
    return subprocess.run(["ip", *arguments.split()], capture_output=True, check=False).returncode == 0


@pytest.fixture
def machines(place):
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("nsenter")):
        pytest.skip("needs root, ip (iproute2) and nsenter (util-linux)")
    two = TwoMachines(place)
    try:
        if not two.join():
            pytest.skip("network namespaces or veth pairs cannot be made here")
        two.start_nodes()
        yield two
    finally:
        two.close()


@pytest.mark.parametrize("driver_on", [0, 1], ids=["beside the head", "away from the head"])
def test_blackouts_between_two_machines(grid_of, undisturbed, machines, driver_on, record_property):
    """5 s without a network, every 20 s, for as long as the sweep trains."""
    grid = grid_of(f"blackouts-{driver_on}", seeds=18)
    witness = Witness(grid)
    with (grid.out.parent / f"{grid.out.name}.log").open("a") as log:
        command = grid.command("--address", machines.address)
        driver = subprocess.Popen(
            machines.inside(driver_on, command),
            cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env=machines.environment(),
        )  # fmt: skip
    assert wait_for(grid.attempts, driver, grid), grid.log()
    threading.Thread(target=machines.black_out, daemon=True).start()
    networks = set()

    def finished():
        networks.update(machines.networks_of_trials())
        return witness.look() == grid.wanted()

    wait_for(finished, driver, grid, 4 * PATIENCE)
    assert driver.wait(PATIENCE) == 0, grid.log()
    assert machines.blackouts >= 2
    assert len(networks) == 2, "only one machine has trained"
    what = f"blackouts of 5 s, driver {'away from' if driver_on else 'beside'} the head"
    judge(record_property, what, machines.blackouts, witness, undisturbed(grid.seeds))
