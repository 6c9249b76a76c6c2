"""Shares of devices: by need for memory, escalated, and how many trials fit."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from sweeps.planning import resources
from sweeps.planning.memory import MARGIN, estimate, measured_peaks, needed_bytes
from sweeps.planning.resources import Resources, checked, cpu_name, larger_share, of_machine
from transfusion.architectures import ARCHITECTURES
from transfusion.cell import Cell, Recipe
from transfusion.networks.network import build, parameters
from transfusion.problems import SettingError
from transfusion.training.process_state import cap_memory
from transfusion.training.schedule import CONTEXT_BYTES

GB = 2**30
GPU = Resources(device="cuda", cpus=2, cores=(16, 8), gpus=(2.0, 1.0), gpu_memory=16 * GB)
CPU = Resources(device="cpu", cpus=1, cores=(8, 8))


def test_shares_grow_up_to_a_whole_device():
    assert [larger_share(share) for share in (0.01, 0.1, 0.25, 0.3, 0.5, 1.0)] == [
        0.0625, 0.125, 0.5, 0.5, 1.0, 1.0
    ]  # fmt: skip


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
        (1, 1e-5, (4,), (1.0,), "from 0.01 to 1"),
        (1, 0.5, (4,), (0.0,), "no GPU"),
    ],
)
def test_impossible_requests_are_refused(cpus, share, cores, gpus, named):
    with pytest.raises(SettingError, match=named):
        checked(cpus, share, cores, gpus, None)


def test_no_gpu_per_trial_means_the_cpu():
    assert checked(1, 0, (4,), (2.0,), GB).device == "cpu"
    assert checked(1, 0.5, (4,), (2.0,), GB).share(99 * GB) == 0.5
    assert of_machine(1, 0).device == "cpu"


@pytest.mark.parametrize(("free", "left"), [(10_000, 10_000 - 1_000 - 350), (1_349, 0)])
def test_of_this_machines_memory_ray_gets_a_twentieth_and_350_mib(monkeypatch, free, left):
    here = SimpleNamespace(cores=4, memory=20_000 * 2**20, free=free * 2**20, why="a cgroup allows it 4")
    monkeypatch.setattr(resources, "bounds", lambda: here)
    found = of_machine(2, 0)
    assert found.host_memory == left * 2**20
    assert (found.cores, found.cpus, found.why, found.device_name) == ((4,), 2, here.why, cpu_name())


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
            "cell": {"architecture": "cbr_tiny", "freeze": freeze},
            "recipe": {"image_size": 224, "batch_size": 32},
            "metrics": {"device_memory_bytes": peak} if peak else {},
        }
        for i, (peak, freeze) in enumerate(
            [(GB, "none"), (3 * GB, "none"), (None, "none"), (GB // 2, "backbone")]
        )
    }
    peaks = measured_peaks(records)
    assert peaks == {("cbr_tiny", 224, 32, "none"): 3 * GB, ("cbr_tiny", 224, 32, "backbone"): GB // 2}
    assert needed_bytes(cell, recipe, peaks) == int(CONTEXT_BYTES + MARGIN * 3 * GB)
    assert needed_bytes(cell, recipe, {}) == int(CONTEXT_BYTES + MARGIN * estimate("cbr_tiny", 224, 32))


def test_the_need_is_counted_in_the_type_that_is_used_and_without_gradients_where_nothing_is_trained():
    weights = 4 * parameters(build("resnet18"))
    plain, reduced = (estimate("resnet18", 224, 32, "none", size) - 5 * weights for size in (4, 2))
    assert plain == 2 * reduced
    frozen = estimate("resnet18", 224, 32, "backbone")
    assert weights < frozen < estimate("resnet18", 224, 32) / 1.5
    assert estimate("resnet18", 224, 256, "backbone") == pytest.approx(4 * frozen, rel=0.2)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("total", [1 * GB, 16 * GB, 80 * GB])
def test_the_cap_of_a_share_leaves_room_for_the_context_and_for_all_neighbours(monkeypatch, share, total):
    capped = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=total)
    )
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", capped.append)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    cap_memory(share)
    (fraction,) = capped
    assert share / 2 <= fraction < share
    if total > 8 * GB:
        assert (fraction * total + CONTEXT_BYTES) / share == pytest.approx(total)


def test_what_fits_a_share_fits_under_its_cap():
    cell, recipe = Cell(architecture="resnet50", train_images=10), Recipe()
    for total in (8 * GB, 16 * GB, 80 * GB):
        gpu = dataclasses.replace(GPU, gpu_memory=total)
        share = gpu.share(needed_bytes(cell, recipe, {}))
        if share < 1:
            assert MARGIN * estimate("resnet50", 224, 32) <= share * total - CONTEXT_BYTES


def test_where_cores_bound_the_trials_each_gets_more_of_a_gpus_arithmetic_than_its_share():
    def part(share, cores, gpus, cpus=1):
        at_hand = Resources(device="cuda", cpus=cpus, cores=cores, gpus=gpus, gpu_memory=GB)
        return at_hand.part(share)

    assert part(1 / 16, (64,), (1.0,)) == 1 / 16
    assert [part(share, (2,), (1.0,)) for share in (1 / 16, 0.5, 1.0)] == [0.5, 0.5, 1.0]
    assert part(1 / 16, (16,), (4.0,)) == part(1 / 16, (16,), (1.0,), cpus=4) == 0.25
    assert part(1 / 16, (2, 64), (0.0, 2.0)) == 1 / 16, "the second node alone"
    assert part(1 / 16, (0,), (0.0,)) == 1 / 16, "nothing is there yet"
    assert CPU.least_part == 0


def test_nodes_of_different_kinds_are_counted_each_by_its_own_devices():
    mixed = Resources(device="cuda", cpus=2, cores=(4, 32, 64), gpus=(0.0, 1.0, 8.0), gpu_memory=16 * GB)
    assert mixed.slots(1.0) == 9
    assert mixed.slots(0.5) == 18
    assert mixed.slots(0.25) == 4 + 32
    assert dataclasses.replace(mixed, cpus=8).slots(0.25) == 4 + 8
    assert dataclasses.replace(mixed, gpus=(0.0, 1.0)).slots(1.0) == 1, (
        "nodes of which no GPU is told have none"
    )
    machines = Resources(device="cpu", cpus=3, cores=(4, 16))
    assert machines.slots(machines.share()) == 1 + 5
