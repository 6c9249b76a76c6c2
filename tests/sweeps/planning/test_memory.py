"""Memory by arithmetic: what a trial takes at least on a CPU, and weights and activations on a device."""

from dataclasses import replace

import pytest

from sweeps.planning.memory import (
    HOST_BYTES,
    estimate,
    first_share,
    needed_bytes,
    needed_on_cpu,
    refuse_too_large,
)
from sweeps.planning.resources import Resources
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell, Recipe
from transfusion.problems import SettingError

SMALL = Cell(architecture="cbr_tiny", train_images=10)
LARGE = Cell(architecture="resnet50", train_images=10)
FROZEN = Cell(architecture="resnet50", train_images=10, init="photos", freeze="backbone")


def weights(cell):
    return 4 * ARCHITECTURES[cell.architecture].parameters


def test_on_a_cpu_weights_count_five_times_or_once_where_they_stay():
    """Weights, gradients, two moments of Adam, and the best epoch's; four bytes each."""
    assert needed_on_cpu(LARGE) == HOST_BYTES + 5 * weights(LARGE)
    assert needed_on_cpu(FROZEN) == HOST_BYTES + weights(FROZEN)


def test_networks_that_do_not_fit_are_named_with_those_that_do():
    between = needed_on_cpu(SMALL) + 1
    for memory in (None, needed_on_cpu(LARGE)):
        refuse_too_large([SMALL, LARGE], [SMALL, LARGE], memory)
    refuse_too_large([SMALL], [SMALL, LARGE], between)
    with pytest.raises(SettingError) as refused:
        refuse_too_large([LARGE, SMALL], [SMALL, LARGE], between)
    said = str(refused.value)
    assert f"found {between / 2**20:,.0f} MiB for trials" in said
    assert f"each network: resnet50 {needed_on_cpu(LARGE) / 2**20:,.0f} MiB, and" in said
    assert said.endswith(", or train less: --architectures cbr_tiny")
    with pytest.raises(SettingError) as refused:
        refuse_too_large([LARGE, FROZEN], [LARGE], between)
    assert "train less" not in str(refused.value), "there is nothing less"
    assert f"resnet50 {needed_on_cpu(LARGE) / 2**20:,.0f} MiB" in str(refused.value), "what it needs at most"


def test_on_a_device_activations_count_by_the_batch_that_is_at_hand():
    """Twice an image's in training, half of it in an evaluation of 64 images at a time, or of a larger batch
    where nothing is trained."""
    name, size = "cbr_tiny", 32
    an_image = (estimate(name, size, 128) - estimate(name, size, 64)) // (2 * 64)
    assert estimate(name, size, 128) == 5 * weights(SMALL) + 2 * 128 * an_image
    assert estimate(name, size, 1) == 5 * weights(SMALL) + 32 * an_image
    assert estimate(name, size, 16) == estimate(name, size, 1) < estimate(name, size, 17)
    assert estimate(name, size, 8, "backbone") == weights(SMALL) + 32 * an_image
    assert estimate(name, size, 128, "backbone") == weights(SMALL) + 64 * an_image
    assert estimate(name, size, 128, "none", 2) == 5 * weights(SMALL) + 128 * an_image


def test_the_first_share_holds_the_need_in_the_type_that_is_used():
    """A card of which float32 needs more than a half, and bfloat16 less; a measured peak counts instead."""
    recipe = Recipe()
    need = needed_bytes(LARGE, recipe, {}, 4)
    card = Resources(device="cuda", cpus=1, cores=(16,), gpus=(1.0,), gpu_memory=2 * need - 2)
    assert first_share(LARGE, recipe, card, {}) == 1.0
    assert first_share(LARGE, recipe, replace(card, reduced=True), {}) == 0.5
    assert first_share(LARGE, recipe, card, {("resnet50", 224, 32, "none"): 2**20}) == 1 / 16
    cores = Resources(device="cpu", cpus=1, cores=(16,), host_memory=2 * needed_on_cpu(LARGE))
    assert first_share(LARGE, recipe, cores, {}) == 0.5
