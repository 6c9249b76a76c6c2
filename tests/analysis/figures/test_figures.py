"""Figures show the numbers of the tables, all of them, on axes that can be read."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import cell_folders as folders
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

import analysis
from analysis.claims.analysed import read_back
from analysis.claims.drawn import Drawn
from analysis.figures.canvas import Absent, Drawing, area_note, crowded, of_seeds, style
from analysis.figures.draw import draw_one
from analysis.figures.records import RECORDS
from analysis.statistics.curves import spikes


@pytest.fixture(scope="module")
def drawn(done: Path) -> Drawn:
    evidence = analysis.load(done)
    return Drawn(read_back(evidence, analysis.measured(evidence)))


def draw(drawn: Drawn, name: str) -> Figure:
    found = next(record for record in RECORDS if record.name == name).draw(drawn)
    assert isinstance(found, Drawing), found
    return found.figure


def why(drawn: Drawn, name: str) -> str:
    found = next(record for record in RECORDS if record.name == name).draw(drawn)
    assert isinstance(found, Absent)
    return found.why


def lines(axes: Axes, label: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points of every line and series of error bars of that label."""
    handles, labels = axes.get_legend_handles_labels()
    found = [handle for handle, name in zip(handles, labels, strict=True) if name == label]
    curves = [
        one.lines[0] if hasattr(one, "lines") and not hasattr(one, "get_xdata") else one for one in found
    ]
    return [(np.asarray(c.get_xdata(), float), np.asarray(c.get_ydata(), float)) for c in curves]


def test_every_figure_is_saved_in_two_forms_with_its_note(done: Path, drawn: Drawn) -> None:
    for record in RECORDS:
        with Image.open(done / "figures" / f"{record.name}.png") as image:
            assert min(image.size) > 500
        assert (done / "figures" / f"{record.name}.pdf").read_bytes().startswith(b"%PDF")
        found = record.draw(drawn)
        assert isinstance(found, Drawing)
        assert "n = " in found.note or "n: seeds" in found.note


def test_a_line_for_every_arm_goes_through_the_estimates(drawn: Drawn) -> None:
    axes = draw(drawn, "figure6").axes[0]
    for label, init, freeze in (
        ("from scratch", "random", "none"),
        ("fine-tuned from Consolidation", "consolidation", "none"),
        ("frozen from Consolidation", "consolidation", "backbone"),
    ):
        rows = drawn.levels.query(
            f"architecture == 'cbr_large_wide' and init == '{init}' and freeze == '{freeze}'"
        )
        ((at, value),) = lines(axes, label)
        np.testing.assert_allclose(value, rows.sort_values("train_images")["estimate"])
        np.testing.assert_allclose(at, sorted(rows["train_images"]), rtol=0.03)


def test_the_learning_curve_has_every_network_and_the_power_law(drawn: Drawn) -> None:
    axes = draw(drawn, "learning_curve").axes[0]
    rows = drawn.levels[drawn.levels["init"] == "random"]
    for name in rows["architecture"].unique():
        mine = rows[rows["architecture"] == name].sort_values("train_images")
        ((_, value),) = lines(axes, drawn.networks[name].network)
        np.testing.assert_allclose(value, mine["estimate"])
    assert drawn.law is not None
    assert np.isnan(drawn.law.promised[1]), "one seed"
    ((at, value),) = lines(axes, "power law of the mean")
    np.testing.assert_allclose(value, drawn.law.curve[0])
    assert at[-1] == pytest.approx(8_000)


def test_gains_are_those_of_the_estimates_and_the_margin_is_shaded(drawn: Drawn) -> None:
    for axes, init in zip(draw(drawn, "gains").axes, ("photos", "consolidation"), strict=True):
        mean = drawn.gains(init)
        mean = mean[mean["architecture"].isna()].sort_values("train_images")
        ((_, value),) = lines(axes, "mean of networks")
        np.testing.assert_allclose(value, mean["estimate"])
        shaded = [patch.get_bbox() for patch in axes.patches]
        assert [(box.y0, box.y1) for box in shaded] == [(-drawn.margin, drawn.margin)]


def test_training_losses_are_the_means_of_the_epochs(drawn: Drawn) -> None:
    axes = draw(drawn, "figure3").axes[0]
    ((epoch, value),) = lines(axes, "ResNet-50 (n = 1)")
    cells = drawn.cells.query("architecture == 'resnet50' and train_images == 800 and init == 'random'")
    epochs = drawn.analysis.evidence.epochs
    rows = epochs[epochs["cell_id"] == cells["cell_id"].iloc[0]].sort_values("epoch")
    np.testing.assert_allclose(value, rows["train_loss"])
    assert list(epoch) == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("unsaved")
def test_a_planted_spike_is_marked_where_it_is(tmp_path: Path) -> None:
    cells = folders.grid(("resnet50", "cbr_tiny"), (100, 200), folders.ARMS[:1])
    folders.write_plan(tmp_path, cells)
    for cell in cells:
        folders.write_cell(tmp_path, cell)
    analysis.run(tmp_path)
    file = tmp_path / "evidence" / "steps.parquet"
    steps = pd.read_parquet(file)
    steps["train_loss"] = np.float32(0.5) + np.float32(0.001) * (steps["step"] % 3).astype("f4")
    steps.loc[steps["step"] == 20, "train_loss"] = np.float32(2.0)
    steps.to_parquet(file)
    evidence = analysis.load(tmp_path)
    shown = Drawn(read_back(evidence, analysis.measured(evidence)))
    assert shown.training is not None
    peaks = shown.training.points[shown.training.points["spike"]]
    assert list(peaks["epoch"]) == pytest.approx([20 / 30 * 6])
    found = spikes(steps.loc[steps["cell_id"] == steps["cell_id"].iloc[0], "train_loss"].to_numpy(float))
    assert found is not None
    axes = draw(shown, "figure1").axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in marks] == [[pytest.approx(2.0)]]
    assert "Spikes: 1; median height" in shown.training.told


def test_the_verdicts_show_every_tested_claim_with_its_number_and_what_was_found(drawn: Drawn) -> None:
    verdicts = drawn.analysis.verdicts.copy()
    claims = verdicts["estimate"].notna()
    verdicts.loc[claims, "effect"] = "small loss"
    verdicts.loc[claims, ["low", "high"]] = [-0.5, 0.25]
    table = Drawn(dataclasses.replace(drawn.analysis, verdicts=verdicts))
    for name in ("verdicts", "verdicts_column"):
        text = "\n".join(one.get_text() for one in draw(table, name).axes[0].texts)
        for _, row in verdicts[claims & (verdicts["estimate"].abs() > 1e-3)].iterrows():
            digits = 1 if row["metric"] == "spikes" else 3
            assert f"{row['estimate']:+.{digits}f} ({-0.5:+.{digits}f} to" in text, row["claim"]
        assert text.count("slightly worse") == claims.sum()
        assert "-0.0 " not in text
        assert "not tested" not in text.lower()


def test_every_axis_has_ticks_and_every_point_is_on_it_or_marked_as_cut(drawn: Drawn) -> None:
    for record in RECORDS:
        if record.name.startswith("verdicts"):
            continue
        figure = draw(drawn, record.name)
        figure.draw_without_rendering()
        for axes in figure.axes:
            for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
                ticks = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
                assert len(ticks) >= 3, (record.name, axes.get_title(), ticks)


def test_a_bar_that_leaves_the_panel_is_marked(drawn: Drawn) -> None:
    analysed = drawn.analysis
    estimates = analysed.estimates.copy()
    mine = (estimates["architecture"] == "cbr_large_wide") & (estimates["metric"] == "test_auroc")
    estimates["seeds"] = 2
    estimates.loc[mine & (estimates["train_images"] == 100), "low"] = 0.05
    wide = Drawn(dataclasses.replace(analysed, estimates=estimates))
    for name, marks in (("figure6", 3), ("figure5", 2)):
        found = next(record for record in RECORDS if record.name == name).draw(wide)
        assert isinstance(found, Drawing)
        assert "Triangles: the bar goes on" in found.note
        triangles = 0
        for axes in found.figure.axes:
            bottom = axes.get_ylim()[0]
            assert bottom > 0.05
            triangles += sum(
                line.get_marker() == "v" and list(line.get_ydata()) == [bottom] and not line.get_clip_on()
                for line in axes.lines
            )
        assert triangles == marks, name
    usual = next(record for record in RECORDS if record.name == "figure6").draw(drawn)
    assert isinstance(usual, Drawing)
    assert "Triangles" not in usual.note


HOSTILE = {
    "font.family": "serif", "font.size": 30, "axes.facecolor": "yellow", "text.color": "red",
    "savefig.transparent": True, "axes.prop_cycle": mpl.cycler(color=["red"]), "figure.facecolor": "black",
    "savefig.bbox": "tight", "axes.unicode_minus": False,
}  # fmt: skip


def test_the_users_settings_do_not_reach_the_figures(drawn: Drawn, tmp_path: Path) -> None:
    record = next(record for record in RECORDS if record.name == "figure6")
    mine = draw_one(drawn, record, tmp_path / "mine")
    with mpl.rc_context(HOSTILE):
        theirs = draw_one(drawn, record, tmp_path / "theirs")
        assert mpl.rcParams["font.size"] == 30  # and they have them back
    assert mine.png is not None
    assert mine.png == theirs.png
    assert (tmp_path / "mine/figure6.png").read_bytes() == (tmp_path / "theirs/figure6.png").read_bytes()


def test_two_threads_leave_the_users_settings_as_they_were() -> None:
    """Were the second to begin before the first ends, it would put back what the first one has set."""
    first_in, second_in = threading.Event(), threading.Event()

    def first() -> None:
        with style():
            first_in.set()
            second_in.wait(0.1)

    def second() -> None:
        first_in.wait(10)
        with style():
            second_in.set()
            threads[0].join(10)

    threads = [threading.Thread(target=one) for one in (first, second)]
    with mpl.rc_context({"font.size": 30}):
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert mpl.rcParams["font.size"] == 30


def small(out: Path, networks: tuple[str, ...], sizes: tuple[int, ...], kept: int | None = None) -> Drawn:
    """A grid from scratch of which the first `kept` cells have finished."""
    cells = folders.grid(networks, sizes, folders.ARMS[:1])
    folders.write_plan(out, cells)
    rng = np.random.default_rng(0)
    for cell in cells[:kept]:
        folders.write_cell(out, cell, test=folders.predictions(0.8, rng, patients=20))
    (out / "sweep.json").write_text(json.dumps(folders.SWEEP))
    analysis.run(out)
    evidence = analysis.load(out)
    return Drawn(read_back(evidence, analysis.measured(evidence)))


def test_what_is_not_planned_is_told_apart_from_what_has_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("analysis.figures.draw.save", lambda *_: None)  # only looked for of the second
        without = small(tmp_path / "a", ("cbr_small", "cbr_tiny"), (100, 200))
    assert why(without, "figure1") == "the grid has no ResNet-50"
    assert why(without, "figure4") == "the grid has no CBR-Large-Wide"
    assert why(without, "gains") == "the grid plans no pretrained cells"
    assert "again" in why(without, "figure3")
    unfinished = small(tmp_path / "b", ("cbr_tiny", "resnet50"), (100, 200), kept=1)
    assert why(unfinished, "figure1") == "no cell of ResNet-50 has finished training"
    assert why(unfinished, "learning_curve") == "only one size has finished, so there is no curve yet"
    assert why(unfinished, "figure5") == "fewer than two networks have finished from scratch"
    assert not (tmp_path / "b" / "figures" / "figure1.png").exists()
    with pytest.raises(ValueError, match=r"figure1: nothing to draw: no cell of ResNet-50 has finished"):
        analysis.figure(analysis.load(tmp_path / "b"), "figure1")


@pytest.mark.usefixtures("unsaved")
def test_one_size_is_no_curve_and_says_so(tmp_path: Path) -> None:
    shown = small(tmp_path, ("cbr_large_wide", "cbr_tiny", "resnet50"), (100,))
    assert "the grid has one size" in why(shown, "learning_curve")
    assert isinstance(draw(shown, "figure5"), Figure)


@pytest.mark.usefixtures("unsaved")
def test_two_networks_have_a_tick_each(tmp_path: Path) -> None:
    shown = small(tmp_path, ("cbr_tiny", "resnet50"), (100, 200))
    parameters, depth = draw(shown, "figure5").axes
    assert list(depth.xaxis.get_majorticklocs()) == [5, 50]
    low, high = parameters.get_xlim()
    assert sum(low <= tick <= high for tick in parameters.xaxis.get_majorticklocs()) >= 3
    (star,) = (line for line in depth.lines if line.get_marker() == "*")
    low, high = depth.get_ylim()
    assert low < star.get_ydata()[0] < high, "what the legend names is drawn"


def test_what_rests_on_one_seed_has_no_bar_and_that_is_said() -> None:
    rows = pd.DataFrame(
        {"seeds": [1, 3], "patients": 147, "positives": 68, "estimate": 0.8, "low": 0.09, "high": 0.99}
    )
    assert "No intervals: with one seed" in area_note(rows[:1])
    assert area_note(rows[1:]).endswith("over patients and seeds. Dots: single seeds.")
    assert "None where there is one seed." in area_note(rows)
    assert of_seeds(rows)["low"].isna().tolist() == [True, False]


def test_sizes_that_would_run_into_each_other_are_told_in_short() -> None:
    assert crowded([5_000, 50_000, 100_000, 200_000, 2_000_000])
    assert not crowded([5_000, 50_000, 100_000, 200_000])
    assert not crowded([400])
