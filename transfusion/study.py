"""What all cells of a sweep share, and what one of them is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transfusion.cell import NOTHING_SUPPLIED, Recipe, Supplied
from transfusion.data.dataset import Dataset

Precision = Literal["auto", "bfloat16", "float32"]
"""Of a backbone's arithmetic; `auto` is bfloat16 on a GPU that has it, else float32."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What every cell of a sweep shares.

    Attributes:
        dataset: the data.
        supplied: what `init=imagenet` starts from besides cells.
        imagenet: the images of the upstream task `imagenet`.
    """

    recipe: Recipe
    dataset: Dataset
    supplied: Supplied = NOTHING_SUPPLIED
    imagenet: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What trains a cell.

    Attributes:
        device: `cpu` or `cuda`.
        threads: of the process, for torch on the CPU.
        share: of a GPU's memory that the trial may take.
        precision: of the backbone's arithmetic on a GPU; on a CPU it is float32.
    """

    device: str = "cpu"
    threads: int = 1
    share: float = 1.0
    precision: Precision = "auto"
