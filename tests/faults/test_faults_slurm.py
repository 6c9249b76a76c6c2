"""The batch script on a real Slurm of two virtual nodes: pre-empted, queued again, the same tables."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fault_grid import PATIENCE, ROOT, Witness
from fault_table import judge

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.faults,
    pytest.mark.skipif(
        os.getuid() != 0 or not all(map(shutil.which, PROGRAMS)),
        reason="needs root and Slurm: apt-get install --no-install-recommends slurm-wlm munge",
    ),
]

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=17100
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldLogFile={folder}/slurmctld.log
KillWait=10
SchedulerParameters=batch_sched_delay=1,sched_interval=2
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17101-17102] CPUs=1 RealMemory=4000
PartitionName=low Nodes=n[1-2] Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=90 State=UP
PartitionName=high Nodes=n[1-2] PriorityTier=10 PreemptMode=OFF State=UP
"""


@pytest.fixture
def slurm(tmp_path_factory):
    """Runs a command of Slurm's; the cluster ends with the test, and all of it lies in one folder."""
    folder = tmp_path_factory.mktemp("slurm")
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder))
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name, code in (("python", ""), ("ray", '-c "from ray.scripts.scripts import main; main()" ')):
        (bin_folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {code}"$@"\n')
        (bin_folder / name).chmod(0o755)
    environment = {
        **os.environ,
        "SLURM_CONF": str(folder / "slurm.conf"),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "RAY_HEAD_IP": "127.0.0.1",
    }
    munge = [
        f"--{what}={folder}/munge.{what.partition('-')[0]}" for what in ("key-file", "socket", "seed-file")
    ]
    daemons = [
        ["munged", "--foreground", "--force", *munge, f"--pid-file={folder}/munged.pid",
         f"--log-file={folder}/munged.log"],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", "n1"],
        ["slurmd", "-D", "-N", "n2"],
    ]  # fmt: skip
    started, quiet = [], subprocess.DEVNULL
    try:
        for daemon in daemons:
            started.append(subprocess.Popen(daemon, env=environment, stdout=quiet, stderr=quiet))
            time.sleep(2)

        def run(*command):
            return subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
            ).stdout.strip()

        wait(lambda: run("sinfo", "-h", "-p", "low", "-t", "idle", "-o", "%D") == "2", 60)
        yield run
        run("scancel", "--full", "--user", "root")
        time.sleep(5)
    finally:
        for process in reversed(started):
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                one.kill()
            process.wait()


def wait(until, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.5)


def test_a_job_that_is_preempted_continues_on_its_own(slurm, grid_of, record_property, tmp_path):
    grid = grid_of("slurm", seeds=2, inits=("random",), epochs=60)
    alone = grid_of("slurm-alone", seeds=2, inits=("random",), epochs=60)
    assert alone.run().returncode == 0
    options = grid.command()[2:]
    log = tmp_path / "job.log"
    job = slurm(
        "sbatch", "--parsable", "--nodes=2", "--cpus-per-task=1", "--time=30", f"--output={log}",
        "sweeps/slurm.sbatch", *options,
    )  # fmt: skip
    witness = Witness(grid)
    wait(lambda: list(Path(grid.out).glob("cells/*/attempts.jsonl")))
    high = slurm(
        "sbatch",
        "--parsable",
        "-p",
        "high",
        "--nodes=2",
        "--time=1",
        "--output=/dev/null",
        "--wrap",
        "sleep 1",
    )
    wait(lambda: "COMPLETED" in slurm("scontrol", "show", "job", high))
    assert "Stopped: SIGTERM" in log.read_text(), "the signal of the pre-emption reached the sweep"
    slurm("scontrol", "update", f"jobid={job}", "starttime=now")  # Slurm lets a requeued job wait for a while
    wait(lambda: "JobState=COMPLETED" in slurm("scontrol", "show", "job", job), 2 * PATIENCE)
    assert "Restarts=1" in slurm("scontrol", "show", "job", job)
    judge(record_property, "a Slurm job pre-empted", 1, witness, alone)


def test_before_its_time_limit_a_job_saves_and_is_queued_again(slurm, grid_of, tmp_path):
    """The signal that `#SBATCH --signal` asks for comes to the batch script; here it is sent by hand."""
    grid = grid_of("slurm-limit", seeds=1, inits=("random",), epochs=200)
    log = tmp_path / "job.log"
    job = slurm(
        "sbatch", "--parsable", "--nodes=1", f"--output={log}", "sweeps/slurm.sbatch", *grid.command()[2:]
    )
    wait(lambda: list(Path(grid.out).glob("cells/*/attempts.jsonl")))
    slurm("scancel", "--batch", f"--signal={signal.SIGTERM.name.removeprefix('SIG')}", job)
    wait(lambda: "Restarts=1" in slurm("scontrol", "show", "job", job))
    assert "the same command continues" in log.read_text()
