"""Which data a command means, before any of it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.inputs.data import name_of, read_dataset
from sweeps.options.command_line import options_of
from sweeps.presets import chexpert, smoke
from sweeps.spaces import Preset
from transfusion.problems import SettingError

TABLE = ["--dataset", "table"]


@pytest.mark.parametrize(
    ("preset", "command", "message"),
    [
        (smoke(), TABLE, "--path-column, --patient-column, --data: found nothing, expected with --dataset"),
        (smoke(), [*TABLE, "--path-column", "a"], "--patient-column, --data: found nothing"),
        (
            smoke(),
            [*TABLE, "--path-column", "a", "--patient-column", "b"],
            "--data: found nothing, expected w",
        ),
        (chexpert(), [], r"--data: found .* folder of the data \(preset chexpert, dataset chexpert\)"),
        (smoke(), ["--dataset", "nih"], r"--data: found .* folder of the data \(preset smoke, dataset nih\)"),
    ],
)
def test_data_that_are_not_named_are_asked_for(
    tmp_path: Path, preset: Preset, command: list[str], message: str
) -> None:
    with pytest.raises(SettingError, match=f"^{message}"):
        read_dataset(preset, options_of(command), tmp_path, ["Edema"])
    assert list(tmp_path.iterdir()) == [], "no phantom is drawn for another layout"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ([], "the embedded phantom"),
        (["--data", "/data/a"], "CheXpert"),
        (["--data", "/data/a", "--dataset", "nih"], "ChestX-ray14"),
        (["--data", "/data/a/t.csv", *TABLE], "t.csv"),
    ],
)
def test_what_the_report_calls_the_data(command: list[str], name: str) -> None:
    assert name_of(options_of(command)) == name
