"""Machines that are made up, for tests of what is said of them."""

from pathlib import Path

from sweeps.measuring import machine
from sweeps.planning.resources import Resources

GB = 2**30
CPU = Resources(device="cpu", cpus=1, cores=(2,), device_name="Some CPU")
GPU = Resources(
    device="cuda",
    cpus=1,
    cores=(16,),
    gpus=(1.0,),
    gpu_memory=16 * GB,
    reduced=True,
    device_name="Some GPU",
)
WELL = machine.Facts(
    compiler=True, headers=True, shared=8 * GB, files=(65536, 65536), memory=64 * GB, driver="", cuda=None,
    gpus=0, disks=(("--out", Path("/out"), 100 * GB), ("--cache", Path("/scratch"), 100 * GB)),
)  # fmt: skip
NEEDS = machine.Needs(
    on_gpu=False, compiled=False, trials=2, memory=2 * GB, disks={"--out": GB, "--cache": 40 * GB}
)
