"""The options --weights and --imagenet, and what is said when there is nothing to start from."""

import pytest
import torch
from imagenet_folder import write_images

from sweeps import full_grid
from sweeps.execution import ray_session
from transfusion.networks import weights
from transfusion.networks.network import build
from transfusion.records import results


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "ImageNet")


@pytest.fixture
def command(phantom_folder, tmp_path, monkeypatch, capsys):
    """Status and text of a dry run on the smoke preset, without any cached weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(weights, "urlopen", offline)
    monkeypatch.setattr(ray_session, "start", lambda *args, **more: pytest.fail("Ray was started"))

    def command(*arguments):
        fixed = [
            "--preset",
            "smoke",
            "--dry-run",
            "--data",
            str(phantom_folder),
            "--out",
            str(tmp_path / "out"),
        ]
        status = full_grid.main([*fixed, *arguments])
        printed = capsys.readouterr()
        assert not (tmp_path / "out" / "cells").exists()
        return status, printed.out + printed.err

    return command


def offline(request, timeout):
    raise OSError(f"no route to {request.host}")


def test_everything_that_cannot_be_had_is_named_at_once(command, tmp_path):
    (tmp_path / "torn.pth").write_bytes(b"PK")
    status, text = command(
        "--inits", "random", "imagenet", "--architectures", "resnet18", "resnet34", "cbr_tiny", "cbr_small",
        "--weights", "cbr_tiny", "resnet5=x", "resnet50=x.pth", f"cbr_small={tmp_path / 'torn.pth'}",
    )  # fmt: skip
    assert status == 2
    for words in (
        "resnet18-f37072fd.pth",
        "resnet34-b627a593.pth",
        f"into {tmp_path / 'torch' / 'hub' / 'checkpoints'}",
        "'cbr_tiny', expected ARCHITECTURE=FILE",
        "resnet5=x",
        "resnet50=x.pth: found no such cell",
        "torn.pth",
        "expected something to start cbr_tiny from imagenet",
    ):
        assert words in text, words


def test_options_that_no_cell_would_use_are_refused(command, folder, tmp_path):
    torch.save(build("cbr_tiny").state_dict(), tmp_path / "w.pth")
    status, text = command("--weights", f"cbr_tiny={tmp_path / 'w.pth'}", "--imagenet", str(folder))
    assert status == 2
    assert text.count("add imagenet to --inits") == 2


def test_weights_take_the_place_of_pretraining_in_the_plan(command, folder, tmp_path):
    torch.save(build("resnet18").state_dict(), tmp_path / "w.pth")
    grid = ["--inits", "imagenet", "--architectures", "resnet18", "cbr_tiny", "--train-images", "32"]
    sources = ["--weights", f"resnet18={tmp_path / 'w.pth'}", "--imagenet", str(folder)]
    status, text = command(*grid, *sources, "--recipe", "upstream_images=40")
    assert status == 0, text
    assert planned(text) == 2 * 2 + 1, "one pretraining, for cbr_tiny, and four cells"
    torch.save(build("cbr_tiny").state_dict(), tmp_path / "tiny.pth")
    status, text = command(*grid, *sources[:2], f"cbr_tiny={tmp_path / 'tiny.pth'}")
    assert status == 0, text
    assert planned(text) == 2 * 2


def scaled(state, factor):
    """Weights as if trained on gray values `factor` times as large."""
    return state | {"block1.0.weight": state["block1.0.weight"] / factor}


@pytest.fixture(scope="module")
def tiny():
    """CBR-Tiny's stages, the batch norms of which have seen normalised noise."""
    torch.manual_seed(0)
    network = build("cbr_tiny").train()
    for _ in range(20):
        network.features(torch.randn(16, 3, 24, 24))
    return network.stages.state_dict()


TINY = ["--inits", "imagenet", "--architectures", "cbr_tiny", "--train-images", "32"]


def test_weights_are_named_in_the_plan_and_by_what_the_user_says(command, tiny, tmp_path):
    file = tmp_path / "radimagenet.pt"
    torch.save({"backbone": tiny, "loss.pos_weight": torch.ones(3)}, file)
    sha = weights.fingerprint(file)[:8]
    status, text = command(*TINY, "--weights", f"cbr_tiny={file}")
    assert status == 0, text
    for words in (
        f"cbr_tiny: radimagenet (sha {sha}), not natural images",
        "below 'backbone.'",
        "loss.pos_weight",
    ):
        assert words in text, words
    for origin, words in (
        ("natural", f"cbr_tiny: radimagenet (sha {sha}), natural images"),
        ("natural:Places", f"cbr_tiny: Places (sha {sha}), natural images"),
        ("chest films", f"cbr_tiny: chest films (sha {sha}), not natural images"),
    ):
        status, text = command(
            *TINY, "--weights", f"cbr_tiny={file}", "--weights-origin", f"cbr_tiny={origin}"
        )
        assert status == 0, text
        assert words in text, words


def test_weights_for_another_scale_are_refused_with_the_remedy_until_it_is_given(command, tiny, tmp_path):
    torch.save(scaled(tiny, 450), tmp_path / "xray.pt")
    given = [*TINY, "--weights", f"cbr_tiny={tmp_path / 'xray.pt'}"]
    status, text = command(*given)
    assert status == 2
    assert "times less than in the weights' training" in text
    assert "--weights-input cbr_tiny=" in text
    status, text = command(*given, "--weights-input", "cbr_tiny=range=-1024,1024")
    assert status == 0, text
    assert "black -1024, white 1024" in text
    assert "DOUBT" not in text
    status, text = command(*given, "--weights-input", "cbr_tiny=imagenet,accept")
    assert status == 0, text
    assert "DOUBT" in text


def test_wrong_words_on_weights_are_refused_all_at_once(command, tiny, tmp_path):
    torch.save(tiny, tmp_path / "resnet50-0676ba61.pth")
    status, text = command(
        *TINY, "--weights", f"cbr_tiny={tmp_path / 'resnet50-0676ba61.pth'}",
        "--weights-origin", "cbr_tiny=" + "n" * 99, "resnet18=x", "cbr_small",
        "--weights-input", "cbr_tiny=std=0", "cbr_tiny=half", "resnet50=half",
    )  # fmt: skip
    assert status == 2
    for words in (
        "a sha256 that begins with 0676ba61", "a name of 1 to 60 letters", "no file for it", "'cbr_small'",
        "a std that is not above 0", "cbr_tiny twice", "--weights-input resnet50=half",
    ):  # fmt: skip
        assert words in text, words


def planned(text):
    """Cells in the plan's line `all`."""
    return int(next(line.split()[1] for line in text.splitlines() if line.split()[:1] == ["all"]))


@pytest.mark.slow
def test_the_command_runs_a_grid_from_both_sources(folder, tmp_path):
    torch.save(build("resnet18").state_dict(), tmp_path / "w.pth")
    out = tmp_path / "out"
    arguments = [
        "--preset", "smoke", "--inits", "random", "imagenet", "--train-images", "32", "--out", str(out),
        "--weights", f"resnet18={tmp_path / 'w.pth'}", "--imagenet", str(folder),
        "--recipe", "upstream_images=40",
    ]  # fmt: skip
    assert full_grid.main(arguments) == 0
    records = [results.read_result(path) for path in (out / "cells").iterdir()]
    assert len(records) == 7
    assert {record["status"] for record in records} == {"done"}
    tuned = [record for record in records if record["cell"]["init"] == "imagenet"]
    by_source = {record["cell"]["architecture"]: (record["weights"], record["upstream"]) for record in tuned}
    assert by_source["resnet18"] == (weights.fingerprint(tmp_path / "w.pth"), None)
    above = next(record for record in records if record["cell"]["kind"] == "upstream")
    assert by_source["cbr_tiny"] == (None, above["cell_id"])
    assert [path.suffix for path in (out / "weights").iterdir()] == [".safetensors"]
