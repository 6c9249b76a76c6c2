"""The whole analysis on folders as a sweep leaves them: tables, figures, report, notebook, command line."""

from __future__ import annotations

import html.parser
import json
import shutil
import subprocess
from pathlib import Path

import cell_folders as folders
import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.__main__ import main
from analysis.claims.conjectures import grid_of
from analysis.claims.estimates import estimate_table
from analysis.figures.records import RECORDS
from analysis.numbers import signed
from analysis.report.render import number, probability, table
from analysis.report.wording import difference, level
from analysis.statistics.from_evidence import measure
from analysis.tables.collect import collect

ROOT = Path(__file__).parents[3]
SHOWN = [record.name for record in RECORDS if record.narrow or not record.within]
"""Figures of the report on a full grid: those that lie within another one are left out, but for its own
form for narrow screens."""


def test_areas_in_the_tables_are_those_of_the_predictions(done: Path) -> None:
    from sklearn.metrics import roc_auc_score

    loaded = analysis.load(done)
    levels = loaded.estimates[loaded.estimates["metric"] == "test_auroc"]
    level = levels.dropna(subset=["architecture", "train_images", "init", "freeze"]).iloc[0]
    mine = loaded.trials.query(
        f"architecture == '{level['architecture']}' and train_images == {level['train_images']} "
        f"and init == '{level['init']}' and freeze == '{level['freeze']}'"
    )["cell_id"].iloc[0]
    rows = loaded.predictions.query(f"cell_id == '{mine}' and split == 'test'")
    assert level["estimate"] == pytest.approx(roc_auc_score(rows["label"], rows["logit"]))
    assert 0 < level["low"] < level["estimate"] < level["high"] < 1
    every = levels.dropna(subset=["architecture", "train_images", "init", "freeze", "low"])
    assert ((every["low"] > 0) & (every["high"] < 1)).all()
    assert level["patients"] == 60


class Reader(html.parser.HTMLParser):
    """Tags, sources of pictures and visible text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_one_file_without_scripts_and_with_its_pictures(done: Path) -> None:
    reader = Reader()
    reader.feed((done / "report.html").read_text())
    assert "script" not in reader.tags
    assert reader.tags.count("img") == len(SHOWN)
    assert all(source.startswith(("data:", "#")) for source in reader.sources)
    assert "<script>alert(1)</script>" in reader.text  # shown as text
    parts = (
        "On made-up radiographs (60 test patients, 1 seed): ",
        "Is a larger network needed?",
        "The size of",
    )
    headline, answers, size = (reader.text.index(text) for text in parts)
    assert headline < answers < size < reader.text.index("1. Deep models are too difficult to train: ")
    assert "ImageNet" not in (done / "conclusion.md").read_text()


def text_of(out: Path) -> str:
    reader = Reader()
    reader.feed((out / "report.html").read_text())
    return reader.text


def test_the_report_says_what_is_missing(done: Path) -> None:
    text = text_of(done)
    assert "Failed cells 1 of them" in text
    assert "140 cells planned: 138 done, 1 failed, 1 not finished." in text
    assert "with one seed nothing is decided" in text
    assert "the grid plans no cells of one kind that it compares" in text  # no balanced classes
    assert "138 of 140 planned cells" in (done / "conclusion.md").read_text()


def test_the_report_says_each_number_of_the_verdicts_once_before_the_folded_parts(done: Path) -> None:
    text = text_of(done).split("What it cannot say")[1].split("The study's own findings")[0]
    claims = analysis.load(done).verdicts.dropna(subset=["estimate"])
    for _, claim in claims[claims["estimate"].abs() > 1e-3].iterrows():
        assert text.count(f"{difference(claim, '')} {claim['unit']}") == 1, claim["claim"]


RAW = (
    "test_auroc", "test auroc", "not_positive", "log10", "log2", "cbr_large_wide", "seed_part", "[[", "{'",
    "e-1", "nan", "None",
)  # fmt: skip


@pytest.mark.usefixtures("unsaved")
def test_hostile_names_raw_values_and_a_phantom(done: Path, tmp_path: Path) -> None:
    """What comes from outside is escaped, what is a value is put in words, and a phantom is called one."""
    usual = text_of(done)
    assert "Anything about patients" not in usual
    for raw in RAW:
        assert raw not in usual, usual[max(0, usual.index(raw) - 60) : usual.index(raw) + 60]
    cells = folders.grid(("resnet50", "cbr_tiny"), (100, 200), folders.ARMS[:2])
    folders.write_plan(tmp_path, cells)
    rng = np.random.default_rng(0)
    for cell in cells:
        folders.write_cell(tmp_path, cell, test=folders.predictions(0.8, rng, patients=60))
    sweep = {
        **folders.SWEEP,
        "data": {"name": "<b>my</b> phantom & more", "fingerprint": "f00d"},
        "recipe": {**folders.RECIPE, "uncertain": [["Atelectasis", "ones"], ["Edema", "zeros"]]},
        "<i>": {"<u>": "<s>"},
    }
    (tmp_path / "sweep.json").write_text(json.dumps(sweep))
    analysis.run(tmp_path)
    page, text = (tmp_path / "report.html").read_text(), text_of(tmp_path)
    for tag in ("<b>my", "<i>", "<u>", "<s>"):
        assert tag not in page
    assert "On <b>my</b> phantom & more (60 test patients" in text
    assert "Anything about patients: the images are drawn by a program" in text
    assert "Atelectasis: ones, Edema: zeros" in text
    for raw in RAW:
        assert raw not in text, text[max(0, text.index(raw) - 60) : text.index(raw) + 60]


@pytest.mark.parametrize("file", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_report_names_recipe_data_versions_hardware_and_cost(
    done: Path, tmp_path: Path, file: bool
) -> None:
    """From sweep.json, or on a copy of the evidence alone from its own table."""
    out = done
    if not file:
        shutil.copytree(done / "evidence", tmp_path / "evidence")
        analysis.run(tmp_path)
        out = tmp_path
        assert analysis.load(tmp_path).sweep == folders.SWEEP
    text = text_of(out)
    for shown in (
        "made-up radiographs",
        "f00dfeed",
        "2.99.0",
        "no GPU at all",
        "image size32",
        "training hours",
    ):
        assert shown in text
    assert "estimate over truth0.9" in text


def test_every_number_of_the_claims_and_contrasts_is_a_row(done: Path) -> None:
    text, loaded = text_of(done), analysis.load(done)
    for claim in loaded.verdicts.dropna(subset=["estimate"]).to_dict("records"):
        assert f"{difference(pd.Series(claim), '')} {claim['unit']}" in text, claim["claim"]
        assert claim["question"] in text
    named = loaded.estimates["name"]
    sizes = (100, 200, 400, 800)
    wanted = [
        f"test_auroc, {pair} at {size}, mean of networks"
        for size in sizes
        for pair in (
            "photos minus scratch", "consolidation minus scratch", "consolidation minus photos",
            "photos frozen minus fine-tuned", "consolidation frozen minus fine-tuned",
        )
    ]  # fmt: skip
    wanted += [
        "test_auroc, photos minus scratch, trend per doubling, mean of networks",
        "test_auroc gained per doubling from 400 to 800, scratch, mean of networks",
        "test_auprc gained per doubling, scratch, mean of networks",
        "power law's exponent, scratch, mean of networks",
        "test_auroc promised at ten times the data, scratch, mean of networks",
    ]
    for name in wanted:
        assert (named == name).sum() == 1, name
    for shown in (
        "photos minus scratch, at 100 images", "Consolidation minus photos, mean of the sizes",
        "photos frozen minus fine-tuned, change per doubling of the data",
        "gain per doubling, from 400 to 800", "exponent of the power law", "promised at ten times the data",
    ):  # fmt: skip
        assert shown in text, shown
    rows = loaded.estimates[named.isin(wanted[:-2])]
    needed = ["estimate", "low", "high", "seeds", "patients", "cells", "cells_missing", "smallest_effect"]
    assert rows[needed].notna().all().all()
    areas = {"test_auroc", "test_auprc", "test_study_auroc", "official_auroc", "official_study_auprc"}
    assert areas <= set(loaded.estimates["metric"])


def test_published_numbers_stand_beside_ours(done: Path) -> None:
    loaded = analysis.load(done)
    edema = loaded.published.query("finding == 'Edema' and init == 'random'").iloc[0]
    assert edema["published_auroc"] == 0.8834
    assert "arXiv 1902.07208" in edema["source"]
    ours = loaded.estimates.set_index("name").loc[edema["estimate_name"]]
    assert (ours["architecture"], ours["train_images"], ours["init"]) == ("resnet50", 800, "random")
    assert edema["estimate"] == ours["estimate"]
    assert loaded.published.query("finding == 'diabetic retinopathy'")["estimate"].isna().all()
    text = text_of(done)
    assert "Published AUROC beside ours" in text
    assert "diabetic retinopathy" not in text  # no ours beside it


@pytest.mark.usefixtures("unsaved")
@pytest.mark.parametrize("kept", [0, 5])
def test_grids_that_have_hardly_begun(tmp_path: Path, kept: int) -> None:
    cells = folders.grid(("resnet50", "cbr_large_wide"), (100, 200))
    folders.write_plan(tmp_path, cells)
    for cell in cells[:kept]:
        folders.write_cell(tmp_path, cell)
    summary = analysis.run(tmp_path)
    assert summary.counts["done"] == kept
    assert set(summary.verdicts["verdict"]) == {"undecided"}
    text = text_of(tmp_path)
    if not kept:
        assert list((tmp_path / "figures").iterdir()) == []
        assert "Not drawn: training loss of ResNet-50" in text
        assert "no cell has finished" in text
    # The networks of figures are planned: not finished is another thing. Groups of claims may not be.
    assert "the grid has no" not in text.replace("the grid has no network of one of the two groups", "")


@pytest.mark.usefixtures("unsaved")
def test_all_failed_and_one_class_splits_give_a_report_that_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = folders.grid(("resnet50", "cbr_large_wide"), (100, 200, 400), folders.ARMS[:2])
    folders.write_plan(tmp_path, cells)
    one_class = folders.predictions(0.8, rng, patients=20).assign(label=np.float32(0))
    for k, cell in enumerate(cells):
        diverged = k % 3 == 0
        folders.write_cell(
            tmp_path, cell, test=one_class, status="failed" if diverged else "done",
            failure="diverged" if diverged else None,
        )  # fmt: skip
    summary = analysis.run(tmp_path)
    assert summary.counts["failed"] == 4
    estimates = analysis.load(tmp_path).estimates
    assert not (estimates["metric"] == "test_auroc").any()  # undefined is absent, not 0.5
    text = text_of(tmp_path)
    assert "4 failed (4 of them because the loss became infinite)" in text
    assert "8 finished cells have no AUROC on the test split: its images are all of one class" in text


def test_two_seeds_are_measured(tmp_path: Path) -> None:
    cells = folders.grid(("resnet50", "cbr_large_wide"), (100, 200), folders.ARMS[:2], seeds=2)
    folders.write_plan(tmp_path, cells)
    rng = np.random.default_rng(0)
    for cell in cells:
        folders.write_cell(
            tmp_path, cell, losses=rng.normal(0.4, 0.01, 6), test=folders.predictions(0.8, rng, 40)
        )
    collect(tmp_path)
    measures = measure(analysis.load(tmp_path))
    estimates = estimate_table(measures, grid_of(measures, "photos"), law=None)
    rows = estimates[estimates["metric"].isin(["train_loss", "test_auroc"])]
    assert len(rows) > 50
    assert set(rows["seed_part"]) == {"measured"}


def test_margins_are_options_and_are_recorded(done: Path) -> None:
    margins = analysis.load(done).verdicts.groupby("metric")["margin"].first()
    assert (margins["test_auroc"], margins["train_loss"]) == (0.03, 0.2)


@pytest.mark.parametrize("wrong", ["auroc", "auroc=-1", "speed=2"])
def test_margins_that_cannot_be_used_end_with_status_2(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), "--margin", wrong])
    assert stopped.value.code == 2


def test_a_folder_that_holds_nothing_ends_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "expected the --out folder of a sweep" in capsys.readouterr().err


def test_numbers_are_rounded_for_reading_and_missing_is_empty() -> None:
    assert (number(0.1234567), number(1_234_567), number(1.5e-7)) == ("0.123", "1,234,567", "1.5e-07")
    assert (probability(8.33e-17), probability(0.0214)) == ("< 0.001", "0.021")
    assert (signed(0.1126, 3), signed(-0.04, 1), signed(-0.06, 1)) == ("+0.113", "0.0", "-0.1")
    shown = table(pd.DataFrame({"a": [np.nan, 1.0], "empty": [None, np.nan]}))
    assert shown is not None
    assert [[cell.text for cell in row] for row in shown.rows] == [[""], ["1"]]
    assert shown.columns == ("a",)


def test_a_level_of_one_seed_has_no_interval_and_a_small_difference_is_not_zero() -> None:
    row = pd.Series({"metric": "test_auroc", "estimate": 0.788, "low": 0.091, "high": 0.993, "seeds": 1.0})
    assert level(row) == "0.788"
    assert level(row.replace(1.0, 3.0)) == "0.788 (0.091 to 0.993)"
    spikes = pd.Series({"metric": "spikes", "estimate": 0.042, "low": -0.11, "high": 0.194})
    assert difference(spikes) == "+0.04 (-0.11 to +0.19)"
    assert difference(spikes.replace(0.042, 0.31)) == "+0.3 (-0.1 to +0.2)"
    assert difference(spikes.replace(0.042, 0.0)) == "0.0 (-0.1 to +0.2)"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium browser on this machine")
def test_a_browser_shows_the_report_without_errors_at_phone_width(done: Path, tmp_path: Path) -> None:
    """The page itself is loaded in a frame of 390 pixels, and asked for its width and pictures."""
    probe = tmp_path / "probe.html"
    probe.write_text(
        f"""<iframe id=f style="width:390px;height:800px;border:0" src="file://{done}/report.html"></iframe>
        <script>f.onload = () => {{ const d = f.contentDocument;
        const broken = [...d.images].filter(i => !i.complete || !i.naturalWidth).length;
        document.body.innerHTML = `<p id=r>pictures=${{d.images.length}} broken=${{broken}} ` +
        `beyond=${{d.documentElement.scrollWidth - d.documentElement.clientWidth}} ` +
        `width=${{d.documentElement.clientWidth}}</p>`; }}</script>"""
    )
    ran = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--allow-file-access-from-files", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=10000", "--dump-dom",
            f"file://{probe}",
        ],
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert f"pictures={len(SHOWN)} broken=0 beyond=0 width=3" in ran.stdout, (
        ran.stdout[-500:] + ran.stderr[-500:]
    )
    assert "CONSOLE" not in ran.stderr
