"""What `--check` has measured on this kind of machine, kept for every later plan.

The file lies in the user's cache folder rather than in OUT: it serves every OUT, and a plan before there is
one. Its name tells the device, torch's version, and on a CPU the cores and those of a trial; another of
these is another machine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sweeps.planning.memory import Key
from sweeps.planning.resources import Resources
from transfusion.architectures import Architecture
from transfusion.files import atomic

VERSION = 1


@dataclass(frozen=True)
class Speed:
    """One network in training.

    Attributes:
        images_per_second: of one trial among as many as fit, each with its share of the device.
        alone: of one trial that has the device, or its cores, while nothing else runs.
        trials: at once on the device.
        share: of the device, of each trial.
        type: of the backbone's arithmetic.
        memory: bytes at most: of the GPU, else of the process.
        compiled: images a second alone and compiled, 0 where that was not tried.
    """

    architecture: Architecture
    image_size: int
    batch_size: int
    images_per_second: float
    alone: float
    trials: int
    share: float
    type: str
    memory: int
    compiled: float = 0.0

    @property
    def key(self) -> tuple[Architecture, int, int]:
        """What makes two measurements one of the same."""
        return self.architecture, self.image_size, self.batch_size


@dataclass(frozen=True)
class Speeds:
    """What is kept of one kind of machine.

    Attributes:
        head_step_seconds: of a frozen backbone's head, None before it was measured.
        macs_per_second: of a matrix product on a CPU, by the cores of one trial; None before.
    """

    measured: tuple[Speed, ...] = ()
    head_step_seconds: float | None = None
    macs_per_second: float | None = None

    def with_more(self, found: Speeds) -> Speeds:
        """These, those of `found` in place of older ones."""
        newer = {speed.key: speed for speed in (*self.measured, *found.measured)}
        return Speeds(
            tuple(newer.values()),
            found.head_step_seconds or self.head_step_seconds,
            found.macs_per_second or self.macs_per_second,
        )

    def peaks(self) -> dict[Key, int]:
        """Peaks of GPU memory, as `memory.needed_bytes` takes them; meaningless on a CPU."""
        return {(*speed.key, "none"): speed.memory for speed in self.measured}


NOTHING = Speeds()


def kept_in(resources: Resources) -> Path | None:
    """The file of this kind of machine; None where its devices are unknown or of several kinds."""
    if not resources.device_name:
        return None
    parts = [resources.device_name, f"torch {version('torch')}"]
    if resources.device == "cpu":
        parts.append(f"{max(resources.cores)} cores {resources.cpus} a trial")
    name = re.sub(r"[^a-z0-9.+]+", "-", " ".join(parts).lower()).strip("-")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "transfusion-sweep" / "speeds" / f"{name}.json"


def recall(resources: Resources) -> Speeds:
    """What is known of this kind of machine; nothing where the file is of another version or damaged."""
    path = kept_in(resources)
    if path is None or not path.exists():
        return NOTHING
    try:
        found = json.loads(path.read_text())
        if found["version"] != VERSION:
            return NOTHING
        return Speeds(
            tuple(Speed(**one) for one in found["measured"]),
            found["head_step_seconds"],
            found.get("macs_per_second"),
        )
    except (ValueError, KeyError, TypeError):
        return NOTHING  # measured again in two minutes


def keep(resources: Resources, found: Speeds) -> Path | None:
    """Add what was measured to what is known; returns the file.

    Raises:
        OSError: it cannot be written.
    """
    path = kept_in(resources)
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = recall(resources).with_more(found)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps({"version": VERSION, **dataclasses.asdict(everything)}, indent=1))
    return path
