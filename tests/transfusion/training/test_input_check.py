"""Whether images fit supplied weights: networks trained on photographs, then shown other scales."""

import math
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn

from transfusion.images.decoding import decode
from transfusion.layouts import photos
from transfusion.networks.network import build
from transfusion.training import input_check
from transfusion.weights_input import DEFAULT, NAMED, scale

SIZE = 24


@lru_cache
def trained(architecture, low, high, mean=0.0, std=1.0):
    """Stages of a network that learned to tell photographs apart, on gray values from `low` to `high`."""
    images, classes = photos.crops(256, SIZE, 0)
    pixels, targets = torch.from_numpy(images).float(), torch.from_numpy(classes)
    pixels = (pixels.mean(1, keepdim=True).expand(-1, 3, -1, -1) / 255 * (high - low) + low - mean) / std
    torch.manual_seed(0)
    network = build(architecture, int(targets.max()) + 1, batch_norm_momentum=0.5)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for step in range(30):
        rows = slice(step % 8 * 32, step % 8 * 32 + 32)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(pixels[rows]), targets[rows]).backward()
        optimizer.step()
    return network.stages.state_dict()


@pytest.fixture(scope="module")
def radiographs(phantom_folder):
    return decode(sorted(phantom_folder.rglob("*.jpg"))[:16], SIZE)


@pytest.fixture(scope="module")
def photographs():
    return photos.crops(16, SIZE, 1)[0].astype(np.float32).mean(1).astype(np.uint8)


SCALES = {
    "imagenet": (0, 1, 0.449, 0.226),
    "half": (0, 1, 0.5, 0.5),
    "unit": (0, 1),
    "bytes": (0, 255),
    "torchxrayvision": (-1024, 1024),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in ("half", "unit"))) for name in SCALES],
)
def test_the_right_scale_passes_on_photographs_and_on_radiographs(name, photographs, radiographs):
    weights = trained("cbr_tiny", *SCALES[name])
    for images in (photographs, radiographs):
        found = input_check.look(weights, "cbr_tiny", images, NAMED[name])
        assert not found.doubted, found
        assert 0.3 < found.spread < 3


@pytest.mark.parametrize(("name", "factor"), [("bytes", 60), ("torchxrayvision", 450)])
def test_gray_values_of_another_range_are_refused_and_the_remedy_named(
    name, factor, photographs, radiographs
):
    weights = trained("cbr_tiny", *SCALES[name])
    for images in (photographs, radiographs):
        found = input_check.look(weights, "cbr_tiny", images, DEFAULT)
        assert found.refused
        assert factor / 4 < 1 / found.spread < factor * 4
        assert input_check.better(weights, "cbr_tiny", images, found) == name


@pytest.mark.parametrize(
    ("low", "high"), [pytest.param(0, 1000, marks=pytest.mark.slow), (0, 1 / 255), (-32768, 32767)]
)
@pytest.mark.parametrize("architecture", ["cbr_tiny", pytest.param("resnet18", marks=pytest.mark.slow)])
def test_a_scale_off_by_a_thousand_or_so_either_way_is_refused(low, high, architecture, radiographs):
    weights = trained(architecture, low, high)
    assert input_check.look(weights, architecture, radiographs, DEFAULT).refused
    assert not input_check.look(weights, architecture, radiographs, scale(low, high)).doubted


def test_a_shifted_mean_is_doubted(radiographs):
    weights = trained("cbr_tiny", *SCALES["imagenet"])
    found = input_check.look(weights, "cbr_tiny", radiographs, scale(0, 1, (20.0,), (0.226,)))
    assert found.doubted
    assert found.shift > 10 * input_check.look(weights, "cbr_tiny", radiographs, DEFAULT).shift


def test_networks_that_never_trained_are_known_and_images_without_content_are_refused(radiographs):
    fresh = build("resnet18").stages.state_dict()
    assert input_check.look(fresh, "resnet18", radiographs, DEFAULT).untrained
    weights = trained("cbr_tiny", *SCALES["imagenet"])
    found = input_check.look(weights, "cbr_tiny", radiographs, DEFAULT)
    assert not found.untrained
    assert (found.unset, found.norms) == (0, sum(name.endswith("running_var") for name in weights))
    last = max(name.rpartition(".")[0] for name in weights if name.endswith("running_var"))
    reset = {f"{last}.running_mean": 0 * weights[f"{last}.running_mean"],
             f"{last}.running_var": 1 + 0 * weights[f"{last}.running_var"]}  # fmt: skip
    in_part = input_check.look(weights | reset, "cbr_tiny", radiographs, DEFAULT)
    assert (in_part.unset, in_part.untrained) == (1, False)
    wrong = {name: t * math.nan if name == "block1.0.weight" else t for name, t in weights.items()}
    assert input_check.look(wrong, "cbr_tiny", radiographs, DEFAULT).refused


def test_spread_and_shift_of_each_channel_by_hand():
    """Values 0, 2, 4, 6 (mean 3, variance 5) and 2, 2, 3, 3 (2.5 and 0.25); the third channel was dead."""
    norm = nn.BatchNorm2d(3)
    norm.running_mean, norm.running_var = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([4.0, 0.25, 1e-9])
    inputs = torch.zeros(2, 3, 1, 2)
    inputs[:, 0, 0], inputs[:, 1, 0] = torch.tensor([[0, 2], [4, 6]]), torch.tensor([[2, 2], [3, 3]])
    spread, shift = input_check._compared(norm, inputs)
    assert spread.tolist() == pytest.approx([math.sqrt(5) / 2, 1.0])
    assert shift.tolist() == pytest.approx([1.0, 1.0])


def seen(spread=1.0, shift=0.0, deep=1.0):
    return input_check.Seen(spread, shift, deep, unset=0, norms=4)


@pytest.mark.parametrize(
    ("found", "misfit", "doubted", "refused"),
    [
        (seen(), 1.0, False, False),
        (seen(spread=3.9, shift=1.9, deep=19), 3.9, False, False),
        (seen(spread=1 / 3.9, deep=1 / 19), 3.9, False, False),
        (seen(spread=4.1), 4.1, True, False),
        (seen(spread=1 / 4.1), 4.1, True, False),
        (seen(shift=2.1), 2.1, True, False),
        (seen(deep=21), 1.0, True, False),
        (seen(deep=1 / 21), 1.0, True, False),
        (seen(spread=21), 21.0, True, True),
        (seen(spread=1 / 21), 21.0, True, True),
        (seen(shift=21), 21.0, True, True),
        (seen(spread=0.0), math.inf, True, True),
        (seen(spread=math.nan), math.inf, True, True),
        (seen(shift=math.inf), math.inf, True, True),
    ],
)
def test_what_is_doubted_and_what_is_refused(found, misfit, doubted, refused):
    assert found.misfit == pytest.approx(misfit)
    assert (found.doubted, found.refused) == (doubted, refused)


@pytest.mark.parametrize("statistic", ["running_mean", "running_var"])
def test_either_statistic_of_one_batch_norm_tells_that_a_network_was_trained(radiographs, statistic):
    weights = build("cbr_tiny").stages.state_dict()
    assert input_check.look(weights, "cbr_tiny", radiographs[:1], DEFAULT).untrained
    name = next(name for name in weights if name.endswith(statistic))
    weights[name] = weights[name] + 0.5
    assert not input_check.look(weights, "cbr_tiny", radiographs[:1], DEFAULT).untrained


@pytest.mark.parametrize(
    ("misfits", "found", "named"),
    [
        ({"unit": 1.5}, seen(spread=60), "unit"),
        ({"unit": 1.5, "half": 1.2}, seen(spread=60), "half"),
        ({"unit": 1.5}, seen(spread=5.9), None),
        ({"unit": 1.5}, seen(spread=6.1), "unit"),
        ({"unit": 4.5}, seen(spread=60), None),
        ({"unit": 1.5}, seen(), None),
        ({"unit": 1.5, "half": 1 / 60}, seen(spread=60), "unit"),
    ],
)
def test_a_convention_is_named_that_fits_and_fits_four_times_better(monkeypatch, misfits, found, named):
    scales = {scale: misfits.get(name, 80.0) for name, scale in NAMED.items()}
    monkeypatch.setattr(input_check, "look", lambda *rest: seen(spread=scales[rest[-1]]))
    assert input_check.better({}, "cbr_tiny", np.zeros((1, 2, 2), np.uint8), found) == named


@pytest.mark.parametrize(
    ("spread", "words"),
    [(0.02, "50 times less than"), (1.0, "1 times as much as"), (60.0, "60 times as much as"),
     (0.0, "0 times as much as")],
)  # fmt: skip
def test_the_words_say_how_much_images_vary(spread, words):
    assert f"images vary {words} in the weights' training" in seen(spread=spread, shift=2.5).text()
    assert "off by 2.5 deviations" in seen(spread=spread, shift=2.5).text()


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [1.0, 2.0, math.inf]])
def test_there_is_no_quantile_of_nothing_nor_of_what_is_no_number(values):
    assert math.isnan(input_check._quantile(torch.tensor(values), 0.5))
    assert float(input_check._quantile(torch.tensor([1.0, 2.0, 4.0]), 0.75)) == 3.0
