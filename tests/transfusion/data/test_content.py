"""The identity of data is the bytes of every image: what is kept, and what is noticed, on real files."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from transfusion.data import content, file_bytes, image_cache
from transfusion.data.dataset import Dataset
from transfusion.images.reading import Reading
from transfusion.layouts import csv_table
from transfusion.problems import InputError

IMAGES = 40
OLD = time.time_ns() - 3600 * 10**9


def draw(file: Path, number: int, size: int = 24) -> None:
    """Noise that hangs on `number` alone, as bytes of a size that does not: a PNG without compression."""
    pixels = np.random.default_rng(number).integers(0, 255, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(file, compress_level=0)


def age(folder: Path) -> None:
    """Sets the files' times to an hour ago, but for the time of the inode, which nobody can set."""
    for file in folder.glob("*.png"):
        os.utime(file, ns=(OLD, OLD))


def read(folder: Path) -> Dataset:
    return csv_table.read(folder / "t.csv", path_column="file", patient_column="person", findings=["Edema"])


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of these tests may be sure of their times right away; the wait has its own test."""
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of 40 images, two of each person, written an hour ago as far as times can be set."""
    place = tmp_path / "data"
    place.mkdir()
    rows = []
    for number in range(IMAGES):
        draw(place / f"im{number}.png", number)
        rows.append(f"im{number}.png,p{number // 2},{number % 2}")
    (place / "t.csv").write_text("\n".join(["file,person,Edema", *rows]) + "\n")
    age(place)
    return place


@pytest.fixture
def remembered(folder: Path, tmp_path: Path) -> Dataset:
    """The table after all of it was read, and remembered in `records`."""
    dataset = content.settled(content.recalled(read(folder), []))
    content.remember(dataset, tmp_path / "records")
    return dataset


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on planning reads no image, as with a data set that is large."""
    monkeypatch.setattr(content, "FEW_FILES", 0)
    monkeypatch.setattr(content, "SAMPLE", 0)


def planned(folder: Path, records: Path) -> Dataset:
    return content.recalled(read(folder), [records])


def known(dataset: Dataset) -> content.Content:
    assert dataset.content is not None
    return dataset.content


def test_nothing_is_read_twice(folder, remembered, tmp_path, monkeypatch):
    monkeypatch.setattr(file_bytes, "read_file", None)
    again = content.settled(planned(folder, tmp_path / "records"))
    assert again.fingerprint == remembered.fingerprint
    assert known(again).certain.all()


def test_a_moved_folder_is_the_same_data_without_reading(folder, remembered, tmp_path, monkeypatch):
    folder.rename(tmp_path / "elsewhere")
    monkeypatch.setattr(file_bytes, "read_file", None)
    moved = content.settled(planned(tmp_path / "elsewhere", tmp_path / "records"))
    assert moved.fingerprint == remembered.fingerprint


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("copy", [shutil.copy, shutil.copy2], ids=["new times", "kept times"])
def test_a_copy_is_assumed_to_be_the_same_and_read_before_that_is_certain(folder, remembered, tmp_path, copy):
    shutil.copytree(folder, tmp_path / "copy", copy_function=copy)
    dataset = planned(tmp_path / "copy", tmp_path / "records")
    assert dataset.fingerprint == remembered.fingerprint, "the plan keeps the cells"
    assert known(dataset).assumed.sum() == IMAGES
    assert not known(dataset).certain.any()
    dataset = content.settled(dataset)
    assert dataset.fingerprint == remembered.fingerprint
    assert known(dataset).certain.all()
    assert not known(dataset).changed.any()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("keep_time", [False, True], ids=["new time", "old time"])
@pytest.mark.parametrize("how", ["written over", "put in its place"])
def test_images_of_the_same_size_that_are_replaced_are_noticed(folder, remembered, tmp_path, keep_time, how):
    """Also where the time is set back (`rsync -t`, `cp -p`): the time of the inode cannot be."""
    time.sleep(0.02)  # the clock of the file system is that coarse
    victims = (3, 17, 38)
    for number in victims:
        file = folder / f"im{number}.png"
        before = file.stat()
        fresh = file if how == "written over" else folder / "fresh.png"
        draw(fresh, 1000 + number)
        fresh.replace(file)
        if keep_time:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert file.stat().st_size == before.st_size
    dataset = planned(folder, tmp_path / "records")
    assert np.flatnonzero(known(dataset).assumed).tolist() == list(victims), (
        "the others are known by their times"
    )
    dataset = content.settled(dataset)
    assert np.flatnonzero(known(dataset).changed).tolist() == list(victims)
    assert dataset.fingerprint != remembered.fingerprint


@pytest.mark.usefixtures("unread")
def test_one_byte_more_is_seen_while_planning(folder, remembered, tmp_path):
    with (folder / "im7.png").open("ab") as stream:
        stream.write(b"\0")
    dataset = planned(folder, tmp_path / "records")
    assert dataset.fingerprint != remembered.fingerprint
    assert np.flatnonzero(known(dataset).changed).tolist() == [7]


def test_few_images_are_read_while_planning(folder, remembered, tmp_path):
    draw(folder / "im11.png", 99)
    dataset = planned(folder, tmp_path / "records")
    assert known(dataset).certain.all()
    assert known(dataset).changed.sum() == 1
    assert dataset.fingerprint != remembered.fingerprint


def test_few_images_of_which_there_is_no_record_are_all_read_while_planning(folder):
    """One of no bytes as well, whatever a decoder says of it later."""
    (folder / "im3.png").write_bytes(b"")
    dataset = content.recalled(read(folder), [])
    assert known(dataset).certain.all()
    assert dataset.fingerprint == content.settled(dataset).fingerprint


def test_few_are_those_of_few_bytes(folder, monkeypatch):
    """A single image as well; the bytes of files count, not their times."""
    one = Dataset(folder, pd.DataFrame({"image": ["im3.png"]}), (), "a")
    size = (folder / "im3.png").stat().st_size
    for bytes_at_most, read_at_once in ((size, True), (size - 1, False)):
        monkeypatch.setattr(content, "FEW_BYTES", bytes_at_most)
        assert known(content.recalled(one, [])).certain.all() == read_at_once


def test_a_sample_of_many_images_is_read_while_planning(folder, remembered, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FEW_FILES", 0)
    monkeypatch.setattr(content, "SAMPLE", 10)
    shutil.copytree(folder, tmp_path / "copy")
    for number in range(IMAGES):
        draw(tmp_path / "copy" / f"im{number}.png", 500 + number)
    dataset = planned(tmp_path / "copy", tmp_path / "records")
    assert known(dataset).certain.sum() == known(dataset).changed.sum() == 10
    sampled = np.flatnonzero(known(dataset).certain)
    assert (sampled[0], sampled[-1]) == (0, IMAGES - 1), "from end to end"
    assert set(np.diff(sampled)) == {4, 5}, "39 steps in 9 gaps"
    assert dataset.fingerprint != remembered.fingerprint


def test_a_renamed_image_and_another_label_are_other_data(folder, remembered, tmp_path):
    (folder / "im5.png").rename(folder / "five.png")
    csv = folder / "t.csv"
    csv.write_text(csv.read_text().replace("im5.png", "five.png"))
    assert content.settled(planned(folder, tmp_path / "records")).fingerprint != remembered.fingerprint
    (folder / "five.png").rename(folder / "im5.png")
    csv.write_text(csv.read_text().replace("five.png", "im5.png"))
    assert content.settled(planned(folder, tmp_path / "records")).fingerprint == remembered.fingerprint
    csv.write_text(csv.read_text().replace("im5.png,p2,1", "im5.png,p2,0"))
    assert content.settled(planned(folder, tmp_path / "records")).fingerprint != remembered.fingerprint


def test_the_order_in_which_files_were_written_does_not_matter(folder, remembered, tmp_path):
    other = tmp_path / "backwards"
    other.mkdir()
    for file in sorted(folder.iterdir(), reverse=True):
        shutil.copy(file, other)
    assert content.settled(content.recalled(read(other), [])).fingerprint == remembered.fingerprint


def test_mended_labels_use_the_same_cache(folder, tmp_path, monkeypatch):
    first = image_cache.prepare(read(folder), 24, tmp_path / "cache")
    csv = folder / "t.csv"
    csv.write_text(csv.read_text().replace("im5.png,p2,1", "im5.png,p2,0"))
    monkeypatch.setattr(image_cache, "decode", None)
    second = image_cache.prepare(read(folder), 24, tmp_path / "cache")
    assert first.fingerprint != second.fingerprint


def test_another_range_of_values_has_another_cache(folder, tmp_path):
    """The same bytes read otherwise are other pixels."""
    dataset = image_cache.prepare(read(folder), 24, tmp_path / "cache")
    windowed = dataclasses.replace(dataset, reading=Reading("range", 0.0, 4095.0))
    assert image_cache.cache_key(windowed, 24) != image_cache.cache_key(dataset, 24)


def test_two_images_that_change_places_are_other_data(folder, remembered, tmp_path):
    (folder / "im1.png").rename(folder / "x.png")
    (folder / "im3.png").rename(folder / "im1.png")
    (folder / "x.png").rename(folder / "im3.png")
    dataset = content.settled(planned(folder, tmp_path / "records"))
    assert dataset.fingerprint != remembered.fingerprint
    assert np.flatnonzero(known(dataset).changed).tolist() == [1, 3]


def test_a_row_more_needs_only_its_own_image(folder, remembered, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "FEW_FILES", 0)
    draw(folder / "new.png", 77)
    with (folder / "t.csv").open("a") as stream:
        stream.write("new.png,p99,1\n")
    dataset = planned(folder, tmp_path / "records")
    assert known(dataset).certain.sum() == IMAGES
    assert dataset.fingerprint != remembered.fingerprint


def test_a_file_that_may_still_change_is_read_again(folder, tmp_path, monkeypatch):
    """Times of some file systems are two seconds apart: a second change within them would go unseen."""
    monkeypatch.setattr(file_bytes, "UNSETTLED_NS", 3600 * 10**9)
    dataset = content.settled(content.recalled(read(folder), []))
    content.remember(dataset, tmp_path / "records")
    monkeypatch.setattr(content, "FEW_FILES", 0)
    monkeypatch.setattr(content, "SAMPLE", 0)
    again = planned(folder, tmp_path / "records")
    assert not known(again).certain.any()
    assert again.fingerprint == dataset.fingerprint


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nothing more", None])
def test_a_damaged_record_is_as_if_there_were_none(folder, remembered, tmp_path, damage):
    (file,) = (tmp_path / "records").iterdir()
    file.write_bytes(file.read_bytes()[:-200] if damage is None else damage)
    again = content.settled(planned(folder, tmp_path / "records"))
    assert again.fingerprint == remembered.fingerprint
    content.remember(again, tmp_path / "records")
    assert known(planned(folder, tmp_path / "records")).certain.all(), "it is written anew"


def test_the_record_that_fits_best_is_taken(folder, remembered, tmp_path):
    draw(folder / "im0.png", 500)
    changed = content.settled(planned(folder, tmp_path / "records"))
    content.remember(changed, tmp_path / "records")
    assert len(list((tmp_path / "records").iterdir())) == 2
    assert known(planned(folder, tmp_path / "records")).record == changed.fingerprint
    draw(folder / "im0.png", 0)
    assert planned(folder, tmp_path / "records").fingerprint == remembered.fingerprint


def test_what_was_not_read_is_not_remembered(folder, tmp_path, unread):
    with pytest.raises(ValueError, match="were not read"):
        content.remember(content.recalled(read(folder), []), tmp_path)


def test_an_image_that_is_gone_is_named(folder, remembered, tmp_path):
    dataset = planned(folder, tmp_path / "records")
    draw(folder / "im4.png", 44)
    dataset = planned(folder, tmp_path / "records")
    uncertain = dataclasses.replace(known(dataset), certain=np.arange(IMAGES) != 4)
    (folder / "im4.png").unlink()
    with pytest.raises(InputError, match=r"im4\.png"):
        content.settled(content.with_content(dataset, uncertain))


def test_a_cache_of_other_bytes_is_never_used(folder, tmp_path):
    """Also by whoever knows no record: the same table, the same sizes, the same times, other pixels."""
    first = np.array(image_cache.load(read(folder), 24, tmp_path / "cache"))
    time.sleep(0.02)
    for number in (2, 9):
        draw(folder / f"im{number}.png", 700 + number)
        os.utime(folder / f"im{number}.png", ns=(OLD, OLD))
    second = image_cache.load(read(folder), 24, tmp_path / "cache")
    differ = (first != second).any(axis=(1, 2))
    assert np.flatnonzero(differ).tolist() == [2, 9]
    np.testing.assert_array_equal(second[2], np.asarray(Image.open(folder / "im2.png")))


def test_a_copy_uses_the_cache_after_its_bytes_are_read(folder, tmp_path, monkeypatch):
    first = image_cache.prepare(read(folder), 24, tmp_path / "cache")
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy)
    monkeypatch.setattr(image_cache, "decode", None)
    copy = image_cache.prepare(read(tmp_path / "copy"), 24, tmp_path / "cache")
    assert copy.fingerprint == first.fingerprint
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 1


def test_a_trial_refuses_other_images_than_those_planned(folder, remembered, tmp_path):
    """As on a node whose copy of the data is another: it builds a cache of its own, and sees it."""
    draw(folder / "im6.png", 66)
    with pytest.raises(
        InputError, match=r"im6\.png: found other bytes, expected those that the plan was made"
    ):
        image_cache.load(remembered, 24, tmp_path / "cache")
    draw(folder / "im6.png", 6)
    image_cache.load(remembered, 24, tmp_path / "cache")


def test_a_trial_reads_nothing_where_the_cache_is(folder, tmp_path, monkeypatch):
    ready = image_cache.prepare(read(folder), 24, tmp_path / "cache")
    shutil.rmtree(folder)
    assert image_cache.load(ready, 24, tmp_path / "cache").shape == (IMAGES, 24, 24)


def test_a_refused_build_leaves_nothing_of_size(folder, tmp_path):
    (folder / "im8.png").write_bytes((folder / "im8.png").read_bytes()[:300])
    with pytest.raises(InputError):
        image_cache.prepare(read(folder), 24, tmp_path / "cache")
    assert {file.suffix for file in (tmp_path / "cache").iterdir()} == {".lock"}


def test_a_build_that_goes_on_reads_changed_images_again(folder, tmp_path, monkeypatch):
    """The first build dies after 32 images; one of them is replaced before the second."""
    monkeypatch.setattr(image_cache, "RECORD_SECONDS", 0)
    monkeypatch.setattr(image_cache, "SLICE", 8)

    class KilledError(Exception):
        pass

    def die(done: int, of: int) -> None:
        if done >= 32:
            raise KilledError

    with pytest.raises(KilledError):
        image_cache.prepare(read(folder), 24, tmp_path / "cache", die, workers=1)
    time.sleep(0.02)
    draw(folder / "im13.png", 313)
    counts: list[int] = []
    dataset = image_cache.prepare(
        read(folder), 24, tmp_path / "cache", lambda done, of: counts.append(done), workers=1
    )
    assert counts[0] == 13 + 8, "the images before the changed one are kept"
    pixels = image_cache.load(dataset, 24, tmp_path / "cache")
    for number in (0, 12, 13, 14, 39):
        np.testing.assert_array_equal(pixels[number], np.asarray(Image.open(folder / f"im{number}.png")))
    assert dataset.fingerprint == content.settled(content.recalled(read(folder), [])).fingerprint


def test_a_file_that_changes_while_it_is_read_is_refused(folder, tmp_path, monkeypatch):
    decode = image_cache.decode

    def slow(files, *rest):
        pixels = decode(files, *rest)
        if any(file.name == "im20.png" for file in files):
            time.sleep(0.02)
            draw(folder / "im20.png", 2020)
        return pixels

    monkeypatch.setattr(image_cache, "decode", slow)
    with pytest.raises(InputError, match=r"im20\.png: found a file that changes while it is read"):
        image_cache.prepare(read(folder), 24, tmp_path / "cache")


def test_digests_are_blake2b_of_the_whole_file(folder, remembered):
    import hashlib

    for row, image in enumerate(remembered.frame["image"]):
        expected = hashlib.blake2b((folder / image).read_bytes(), digest_size=16).digest()
        assert known(remembered).digests[row].tobytes() == expected


def test_many_rows_are_compared_by_name(tmp_path):
    """A record in another order than the table's."""
    frame = pd.DataFrame({"image": [f"{k}.png" for k in range(5)]})
    for k in range(5):
        draw(tmp_path / f"{k}.png", k)
    dataset = Dataset(tmp_path, frame, (), "a")
    content.remember(content.settled(content.recalled(dataset, [])), tmp_path / "records")
    backwards = Dataset(tmp_path, frame[::-1].reset_index(drop=True), (), "a")
    found = known(content.recalled(backwards, [tmp_path / "records"], sample=False))
    assert found.certain.all()
    assert found.digests[0].tobytes() == file_bytes.read_file(tmp_path / "4.png").digest
