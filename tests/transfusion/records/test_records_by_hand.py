"""Chains of errors, logs of attempts, and what a result says of where it comes from."""

import errno
import json
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from transfusion.cell import NOTHING_SUPPLIED, Cell, Recipe, Supplied, cell_id, upstream_of
from transfusion.records import attempts, results
from transfusion.records.failures import DivergedError, failure_of
from transfusion.weights_input import DEFAULT

RECIPE = Recipe()


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (OSError(errno.ENOMEM, "no memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
        ),
        (ValueError("Cannot allocate memory"), "error"),
        (OSError(errno.EACCES, "Cannot allocate memory"), "error"),
        (ValueError("I/O error: No space left on device (os error 28)"), "storage"),
        (OSError("disk"), "error"),
    ],
)
def test_what_an_error_alone_tells(error, failure):
    assert failure_of(error) == failure


def test_torchs_own_error_of_memory_is_known_by_its_kind_and_without_torch_nothing_is(monkeypatch):
    error = torch.OutOfMemoryError("HIP: 2 GiB asked for")
    assert failure_of(error) == "out_of_memory"
    monkeypatch.delitem(sys.modules, "torch")
    assert failure_of(ValueError("HIP: 2 GiB asked for")) == "error"


def raised(first, second, *, cause):
    """`second`, raised while `first` was handled, `from` it or beside it."""
    try:
        try:
            raise first
        except Exception as inner:
            if cause:
                raise second from inner
            raise second  # noqa: B904
    except Exception as outer:
        return outer


@pytest.mark.parametrize("cause", [True, False])
def test_what_was_raised_while_another_was_handled_is_of_its_kind(cause):
    assert failure_of(raised(DivergedError("nan"), RuntimeError("x"), cause=cause)) == "diverged"
    assert failure_of(raised(OSError(errno.EIO, "x"), ValueError("y"), cause=cause)) == "storage"
    full = OSError(errno.ENOSPC, "full")
    assert failure_of(raised(full, MemoryError(), cause=cause)) == "out_of_memory", "the last one first"
    assert failure_of(raised(KeyError("a"), ValueError("b"), cause=cause)) == "error"


def test_errors_that_name_each_other_as_their_context_come_to_an_end():
    one, two = ValueError("one"), OSError(errno.ENOSPC, "full")
    one.__context__, two.__context__ = two, one
    assert failure_of(one) == "storage"
    two.errno = errno.EACCES
    assert failure_of(one) == "error"


def test_attempts_of_a_cell_that_never_began_are_none(tmp_path):
    assert attempts.read(tmp_path / "nowhere") == []
    assert attempts.exhausted_share(tmp_path / "nowhere") is None


def test_the_log_of_attempts_is_a_line_each_and_the_largest_share_counts(tmp_path):
    looked = []
    for event, share in (("started", 1.0), ("out_of_memory", 0.5), ("out_of_memory", 0.25), ("lost", 0.75)):
        attempts.add(tmp_path / "cell", event, share, lambda: looked.append(1))
    lines = (tmp_path / "cell" / attempts.ATTEMPTS).read_text().splitlines()
    assert [json.loads(line)["share"] for line in lines] == [1.0, 0.5, 0.25, 0.75]
    assert len(looked) == 4
    assert attempts.exhausted_share(tmp_path / "cell") == 0.5
    for line in attempts.read(tmp_path / "cell"):
        assert set(line) == {"event", "share", "time", "host", "pid"}


def write(folder, cell, supplied=NOTHING_SUPPLIED, **outcome):
    return results.write_result(
        folder / "id",
        results.Origin(cell=cell, recipe=RECIPE, fingerprint="data", supplied=supplied),
        results.Outcome(**{"status": "done", **outcome}),
        environment={"device": "cpu"}, started="a", finished="b",
    )  # fmt: skip


def test_a_result_names_its_upstream_or_its_weights(tmp_path):
    scratch = Cell(architecture="resnet18", train_images=64)
    photos = Cell(architecture="resnet18", train_images=64, init="photos")
    imagenet = Cell(architecture="resnet18", train_images=64, init="imagenet")
    supplied = Supplied(weights=(("resnet18", "a" * 64),))
    for cell in (scratch, photos, imagenet):
        record = write(tmp_path / cell.init, cell, supplied)
        above = upstream_of(cell, RECIPE, supplied)
        expected = cell_id(above, RECIPE, "data", supplied) if above else None
        assert record["upstream"] == expected
        assert (expected is None) == (cell is not photos)
        weights = ("a" * 64, DEFAULT.text()) if cell is imagenet else (None, None)
        assert (record["weights"], record["weights_input"]) == weights


def test_a_finished_cell_has_no_checkpoint_and_a_reopened_one_no_result(tmp_path):
    folder = tmp_path / "id"
    folder.mkdir()
    (folder / results.CHECKPOINT).touch()
    (folder / results.TRACEBACK).touch()
    cell = Cell(architecture="cbr_tiny", train_images=64)
    record = write(tmp_path, cell, status="failed", failure="error", error="why")
    assert results.read_result(folder) == record
    assert (record["failure"], record["error"], record["cell_id"]) == ("error", "why", "id")
    assert sorted(file.name for file in folder.iterdir()) == [results.RESULT, results.TRACEBACK]
    results.reopen(folder)
    results.reopen(folder)
    assert list(folder.iterdir()) == []
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path, cell, metrics={"test_auroc": float("nan")})
    assert results.read_result(folder) is None


def test_all_results_are_read_by_id_beside_the_cells_that_have_none(tmp_path):
    assert results.read_all(tmp_path / "nowhere") == ({}, set())
    cell = Cell(architecture="cbr_tiny", train_images=64)
    record = write(tmp_path / "cells", cell)
    (tmp_path / "cells" / "begun").mkdir()
    assert results.read_all(tmp_path / "cells") == ({"id": record}, {"begun"})
    torn = tmp_path / "cells" / "begun" / results.RESULT
    torn.write_text("{")
    with pytest.raises(ValueError, match="found no valid JSON") as refused:
        results.read_all(tmp_path / "cells")
    assert str(torn) in str(refused.value)


def test_a_table_is_read_back_as_it_was_with_what_is_missing_missing(tmp_path):
    """Text that repeats, squeezed; numbers plain, by the codec that is read fastest."""
    columns = {
        "image": ["a.png", "b.png", "a.png"],
        "logit": np.array([0.5, -1.25, 3.0], np.float32),
        "label": [1.0, np.nan, None],
    }
    results.write_table(tmp_path, "predictions", columns)
    found = pd.read_parquet(tmp_path / "predictions.parquet")
    assert found["image"].tolist() == columns["image"]
    assert found["logit"].dtype == np.float32
    assert found["logit"].tolist() == [0.5, -1.25, 3.0]
    table = pq.ParquetFile(tmp_path / "predictions.parquet")
    assert table.read()["label"].to_pylist() == [1.0, None, None]
    stored = [table.metadata.row_group(0).column(k) for k in range(3)]
    assert [one.compression for one in stored] == ["ZSTD", "LZ4", "LZ4"]
    assert [one.has_dictionary_page for one in stored] == [True, False, False]
