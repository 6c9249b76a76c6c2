"""--power and --pilot: what they plan, what they refuse, and what is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from sweeps.options.command_line import options_of
from sweeps.options.overrides import preset_of
from sweeps.planning.plan import Plan, PlannedCell
from sweeps.planning.resources import Resources
from sweeps.presets import demo
from sweeps.running import power
from transfusion.cell import Cell
from transfusion.problems import SettingError


def test_a_pilot_is_three_seeds_at_the_two_smallest_sizes_of_the_same_grid() -> None:
    cells = preset_of(options_of(["--pilot"])).cells()
    whole = set(preset_of(options_of(["--seeds", "3"])).cells())
    assert {cell.train_images for cell in cells} == {48, 96}
    assert {cell.seed for cell in cells} == {0, 1, 2}
    assert set(cells) < whole
    assert len(cells) == len(whole) // 2
    assert {cell.architecture for cell in cells} == set(demo().space["architecture"]["grid_search"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--power"], "--power: found no --dry-run"),
        (["--pilot", "--seeds", "2"], "--pilot: found --seeds"),
        (["--pilot", "--until-decided"], "--pilot: found --seeds or --until-decided"),
    ],
)
def test_options_that_mean_nothing_by_themselves_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        preset_of(options_of(arguments))


def test_conjectures_are_named_by_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert options_of(["--dry-run", "--power"]).power == ()
    assert options_of(["--dry-run", "--power", "1", "4"]).power == (1, 4)
    assert options_of(["--dry-run"]).power is None
    with pytest.raises(SystemExit):
        options_of(["--dry-run", "--power", "5"])
    assert "invalid choice" in capsys.readouterr().err


def small_plan() -> Plan:
    """Two seeds of one network from scratch and from photos, whose pretraining they share."""
    cells = []
    for seed in (0, 1):
        above = Cell(kind="upstream", finding="photos", architecture="cbr_tiny", train_images=384, seed=seed)
        cells.append(PlannedCell(f"up{seed}", above, None, 3600.0, 0.5))
        for size in (48, 96):
            for init in ("random", "photos"):
                cell = Cell(architecture="cbr_tiny", train_images=size, init=init, seed=seed)
                upstream = f"up{seed}" if init == "photos" else None
                cells.append(PlannedCell(f"{init}{size}{seed}", cell, upstream, 36.0 * size, 0.5))
    return Plan(tuple(cells), {}, frozenset(), {}, demo().recipe)


@pytest.mark.parametrize(("device", "part"), [("cuda", 0.5), ("cpu", 2.0)])
def test_the_plan_is_handed_over_as_plain_values(device: str, part: float) -> None:
    at_hand = Resources(device=device, cpus=2, cores=(64,), gpus=(1.0,))
    planner = SimpleNamespace(at_hand=at_hand, preset=demo())
    counts = [
        SimpleNamespace(
            part=name, finding="Edema", patients=147, trained_positive=100 + k, trained_negative=300
        )
        for k, name in enumerate(("train", "test"))
    ]
    found = power.planned(planner, small_plan(), SimpleNamespace(counts=counts, embedded=True))  # type: ignore[arg-type]
    assert (found["natural"], found["in_domain"], found["seeds"]) == ("photos", None, 2)
    assert (found["patients"], found["images"]) == (147, 401)
    assert found["prevalence"] == pytest.approx(101 / 401)
    assert found["margins"] == {"auroc": 0.05, "loss": 0.1}
    rows = found["conditions"].set_index(["init", "train_images"])
    assert len(rows) == 4
    assert rows.loc[("random", 96), "hours"] == pytest.approx(0.96 * part)
    assert rows.loc[("photos", 48), "upstream"] == "up0"
    assert rows.loc[("photos", 48), "upstream_hours"] == pytest.approx(part)
    assert pd.isna(rows.loc[("random", 48), "upstream"])
    assert (rows["depth"] == 5).all()


def test_what_is_told_of_power(capsys: pytest.CaptureFixture[str]) -> None:
    rows = pd.DataFrame(
        [
            {"effect": effect, "claim": claim, "kind": kind, "right": right, "right_low": 0.1,
             "right_high": 0.9, "grids": 60}
            for claim, kind, right in (("last_doubling", "claim", 0.5), ("conjecture 3", "conjecture", 0.75))
            for effect in (0.0, 1.0, 2.0)
        ]
    )  # fmt: skip
    Console(width=100).print(power.power_table(rows))
    lines = capsys.readouterr().out.splitlines()
    first, second = (
        next(i for i, line in enumerate(lines) if name in line) for name in ("conjecture 3", "last")
    )
    assert first < second
    assert lines[first].count("75 % (10 % to 90 %)") == 3

    design = SimpleNamespace(
        setting=SimpleNamespace(seeds=4, sizes=(50_000, 200_000), networks={"resnet50": 0, "cbr_tiny": 0}),
        hours=412.3,
        power=0.85,
    )
    (text,) = power.cheapest(SimpleNamespace(best=design, tried=[design] * 3), (1, 3), "GPU-hours")
    assert "The cheapest of 3 designs tried that decides conjectures 1, 3 with 80 %" in text
    assert "4 seeds of resnet50, cbr_tiny at 50,000, 200,000 images, about 412 GPU-hours" in text
    (text,) = power.cheapest(SimpleNamespace(best=None, tried=[design]), (2,), "core-hours")
    assert text.startswith("None of 1 designs tried decides conjecture 2 with 80 %.")


def test_without_the_option_a_dry_run_says_how_to_ask_and_simulates_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(power, "forecast", lambda *given: pytest.fail("simulated"))
    power.show(None, None, None, Path(), None, Console(width=120))  # type: ignore[arg-type]
    assert "--power" in capsys.readouterr().out
