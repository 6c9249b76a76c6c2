"""Reads a CheXpert folder with torchxrayvision and with libauc, and prints what they make of it as JSON.

Run by `test_other_readers.py` in an interpreter of its own, where an older pandas lies on the path.

    python read_with_others.py FOLDER
"""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import torchxrayvision

LIBAUC_FINDINGS = ["Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion"]


def main() -> None:
    """Both readers, both CSVs."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    found = {
        name: {**by_torchxrayvision(folder, name), **by_libauc(folder, name)} for name in ("train", "valid")
    }
    print(json.dumps(found))


def by_torchxrayvision(folder: Path, name: str) -> dict[str, object]:
    """Labels by path, None for unknown, and the pixels of the first image."""
    data = torchxrayvision.datasets.CheX_Dataset(
        str(folder), csvpath=str(folder / f"{name}.csv"), views="*", unique_patients=False
    )
    pixels = data[0]["img"][0]
    return {
        "torchxrayvision_findings": [str(finding) for finding in data.pathologies],
        "torchxrayvision": dict(zip(data.csv["Path"], plain(data.labels), strict=True)),
        "torchxrayvision_pixels": np.rint((pixels / 1024 + 1) / 2 * 255).astype(int).tolist(),
    }


def by_libauc(folder: Path, name: str) -> dict[str, object]:
    """Labels of the frontal images by path, under that package's own policies."""
    data = libauc_chexpert().CheXpert(
        csv_path=str(folder / f"{name}.csv"),
        image_root_path=str(folder),
        use_upsampling=False,
        shuffle=False,
        class_index=-1,
        train_cols=LIBAUC_FINDINGS,
        image_size=32,
        mode="valid",
    )
    image, labels = data[0]
    assert image.shape == (3, 32, 32)
    assert list(labels) == data.targets[0]
    return {
        "libauc_findings": LIBAUC_FINDINGS,
        "libauc": dict(zip(data.df["Path"], plain(np.array(data.targets)), strict=True)),
    }


def libauc_chexpert() -> ModuleType:
    """That package's one module: the package itself imports much that is not needed here."""
    package = importlib.util.find_spec("libauc")
    assert package is not None
    assert package.submodule_search_locations is not None
    file = Path(package.submodule_search_locations[0]) / "datasets" / "chexpert.py"
    spec = importlib.util.spec_from_file_location("libauc_chexpert", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(labels: np.ndarray) -> list[list[float | None]]:
    """Lists, None for NaN."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in labels]


if __name__ == "__main__":
    main()
