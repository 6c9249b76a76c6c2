"""Shares of devices: by need for memory, escalated, and how many trials fit."""

import pytest

from sweeps.memory import CONTEXT_BYTES, MARGIN, estimate, measured_peaks, needed_bytes
from sweeps.resources import Resources, _checked, larger_share, of_machine
from transfusion.architectures import build, parameters
from transfusion.cell import ARCHITECTURES, Cell, Recipe, SettingError

GB = 2**30
GPU = Resources(device="cuda", cpus=2, cores=(16, 8), gpus=(2.0, 1.0), gpu_memory=16 * GB)
CPU = Resources(device="cpu", cpus=1, cores=(8, 8))


def test_shares_grow_up_to_a_whole_device():
    assert [larger_share(share) for share in (0.1, 0.25, 0.3, 0.5, 1.0)] == [0.25, 0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("need", "share"), [(4 * GB, 0.25), (4 * GB + 1, 0.5), (9 * GB, 1.0), (99 * GB, 1.0), (None, 1)]
)
def test_the_smallest_share_that_holds_the_need(need, share):
    assert GPU.share(need) == share


def test_slots_are_bounded_by_gpus_and_by_cores_on_every_node():
    assert GPU.slots(1.0) == 3
    assert GPU.slots(0.5) == 6
    assert GPU.slots(0.25) == min(8, 16 // 2) + min(4, 8 // 2)
    assert Resources(device="cuda", cpus=8, cores=(16, 8), gpus=(2.0, 1.0), gpu_memory=GB).slots(0.25) == 3
    assert CPU.slots(CPU.share()) == 16


def test_without_a_gpu_a_larger_share_takes_more_of_a_nodes_cores():
    assert CPU.share() == 1 / 8
    assert CPU.request(1 / 8) == {"CPU": 1}
    assert CPU.request(larger_share(1 / 8)) == {"CPU": 2}
    assert CPU.request(1.0) == {"CPU": 8}
    assert GPU.request(0.5) == {"CPU": 2, "GPU": 0.5}


@pytest.mark.parametrize(
    ("cpus", "share", "cores", "gpus", "named"),
    [
        (0, None, (4,), (0.0,), "--cpus-per-trial"),
        (8, None, (4,), (0.0,), "--cpus-per-trial 8"),
        (1, 2.0, (4,), (1.0,), "--gpus-per-trial"),
        (1, -0.5, (4,), (1.0,), "--gpus-per-trial"),
        (1, 0.5, (4,), (0.0,), "no GPU"),
    ],
)
def test_impossible_requests_are_refused(cpus, share, cores, gpus, named):
    with pytest.raises(SettingError, match=named):
        _checked(cpus, share, cores, gpus, None)


def test_no_gpu_per_trial_means_the_cpu():
    assert _checked(1, 0, (4,), (2.0,), GB).device == "cpu"
    assert _checked(1, 0.5, (4,), (2.0,), GB).share(99 * GB) == 0.5
    assert of_machine(1, 0).device == "cpu"


def test_the_need_is_at_least_weights_and_grows_with_the_batch():
    for architecture in ARCHITECTURES:
        weights = 4 * parameters(build(architecture))
        small, large = estimate(architecture, 64, 8), estimate(architecture, 64, 256)
        assert small > 4 * weights
        assert large > small


def test_a_first_layer_counts_its_output_once_for_convolution_norm_and_relu():
    """CBR-Tiny's first block alone gives out 3 x 32 x 32 x 32 values an image before its pooling."""
    difference = estimate("cbr_tiny", 32, 256) - estimate("cbr_tiny", 32, 128)
    assert difference > 2 * 4 * 128 * 3 * 32 * 32 * 32


def test_a_measured_peak_replaces_the_arithmetic():
    cell, recipe = Cell(architecture="cbr_tiny", train_images=10), Recipe()
    records = {
        str(i): {
            "cell": {"architecture": "cbr_tiny"},
            "recipe": {"image_size": 224, "batch_size": 32},
            "metrics": {"device_memory_bytes": peak} if peak else {},
        }
        for i, peak in enumerate((GB, 3 * GB, None))
    }
    peaks = measured_peaks(records)
    assert peaks == {("cbr_tiny", 224, 32): 3 * GB}
    assert needed_bytes(cell, recipe, peaks) == int(CONTEXT_BYTES + MARGIN * 3 * GB)
    assert needed_bytes(cell, recipe, {}) == int(CONTEXT_BYTES + MARGIN * estimate("cbr_tiny", 224, 32))
