"""A folder in ImageNet's layout, `train/<class>/*.JPEG`, as the upstream task of networks without weights.

The images that are used are the same for every seed, and the smaller selection lies inside the larger.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from transfusion.data.dataset import Dataset, content_fingerprint, patient_hashes
from transfusion.data.survey import read_as, survey
from transfusion.images.inspection import look_at, said_once
from transfusion.images.reading import AS_STATED
from transfusion.layouts.recognise import but, contents
from transfusion.problems import InputError, Problem

TRAINING_FOLDERS = ("train", "ILSVRC/Data/CLS-LOC/train", ".")
"""Where the folders of the classes lie: as torchvision unpacks ImageNet, as Kaggle does, or right there."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Those that torchvision's `ImageFolder` takes."""

OTHER_PARTS = ("train", "val", "valid", "validation", "test", "ilsvrc", "annotations", "devkit")
"""Folders beside the classes' that hold no class."""

CLASS = "class"
"""Column of the classes, int64 from 0 in the order of their folders' names."""


def held_out(images: int) -> int:
    """How many images beside `images` are held out to choose the epoch: a tenth."""
    return max(1, images // 10)


def read(folder: Path, images: int, progress: Callable[[int, int], None] | None = None) -> Dataset:
    """A data set of `images` training images and a tenth more for selection, every class as often as another.

    Within a class, images come in the order of a salted hash of their path; the classes take turns.

    Args:
        images: how many to train on.
        progress: called with (images checked, images in all) now and then.

    Returns:
        The parts `train` and `selection`, no finding, and the column `class`. An image is its own patient.

    Raises:
        InputError: no folder, no class or one, a class without an image, too few images, and every chosen
            image that is missing, cut off or no image.
    """
    try:
        root = _training_folder(folder)
        classes = sorted(entry.name for entry in _class_folders(root))
        paths = {name: _images_below(root, name) for name in classes}
    except OSError as error:
        expected, advice = "a readable folder", "change its permissions (chmod)"
        raise InputError([Problem(str(error.filename), str(error.strerror), expected, advice)]) from error
    expected, advice = "images of one class", "unpack the class again, or remove its folder"
    empty = [Problem(str(root / name), "no image", expected, advice) for name in classes if not paths[name]]
    if empty:
        raise InputError(empty)
    wanted, present = images + held_out(images), sum(map(len, paths.values()))
    if len(classes) < 2 or present < wanted:
        found = f"{_counted(present, 'image')} of {_counted(len(classes), 'class')}"
        expected = (
            f"at least {wanted:,} images ({images:,} to train on, {held_out(images):,} to choose the epoch) "
            "of 2 classes or more"
        )
        advice = "ask for fewer (--recipe upstream_images=N), or add images"
        if len(classes) < 2:
            advice = "name the folder that holds all classes (--imagenet), or unpack a second class"
        raise InputError([Problem(str(root), found, expected, advice)])
    chosen = _chosen(paths, wanted)
    looks = look_at(root, chosen["image"], progress=progress)
    seen = survey(root, chosen["image"].tolist(), looks, AS_STATED, progress)
    problems = said_once([*(look.problem for look in looks if look.problem is not None), *seen.problems])
    if problems:
        raise InputError(problems)
    listing = "\n".join(chosen["image"]).encode()
    frame = pd.DataFrame(
        {
            "image": chosen["image"],
            "patient": chosen["image"],
            "study": chosen["image"],
            "view": "unknown",
            "part": np.where(np.arange(wanted) < images, "train", "selection"),
            CLASS: pd.factorize(chosen["folder"], sort=True)[0].astype(np.int64),
        }
    )
    fingerprint = content_fingerprint(root, frame["image"], [f"{images}\n".encode() + listing])
    return read_as(Dataset(root=root.resolve(), frame=frame, findings=(), fingerprint=fingerprint), seen)


def _counted(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _training_folder(folder: Path) -> Path:
    """The folder of the classes below `folder`.

    Raises:
        InputError: there is none, or there are two.
    """
    there = [
        name for name in TRAINING_FOLDERS[:-1] if (folder / name).is_dir() and _class_folders(folder / name)
    ]
    if folder.is_dir() and len(_classes_beside(folder)) >= (2 if there else 1):
        there.append(".")
    if len(there) == 1:
        return folder / there[0]
    expected = "train/CLASS/*.JPEG, a folder for each class"
    if there:
        found = f"classes in {' and in '.join(repr(str(folder / name)) for name in there)}"
        raise InputError([Problem(str(folder), found, expected, "name one of them (--imagenet)")])
    found = "no folder of a class" if folder.is_dir() else "no such folder"
    advice = "name the folder that ImageNet was unpacked to (--imagenet)"
    if folder.is_dir():
        held, instead = contents(folder, "imagenet")
        found, advice = but(found, held), instead or advice
    raise InputError([Problem(str(folder), found, expected, advice)])


def _class_folders(root: Path) -> list[Path]:
    """Folders that are not hidden."""
    return [entry for entry in root.iterdir() if not _hidden(entry.name) and entry.is_dir()]


def _classes_beside(folder: Path) -> list[Path]:
    """Folders right in `folder` that may be classes: those that no layout has, or all where there is none.

    Beside `train`, a folder counts if it holds an image; a flat validation set, as ImageNet's, does not.
    """
    folders = _class_folders(folder)
    if not any((folder / name).is_dir() and _class_folders(folder / name) for name in TRAINING_FOLDERS[:-1]):
        return folders
    others = [entry for entry in folders if entry.name.lower() not in OTHER_PARTS]
    return [entry for entry in others if any(_is_image(file.name) for file in entry.iterdir())]


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return not _hidden(name) and name.lower().endswith(IMAGE_SUFFIXES)


def _images_below(root: Path, name: str) -> list[str]:
    """Paths of all images of one class, relative to `root`."""

    def fail(error: OSError) -> None:
        raise error

    found = []
    for place, folders, files in os.walk(root / name, onerror=fail, followlinks=True):
        folders[:] = [folder for folder in folders if not _hidden(folder)]
        found += [os.path.relpath(Path(place) / file, root) for file in files if _is_image(file)]
    return found


def _chosen(paths: dict[str, list[str]], images: int) -> pd.DataFrame:
    """The first `images` rows (`image`, `folder`) when the classes take turns in a hashed order."""
    names = [(path, folder) for folder, members in paths.items() for path in members]
    frame = pd.DataFrame(names, columns=["image", "folder"])
    frame["hash"] = patient_hashes(frame["image"], "imagenet")
    frame = frame.sort_values(["hash", "image"], kind="stable")
    frame["turn"] = frame.groupby("folder").cumcount()
    return frame.sort_values(["turn", "hash", "image"], kind="stable").head(images).reset_index(drop=True)
