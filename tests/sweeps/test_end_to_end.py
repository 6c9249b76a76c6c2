"""The whole way through a real Ray: the command, its cells, tables and figures, twice, and with a failure."""

import io
import json
import re
from contextlib import redirect_stdout

import pandas as pd
import pyarrow.parquet as pq
import pytest

import analysis
from sweeps import full_grid
from sweeps.execution import ray_session
from sweeps.running.progress import SweepProgress

ARGUMENTS = ["--preset", "smoke", "--architectures", "cbr_tiny", "resnet18", "--train-images", "32"]


def command(*arguments):
    """Exit status and printed text of the command."""
    text = io.StringIO()
    with redirect_stdout(text):
        status = full_grid.main([*ARGUMENTS, *arguments])
    return status, text.getvalue()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("grid") / "out"
    status, text = command("--out", str(out))
    return out, status, text


def test_the_smoke_grid_runs_to_the_end(first):
    out, status, text = first
    assert status == 0, text
    plan = pd.read_parquet(out / "plan.parquet")
    assert len(plan) == 2 * 5 + 2 * 2
    trials = pd.read_parquet(out / "evidence" / "trials.parquet")
    assert set(trials["cell_id"]) == set(plan["cell_id"])
    assert (trials["status"] == "done").all()
    grid = trials[trials["kind"] == "grid"]
    assert grid["test_auroc"].between(0, 1).all()
    for name in ("epochs", "steps", "predictions", "verdicts"):
        assert pq.read_metadata(out / "evidence" / f"{name}.parquet").num_rows > 0
    drawn = {file.stem for file in (out / "figures").glob("figure*.png")}
    assert drawn == {"figure2", "figure5"}  # the others show networks that this grid has not
    assert "the grid has no ResNet-50" in (out / "report.html").read_text()
    assert "14 cells done, 0 failed, 0 missing" in text
    for word in ("report.html", "figures", "evidence"):
        assert str(out / word) in text
    assert "WARNING" not in text
    assert text.count("The plan") == 1, "reading the images changed nothing in it"


def test_the_labels_are_the_same_in_plan_record_tables_and_report(first):
    """Against pandas on the CSV itself; patients are never in two parts."""
    out, _, text = first
    rows = pd.read_csv(out / "phantom" / "CheXpert-v1.0-small" / "train.csv")
    rows = rows[rows["Frontal/Lateral"] == "Frontal"]
    sweep = pd.read_parquet(out / "evidence" / "sweep.parquet").set_index("name")["value"]
    record = json.loads((out / "sweep.json").read_text())
    assert json.loads(sweep["labels"]) == record["labels"]
    assert {(one["finding"], one["part"]) for one in record["labels"]} == {
        (finding, part)
        for finding in ("Edema", "Consolidation")
        for part in ("train", "selection", "test", "official")
    }
    report = re.sub(r"<[^>]+>", " ", (out / "report.html").read_text())
    for finding, became in (("Edema", "positive"), ("Consolidation", "negative")):
        counts = pd.DataFrame(
            [one for one in record["labels"] if one["finding"] == finding and one["part"] != "official"]
        )
        values = rows[finding]
        kinds = [len(values), (values == 1).sum(), (values == 0).sum(), (values == -1).sum()]
        kinds.append(values.isna().sum())
        names = ["images", "positive", "negative", "uncertain", "blank"]
        assert list(counts[names].sum()) == kinds
        assert counts["patients"].sum() == rows["Path"].str.extract(r"/(patient\d+)/")[0].nunique()
        assert f"uncertain (-1): {kinds[3]:,} -> {became}" in text
        for one in counts.to_dict("records"):
            numbers = [f"{one[name]:,}" for name in ("patients", *names)]
            assert re.search(r"\s+".join([one["part"], *numbers]), text)
            assert re.search(r"\s+".join([finding, one["part"], *numbers[:4]]), report)
    assert record["data"]["split"]["rule"] == "hash", "the embedded data keep the split that they had"


def test_upstream_cells_end_before_what_needs_them_begins(first):
    out, _, _ = first
    records = {p.parent.name: json.loads(p.read_text()) for p in (out / "cells").glob("*/result.json")}
    fed = [record for record in records.values() if record["upstream"]]
    assert len(fed) == 8
    for record in fed:
        assert records[record["upstream"]]["finished"] <= record["started"]


def test_the_same_command_again_trains_nothing(first, monkeypatch):
    out, _, _ = first
    before = {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*")}
    monkeypatch.setattr(ray_session, "start", lambda *args: pytest.fail("Ray was started"))
    monkeypatch.setattr(analysis, "run", lambda *args: pytest.fail("the report was written again"))
    status, text = command("--out", str(out))
    assert status == 0
    assert re.search(r"all\s+14\s+14\s+0\s+0", text)
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").rglob("*")} == before


def test_a_dry_run_starts_nothing_and_writes_no_cell(tmp_path):
    status, text = command("--out", str(tmp_path / "out"), "--dry-run")
    assert status == 0
    assert re.search(r"all\s+14\s+0\s+0\s+14", text)
    assert not (tmp_path / "out" / "cells").exists()
    assert not (tmp_path / "out" / "plan.parquet").exists()


@pytest.mark.slow
def test_a_failing_cell_is_reported_and_the_others_go_on(first, tmp_path):
    """An upstream cell whose weights are of another network breaks what starts from it, and nothing else."""
    out, _, _ = first
    plan = pd.read_parquet(out / "plan.parquet")
    photos = plan.query("kind == 'upstream' and finding == 'photos'").set_index("architecture")["cell_id"]
    upstream, wrong = photos["cbr_tiny"], photos["resnet18"]
    weights = out / "cells" / upstream / "weights.safetensors"
    weights.write_bytes((out / "cells" / wrong / "weights.safetensors").read_bytes())
    victims = plan[plan["upstream"] == upstream]["cell_id"].tolist()
    scratch = "kind == 'grid' and architecture == 'cbr_tiny' and init == 'random'"
    good = plan.query(scratch)["cell_id"].tolist()
    for one in [*victims, *good]:
        (out / "cells" / one / "result.json").unlink()

    status, text = command("--out", str(out))
    assert status == 1
    states = {one: json.loads((out / "cells" / one / "result.json").read_text()) for one in [*victims, *good]}
    assert {states[one]["status"] for one in victims} == {"failed"}
    assert {states[one]["status"] for one in good} == {"done"}
    assert "WeightsError" in states[victims[0]]["error"]
    assert "Failed cells" in text
    for one in victims:
        assert one in re.sub(r"\s", "", text)
    trials = pd.read_parquet(out / "evidence" / "trials.parquet").set_index("cell_id")
    assert (trials.loc[victims, "status"] == "failed").all()
    assert trials.loc[victims, "test_auroc"].isna().all()


def test_progress_counts_and_estimates(first):
    from rich.console import Console

    from sweeps.planning.plan import PlannedCell
    from transfusion.cell import Cell

    cell = Cell(architecture="cbr_tiny", train_images=8)
    cells = [PlannedCell(str(seconds), cell, None, float(seconds)) for seconds in (1, 2, 3)]
    with SweepProgress(Console(file=io.StringIO()), cells) as progress:
        progress.epoch("3", 1, 2)
        progress.finished("1", "done")
        progress.finished("2", "failed")
        assert progress.describe().startswith("1 done, 1 failed, 1 to go")
        assert "left (until" in progress.describe()
        progress.finished("3", "failed")
        assert progress.describe().startswith("1 done, 2 failed, 0 to go")
        assert "left" not in progress.describe()
