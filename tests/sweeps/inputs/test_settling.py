"""What the plan says of images that were copied, replaced or not read yet, and what settles it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import imagenet_folder
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from sweeps import full_grid
from sweeps.inputs import settling
from sweeps.inputs.opening import open_inputs
from sweeps.inputs.pretrained import Pretrained
from sweeps.options.command_line import options_of
from sweeps.options.overrides import preset_of
from sweeps.planning import history
from sweeps.storage.places import Places
from transfusion.cell import NOTHING_SUPPLIED, cell_id
from transfusion.data import content, file_bytes
from transfusion.layouts import imagenet
from transfusion.records import results

CONSOLE = Console(quiet=True)
PEOPLE = 60


def draw(file: Path, number: int) -> None:
    """A PNG whose size in bytes does not hang on `number`."""
    pixels = np.random.default_rng(number).integers(0, 255, (24, 24), dtype=np.uint8)
    Image.fromarray(pixels).save(file, compress_level=0)


def arguments(folder: Path, out: Path) -> list[str]:
    return [
        *("--preset", "smoke", "--architectures", "cbr_tiny", "--train-images", "32", "--inits", "random"),
        *("--dataset", "table", "--data", str(folder / "t.csv"), "--path-column", "file"),
        *("--patient-column", "person", "--out", str(out), "--dry-run"),
    ]


def inputs_of(folder: Path, out: Path) -> settling.Inputs:
    """What a sweep with these options knows of its images while planning."""
    options = options_of(arguments(folder, out))
    preset = preset_of(options)
    return settling.recall(open_inputs(options, preset, out, CONSOLE), Places(out, out / "cache"))


def settle(inputs: settling.Inputs, out: Path) -> settling.Inputs:
    recipe = preset_of(options_of([])).recipe
    return settling.settle(inputs, [], recipe, Places(out, out / "cache"), CONSOLE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir()
    for number in range(2 * PEOPLE):
        draw(place / f"im{number}.png", number)
    rows = [f"im{number}.png,p{number // 2},{number % 2}" for number in range(2 * PEOPLE)]
    (place / "t.csv").write_text("\n".join(["file,person,Edema", *rows]) + "\n")
    return place


@pytest.fixture
def out(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An OUT in which the one cell of the grid has finished on `folder`, as a sweep leaves it."""
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", 0)
    place = tmp_path / "out"
    inputs = settle(inputs_of(folder, place), place)
    preset = preset_of(options_of(arguments(folder, place)))
    (cell,) = preset.cells()
    one = cell_id(cell, preset.recipe, inputs.dataset.fingerprint)
    results.write_result(
        place / "cells" / one,
        results.Origin(cell=cell, recipe=preset.recipe, fingerprint=inputs.dataset.fingerprint),
        results.Outcome(status="done", metrics={"images_per_second": 100.0}),
        environment={"device": "cpu"},
        started="",
        finished="",
    )
    return place


def replace(folder: Path, *numbers: int) -> None:
    """Other bytes of the same size under the same time of content."""
    time.sleep(0.02)  # the clock of the file system is that coarse
    for number in numbers:
        file = folder / f"im{number}.png"
        before = file.stat()
        draw(file, 1000 + number)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def plan(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, int, int]:
    """What `--dry-run` prints; how many cells are done and missing of it."""
    capsys.readouterr()
    assert full_grid.main(arguments(folder, out)) == 0
    text = " ".join(capsys.readouterr().out.split())
    wanted, done, failed, missing = map(int, text.split(" all ")[1].split()[:4])
    assert (wanted, failed) == (1, 0)
    return text, done, missing


def test_moved_and_copied_data_keep_their_cells(folder, out, tmp_path, capsys):
    assert plan(folder, out, capsys)[1:] == (1, 0)
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy)
    assert plan(tmp_path / "copy", out, capsys)[1:] == (1, 0)
    folder.rename(tmp_path / "moved")
    assert plan(tmp_path / "moved", out, capsys)[1:] == (1, 0)


def test_replaced_images_are_new_cells_and_the_plan_counts_them(folder, out, capsys):
    replace(folder, 3, 50, 119)
    text, done, missing = plan(folder, out, capsys)
    assert (done, missing) == (0, 1)
    assert "3 images have changed since the cells in OUT were trained: new cells" in text


def test_images_too_many_to_read_are_assumed_and_settled_before_training(folder, out, capsys, monkeypatch):
    monkeypatch.setattr(content, "FEW_FILES", 0)
    monkeypatch.setattr(content, "SAMPLE", 0)
    replace(folder, 3, 51)  # not among the 32 that the reader looks at
    text, done, missing = plan(folder, out, capsys)
    assert (done, missing) == (1, 0)
    assert "2 images have the size but not the times of those that were read before (a copy?)" in text
    assumed = inputs_of(folder, out)
    ready = settle(assumed, out)
    assert ready.identity != assumed.identity
    said = settling.notes(ready, history.read(out / "cells").records)
    assert said == ["2 images have changed since the cells in OUT were trained: new cells"]
    assert plan(folder, out, capsys)[1:] == (0, 1), "now it is known, and a look says so"


def test_a_copy_too_large_to_read_keeps_its_identity_once_read(folder, out, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FEW_FILES", 0)
    monkeypatch.setattr(content, "SAMPLE", 0)
    shutil.copytree(folder, tmp_path / "copy")
    assumed = inputs_of(tmp_path / "copy", out)
    ready = settle(assumed, out)
    assert ready.identity == assumed.identity
    assert settling.notes(ready, history.read(out / "cells").records) == []


def test_without_its_record_a_large_data_set_is_said_to_be_unread(folder, out, capsys, monkeypatch):
    monkeypatch.setattr(content, "FEW_FILES", 0)
    shutil.rmtree(out / settling.FOLDER)
    text, done, missing = plan(folder, out, capsys)
    assert (done, missing) == (0, 1)
    assert "120 images have not been read yet" in text
    before = inputs_of(folder, out)
    ready = settle(before, out)
    assert ready.identity != before.identity, "so the plan is made again"
    assert plan(folder, out, capsys)[1:] == (1, 0), "and finds the cell that has finished"


def test_images_of_imagenet_that_are_replaced_are_another_pretraining(tmp_path, monkeypatch):
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", 0)
    monkeypatch.setattr(content, "FEW_FILES", 0)
    monkeypatch.setattr(content, "SAMPLE", 0)
    root = imagenet_folder.write_images(tmp_path / "imagenet")
    out = tmp_path / "out"

    def inputs() -> settling.Inputs:
        dataset = imagenet.read(root, 40)
        origin = Pretrained(NOTHING_SUPPLIED, {}, None).with_images(dataset)
        return settling.recall(settling.Inputs(dataset, origin), Places(out, out / "cache"))

    first = settle(inputs(), out)
    assert inputs().identity == first.identity
    assert first.origin.supplied.imagenet == first.origin.imagenet.fingerprint
    images = first.origin.imagenet.frame["image"]
    sampled = set(np.unique(np.linspace(0, len(images) - 1, 32).round().astype(int)))
    row = next(row for row in range(len(images)) if row not in sampled)
    file = first.origin.imagenet.root / images[row]
    data = bytearray(file.read_bytes())
    assert data[6:10] == b"JFIF"
    data[15] ^= 1  # its density: other bytes, the same picture
    time.sleep(0.02)
    file.write_bytes(data)
    assumed = inputs()
    assert assumed.identity == first.identity
    assert settle(assumed, out).origin.supplied.imagenet != first.origin.supplied.imagenet
