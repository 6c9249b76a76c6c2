"""Options in, preset out; unusable ones refused with status 2 before anything starts."""

import os
import re
import signal

import pytest

from sweeps import full_grid
from sweeps.execution import ray_session
from sweeps.options.command_line import options_of, parser
from sweeps.options.overrides import override_recipe, preset_of
from sweeps.planning.resources import Resources
from sweeps.presets import demo
from sweeps.running import connection, sweep
from transfusion.cell import Recipe
from transfusion.problems import SettingError


def chosen(*arguments):
    return preset_of(options_of(arguments))


def test_without_options_it_is_the_demo():
    assert chosen() == demo()


def test_balanced_classes_that_are_asked_for_are_not_from_scratch_only():
    found = chosen("--inits", "photos", "--balance", "balanced").cells()
    assert {(cell.init, cell.balance) for cell in found} == {("photos", "balanced")}


def test_every_axis_can_be_set():
    preset = chosen(
        "--architectures", "cbr_tiny", "resnet18", "--train-images", "10", "20",
        "--inits", "random", "photos", "--freeze", "none", "--seeds", "3", "--finding", "Pneumonia",
    )  # fmt: skip
    found = preset.cells()
    assert len(found) == 2 * 2 * 3 * 3, "from scratch on balanced classes, too"
    assert {cell.seed for cell in found} == {0, 1, 2}
    assert {cell.finding for cell in found} == {"Pneumonia"}
    assert preset.recipe == demo().recipe


def test_assignments_of_an_option_that_is_written_twice_all_count():
    preset = chosen("--recipe", "epochs=7", "--recipe", "blank=ignore", "--uncertain", "Edema=zeros",
                    "--uncertain", "Atelectasis=ignore")  # fmt: skip
    assert (preset.recipe.epochs, preset.recipe.blank) == (7, "ignore")
    assert {"Edema": "zeros", "Atelectasis": "ignore"}.items() <= dict(preset.recipe.uncertain).items()
    assert chosen("--recipe", "epochs=7").recipe.blank == "zeros", "nothing is left of an earlier command"


def test_recipe_settings_are_typed():
    recipe = override_recipe(
        Recipe(), ["epochs=7", "blank=ignore", 'uncertain=[["Edema","ignore"]]', "scale_fraction=0"]
    )
    assert recipe == Recipe(epochs=7, blank="ignore", uncertain=(("Edema", "ignore"),), scale_fraction=0.0)


@pytest.mark.parametrize(
    ("assignments", "named"),
    [
        (["epoch=7"], "epoch=7"),
        (["epochs"], "epochs"),
        (["epochs=many"], "many"),
        (["epochs=1.5"], "1.5"),
        (["nonsense=1", "epochs=x"], "nonsense"),
    ],
)
def test_wrong_assignments_are_named(assignments, named):
    with pytest.raises(SettingError, match=named):
        override_recipe(Recipe(), assignments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--seeds", "0"], "--seeds"),
        (["--train-images", "-5"], "train_images"),
        (["--recipe", "epochs=0"], "epochs"),
        (["--preset", "chexpert"], "--data"),
        (["--data", "/nowhere"], "/nowhere"),
        (["--inits", "random", "--freeze", "backbone"], "no cell"),
        (["--cpus-per-trial", "0"], "--cpus-per-trial"),
        (["--gpus-per-trial", "2"], "--gpus-per-trial"),
        (["--finding", "Nonsense"], "Nonsense"),
        (["--finding", ""], "--finding: found an empty text"),
        (["--finding="], "--finding: found an empty text"),
        (["--cache", " ", "--part-column", ""], "--cache, --part-column: found an empty text"),
        (
            ["--data", "/nowhere", "--recipe", "epochs=2", "--recipe", "epochs=3"],
            "--recipe epochs: found 2 values",
        ),
    ],
)
def test_unusable_options_end_with_status_2_and_start_nothing(
    arguments, named, phantom_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(ray_session, "start", lambda *args: pytest.fail("Ray was started"))
    out = tmp_path / "out"
    if arguments[0].endswith("per-trial"):  # one of those that need data draws them, which takes its time
        arguments = [*arguments, "--data", str(phantom_folder)]
    assert full_grid.main(["--preset", "smoke", "--out", str(out), *arguments]) == 2
    assert named in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [], "nothing was written"


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--out", "file", "found a file"),
        ("--out", "file/below", "found a file"),
        ("--cache", "file", "found a file"),
        ("--out", "x" * 300, "file name too long"),
        ("--data", "x" * 300, "file name too long"),
        ("--data", "loop", "too many levels"),
        ("--out", "a\0b", "null"),
        ("--out", "/proc/self/nowhere", "found a folder that cannot be written"),
    ],
)
def test_places_that_cannot_be_end_with_status_2(option, value, named, dry, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    assert full_grid.main(["--preset", "smoke", "--out", "out", *dry, option, value]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Nothing was started.")
    assert f"{option} " in said
    assert named in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"], "nothing was written"


def test_a_signal_while_planning_ends_with_status_130_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sweep, "open_inputs", lambda *args: os.kill(os.getpid(), signal.SIGTERM))
    assert full_grid.main(["--preset", "smoke", "--out", str(tmp_path / "out")]) == 130
    assert "SIGTERM; the same command continues" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_plan_tells_gpu_hours_time_and_money(tmp_path, capsys, monkeypatch):
    gpus = Resources(device="cuda", cpus=1, cores=(8,), gpus=(2.0,), gpu_memory=80 * 2**30)
    monkeypatch.setattr(connection, "open_resources", lambda *args: gpus)
    out = tmp_path / "out"
    command = ["--preset", "smoke", "--out", str(out), "--dry-run", "--recipe", "epochs=2000000"]
    assert full_grid.main([*command, "--gpu-price", "2.5"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    hours, time = r"([\d.,]+) to ([\d.,]+) GPU-hours", r"(\d+):(\d+) h to (\d+):(\d+) h"
    money = r"([\d.,]+) to ([\d.,]+) for the GPUs; guessed \(--check measures\)"
    found = re.search(rf"{hours}; up to (\d+) at a time, {time}, {money}", text)
    assert found, text
    low, high, slots, *clock, cheap, dear = (float(one.replace(",", "")) for one in found.groups())
    assert slots == 8
    assert high == pytest.approx(4 * low, rel=0.02)
    for gpu_hours, hour, minute, price in ((low, *clock[:2], cheap), (high, *clock[2:], dear)):
        wall_hours = hour + minute / 60
        assert 0 < gpu_hours <= 2 * wall_hours
        assert price == pytest.approx(2 * 2.5 * wall_hours, rel=0.02)


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("--preset", "smoke", "chexpert", "--dry-run", "examples", "Exit status", "range_test_steps"):
        assert word in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--archs", "resnet18"], "unrecognized arguments: --archs resnet18 (is it --architectures?)"),
        (["--preset", "smok"], "(is it smoke?)"),
        (["--architectures", "resnet-18"], "(is it resnet18?)"),
        (["--dryrun"], "unrecognized arguments: --dryrun (is it --dry-run?)"),
        (["--seeds", "two"], "argument --seeds: invalid int value: 'two'"),
    ],
)
def test_a_mistyped_option_is_told_in_two_lines_with_what_comes_near(options, said, capsys):
    with pytest.raises(SystemExit) as end:
        parser().parse_args(options)
    lines = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert lines[0] == "Nothing was started."
    assert said in lines[1]
    assert len(lines) == 2
