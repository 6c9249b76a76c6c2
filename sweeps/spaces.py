"""The search space of the study, and its presets.

A space is a Ray Tune search space whose keys are fields of `Cell`; every axis is a grid search.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transfusion.cell import ARCHITECTURES, FREEZES, Architecture, Balance, Cell, Freeze, Init, Recipe
from transfusion.problems import SettingError

Space = dict[str, Any]


def grid_search(values: Sequence[Any]) -> dict[str, Any]:
    """What `ray.tune.grid_search` gives, without importing Ray for it."""
    return {"grid_search": list(values)}


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """The embedded data set of a preset: how many images of which size (pixels), and how hard (0 to 1)."""

    images: int
    size: int
    difficulty: float


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A whole sweep as a value: its space, its recipe, and its embedded data where it has them."""

    name: str
    summary: str
    space: Space
    recipe: Recipe
    phantom: Phantom | None = None


def grid(
    *,
    architectures: Sequence[Architecture] = ARCHITECTURES,
    train_images: Sequence[int],
    inits: Sequence[Init],
    freezes: Sequence[Freeze] = FREEZES,
    balances: Sequence[Balance] = ("natural",),
    seeds: int = 1,
    finding: str = "Edema",
) -> Space:
    """The full grid over the five axes of the study; `balances` adds trials on balanced classes."""
    return {
        "architecture": grid_search(architectures),
        "train_images": grid_search(train_images),
        "init": grid_search(inits),
        "freeze": grid_search(freezes),
        "balance": grid_search(balances),
        "seed": grid_search(range(seeds)),
        "finding": finding,
    }


def cells(space: Space) -> list[Cell]:
    """Every cell of a space, a frozen random backbone left out.

    Raises:
        SettingError: if a key is no axis, or a value is none of its axis; all of them at once.
    """
    axes = {field.name for field in dataclasses.fields(Cell)} - {"kind"}
    problems = [
        f"search space: found {key!r}, expected one of {', '.join(sorted(axes))}"
        for key in space
        if key not in axes
    ]
    if problems:
        raise SettingError("; ".join(problems))
    values = [value["grid_search"] if isinstance(value, dict) else [value] for value in space.values()]
    found = []
    for combination in itertools.product(*values):
        chosen = dict(zip(space, combination, strict=True))
        if chosen.get("init") == "random" and chosen.get("freeze") == "backbone":
            continue
        try:
            found.append(Cell(**chosen))
        except SettingError as error:
            problems.extend(text for text in str(error).split("; ") if text not in problems)
    if problems:
        raise SettingError("; ".join(problems))
    if not found:
        raise SettingError(
            "search space: found no cell, expected one or more; random weights are never frozen"
        )
    return found


SMOKE = Preset(
    name="smoke",
    summary="two architectures and two sizes in about a minute, to see that everything works",
    space=grid(
        architectures=("resnet18", "cbr_tiny"),
        train_images=(32, 64),
        inits=("random", "photos", "consolidation"),
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

DEMO = Preset(
    name="demo",
    summary="the whole grid on the embedded data, sized for two CPU cores",
    space=grid(train_images=(48, 96, 192, 384), inits=("random", "photos", "consolidation")),
    recipe=Recipe(
        image_size=24,
        epochs=5,
        batch_size=32,
        range_test_steps=8,
        range_test_low=1e-3,
        range_test_high=1e-1,
        batch_norm_momentum=0.2,
        frozen_views=3,
        upstream_images=384,
        upstream_epochs=5,
    ),
    phantom=Phantom(images=6000, size=64, difficulty=0.4),
)

CHEXPERT = Preset(
    name="chexpert",
    summary="the study's own recipe on CheXpert; needs --data and GPUs",
    space=grid(
        train_images=(5_000, 50_000, 100_000, 200_000), inits=("random", "imagenet", "consolidation"), seeds=3
    ),
    recipe=Recipe(views="all"),
)

PRESETS = (SMOKE, DEMO, CHEXPERT)
