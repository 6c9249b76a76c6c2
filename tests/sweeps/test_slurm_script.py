"""The batch script for Slurm, with small fakes of Slurm's, Ray's and Python's commands on PATH."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parents[2] / "sweeps" / "slurm.sbatch"

FAKES = {
    "scontrol": 'echo "scontrol $*" >> $LOG; [ "$1" = show ] && printf "n1\\nn2\\n"; exit 0',
    "squeue": "echo 77.batch; echo 77.0; echo 77.12",
    "scancel": 'echo "scancel $*" >> $LOG',
    "srun": 'echo "srun $*" >> $LOG; while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
    "ray": 'echo "ray $*" >> $LOG; case "$*" in *--head*) exec python3 -c "$LISTEN" "$@";; esac',
    "apptainer": 'echo "apptainer $*" >> $LOG; shift 3; exec "$@"',
    "python": 'echo "python $*" >> $LOG; trap "echo asked >> $LOG; STOP=1" TERM; '
    "for i in $(seq ${STEPS:-1}); do sleep 0.1; "
    'if [ -n "$STOP" ]; then sleep 0.5; echo saved >> $LOG; exit 130; fi; done; exit ${STATUS:-0}',
}
LISTEN = """
import socket, sys, time
port = int(next(word for word in sys.argv if word.startswith("--port=")).split("=")[1])
with socket.create_server(("127.0.0.1", port)):
    time.sleep(30)
"""


@pytest.fixture
def job(tmp_path):
    """Starts the script as Slurm would; returns its process and a function that reads what was called."""
    for name, body in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    log.touch()
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "full_grid.py").touch()
    started = []

    def start(*options, nodes=1, **environment):
        process = subprocess.Popen(
            ["bash", str(SCRIPT), *options],
            env={
                **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "LISTEN": LISTEN,
                "SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "77", "SLURM_JOB_NODELIST": "n[1-2]",
                "SLURM_JOB_NUM_NODES": str(nodes), "SLURM_CPUS_PER_TASK": "3", "RAY_HEAD_IP": "127.0.0.1",
                **environment,
            },
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        started.append(process)
        return process

    yield start, lambda: log.read_text()
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(said, text, seconds=30):
    end = time.monotonic() + seconds
    while text not in said() and time.monotonic() < end:
        time.sleep(0.05)
    assert text in said()


@pytest.mark.parametrize("status", ["0", "1", "2"])
def test_the_job_ends_as_the_sweep_does(job, status):
    start, said = job
    assert start("--preset", "smoke", STATUS=status).wait(30) == int(status)
    assert "python sweeps/full_grid.py --preset smoke\n" in said()
    assert "requeue" not in said()
    assert "ray" not in said(), "one node needs no cluster"


def test_away_from_a_checkout_the_installed_command_runs(job, tmp_path):
    start, said = job
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "transfusion-sweep").write_text('#!/bin/bash\necho "installed $*" >> $LOG\n')
    (tmp_path / "transfusion-sweep").chmod(0o755)
    assert start("--preset", "smoke", SLURM_SUBMIT_DIR=str(tmp_path / "elsewhere")).wait(30) == 0
    assert "installed --preset smoke\n" in said()
    assert "full_grid" not in said()


def test_nodes_become_one_cluster_for_the_sweep(job):
    start, said = job
    assert start("--out", "/shared/study", nodes=2, STEPS="40").wait(30) == 0
    port = 20000 + 77
    assert f"python sweeps/full_grid.py --address 127.0.0.1:{port} --out /shared/study\n" in said()
    heads = [line for line in said().splitlines() if line.startswith("ray start --head")]
    workers = [line for line in said().splitlines() if line.startswith("ray start --block")]
    assert len(heads) == len(workers) == 1
    assert all("--num-cpus=3" in line for line in heads + workers)
    assert "ray stop" not in said(), "it ends every Ray of the user on the node"
    ended = [line for line in said().splitlines() if line.startswith("scancel")]
    assert ended == ["scancel --signal=KILL 77.0", "scancel --signal=KILL 77.12"], "Ray's steps, not the job"


def test_a_signal_is_passed_on_once_and_the_job_is_queued_again(job):
    start, said = job
    process = start(STEPS="200")
    wait_for(said, "python sweeps/full_grid.py")
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    wait_for(said, "asked")
    process.send_signal(signal.SIGUSR1)
    assert process.wait(30) == 130
    assert (said().count("asked"), said().count("saved")) == (1, 1), "a second one would end it at once"
    assert "scontrol requeue 77" in said()


def test_slurm_is_asked_for_a_signal_in_time_and_to_queue_the_job_again():
    asked = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH ")]
    (signalled,) = (one for one in asked if one.startswith("--signal=B:TERM@"))
    assert int(signalled.partition("@")[2]) >= 60, "seconds to save what runs"
    assert {"--requeue", "--open-mode=append", "--ntasks-per-node=1"} <= set(asked)


def child_of(process, word):
    """The process below `process` that has `word` among the words of its command."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for one in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if word in one.cmdline() and "srun" not in " ".join(one.cmdline()):
                    return one
        time.sleep(0.05)
    raise AssertionError(f"no process with {word}")


def test_a_pre_emption_which_signals_the_steps_alone_reaches_the_sweep(job):
    start, said = job
    process = start(STEPS="200")
    wait_for(said, "python sweeps/full_grid.py")
    time.sleep(0.3)
    child_of(process, "listen").send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert said().count("saved") == 1
    assert "scontrol requeue 77" in said()


def test_ray_outlives_the_signal_of_a_pre_emption_until_the_sweep_has_saved(job):
    start, said = job
    process = start(nodes=2, STEPS="200")
    wait_for(said, "python sweeps/full_grid.py")
    status = Path(f"/proc/{child_of(process, '--head').pid}/status").read_text()
    blocked = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk"))
    assert blocked & 1 << (signal.SIGTERM - 1)


def test_a_sweep_that_fails_while_the_job_is_stopped_is_not_queued_again(job):
    start, said = job
    process = start(STEPS="10", STATUS="1")
    wait_for(said, "python sweeps/full_grid.py")
    assert process.wait(30) == 1
    assert "requeue" not in said()


def test_ray_and_the_sweep_run_in_the_users_container(job):
    start, said = job
    assert start("--out", "/o", nodes=2, STEPS="10", RUN="apptainer exec --nv image.sif").wait(30) == 0
    for command in ("ray start --head", "ray start --block", "python sweeps/full_grid.py"):
        assert f"apptainer exec --nv image.sif {command}" in said()


def test_data_are_staged_to_every_node_first(job, tmp_path):
    start, said = job
    source, target = tmp_path / "data", tmp_path / "scratch" / "data"
    source.mkdir()
    (source / "train.csv").write_text("Path\n")
    assert start("--data", str(target), STAGE_FROM=str(source), STAGE_TO=str(target)).wait(30) == 0
    assert (target / "train.csv").read_text() == "Path\n"
    assert said().index("stage") < said().index("python sweeps/full_grid.py")
