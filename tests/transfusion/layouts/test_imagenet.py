"""A folder in ImageNet's layout as an upstream task: its images, classes and pixels, and what is wrong."""

import dataclasses

import numpy as np
import pytest
import torch
from imagenet_folder import COLOURS, write_images
from one_trial import run_trial
from PIL import Image

from transfusion.cell import Cell, Supplied, upstream_of
from transfusion.data import image_cache
from transfusion.images import decoding
from transfusion.images.reading import parse
from transfusion.layouts import imagenet
from transfusion.networks.initialization import load_stages
from transfusion.problems import InputError
from transfusion.records import results
from transfusion.training.task import imagenet_task
from transfusion.trial import initial_network


@pytest.fixture
def folder(tmp_path):
    return write_images(tmp_path / "ImageNet")


def test_the_classes_take_turns_and_parts_are_disjoint(folder):
    dataset = imagenet.read(folder, 30)
    assert len(dataset.rows("train")) == 30
    assert len(dataset.rows("selection")) == 3
    assert dataset.frame["image"].is_unique
    assert dataset.frame.query("part == 'train'")["class"].value_counts().tolist() == [10, 10, 10]
    assert sorted(dataset.frame.query("part == 'selection'")["class"]) == [0, 1, 2]
    assert (
        dataset.frame["image"].str.slice(0, 3) == dataset.frame["class"].map(dict(enumerate(COLOURS)))
    ).all()
    assert all((dataset.root / image).is_file() for image in dataset.frame["image"])


def test_a_smaller_selection_lies_inside_a_larger(folder):
    small, large = (imagenet.read(folder, images).frame["image"].tolist() for images in (10, 40))
    assert large[: len(small)] == small


@pytest.mark.parametrize("layout", ["train", "ILSVRC/Data/CLS-LOC/train", "."])
def test_the_layout_and_the_place_make_no_difference(folder, layout, tmp_path):
    expected = imagenet.read(folder, 30)
    moved = tmp_path / "elsewhere"
    (moved / layout).parent.mkdir(parents=True, exist_ok=True)
    (folder / "train").rename(moved / layout)
    dataset = imagenet.read(moved, 30)
    assert dataset.fingerprint == expected.fingerprint
    assert dataset.frame.equals(expected.frame)


def test_other_content_has_another_fingerprint(folder):
    before = imagenet.read(folder, 40)
    Image.new("RGB", (40, 32)).save(folder / "train" / before.frame["image"].iloc[0])
    assert imagenet.read(folder, 40).fingerprint != before.fingerprint
    assert imagenet.read(folder, 39).fingerprint != imagenet.read(folder, 40).fingerprint


def test_the_cache_holds_the_colours_of_the_classes(folder, tmp_path):
    dataset = imagenet.read(folder, 40)
    pixels = image_cache.load(dataset, 16, tmp_path / "cache", channels=3)
    assert pixels.shape == (44, 3, 16, 16)
    assert pixels.dtype == np.uint8
    colours = np.array(list(COLOURS.values()))[dataset.frame["class"]]
    np.testing.assert_allclose(pixels, np.broadcast_to(colours[..., None, None], pixels.shape), atol=6)
    gray = image_cache.load(dataset, 16, tmp_path / "cache")
    assert gray.shape == (44, 16, 16), "gray and RGB caches lie side by side"
    task = imagenet_task(Cell(kind="upstream", architecture="cbr_tiny", train_images=40), dataset, pixels)
    assert task.outputs == 3
    assert task.targets.tolist() == dataset.frame["class"].tolist()
    assert len(task.rows["train"]) == 40
    assert not set(task.rows["train"]) & set(task.rows["selection"])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "1", "LA"])
def test_images_of_every_mode_become_rgb(mode, tmp_path):
    values = np.repeat(np.linspace(0, 255, 8).astype(np.uint8)[None], 8, axis=0)
    if mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(values).convert("RGB").convert(mode)
    image.save(tmp_path / "x.png")
    expected = np.asarray(image.convert("RGB")) if mode != "I;16" else np.repeat(values[..., None], 3, axis=2)
    found = decoding.decode([tmp_path / "x.png"], 8, 3, parse("16bit"))[0]
    np.testing.assert_array_equal(found.transpose(1, 2, 0), expected)


def test_every_bad_image_is_reported_with_its_path(folder):
    images = imagenet.read(folder, 40).frame["image"]
    broken = [folder / "train" / images.iloc[i] for i in (3, 17, 42)]
    broken[0].write_bytes(broken[0].read_bytes()[:200])
    broken[1].write_bytes(b"")
    broken[2].write_text("no image")
    with pytest.raises(InputError) as error:
        imagenet.read(folder, 40)
    assert len(error.value.problems) == 3
    for path in broken:
        assert str(path) in str(error.value)


def remove_classes(folder):
    for name in list(COLOURS)[1:]:
        for image in sorted((folder / "train" / name).rglob("*"), reverse=True):
            image.rmdir() if image.is_dir() else image.unlink()
        (folder / "train" / name).rmdir()


@pytest.mark.parametrize(
    ("damage", "images", "named"),
    [
        (lambda folder: folder.rename(folder.with_name("gone")), 10, "no such folder"),
        (lambda folder: (folder / "train").rename(folder.with_name("gone")), 10, "found an empty folder"),
        (lambda folder: (folder / "train" / "n04").mkdir(), 10, "n04: found no image"),
        (lambda folder: None, 42, "found 45 images of 3 classes, expected at least 46 images"),
        (remove_classes, 10, "15 images of 1 class,"),
    ],
    ids=["folder", "classes", "empty class", "few images", "one class"],
)
def test_an_unusable_folder_is_refused_by_name(folder, damage, images, named):
    damage(folder)
    with pytest.raises(InputError, match=named) as error:
        imagenet.read(folder, images)
    assert str(folder) in str(error.value)


def test_a_network_is_pretrained_on_the_folder_and_others_start_from_it(
    folder, dataset, image_folder, quick, tmp_path
):
    recipe = dataclasses.replace(quick, upstream_images=40, upstream_epochs=6)
    images = imagenet.read(folder, 40)
    supplied, cells = Supplied(imagenet=images.fingerprint), tmp_path / "cells"
    cell = Cell(architecture="cbr_tiny", train_images=32, init="imagenet")
    above = upstream_of(cell, recipe, supplied)
    record = run_trial(
        above, recipe, dataset, cells=cells, cache=image_folder, supplied=supplied, imagenet=images
    )
    assert record["status"] == "done", record["error"]
    assert record["metrics"]["selection_loss"] < 0.5 * np.log(3), "three colours are told apart"
    network = initial_network(cell, recipe, dataset.fingerprint, cells, 1, supplied)
    stored = load_stages(cells / record["cell_id"] / results.WEIGHTS)
    for name, tensor in network.stages.state_dict().items():
        assert torch.equal(tensor, stored[name]), name
