"""The image cache: pixels, one build among many processes, resumption after a kill, and refusals."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfusion.data import image_cache
from transfusion.data.dataset import Dataset
from transfusion.images.decoding import ImageError, decode
from transfusion.images.reading import parse
from transfusion.layouts import chexpert
from transfusion.problems import InputError


def dataset_of(root: Path, names: list[str]) -> Dataset:
    return Dataset(root=root, frame=pd.DataFrame({"image": names}), findings=(), fingerprint="f" * 16)


def start(phantom: Path, directory: Path, size: int, slowly: str = "") -> subprocess.Popen[str]:
    """Another interpreter that builds or opens the cache, and prints how many images it decoded."""
    code = f"""
        import time
        from pathlib import Path
        from transfusion.data import image_cache
        from transfusion.layouts import chexpert
        image_cache.RECORD_SECONDS, image_cache.SLICE = 0, 16
        decoded = []
        def progress(done, total):
            decoded.append(done)
            print(done, flush=True)
            {slowly}
        table = chexpert.read(Path({str(phantom)!r}))
        pixels = image_cache.load(table, {size}, Path({str(directory)!r}), progress, workers=1)
        print("built" if decoded else "opened", int(pixels.sum(dtype="int64")), flush=True)
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(image_cache.__file__).parents[2])}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_pixels_are_those_of_the_files_in_order(dataset: Dataset, tmp_path: Path) -> None:
    pixels = image_cache.load(dataset, 32, tmp_path)
    assert pixels.shape == (len(dataset.frame), 32, 32)
    assert pixels.dtype == np.uint8
    assert not pixels.flags.writeable
    for row in (0, 17, len(dataset.frame) - 1):
        with Image.open(dataset.root / dataset.frame["image"][row]) as image:
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.crop((left, top, left + side, top + side))
            expected = np.asarray(square.resize((32, 32), Image.Resampling.BILINEAR))
        difference = np.abs(pixels[row].astype(int) - expected)
        assert difference.max() <= 2
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".cache", ".lock", ".parquet"]


def test_second_load_decodes_nothing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = image_cache.load(dataset, 16, tmp_path)
    monkeypatch.setattr(image_cache, "decode", None)
    np.testing.assert_array_equal(first, image_cache.load(dataset, 16, tmp_path))


def test_worker_and_slice_counts_do_not_matter(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = image_cache.load(dataset, 16, tmp_path / "one", workers=1)
    monkeypatch.setattr(image_cache, "SLICE", 7)
    np.testing.assert_array_equal(one, image_cache.load(dataset, 16, tmp_path / "many", workers=5))


def test_kinds_of_files(tmp_path: Path) -> None:
    """8-bit, 16-bit, RGB, opaque, palette and 1-bit images of the same ramp give the same pixels."""
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    kinds = {
        "gray.png": Image.fromarray(ramp),
        "deep.png": Image.fromarray(ramp.astype(np.uint16) * 257),
        "colour.png": Image.fromarray(np.stack([ramp] * 3, axis=2)),
        "clear.png": Image.fromarray(np.stack([ramp] * 3 + [np.full_like(ramp, 255)], axis=2)),
        "palette.png": Image.fromarray(ramp).convert("P"),
    }
    for name, image in kinds.items():
        image.save(tmp_path / name)
    pixels = decode([tmp_path / name for name in kinds], 64, 1, parse("16bit"))
    for name, found in zip(kinds, pixels, strict=True):
        np.testing.assert_allclose(found.astype(int), ramp, atol=1, err_msg=name)
    Image.fromarray(ramp > 127).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(decode([tmp_path / "bits.png"], 64)[0], (ramp > 127) * 255)


@pytest.mark.parametrize("shape", [(40, 64), (64, 40), (64, 64)])
def test_centre_is_cut_out(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = np.zeros(shape, dtype=np.uint8)
    pixels[shape[0] // 2 - 20 : shape[0] // 2 + 20, shape[1] // 2 - 20 : shape[1] // 2 + 20] = 200
    Image.fromarray(pixels).save(tmp_path / "image.png")
    found = decode([tmp_path / "image.png"], min(shape))[0]
    assert found.shape == (min(shape), min(shape))
    assert found.sum() == pixels.sum()


def test_all_broken_images_are_named_at_once(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(dataset.root, tmp_path / "data")
    broken = Dataset(tmp_path / "data", dataset.frame, dataset.findings, dataset.fingerprint)
    victims = [tmp_path / "data" / name for name in dataset.frame["image"][5:300:50]]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[:400])
    monkeypatch.setattr(image_cache, "RECORD_SECONDS", 0)
    with pytest.raises(ImageError) as caught:
        image_cache.load(broken, 16, tmp_path / "cache")
    assert [problem.where for problem in caught.value.problems] == [str(victim) for victim in victims]
    assert not list((tmp_path / "cache").glob("*.cache"))
    shutil.copytree(dataset.root, tmp_path / "data", dirs_exist_ok=True)
    mended = image_cache.load(broken, 16, tmp_path / "cache")
    np.testing.assert_array_equal(mended, image_cache.load(dataset, 16, tmp_path / "whole"))


def test_full_disk_is_found_before_decoding(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 900, 100))
    monkeypatch.setattr(image_cache, "decode", None)
    with pytest.raises(InputError, match=r"0\.00 GB free, expected .* GB for the image cache"):
        image_cache.load(dataset, 224, tmp_path)


def test_cache_of_other_data_and_cut_caches_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    image_cache.load(dataset, 16, tmp_path)
    (file,) = tmp_path.glob("*.cache")
    whole = file.read_bytes()
    for wrong in (whole[:-100], whole[:-1] + b"x", b""):
        file.write_bytes(wrong)
        with pytest.raises(InputError, match="cache of other data, or was cut off"):
            image_cache.load(dataset, 16, tmp_path)


def test_content_size_and_rows_have_their_own_key(dataset: Dataset) -> None:
    fewer = Dataset(dataset.root, dataset.frame[:-1], dataset.findings, dataset.fingerprint)
    other = Dataset(dataset.root, dataset.frame, dataset.findings, "0" * 16)
    moved = Dataset(Path("elsewhere"), dataset.frame, dataset.findings, dataset.fingerprint)
    keys = [image_cache.cache_key(one, 16) for one in (dataset, fewer, other)]
    assert len({*keys, image_cache.cache_key(dataset, 17)}) == 4
    assert image_cache.cache_key(moved, 16) == keys[0]


def test_leftover_record_without_pixels_is_not_believed(dataset: Dataset, tmp_path: Path) -> None:
    expected = image_cache.load(dataset, 16, tmp_path / "good")
    name = next((tmp_path / "good").glob("*.cache")).stem
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / f"{name}.finished").write_text("100")
    np.testing.assert_array_equal(expected, image_cache.load(dataset, 16, tmp_path / "odd"))


def test_build_that_was_killed_goes_on_to_the_same_bytes(phantom_folder: Path, tmp_path: Path) -> None:
    with start(phantom_folder, tmp_path / "killed", 24, slowly="time.sleep(0.05)") as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if int(line) >= 192:
                break
        killed.send_signal(signal.SIGKILL)
    assert list((tmp_path / "killed").glob("*.partial"))
    assert not list((tmp_path / "killed").glob("*.cache"))

    counts: list[int] = []
    dataset = chexpert.read(phantom_folder)
    resumed = image_cache.load(dataset, 24, tmp_path / "killed", lambda done, total: counts.append(done))
    whole = image_cache.load(dataset, 24, tmp_path / "whole")
    np.testing.assert_array_equal(resumed, whole)
    assert counts[0] > 64, "nothing of the first build was kept"
    (one,), (two,) = (list((tmp_path / name).glob("*.cache")) for name in ("killed", "whole"))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
def test_eight_processes_build_it_once(phantom_folder: Path, tmp_path: Path) -> None:
    processes = [start(phantom_folder, tmp_path, 24) for _ in range(8)]
    ends = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert sorted(end.split()[0] for end in ends) == ["built", *["opened"] * 7]
    assert len({end.split()[1] for end in ends}) == 1
    assert chexpert.read(phantom_folder).frame.shape[0] > 0
