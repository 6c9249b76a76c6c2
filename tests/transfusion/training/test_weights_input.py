"""What supplied weights expect of an image: read from the option, applied exactly, part of identity."""

import dataclasses

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from transfusion.cell import Cell, Recipe, Supplied, cell_id
from transfusion.networks.network import build
from transfusion.training.augmentation import evaluation_inputs
from transfusion.weights_input import DEFAULT, NAMED, InputError, parse, scale


def theirs(images, low, high, mean, std):
    """Gray images uint8 [N, 1, H, W] as another program would prepare them, in double precision."""
    gray = images.double().expand(-1, 3, -1, -1) / 255 * (high - low) + low
    return torchvision.transforms.functional.normalize(gray, list(mean), list(std))


@pytest.mark.parametrize(
    ("text", "low", "high", "mean", "std"),
    [
        ("torchxrayvision", -1024, 1024, (0, 0, 0), (1, 1, 1)),
        ("range=-1024,1024,mean=0,std=1", -1024, 1024, (0, 0, 0), (1, 1, 1)),
        ("mean=0.5,std=0.5", 0, 1, (0.5,) * 3, (0.5,) * 3),
        ("mean=0.485,0.456,0.406,std=0.5", 0, 1, (0.485, 0.456, 0.406), (0.5,) * 3),
        ("range=255,mean=103.939:116.779:123.68", 0, 255, (103.939, 116.779, 123.68), (1, 1, 1)),
        ("std=[58.4/57.1/57.4],range=0:255,mean=120", 0, 255, (120,) * 3, (58.4, 57.1, 57.4)),
        ("range=1,0,mean=0.4,std=0.25", 1, 0, (0.4,) * 3, (0.25,) * 3),
    ],
)
@pytest.mark.parametrize("architecture", ["cbr_tiny", "resnet18"])
def test_a_network_sees_what_the_other_program_would_show_it_to_the_border(
    text, low, high, mean, std, architecture
):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 20, 20), dtype=np.uint8))
    torch.manual_seed(0)
    network = build(architecture).eval()
    with torch.no_grad():
        expected = network.double().stages(theirs(images, low, high, mean, std))
        network.float().expect(parse(text))
        seen = []
        network.stages.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network(evaluation_inputs(images))
        ours = network.stages(seen[0])
    torch.testing.assert_close(
        seen[0].double(),
        theirs(images, low, high, mean, std),
        rtol=1e-5,
        atol=1e-5 * abs(high - low) / min(std),
    )
    scale_of_maps = expected.abs().max()
    torch.testing.assert_close(ours.double() / scale_of_maps, expected / scale_of_maps, rtol=0, atol=1e-4)


def test_the_default_leaves_a_network_as_it_is_to_the_bit():
    torch.manual_seed(0)
    network = build("cbr_tiny").eval()
    images = torch.randn(2, 3, 16, 16)
    before, names = network(images), set(network.state_dict())
    network.expect(parse("mean=0.485,0.456,0.406,std=0.229,0.224,0.225"))
    assert torch.equal(network(images), before)
    network.expect(NAMED["bytes"])
    assert not torch.equal(network(images), before)
    assert set(network.state_dict()) == names
    network.expect(DEFAULT)
    assert torch.equal(network(images), before)


@pytest.mark.parametrize(
    "text",
    ["", "xray", "mean", "mean=", "mean=a", "mean=1,2", "std=0", "std=1,-1,1", "range=1,1", "range=1,2,3",
     "lo=1", "mean=0,mean=1", "mean=inf", "range=0,nan", "0.5", "std=1,2,3,4"],
)  # fmt: skip
def test_what_is_no_scale_is_refused(text):
    with pytest.raises(InputError):
        parse(text)


def test_two_ways_to_write_a_scale_are_one():
    assert (
        parse("half")
        == parse("mean=0.5,std=0.5")
        == parse("range=-1,1")
        == parse("range=0,255,mean=127.5,std=127.5")
    )
    assert parse("mean=.485,.456,.406,std=.229,.224,.225") == parse("imagenet") == DEFAULT
    assert parse("mean=123.675,116.28,103.53,std=58.395,57.12,57.375,range=255") == DEFAULT
    assert scale(0, 255) != scale(0, 1)


def test_a_scale_enters_the_identity_of_the_cells_that_start_from_those_weights_alone():
    recipe = Recipe()
    grid = [
        Cell(architecture=architecture, train_images=64, init=init)
        for architecture in ("resnet18", "cbr_tiny")
        for init in ("random", "imagenet", "photos")
    ]
    plain = Supplied(weights=(("resnet18", "a" * 64),))
    same = dataclasses.replace(plain, inputs=(("resnet18", parse("imagenet")),))
    half, xray = (
        dataclasses.replace(plain, inputs=(("resnet18", parse(text)),))
        for text in ("half", "torchxrayvision")
    )
    ids = [[cell_id(cell, recipe, "data", one) for cell in grid] for one in (plain, same, half, xray)]
    assert ids[0] == ids[1]
    assert [a == b for a, b in zip(ids[0], ids[2], strict=True)] == [True, False, True, True, True, True]
    assert ids[2][1] != ids[3][1]


def test_a_scale_without_weights_changes_nothing():
    cell = Cell(architecture="resnet18", train_images=64, init="imagenet")
    alone = Supplied(inputs=(("resnet18", parse("half")),))
    assert cell_id(cell, Recipe(), "data", alone) == cell_id(cell, Recipe(), "data")
    assert isinstance(build("cbr_tiny").stages, nn.Sequential)
