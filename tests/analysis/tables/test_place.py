"""One analysis of a folder at a time, and OUTs that are not to be written."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import cell_folders as folders
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from analysis.tables import place, store
from analysis.tables.collect import collect
from analysis.tables.schema import EvidenceError


def test_a_second_analysis_waits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place, "PATIENCE_SECONDS", 0.05)
    order: list[str] = []

    def second() -> None:
        with place.alone(tmp_path):
            order.append("second")

    first = FileLock(tmp_path / place.LOCK, thread_local=False)
    first.acquire()
    waiting = threading.Thread(target=second)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    order.append("first")
    first.release()
    waiting.join(20)
    assert order == ["first", "second"]
    assert f"waiting for another analysis of {tmp_path} to end" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvidenceError, match=r"cannot be written .*--to DIR"), place.alone(tmp_path / "file"):
        pass


def test_everything_can_be_written_elsewhere(tmp_path: Path) -> None:
    """Nothing is written to OUT, of cells or of tables alone."""
    out, elsewhere, again = (tmp_path / name for name in ("out", "elsewhere", "again"))
    cells = folders.grid(("cbr_tiny",), (100,), (("random", "none"),))
    folders.write_plan(out, cells)
    folders.write_cell(out, cells[0], test=folders.predictions(0.8, np.random.default_rng(0), 20))
    (out / "sweep.json").write_text(json.dumps(folders.SWEEP))
    before = sorted(out.rglob("*"))
    for origin, target in ((out, elsewhere), (elsewhere, again)):
        with place.alone(target):
            place.bring(origin, target)
            collect(origin, target)
    assert sorted(out.rglob("*")) == before
    for target in (elsewhere, again):
        assert len(pd.read_parquet(target / "evidence" / "predictions.parquet")) == 40
        assert store.load(target).sweep["preset"] == "made-up"
    with pytest.raises(EvidenceError, match=r"--to .*a sweep's own cells"):
        place.bring(elsewhere, out)


def test_a_cut_record_of_the_sweep_is_done_without(tmp_path: Path) -> None:
    file = tmp_path / "sweep.json"
    file.write_text('{"preset": "made')
    assert store.read_sweep(tmp_path) == {}
    assert f"{file} cannot be read" in store.sweep_note(tmp_path)
    assert "the report says nothing of recipe" in store.sweep_note(tmp_path)
    store.write(tmp_path, "sweep", store.sweep_table({"preset": "made-up"}))
    assert store.read_sweep(tmp_path) == {"preset": "made-up"}
    assert "its copy in evidence is used" in store.sweep_note(tmp_path)
    file.write_text("{}")
    assert store.sweep_note(tmp_path) == ""


@pytest.mark.parametrize("number", place.NO_LOCKS)
def test_a_file_system_without_locks_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    with place.alone(tmp_path):
        assert list(tmp_path.glob(f"{place.LOCK}*")), "something stands for the lock"
    assert not (tmp_path / f"{place.LOCK}.held").exists()
