"""Tables of strangers: what cannot be is refused, all at once, with its rows; what can be is judged."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cell_folders import grid, write_cell, write_plan

from analysis.__main__ import main
from analysis.tables import checking, column_checks, schema
from analysis.tables.checking import check
from analysis.tables.schema import EvidenceError


@pytest.fixture
def tables():
    """A sound trials, epochs and predictions of three cells, as data frames."""
    trials = pd.DataFrame(
        {
            "cell_id": ["a", "b", "c"], "architecture": "vgg11", "train_images": [10, 20, 40],
            "init": "random", "freeze": "none", "seed": 0, "status": "done", "test_auroc": [0.6, np.nan, 1.0],
        }
    )  # fmt: skip
    epochs = pd.DataFrame({"cell_id": list("aabbcc"), "epoch": [1, 2] * 3, "train_loss": [0.7, np.nan] * 3})
    predictions = pd.DataFrame(
        {
            "cell_id": np.repeat(["a", "b", "c"], 4), "split": "test", "image": ["1", "2", "3", "4"] * 3,
            "patient": [7, 7, 8, 9] * 3, "label": [1.0, 0.0, np.nan, 1.0] * 3,
            "logit": np.linspace(-1, 1, 12),
        }
    )  # fmt: skip
    return {"trials": trials, "epochs": epochs, "predictions": predictions}


def write(out, tables, rows_of_a_group=2):
    (out / "evidence").mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        data = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(data, out / "evidence" / f"{name}.parquet", row_group_size=rows_of_a_group)
    return out


def refused(out, tables, rows_of_a_group=2):
    """The problems of the tables, a line each, without the advice at the end."""
    with pytest.raises(EvidenceError) as error:
        check(write(out, tables, rows_of_a_group))
    lines = [line for line in str(error.value).splitlines() if line != checking.ADVICE]
    return [line.removeprefix(f"{out / 'evidence'}/") for line in lines]


def test_what_can_be_is_taken(tables, tmp_path):
    """A network, a finding and a pretraining of one's own; numbers as names; masked and missing values."""
    tables["trials"]["init"] = "radimagenet"
    tables["trials"]["finding"] = ["x", None, "x"]
    tables["predictions"]["split"] = tables["predictions"]["split"].astype("category")
    tables["epochs"]["epoch"] = tables["epochs"]["epoch"].astype(float)
    check(write(tmp_path, tables))


@pytest.mark.parametrize(
    ("table", "column", "values", "expected"),
    [
        ("trials", "status", ["done", "completed", "completed"],
         "column status, rows 2 and 3: found 'completed', expected done, failed or missing"),
        ("trials", "test_auroc", [0.6, 87.0, 0.9],
         "column test_auroc, row 2: found 87.0, expected a number from 0 to 1 (a share, not per cent)"),
        ("trials", "test_auprc", [0.6, 0.5, -0.1],
         "column test_auprc, row 3: found -0.1, expected a number from 0 to 1 (a share, not per cent)"),
        ("trials", "freeze", ["none", "Backbone", "none"],
         "column freeze, row 2: found 'Backbone', expected none or backbone"),
        ("trials", "freeze", [False, True, False],
         "column freeze: found bool (False in row 1), expected none or backbone"),
        ("trials", "freeze", [0, 1, 0], "column freeze: found int64 (0 in row 1), expected none or backbone"),
        ("trials", "balance", [None, "natural", "equal"],
         "column balance, row 3: found 'equal', expected natural or balanced"),
        ("trials", "kind", [None, "grid", "pretraining"],
         "column kind, row 3: found 'pretraining', expected grid or upstream"),
        ("trials", "train_images", ["10", "20", "all"],
         "column train_images: found text ('10' in row 1), expected a whole number, at least 1"),
        ("trials", "train_images", [10, 20.5, 40],
         "column train_images, row 2: found 20.5, expected a whole number, at least 1"),
        ("trials", "train_images", [10, 0, 40],
         "column train_images, row 2: found 0, expected a whole number, at least 1"),
        ("trials", "seed", [0, None, 0],
         "column seed, row 2: found nothing, expected a whole number, at least 0"),
        ("trials", "architecture", ["vgg11", None, None],
         "column architecture, rows 2 and 3: found nothing, expected text"),
        ("trials", "cell_id", [1.0, 2.0, 3.0], "column cell_id: found double (1.0 in row 1), expected text"),
        ("trials", "train_loss", [0.1, 0.2, -0.3],
         "column train_loss, row 3: found -0.3, expected a number, at least 0"),
        ("trials", "test_auroc", ["0.9", "0.8", "0.7"],
         "column test_auroc: found text ('0.9' in row 1), expected a number from 0 to 1"),
        ("trials", "test_auroc", [np.inf, 0.8, 0.7],
         "column test_auroc, row 1: found inf, expected a number from 0 to 1 (a share, not per cent)"),
        ("epochs", "train_loss", [0.7, 0.6, -0.5, 0.4, 0.3, -0.5],
         "column train_loss, rows 3 and 6: found -0.5, expected a number, at least 0"),
        ("epochs", "epoch", [1, 2, None, 2, 1, 2],
         "column epoch, row 3: found nothing, expected a whole number, at least 0"),
        ("predictions", "label", [1.0, 0.0, -1.0] * 4,
         "column label, rows 3, 6, 9 and 12: found -1.0, expected 0 or 1"),
        ("predictions", "split", ["test"] * 11 + ["valid"],
         "column split, row 12: found 'valid', expected test or official"),
        ("predictions", "patient", ["p"] * 11 + [None],
         "column patient, row 12: found nothing, expected text"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_rows(table, column, values, expected, tables, tmp_path):
    tables[table][column] = values
    advice = f"; {column_checks.TO_WRITE[column]}" if column in column_checks.TO_WRITE else ""
    assert refused(tmp_path, tables) == [f"{table}.parquet: {expected}{advice}"]


def test_all_problems_of_all_tables_are_told_at_once_and_the_command_ends_with_2(tables, tmp_path, capsys):
    tables["trials"]["status"] = "ok"
    tables["trials"] = tables["trials"].drop(columns=["freeze", "seed"])
    tables["epochs"]["train_loss"] *= -1
    tables["predictions"]["label"] += 1
    assert main([str(write(tmp_path, tables))]) == 2
    err = capsys.readouterr().err
    assert "needs freeze, seed as well" in err
    for words in (
        "column status, rows 1, 2 and 3",
        "column train_loss, rows 1, 3 and 5",
        "column label, rows",
    ):
        assert words in err
    assert "Traceback" not in err


def test_a_hundred_thousand_wrong_values_are_told_in_few_lines(tables, tmp_path):
    rows = 100_000
    tables["epochs"] = pd.DataFrame(
        {"cell_id": "a", "epoch": np.arange(rows), "train_loss": -1 - (np.arange(rows) % 9)}
    )
    found = refused(tmp_path, tables, 999)
    assert len(found) == 6
    assert "rows 1, 10, 19, 28, 37 and 11,107 more: found -1" in found[0]
    assert found[-1].endswith("4 more such values in 44,444 rows")


def test_a_condition_and_seed_twice_names_both_rows(tables, tmp_path):
    """The last row would win, and a missing balance is natural."""
    tables["trials"]["balance"] = [None, "balanced", "natural"]
    tables["trials"]["train_images"] = 10
    (found,) = refused(tmp_path, tables)
    assert found.startswith("trials.parquet: rows 1 and 3: found architecture vgg11, train_images 10")
    assert "seed 0 in each, expected one cell for each condition and seed of the grid; if they are" in found
    tables["trials"]["kind"] = ["grid", "grid", "upstream"]
    check(write(tmp_path, tables))


@pytest.mark.parametrize(
    ("table", "rows", "expected"),
    [
        ("trials", [0, 1, 2, 1], "trials.parquet: rows 2 and 4: found cell_id b in each"),
        (
            "epochs",
            [0, 1, 2, 3, 4, 5, 5, 0],
            "epochs.parquet: rows 1 and 8: found cell_id a, epoch 1 in each",
        ),
        (
            "predictions",
            [0, 1, 0, 0],
            "predictions.parquet: rows 1, 3 and 4: found cell_id a, split test, image 1",
        ),
    ],
)
def test_repeated_rows_are_refused(table, rows, expected, tables, tmp_path):
    tables[table] = tables[table].iloc[rows]
    assert refused(tmp_path, tables)[0].startswith(expected)


def test_ids_that_are_written_in_another_way_are_noticed(tables, tmp_path):
    tables["epochs"]["cell_id"] = ["A"] * 2 + ["B"] * 2 + ["C"] * 2
    assert refused(tmp_path, tables) == [
        "epochs.parquet: column cell_id: found 'A' and others, none of them in trials.parquet, "
        "expected in every row the cell_id that the cell has there"
    ]


def test_numbers_are_read_where_the_file_does_not_state_their_range(tables, tmp_path):
    write(tmp_path, tables)
    tables["epochs"]["train_loss"] = [0.1, 0.2, 0.3, 0.4, 0.5, -0.6]
    data = pa.Table.from_pandas(tables["epochs"], preserve_index=False)
    pq.write_table(data, tmp_path / "evidence" / "epochs.parquet", write_statistics=False)
    with pytest.raises(EvidenceError, match=r"column train_loss, row 6: found -0\.6"):
        check(tmp_path)


def test_a_result_that_cannot_be_is_a_failed_cell_that_says_so(tmp_path):
    cells = grid(architectures=("cbr_tiny",), arms=(("random", "none"),))
    write_plan(tmp_path, cells)
    files = [tmp_path / "cells" / write_cell(tmp_path, cell) / "result.json" for cell in cells]
    for file, (place, name, value) in zip(
        files,
        [("metrics", "test_auroc", 87), ("cell", "freeze", True), ("", "status", "completed"), ("", "", "")],
        strict=True,
    ):
        record = json.loads(file.read_text())
        (record[place] if place else record)[name] = value
        file.write_text(json.dumps(record))
    assert main([str(tmp_path)]) == 0
    trials = pd.read_parquet(tmp_path / "evidence" / "trials.parquet").sort_values("train_images")
    assert trials["status"].tolist() == ["failed", "failed", "failed", "done"]
    for text, words in zip(
        trials["error"],
        ("test_auroc: found 87", "freeze: found True", "status: found 'completed'"),
        strict=False,
    ):
        assert words in text
        assert "remove the cell's folder" in text


def test_every_required_column_is_in_its_table_and_every_word_has_a_meaning():
    for table, names in {**schema.REQUIRED, **schema.NEVER_NULL, **schema.UNIQUE}.items():
        assert set(names) <= {column.name for column in schema.TABLES[table]}
    for column in schema.TRIALS:
        for word in column.words:
            assert f"`{word}`" in column.meaning


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_text_of_every_type_is_text(kind, tables, tmp_path):
    for name, frame in tables.items():
        data = pa.Table.from_pandas(frame, preserve_index=False)
        columns = {c: data[c].cast(kind) if "string" in str(data[c].type) else data[c] for c in frame}
        tables[name] = pa.table(columns)
    check(write(tmp_path, tables))


def test_halves_are_numbers(tables, tmp_path):
    tables["trials"]["test_auroc"] = tables["trials"]["test_auroc"].astype(np.float16)
    tables["epochs"]["train_loss"] = tables["epochs"]["train_loss"].astype(np.float16)
    check(write(tmp_path, tables))
    tables["trials"]["test_auroc"] *= np.float16(100)
    assert "a share, not per cent" in refused(tmp_path, tables)[0]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [("init", "Random", "text, written random"), ("init", " random", "text, written random"),
     ("init", "ImageNet", "text, written imagenet"), ("architecture", "ResNet-18", "text, written resnet18"),
     ("architecture", "CBR Tiny", "text, written cbr_tiny"), ("architecture", "", "text"),
     ("cell_id", " ", "text")],
)  # fmt: skip
def test_our_names_in_another_spelling_and_empty_ones_are_refused(column, value, expected, tables, tmp_path):
    tables["trials"].loc[1, column] = value
    found = refused(tmp_path, tables)
    assert found == [f"trials.parquet: column {column}, row 2: found {value!r}, expected {expected}"]


@pytest.mark.parametrize(("column", "value"), [("label", 0.0), ("patient", 99)])
def test_an_image_has_one_label_and_one_patient(column, value, tables, tmp_path):
    tables["predictions"].loc[4, column] = value
    (problem,) = refused(tmp_path, tables)
    assert f"column {column}" in problem
    assert f"{value} in cell b" in problem
    assert " in cell a" in problem
    assert "for the image 1 (test), and so for 1 image;" in problem
    tables["trials"]["kind"] = ["grid", "upstream", "grid"]
    check(write(tmp_path, tables))


def test_a_grid_has_one_finding(tables, tmp_path):
    tables["trials"]["finding"] = ["Edema", "Mass", None]
    (problem,) = refused(tmp_path, tables)
    assert "found Edema, Mass among the cells of the grid" in problem
    tables["trials"]["kind"] = ["grid", "upstream", None]
    check(write(tmp_path, tables))


def test_colours_and_markers_that_cannot_be_drawn_are_refused(tables, tmp_path):
    tables["trials"]["colour"] = ["#12345", "#a1B2c3", None]
    tables["trials"]["marker"] = ["o", "circle", None]
    first, second = refused(tmp_path, tables)
    assert first.endswith("column colour, row 1: found '#12345', expected a colour as #RRGGBB")
    assert "column marker, row 2: found 'circle', expected one of matplotlib's markers, such as o" in second


def test_a_count_that_may_be_missing_is_whole_all_the_same(tables, tmp_path):
    """Written as a fraction, whose smallest and largest the file states."""
    tables["trials"]["epochs"] = [1.5, 2.0, 3.0]
    (found,) = refused(tmp_path, tables)
    assert found.startswith("trials.parquet: column epochs, row 1: found 1.5, expected a whole number")
    tables["trials"]["epochs"] = [1.0, np.nan, 3.0]
    check(write(tmp_path, tables))


def test_the_grid_has_one_finding_whatever_its_pretrainings_are_of(tables, tmp_path):
    tables["trials"]["finding"] = ["x", "x", "y"]
    tables["trials"]["kind"] = ["grid", None, "upstream"]
    check(write(tmp_path, tables))
    tables["trials"]["finding"] = ["x", "y", "z"]
    (found,) = refused(tmp_path, tables)
    assert found.startswith(
        "trials.parquet: column finding: found x, y among the cells of the grid, expected"
    )


def test_a_row_that_a_cell_wrote_twice_is_told():
    once = pa.table({"epoch": [1, 2, 3], "train_loss": [0.7, 0.6, 0.6]})
    assert checking.impossible(once, "epochs", Path("epochs.parquet")) == []
    twice = pa.concat_tables([once, once.slice(1, 1)])
    (found,) = checking.impossible(twice, "epochs", Path("epochs.parquet"))
    assert "rows 2 and 4" in found
    assert "expected one row for each" in found
