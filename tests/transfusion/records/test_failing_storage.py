"""The n-th write, fsync or rename fails, for every n of a cell's life: it is finished or absent, not half."""

import dataclasses
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import pytorch_lightning as pl

from transfusion import trial
from transfusion.cell import Cell
from transfusion.records import attempts, results
from transfusion.study import Study
from transfusion.training.fitting import Hooks

CELL = Cell(kind="upstream", finding="Consolidation", architecture="cbr_tiny", train_images=16)
WRITERS = (
    (pq, "write_table", 1),
    (Path, "write_text", 0),
    (pl.Trainer, "save_checkpoint", 1),
    (trial, "save_stages", 1),
    (os, "fsync", None),
    (os, "replace", None),
)
"""Where a function is found, its name, and which argument names the file that it writes, if it does."""


class Storage:
    """Counts what is asked of a disk, and is full at the call `full_at`: half of what is written is there."""

    def __init__(self, patch: pytest.MonkeyPatch, full_at: int = 0) -> None:
        self.calls, self.full_at = 0, full_at
        for place, name, file in WRITERS:
            patch.setattr(place, name, self.counted(getattr(place, name), file))
        patch.setattr(Path, "open", self.opened(Path.open))

    def counted(self, function: Callable[..., Any], file: int | None) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls != self.full_at:
                return function(*args, **options)
            if file is not None:
                depth = self.calls
                function(*args, **options)
                self.calls = depth  # what it calls in turn is the same write
                os.truncate(args[file], Path(args[file]).stat().st_size // 2)
            raise OSError(errno.ENOSPC, "No space left on device")

        return call

    def opened(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
            if mode == "a":
                self.calls += 1
                if self.calls == self.full_at:
                    with function(path, mode) as file:
                        file.write('{"event": "sta')
                    raise OSError(errno.ENOSPC, "No space left on device")
            return function(path, mode, *args, **options)

        return call


@pytest.fixture
def live(dataset, image_folder, quick):
    """Train `CELL` below a folder, a checkpoint after the first epoch of two."""
    recipe = dataclasses.replace(quick, epochs=2, upstream_epochs=2, range_test_steps=2)

    def live(cells: Path) -> dict[str, Any]:
        hooks = Hooks(checkpoint_seconds=0)
        study = Study(recipe=recipe, dataset=dataset)
        return trial.run_trial(CELL, study, cells=cells, cache=image_folder, hooks=hooks)

    return live


def content(folder: Path) -> dict[str, Any]:
    """What a finished cell says, but for times."""
    record = results.read_result(folder)
    assert record is not None
    losses = {name: record["metrics"][name] for name in ("train_loss", "selection_loss", "learning_rate")}
    steps = pd.read_parquet(folder / "steps.parquet")["train_loss"].tolist()
    return {**losses, "steps": steps, "weights": (folder / results.WEIGHTS).read_bytes()}


@pytest.mark.slow
def test_a_cell_is_finished_or_absent_whichever_write_fails(live, tmp_path):
    live(tmp_path / "first")  # decodes the images, too
    with pytest.MonkeyPatch.context() as patch:
        whole = Storage(patch)
        record = live(tmp_path / "whole")
    name = record["cell_id"]
    expected = content(tmp_path / "whole" / name)
    assert whole.calls > 20
    finished = 0
    for number in range(1, whole.calls + 1):
        cells = tmp_path / str(number)
        with pytest.MonkeyPatch.context() as patch:
            storage = Storage(patch, number)
            with pytest.raises(OSError, match="No space left"):
                live(cells)
            assert storage.calls == number, "it went on although storage failed"
        assert [one.name for one in cells.glob("*/.*")] == [], "a temporary file is left"
        if results.read_result(cells / name) is not None:
            finished += 1
            assert content(cells / name) == expected
        assert all(line["event"] == "started" for line in attempts.read(cells / name))
        live(cells)
        assert content(cells / name) == expected, f"continued after call {number} failed"
    assert finished == 0, "nothing is written once a cell has finished"
