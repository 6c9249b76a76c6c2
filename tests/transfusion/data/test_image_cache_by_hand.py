"""What a build keeps of an earlier one, of another process, and of the space that it has taken already."""

from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfusion.data import file_bytes, image_cache
from transfusion.data.dataset import Dataset
from transfusion.problems import InputError

SIZE, IMAGES = 16, 40
CONSTANT = (0, 3, 38)


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Noise, but for three images of one value; the files' times are believed at once."""
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", 0)
    noise = np.random.default_rng(0).integers(0, 256, (IMAGES, SIZE, SIZE)).astype(np.uint8)
    noise[list(CONSTANT)] = 7
    (tmp_path / "data").mkdir()
    names = [f"{number:02}.png" for number in range(IMAGES)]
    for name, pixels in zip(names, noise, strict=True):
        Image.fromarray(pixels).save(tmp_path / "data" / name)
    return Dataset(tmp_path / "data", pd.DataFrame({"image": names}), ("Edema",), "f" * 16)


def test_a_cache_is_read_back_as_the_pixels_of_the_files_and_refused_with_another_end(
    dataset: Dataset, tmp_path: Path
) -> None:
    pixels = image_cache.load(dataset, SIZE, tmp_path / "cache")
    for row, name in enumerate(dataset.frame["image"]):
        np.testing.assert_array_equal(pixels[row], np.asarray(Image.open(dataset.root / name)))
    (file,) = (tmp_path / "cache").glob("*.cache")
    whole = file.read_bytes()
    assert whole[: pixels.nbytes] == pixels.tobytes()
    file.write_bytes(whole[:-1] + b"-")
    with pytest.raises(InputError, match="cache of other data"):
        image_cache.load(dataset, SIZE, tmp_path / "cache")


class KilledError(Exception):
    pass


def test_images_of_one_value_are_told_of_both_halves_of_a_build_that_was_cut_off(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "RECORD_SECONDS", 0)
    monkeypatch.setattr(image_cache, "SLICE", 8)

    def die(done: int, of: int) -> None:
        if done >= 32:
            raise KilledError

    with pytest.raises(KilledError):
        image_cache.prepare(dataset, SIZE, tmp_path / "cache", die, workers=1)
    counts: list[int] = []
    said: list[str] = []
    image_cache.prepare(
        dataset, SIZE, tmp_path / "cache", lambda done, of: counts.append(done), 1, say=said.append
    )
    assert counts[0] > 8, "the second build goes on"
    (note,) = said
    assert note.startswith("3 of 40 images have one value everywhere: ")
    assert all(f"{number:02}.png" in note for number in CONSTANT)


def test_what_another_process_has_built_meanwhile_is_used(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this one waits for the lock, another builds and lets it go."""
    real, waited = image_cache.locked, []

    @contextmanager
    def locked(file: Path) -> Iterator[None]:
        waited.append(file)
        if len(waited) == 1:
            image_cache.prepare(dataset, SIZE, tmp_path / "cache")
            monkeypatch.setattr(image_cache, "decode", None)
        with real(file):
            yield

    monkeypatch.setattr(image_cache, "locked", locked)
    ready = image_cache.prepare(dataset, SIZE, tmp_path / "cache")
    assert len(waited) == 2
    assert image_cache.cache_file(ready, SIZE, tmp_path / "cache").exists()
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_space_that_is_taken_already_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    partial = tmp_path / "x.partial"
    image_cache._reserve(partial, 2**20)
    assert partial.stat().st_size == 2**20
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 2**10))
    image_cache._reserve(partial, 2**20)
    with pytest.raises(InputError, match=r"0\.00 GB free, expected 1\.00 GB for the image cache"):
        image_cache._reserve(partial, 2**20 + 10**9)


def test_colours_lie_in_planes_and_in_a_cache_of_their_own(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.uint8)
    for number, pixels in enumerate(colours):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    dataset = Dataset(tmp_path, pd.DataFrame({"image": ["0.png", "1.png"]}), (), "f" * 16)
    pixels = image_cache.load(dataset, SIZE, tmp_path / "cache", channels=3)
    np.testing.assert_array_equal(pixels, colours.transpose(0, 3, 1, 2))
    assert image_cache.load(dataset, SIZE, tmp_path / "cache").shape == (2, SIZE, SIZE)
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 2
