"""The presets: studies as functions; a file of your own holds others (`--study`, docs/studies.md)."""

from __future__ import annotations

from collections.abc import Callable

from sweeps.spaces import Phantom, Preset, grid
from transfusion.architectures import Architecture
from transfusion.cell import BALANCES, FREEZES, IN_DOMAIN, Cell, Recipe

STUDIED: tuple[Architecture, ...] = (
    "resnet50", "resnet34", "resnet18", "cbr_large_wide", "cbr_large_tall", "cbr_small", "cbr_tiny"
)  # fmt: skip
"""The networks of the presets: those that the study compared."""


def smoke() -> Preset:
    """Two architectures, two sizes, seconds of training."""
    return Preset(
        name="smoke",
        summary="two architectures and two sizes in about a minute, to see that everything works",
        space=grid(
            architecture=("resnet18", "cbr_tiny"),
            train_images=(32, 64),
            init=("random", "photos", *IN_DOMAIN),
            freeze=FREEZES,
        ),
        recipe=Recipe(
            image_size=24,
            epochs=2,
            batch_size=16,
            range_test_steps=12,
            range_test_low=1e-5,
            range_test_high=1e-1,
            frozen_views=2,
            upstream_images=64,
            upstream_epochs=2,
        ),
        phantom=Phantom(images=1500, size=64, difficulty=0.4),
    )


def balanced_from_scratch(cell: Cell) -> bool:
    """Whether classes are as they are, or the cell is one that a claim compares on balanced classes."""
    return cell.balance == "natural" or cell.init == "random"


def demo() -> Preset:
    """The whole grid on the embedded data, and from scratch on balanced classes too, as conjecture 1 asks."""
    return Preset(
        name="demo",
        summary="the whole grid on the embedded data, sized for two CPU cores",
        space=grid(
            architecture=STUDIED,
            train_images=(48, 96, 192, 384),
            init=("random", "photos", *IN_DOMAIN),
            freeze=FREEZES,
            balance=BALANCES,
        ),
        where=balanced_from_scratch,
        recipe=Recipe(
            image_size=24,
            epochs=5,
            batch_size=32,
            range_test_steps=6,
            range_test_low=3e-4,
            range_test_high=3e-3,
            batch_norm_momentum=0.2,
            frozen_views=3,
            upstream_images=384,
            upstream_epochs=5,
        ),
        phantom=Phantom(images=6000, size=64, difficulty=0.4),
        margins={"auroc": 0.05, "loss": 0.1},
        margins_why="The embedded data are a phantom: nothing hangs on a difference that no figure shows.",
    )


def chexpert() -> Preset:
    """The study's own recipe at its own sizes."""
    return Preset(
        name="chexpert",
        summary="the study's own recipe on CheXpert; needs --data and GPUs",
        space=grid(
            architecture=STUDIED,
            train_images=(5_000, 50_000, 100_000, 200_000),
            init=("random", "imagenet", *IN_DOMAIN),
            freeze=FREEZES,
            seed=range(3),
        ),
        recipe=Recipe(views="all"),
    )


PRESETS: dict[str, Callable[[], Preset]] = {"smoke": smoke, "demo": demo, "chexpert": chexpert}
"""By the name that `--preset` takes."""

DEFAULT = "demo"
