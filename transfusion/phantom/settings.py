"""What a phantom is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """The settings that decide the bytes of a phantom.

    Attributes:
        images: training images; with `labels` the first so many of its rows.
        official_images: images of `valid.csv`.
        size: pixels of the short side.
        seed: draws labels and images anew.
        difficulty: 0 to 1, see `render.render`.
        labels: a CSV in CheXpert's format whose rows are drawn, instead of rows of random labels.

    Raises:
        ValueError: a number is out of range.
    """

    images: int
    official_images: int = 234
    size: int = 320
    seed: int = 0
    difficulty: float = 0.5
    labels: Path | None = None

    def __post_init__(self) -> None:
        for name, value, lowest, highest in (
            ("images", self.images, 1, 10**8),
            ("official_images", self.official_images, 1, 10**6),
            ("size", self.size, 16, 4096),
            ("difficulty", self.difficulty, 0, 1),
        ):
            if not lowest <= value <= highest:
                raise ValueError(f"{name}: found {value}, expected {lowest} to {highest}")
