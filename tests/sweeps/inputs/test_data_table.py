"""What the plan says of the data: counts by part, what cannot be learned, settings that change nothing."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from sweeps.inputs.data_table import DataSummary, data_tables, summarize
from sweeps.presets import smoke
from sweeps.spaces import Preset, with_axes
from transfusion.data.dataset import Dataset

PARTS = {"train": 40, "selection": 10, "test": 1_200, "official": 4}


def data(positive: float = 0.5) -> Dataset:
    """Two images of every patient; the first images of every part are the positive ones."""
    part = np.repeat(list(PARTS), list(PARTS.values()))
    number = np.concatenate([np.arange(count) for count in PARTS.values()])
    label = (number < positive * np.array([PARTS[name] for name in part])).astype(np.float32)
    patient = [f"{name}{one // 2}" for name, one in zip(part, number, strict=True)]
    names = [f"{name}/{one}" for name, one in zip(part, number, strict=True)]
    frame = pd.DataFrame(
        {"image": names, "patient": patient, "study": names, "view": "frontal", "part": part,
         "Edema": label, "Consolidation": label}
    )  # fmt: skip
    return Dataset(
        root=Path("nowhere"), frame=frame, findings=("Edema", "Consolidation"), fingerprint="0" * 16
    )


def of(**axes: list[object]) -> Preset:
    """The smoke preset with networks of 16 images, these axes otherwise."""
    plain = {"train_images": [16], "init": ["random"], "freeze": ["none"], "balance": ["natural"]}
    preset = smoke()
    return dataclasses.replace(preset, space=with_axes(preset.space, plain | axes))


def notes(preset: Preset, *assignments: str, positive: float = 0.5) -> str:
    return " ".join(summarize(data(positive), preset, "mine", assignments).notes)


GIVEN = ("upstream_images=8", "epochs=2", "frozen_views=3")


@pytest.mark.parametrize(
    ("axes", "idle"),
    [
        ({}, "upstream_images, frozen_views"),
        ({"init": ["random", "photos"]}, "frozen_views"),
        ({"init": ["photos"], "freeze": ["none", "backbone"]}, ""),
    ],
)
def test_settings_that_no_cell_uses_are_told(axes: dict[str, list[object]], idle: str) -> None:
    told = notes(of(**axes), *GIVEN)
    if idle:
        assert f"{idle} of the recipe change no cell of this plan, only the identity of all" in told
    else:
        assert "change no cell" not in told


def test_a_subset_of_one_class_is_told_with_its_counts() -> None:
    learned = "from them nothing can be learned"
    assert learned not in notes(of())
    hold = "The first 16 training images hold 16 positive and 0 negative images of Edema: "
    assert hold + learned in notes(of(), positive=1.0)
    assert "hold 0 positive and 16 negative images of Edema: " + learned in notes(of(), positive=0.0)


def shown(summary: DataSummary, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as told:
        for one in data_tables(summary, width):
            console.print(one)
    return told.get()


def test_counts_are_a_table_or_sentences_on_a_narrow_terminal() -> None:
    """Half of the images of every part are positive, of 600 patients in `test`."""
    summary = summarize(data(), of(init=["random", "consolidation"]), "mine", ())
    narrow = shown(summary, 60)
    counts = "test: 600 patients, 1,200 images, 600 positive, 600 negative, 0 uncertain, 0 blank"
    assert counts in " ".join(narrow.split())
    wide = [line.split() for line in shown(summary, 100).splitlines()]
    assert ["test", "600", "1,200", "600", "600", "0", "0"] in wide
    for text in (narrow, shown(summary, 100)):
        assert text.index("The data: Edema") < text.index("The data: Consolidation") < text.index("split: ")
        assert text.count("split: ") == 1


def test_one_finding_has_its_split_below_it_too() -> None:
    text = shown(summarize(data(), of(), "mine", GIVEN), 100)
    assert text.index("The data: Edema") < text.index("split: ") < text.index("change no cell of this plan")
