"""What others read from a phantom is what we read: the same labels image by image under the same policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from transfusion.data.dataset import Dataset
from transfusion.layouts import chexpert

OLDER = ("pandas>=2.2,<3", "pytz", "tzdata", "libauc==2.0.1", "opencv-python-headless")
"""libauc fills blanks in place, which pandas 3 no longer does; it goes beside the environment, without the
rest of what it depends on."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def readings(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    older = tmp_path_factory.mktemp("older")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(older), *OLDER]
    installed = subprocess.run(install, capture_output=True, text=True)
    if installed.returncode != 0:
        pytest.skip(f"the older packages cannot be installed here: {installed.stderr.strip()[-300:]}")
    script = Path(__file__).parents[2] / "helpers" / "read_with_others.py"
    folder = phantom_folder / "CheXpert-v1.0-small"
    result = subprocess.run(
        [sys.executable, str(script), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(older)},
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def ours(phantom_folder: Path) -> Dataset:
    return chexpert.read(phantom_folder, views="all")


def plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def stripped(path: str) -> str:
    return path.removeprefix("CheXpert-v1.0-small/")


def test_torchxrayvision_reads_the_same_labels(readings: dict[str, dict], ours: Dataset) -> None:
    """It takes -1 and blank as unknown, and No Finding as a 0 for everything but Support Devices."""
    healthy = (ours.frame["No Finding"] == 1).to_numpy()
    for name, official in (("train", False), ("valid", True)):
        theirs = {stripped(path): labels for path, labels in readings[name]["torchxrayvision"].items()}
        rows = ((ours.frame["part"] == "official") == official).to_numpy()
        assert set(theirs) == set(ours.frame["image"][rows])
        for column, named in enumerate(readings[name]["torchxrayvision_findings"]):
            finding = "Pleural Effusion" if named == "Effusion" else named
            labels = ours.labels(finding, "ignore", "ignore")
            if finding != "Support Devices":
                labels[healthy] = 0
            for row in np.flatnonzero(rows):
                assert theirs[ours.frame["image"][row]][column] == plain(labels[row])


def test_torchxrayvision_reads_the_same_pixels(readings: dict[str, dict], ours: Dataset) -> None:
    first = stripped(next(iter(readings["train"]["torchxrayvision"])))
    with Image.open(ours.root / first) as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(np.array(readings["train"]["torchxrayvision_pixels"]), expected)


def test_libauc_reads_the_same_labels(readings: dict[str, dict], ours: Dataset) -> None:
    """It takes -1 as 1 for Edema and Atelectasis, as 0 for the others, and blanks as 0."""
    frontal = (ours.frame["view"] == "frontal").to_numpy()
    for name, official in (("train", False), ("valid", True)):
        theirs = {stripped(path): labels for path, labels in readings[name]["libauc"].items()}
        rows = ((ours.frame["part"] == "official") == official).to_numpy() & frontal
        assert set(theirs) == set(ours.frame["image"][rows])
        for column, finding in enumerate(readings[name]["libauc_findings"]):
            policy = "ones" if finding in ("Edema", "Atelectasis") else "zeros"
            labels = ours.labels(finding, policy, "zeros")
            for row in np.flatnonzero(rows):
                assert theirs[ours.frame["image"][row]][column] == plain(labels[row])
