"""Equal images: counted exactly, against a count by hand over random tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from transfusion.data import content, equal_images, file_bytes, image_cache
from transfusion.data.dataset import PARTS, Dataset


def dataset_of(root: Path, rows: list[tuple[str, str, str, bytes]]) -> Dataset:
    """(image, patient, part, bytes) as a table with its files."""
    for image, _, _, data in rows:
        (root / image).write_bytes(data)
    frame = pd.DataFrame([row[:3] for row in rows], columns=["image", "patient", "part"])
    return content.settled(content.recalled(Dataset(root, frame, (), "f" * 16), []))


def by_hand(rows: list[tuple[str, str, str, bytes]]) -> dict[tuple[str, str, bool | None], int]:
    """The same counts from the definition, one image at a time."""
    counts: dict[tuple[str, str, bool | None], int] = {}
    order = equal_images.HELD_OUT_FIRST
    for place, (_, patient, part, data) in enumerate(rows):
        others = [(k, row) for k, row in enumerate(rows) if k != place and row[3] == data]
        kinds: set[tuple[str, str, bool | None]] = set()
        for k, (_, other_patient, other, _) in others:
            if other != part:
                if order.index(part) < order.index(other):
                    kinds.add((part, other, None))
            elif other_patient != patient:
                kinds.add((part, part, False))
            elif k < place:
                kinds.add((part, part, True))
        for kind in kinds:
            counts[kind] = counts.get(kind, 0) + 1
    return counts


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_the_definition(tmp_path, seed):
    rng = np.random.default_rng(seed)
    rows = [
        (
            f"im{k}",
            f"p{rng.integers(15)}",
            str(rng.choice(PARTS, p=[0.6, 0.1, 0.2, 0.1])),
            bytes([rng.integers(60)]),
        )
        for k in range(80)
    ]
    found = equal_images.find(dataset_of(tmp_path, rows))
    assert {(one.part, one.other, one.same_patient): one.images for one in found} == by_hand(rows)
    data = {image: content for image, _, _, content in rows}
    parts = {image: part for image, _, part, _ in rows}
    patients = {image: patient for image, patient, _, _ in rows}
    for one in found:
        assert one.of == sum(part == one.part for part in parts.values())
        assert len(one.first) == min(equal_images.SHOWN, one.images)
        for image, other in one.first:
            assert image != other
            assert data[image] == data[other]
            assert (parts[image], parts[other]) == (one.part, one.other)
            if one.same_patient is not None:
                assert (patients[image] == patients[other]) == one.same_patient


def test_what_is_said(tmp_path):
    rows = [
        ("a", "p1", "train", b"1"), ("b", "p2", "test", b"1"), ("c", "p3", "test", b"2"),
        ("d", "p4", "train", b"3"), ("e", "p5", "train", b"3"), ("f", "p4", "train", b"3"),
    ]  # fmt: skip
    loud = "what is measured on them is not held out"
    said = [str(one) for one in equal_images.find(dataset_of(tmp_path, rows))]
    assert said == [
        f"1 of 2 test images are in train too, byte for byte: {loud} (b = a)",
        "3 of 4 train images are those of another patient too, byte for byte (d = e, e = d, f = e)",
        "1 of 4 train images repeat another one of the same patient, byte for byte (f = d)",
    ]


def test_nothing_is_said_where_images_differ_or_are_not_known(tmp_path):
    rows = [(f"im{k}", f"p{k}", "train" if k % 2 else "test", bytes([k])) for k in range(20)]
    dataset = dataset_of(tmp_path, rows)
    assert equal_images.find(dataset) == ()
    unread = content.recalled(Dataset(dataset.root, dataset.frame, (), "f"), [], sample=False)
    assert equal_images.find(unread) == (), "sizes alone say nothing"


def test_a_hundred_thousand_copies_of_one_image_take_no_time(tmp_path):
    count = 100_000
    (tmp_path / "one").write_bytes(b"one")
    frame = pd.DataFrame(
        {
            "image": [f"im{k}" for k in range(count)],
            "patient": [f"p{k // 3}" for k in range(count)],
            "part": np.where(np.arange(count) % 10 == 0, "test", "train"),
        }
    )
    digests = np.ones((count, file_bytes.DIGEST_BYTES), dtype=np.uint8)
    stamps = np.ones((count, 3), dtype=np.int64)
    dataset = content.as_read(Dataset(tmp_path, frame, (), "f"), digests, stamps)
    leak, *others = equal_images.find(dataset)
    assert (leak.part, leak.other, leak.images, leak.of) == ("test", "train", 10_000, 10_000)
    assert [one.images for one in others if one.part == "train" and not one.same_patient] == [90_000]


def save(file: Path, picture: np.ndarray, comment: str = "") -> None:
    text = PngInfo()
    text.add_text("Comment", comment)
    Image.fromarray(picture).save(file, "PNG", pnginfo=text)


def test_a_picture_that_was_stored_anew_is_seen_once_it_is_decoded(tmp_path):
    """Of 20 pictures two are there once more: as it is, and with another comment."""
    noise = np.random.default_rng(0).integers(0, 256, (21, 16, 16), dtype=np.uint8)
    blank = np.zeros((16, 16), np.uint8)
    for k in range(20):
        save(tmp_path / f"im{k:02d}", noise[k])
    save(tmp_path / "im20", noise[0])
    save(tmp_path / "im21", noise[1], "made anonymous")
    save(tmp_path / "im22", noise[20])
    save(tmp_path / "im23", blank)
    save(tmp_path / "im24", blank, "as empty as the other, and no leak")
    names = [f"im{k:02d}" for k in range(25)]
    parts = ["train"] * 20 + ["test"] * 4 + ["train"]
    frame = pd.DataFrame({"image": names, "patient": [f"p{k}" for k in range(25)], "part": parts})
    dataset = Dataset(tmp_path, frame, ("Edema",), "f" * 16)
    loud = "what is measured on them is not held out"
    (before,) = equal_images.find(content.settled(content.recalled(dataset, [])))
    assert str(before) == f"1 of 4 test images are in train too, byte for byte: {loud} (im20 = im00)"
    (after,) = equal_images.find(image_cache.prepare(dataset, 16, tmp_path / "cache"))
    assert str(after) == (
        "2 of 4 test images are in train too, pixel for pixel at the size that is trained on "
        f"(1 byte for byte): {loud} (im20 = im00, im21 = im01)"
    )
    again = content.recalled(dataset, [tmp_path / "cache"])
    assert equal_images.find(again) == (after,), "the record keeps it"
    save(tmp_path / "im21", noise[2], "something else")
    changed = content.settled(content.recalled(dataset, [tmp_path / "cache"]))
    assert equal_images.find(changed) == (before,), "what has changed is not known any more"
