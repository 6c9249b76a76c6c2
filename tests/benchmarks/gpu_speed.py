"""All measurements that need a GPU, one command: `python tests/benchmarks/gpu_speed.py [--parts ...]`.

    speed    training at 224 pixels in batches of 32: ours, ours compiled, and the peer's (peer.py: float32,
             JPEGs decoded in DataLoader workers), in images a second; ours as a share of the device's peak
    packing  images a second of as many trials at once as their shares of the GPU allow, against one alone
    input    the real input pipeline against one resident batch (input_speed.py)
    frozen   a frozen cell against a fine-tuned one (frozen_speed.py)
    sweep    the preset smoke against the peer (sweep_speed.py)
    tests    the tests marked gpu: bfloat16 against float32, the cap on memory, going on where cut off

Each part takes some minutes; --parts runs some of them. A part that fails says why, the others go on, and a
table at the end says of each part whether it ended well; the exit status is 1 where one did not. Nothing of
this has run on a GPU yet; how it deals with processes that die is tested on a CPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pytorch_lightning as pl
import torch

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import input_speed  # noqa: E402
import peer  # noqa: E402
from side_by_side import WELL, outcome_of, side_by_side  # noqa: E402

from sweeps.planning.memory import needed_bytes  # noqa: E402
from sweeps.planning.resources import Resources  # noqa: E402
from transfusion.architectures import ARCHITECTURES, Architecture  # noqa: E402
from transfusion.cell import Cell, Recipe  # noqa: E402
from transfusion.data.dataset import Dataset  # noqa: E402
from transfusion.layouts import chexpert  # noqa: E402
from transfusion.networks.network import build  # noqa: E402
from transfusion.phantom import writing  # noqa: E402
from transfusion.phantom.settings import Phantom  # noqa: E402
from transfusion.training import acceleration  # noqa: E402
from transfusion.training.process_state import cap_memory  # noqa: E402

SIZE, BATCH = 224, 32
HERE = Path(__file__).parent
COMMANDS = {
    "input": [HERE / "input_speed.py", "--device", "cuda"],
    "frozen": [HERE / "frozen_speed.py"],
    "sweep": [HERE / "sweep_speed.py", "--preset", "smoke"],
    "tests": ["-m", "pytest", "-m", "gpu", "-n", "0", ROOT / "tests"],
}


def main() -> None:
    parts = ("speed", "packing", *COMMANDS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--architectures", nargs="+", default=ARCHITECTURES)
    parser.add_argument("--workers", type=int, default=15, help="of the peer's DataLoader")
    parser.add_argument("--images", type=int, default=2048, help="that the peer trains on")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("found no GPU, expected one; the CPU's measurements are the other scripts here")
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}\n", flush=True
    )
    outcomes = {
        part: outcome_of(
            {
                "speed": lambda: against_the_peer(options.architectures, options.images, options.workers),
                "packing": lambda: packing(options.architectures),
            }.get(part, partial(command, part))
        )
        for part in options.parts
    }
    print("\n| part | ended |\n|---|---|")
    print("\n".join(f"| {part} | {outcome} |" for part, outcome in outcomes.items()))
    if set(outcomes.values()) != {WELL}:
        raise SystemExit(1)


def command(part: str) -> None:
    print(f"\n{part}", flush=True)
    subprocess.run([sys.executable, *map(str, COMMANDS[part])], check=True, cwd=ROOT)


def against_the_peer(chosen: list[Architecture], images: int, workers: int) -> None:
    device = torch.device("cuda")
    peak = input_speed.peak_operations(device)
    print(f"peak of a matrix product in bfloat16: {peak / 1e12:,.0f} TFLOP/s\n")
    print(
        f"| {SIZE} pixels | peer, images/s | ours | compiled | compiling, s | times as fast | share of peak |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        dataset = chexpert.read(
            writing.write(Path(name) / "phantom", Phantom(images=int(images * 1.4) + 300))
        )
        for architecture in chosen:
            theirs = peer_speed(architecture, dataset, images, workers)
            ours, _ = input_speed.speeds(architecture, SIZE, device, epochs=4)
            before, acceleration.COMPILE_SECONDS = acceleration.COMPILE_SECONDS, -1.0
            try:
                start = time.perf_counter()
                compiled, _ = input_speed.speeds(architecture, SIZE, device, epochs=4)
                compiling = time.perf_counter() - start - 4 * 2 * 64 * BATCH / compiled
            finally:
                acceleration.COMPILE_SECONDS = before
            best = max(ours, compiled)
            share = best * 6 * ARCHITECTURES[architecture].macs(SIZE) / peak
            print(
                f"| {architecture} | {theirs:,.0f} | {ours:,.0f} | {compiled:,.0f} | {compiling:.0f} "
                f"| {best / theirs:.1f} | {share:.2f} |",
                flush=True,
            )


def peer_speed(architecture: Architecture, dataset: Dataset, images: int, workers: int) -> float:
    """Images a second of the peer's training, the median of the epochs after the first."""
    recipe = Recipe(image_size=SIZE, batch_size=BATCH)
    cell = Cell(architecture=architecture, train_images=images)
    parts, _, outputs = peer.loaders(cell, recipe, dataset, workers)
    module = peer.Classifier(build(architecture, outputs), recipe, binary=True)
    clock = Clock()
    trainer = pl.Trainer(
        accelerator="gpu", devices=1, max_epochs=3, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[clock],
    )  # fmt: skip
    trainer.fit(module, parts["train"])
    return images / median(clock.seconds[1:])


class Clock(pl.Callback):
    """Seconds of every epoch of training."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        torch.cuda.synchronize()
        self.start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)


def packing(chosen: list[Architecture]) -> None:
    """Trials side by side at the share that the sweep gives them."""
    memory = torch.cuda.get_device_properties(0).total_memory
    machine = Resources(device="cuda", cpus=1, cores=(64,), gpus=(1.0,), gpu_memory=memory)
    recipe = Recipe(image_size=SIZE, batch_size=BATCH)
    print("\n| share packing | need, GB | share | one, images/s | all together | cells per hour, times |")
    print("|---|---|---|---|---|---|")
    for architecture in chosen:
        size = 2 if acceleration.reduced_type(torch.device("cuda")) else 4
        need = needed_bytes(Cell(architecture=architecture, train_images=1), recipe, {}, size)
        count = machine.slots(machine.share(need))
        alone, together = (side_by_side(partial(train, architecture), k) for k in (1, count))
        wrong = [answer for answer in (*alone, *together) if isinstance(answer, str)]
        speeds = [sum(answers) if not wrong else 0.0 for answers in (alone, together)]
        ending = f"failed: {wrong[0]} | |" if wrong else f"{speeds[1]:,.0f} | {speeds[1] / speeds[0]:.2f} |"
        print(f"| {architecture} | {need / 1e9:.1f} | 1/{count} | {speeds[0]:,.0f} | {ending}", flush=True)


def train(architecture: Architecture, count: int, begin: Callable[[], Any]) -> float:
    device = torch.device("cuda")
    cap_memory(1 / count)
    input_speed.speeds(architecture, SIZE, device, epochs=2)
    begin()
    return input_speed.speeds(architecture, SIZE, device, epochs=6)[0]


if __name__ == "__main__":
    main()
