"""The first two minutes on a machine: what the check measures, keeps, and finds wrong."""

import dataclasses
import json

import pytest
import torch
from machines import CPU, GB, GPU, WELL
from pretended_cuda import pretended

from sweeps import full_grid
from sweeps.measuring import check, measure, shown
from sweeps.measuring.probing import ProbeError
from sweeps.planning import speeds
from sweeps.planning.speeds import Speed, Speeds
from sweeps.presets import STUDIED, chexpert
from transfusion.architectures import ARCHITECTURES
from transfusion.training import probe, probe_worker
from transfusion.training.probe_worker import Answers

ALONE = dataclasses.replace(GPU, cores=(1,))
"""For one trial at a time."""


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))


class Inside:
    """Stands for worker processes: this one, which measures one after the other."""

    def __init__(self):
        self.answers, self.asked, self.released = {}, [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def release(self):
        self.released += 1
        self.answers.clear()

    def ask(self, count, question):
        self.asked.append((question["what"], count, question["place"]["share"]))
        found = [self.answers.setdefault(i, Answers()).to(question) for i in range(count)]
        for answer in found:
            if "error" in answer:
                raise ProbeError(answer["error"], answer["kind"])
        return found


class Told(Inside):
    """Answers at once: 100 images a second of one, 40 of each of several; `failing` dies."""

    failing = ""

    def ask(self, count, question):
        self.asked.append((question["what"], count, question["place"]["share"]))
        if question["what"] == "memory":
            return [{"gpus": [[0, 16 * GB]]}]
        if question["what"] == "device":
            return [{"macs_per_second": 1e12, "head_step_seconds": 0.003}]
        if question.get("architecture") == self.failing:
            raise ProbeError("the process died (signal 11)", "lost")
        if question["what"] == "compile":
            return [{"outcome": "yes", "seconds": 31.0, "images_per_second": 150.0}]
        answer = {"step_seconds": 0.01, "type": "float32", "memory": GB, "host_memory": GB}
        return [{**answer, "images_per_second": 100.0 if count == 1 else 40.0}] * count


def checked(monkeypatch, capsys, workers, at_hand, facts, *arguments):
    """Exit status and words of a check with these workers on these resources."""
    monkeypatch.setattr(measure, "Workers", lambda: workers)
    monkeypatch.setattr(check.resources, "of_machine", lambda *_: at_hand)
    monkeypatch.setattr(check.machine, "look", lambda places: facts)
    status = full_grid.main(["--check", *arguments])
    return status, " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_check_of_this_machine_is_what_its_next_plan_reckons_with(tmp_path, capsys, phantom_folder):
    cores = check.resources.of_machine(1, 0).cores[0]
    command = ["--preset", "smoke", "--architectures", "cbr_tiny", "--cpus-per-trial", str(cores)]
    command += ["--gpus-per-trial", "0", "--inits", "random", "--out", str(tmp_path / "out")]
    plan = [*command, "--dry-run", "--data", str(phantom_folder)]
    assert full_grid.main(plan) == 0
    assert "guessed (--check measures)" in " ".join(capsys.readouterr().out.split())
    before = set(tmp_path.rglob("*"))
    full_grid.main([*command, "--check"])
    text = capsys.readouterr().out
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["cbr_tiny"])
    assert row[1:3] == ["yes", "float32"]
    (file,) = (tmp_path / "home" / "transfusion-sweep" / "speeds").glob("*.json")
    made = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert made <= {"home"}, "the plan had kept the core's speed in the same file"
    (kept,) = json.loads(file.read_text())["measured"]
    assert kept["alone"] == pytest.approx(float(row[3].replace(",", "")), abs=0.06)
    assert full_grid.main(plan) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "measured here" in said
    assert "guessed" not in said


def test_the_table_has_every_architecture_and_one_that_dies_does_not_end_the_check(monkeypatch, capsys):
    workers = Told()
    workers.failing = "resnet34"
    status, text = checked(monkeypatch, capsys, workers, CPU, WELL)
    assert status == 1
    for name in STUDIED:
        assert f"{name} {'no' if name == 'resnet34' else 'yes float32 100.0 80.0'}" in text
    assert "resnet34: does not train here: the process died (signal 11)" in text
    kept = speeds.recall(CPU)
    assert {one.architecture for one in kept.measured} == set(STUDIED) - {"resnet34"}
    assert {(one.images_per_second, one.trials) for one in kept.measured} == {(40.0, 2)}
    assert kept.macs_per_second == 1e12
    assert workers.released == len(STUDIED), "after each, also after one that died"
    peak = 100 * 3 * ARCHITECTURES["resnet50"].macs(24) / 1e12
    assert f"resnet50 yes float32 100.0 80.0 {peak:.2f}" in text


def test_a_gpu_is_measured_alone_at_its_share_and_compiled_where_the_plan_would(monkeypatch, capsys):
    workers = Told()
    status, text = checked(
        monkeypatch, capsys, workers, GPU, WELL, "--preset", "chexpert", "--architectures", "cbr_tiny"
    )
    assert (status, "Nothing is wrong" in text) == (0, True), text
    share = measure.Check(chexpert(), (), GPU).share("cbr_tiny")
    assert workers.asked[2:] == [
        ("warm_up", 1, 1.0),
        ("train", 1, 1.0),
        ("compile", 1, 1.0),
        ("warm_up", round(1 / share), share),
        ("train", round(1 / share), share),
    ]
    assert "1.50 x" in text
    assert "compiling took 31 to 31 s" in text
    assert speeds.recall(GPU).macs_per_second is None, "a plan guesses training itself, of a GPU"
    workers = Told()
    checked(monkeypatch, capsys, workers, GPU, WELL, "--preset", "smoke")
    assert "compile" not in {what for what, *_ in workers.asked}, "a sweep of seconds would not compile"


def test_what_trains_plainly_but_cannot_be_compiled_is_kept_and_told(monkeypatch, capsys):
    class Uncompiled(Told):
        def ask(self, count, question):
            if question["what"] == "compile":
                raise ProbeError("OutOfMemoryError: no room to compile", "out_of_memory")
            return super().ask(count, question)

    arguments = ("--preset", "chexpert", "--architectures", "cbr_tiny", "resnet18")
    status, text = checked(monkeypatch, capsys, Uncompiled(), GPU, WELL, *arguments)
    assert status == 1
    assert text.count("no room to compile") == 1
    assert {one.architecture for one in speeds.recall(GPU).measured} == {"cbr_tiny", "resnet18"}


def test_a_machine_that_others_use_is_told_to_be_one(monkeypatch, capsys):
    for load, told in ((0.3, False), (7.0, True)):
        facts = dataclasses.replace(WELL, load=load)
        status, text = checked(monkeypatch, capsys, Told(), CPU, facts, "--preset", "smoke")
        assert status == 0
        assert ("Others use this machine" in text) == told


def quick_steps(monkeypatch):
    monkeypatch.setattr(measure, "LEAST_STEPS", 1)
    monkeypatch.setattr(measure, "MOST_STEPS", 1)
    monkeypatch.setitem(probe.PRODUCT, "cuda", 64)
    monkeypatch.setattr(probe, "HEAD_STEPS", 1)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # Lightning sets it, here in this process


TINY = ("--preset", "smoke", "--architectures", "cbr_tiny", "--recipe", "image_size=32", "batch_size=8")


def test_what_does_not_fit_a_share_is_measured_at_the_next(monkeypatch, capsys):
    quick_steps(monkeypatch)
    monkeypatch.setattr(measure.Check, "share", lambda *_: 0.25)
    workers = Inside()
    with pretended(memory=160 * 2**20):
        status, text = checked(monkeypatch, capsys, workers, GPU, WELL, *TINY)
    assert status == 0, text
    shares = [(count, share) for what, count, share in workers.asked if what == "warm_up"]
    assert shares == [(1, 1.0), (4, 0.25), (2, 0.5)]
    (kept,) = speeds.recall(GPU).measured
    assert (kept.type, kept.share, kept.trials) == ("bfloat16", 0.5, 2)
    assert 2**20 < kept.memory < 40 * 2**20


@pytest.mark.parametrize("reduced", [True, False])
def test_a_gpu_is_measured_in_the_type_that_its_cells_will_have(monkeypatch, capsys, reduced):
    """Beside an older card in float32, whatever it could do."""
    quick_steps(monkeypatch)
    at_hand = dataclasses.replace(ALONE, reduced=reduced)
    with pretended():
        status, text = checked(monkeypatch, capsys, Inside(), at_hand, WELL, *TINY)
    assert status == 0, text
    (kept,) = speeds.recall(at_hand).measured
    assert kept.type == ("bfloat16" if reduced else "float32")


def test_a_gpu_that_others_use_is_told_with_what_they_hold(monkeypatch, capsys):
    quick_steps(monkeypatch)
    with pretended(memory=16 * GB):
        for free, told in ((15.2 * GB, False), (3.3 * GB, True)):
            monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (int(free), 16 * GB))
            status, text = checked(monkeypatch, capsys, Inside(), ALONE, WELL, *TINY)
            assert (status, "12.0 GiB of 16.0 GiB in use by others" in text) == (int(told), told)


def test_a_gpu_without_a_free_byte_is_told_as_one_that_others_use(monkeypatch, capsys):
    def full(*_):
        raise torch.AcceleratorError("CUDA error: out of memory")

    with pretended(memory=16 * GB):
        monkeypatch.setattr(torch.cuda, "mem_get_info", full)
        monkeypatch.setattr(probe_worker, "product_macs_per_second", full)
        status, text = checked(monkeypatch, capsys, Inside(), GPU, WELL, *TINY)
    assert status == 1
    assert "memory of GPU 0: found 15.3 GiB of 16.0 GiB in use by others" in text
    assert speeds.recall(GPU).measured == ()


def test_what_does_not_fit_a_whole_gpu_says_what_to_do(monkeypatch, capsys):
    quick_steps(monkeypatch)
    with pretended(memory=12 * 2**20):
        status, text = checked(monkeypatch, capsys, Inside(), GPU, WELL, *TINY)
    assert status == 1
    assert "cbr_tiny no" in text
    assert "smaller batch" in text
    assert speeds.recall(GPU).measured == ()


def test_speeds_that_cannot_be_kept_are_told(monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(check.speeds, "keep", full)
    status, text = checked(monkeypatch, capsys, Told(), CPU, WELL, "--preset", "smoke")
    assert status == 0
    assert "could not be kept ([Errno 28] No space left on device); plans go on guessing" in text


def test_gpus_of_several_kinds_are_measured_and_not_kept(monkeypatch, capsys):
    at_hand = dataclasses.replace(GPU, device_name="", gpus=(2.0,))
    status, text = checked(monkeypatch, capsys, Told(), at_hand, WELL, "--preset", "smoke")
    assert status == 0
    assert text.startswith("2 x GPUs of several kinds")
    assert "not kept: the GPUs here are of several kinds" in text


def test_a_narrow_terminal_shows_every_number_whole(monkeypatch, capsys):
    _, wide = checked(monkeypatch, capsys, Told(), CPU, WELL, "--preset", "smoke")
    monkeypatch.setenv("COLUMNS", "40")
    _, narrow = checked(monkeypatch, capsys, Told(), CPU, WELL, "--preset", "smoke")
    assert "\u2026" not in narrow
    numbers = [word for word in wide.split("cbr_tiny", 1)[1].splitlines()[0].split() if word[0].isdigit()]
    assert len(numbers) == 5
    assert set(numbers) <= set(narrow.split("cbr_tiny:", 1)[1].split())


def test_seconds_of_compiling_are_those_of_what_was_compiled():
    found = [
        measure.Found("cbr_tiny", compiled="yes", compile_seconds=20.0),
        measure.Found("resnet18", compiled="no compiler", compile_seconds=1.0),
        measure.Found("resnet50", compiled="yes", compile_seconds=50.0),
    ]
    assert shown.after(found) == "; compiling took 20 to 50 s"
    assert shown.after(found[1:2]) == ""


def test_a_gpu_that_cannot_be_opened_is_told_with_its_driver_and_points_to_the_check(
    monkeypatch, capsys, tmp_path, phantom_folder
):
    def refused(*_):
        raise check.GpuError("GPU: found a GPU that torch cannot open, expected a driver for this CUDA")

    monkeypatch.setattr(check.resources, "of_machine", refused)
    monkeypatch.setattr(check.machine, "look", lambda _: dataclasses.replace(WELL, driver="NVRM 470.1"))
    assert full_grid.main(["--check"]) == 1
    said = capsys.readouterr().out
    assert "cannot open" in said
    assert "NVRM 470.1" in said
    command = ["--preset", "smoke", "--data", str(phantom_folder), "--out", str(tmp_path / "out")]
    assert full_grid.main([*command, "--dry-run"]) == 2
    assert "--check shows" in capsys.readouterr().err


def test_options_without_use_to_a_check_are_refused_together(capsys):
    assert full_grid.main(["--check", "--address", "auto", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "--check --address auto: found a cluster" in said
    assert "--check --dry-run" in said


def test_speeds_serve_one_kind_of_machine_and_newer_ones_take_the_place_of_older(tmp_path):
    one = Speed("cbr_tiny", 24, 32, 50.0, 100.0, 2, 0.5, "float32", GB)
    path = speeds.keep(CPU, Speeds((one, dataclasses.replace(one, image_size=32)), 0.001))
    newer = dataclasses.replace(one, images_per_second=70.0)
    speeds.keep(CPU, Speeds((newer,), 0.002))
    assert speeds.recall(CPU) == Speeds((newer, dataclasses.replace(one, image_size=32)), 0.002)
    for other in ({"device_name": "Other CPU"}, {"cores": (4,)}, {"cpus": 2}, {"device_name": ""}):
        assert speeds.recall(dataclasses.replace(CPU, **other)) == speeds.NOTHING
    for damaged in ("", "{", "[]", '{"version": 1}', '{"version": 99, "measured": []}'):
        path.write_text(damaged)
        assert speeds.recall(CPU) == speeds.NOTHING
