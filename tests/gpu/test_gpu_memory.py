"""What only a real GPU can show: the cap on a trial's memory, and a lack of it moved to a larger share."""

import pytest
import torch
from fault_grid import Witness, before_training
from one_trial import run_trial

from transfusion.cell import Cell
from transfusion.records import attempts, results
from transfusion.training import fitting
from transfusion.training.process_state import cap_memory

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

CELL = Cell(architecture="cbr_tiny", train_images=48)


@pytest.fixture
def run(dataset, image_folder, tmp_path, quick):
    def run(**options):
        return run_trial(
            CELL, quick, dataset, cells=tmp_path / "cells", cache=image_folder, device="cuda", **options
        )

    return run


def take(share):
    """Allocate a share of the whole GPU."""
    total = torch.cuda.get_device_properties(0).total_memory
    return torch.empty(int(share * total), dtype=torch.uint8, device="cuda")


def test_a_share_caps_what_a_process_can_take():
    cap_memory(0.25)
    held = take(0.15)
    with pytest.raises(torch.OutOfMemoryError):
        take(0.15)
    del held


def test_a_trial_on_the_gpu_records_its_peak_and_its_device(run):
    record = run(share=0.25)
    assert record["status"] == "done", record["error"]
    assert record["environment"]["device"] == "cuda"
    assert 0 < record["metrics"]["device_memory_bytes"] < 2**30


def test_a_trial_that_exceeds_its_share_asks_for_a_larger_one(run):
    assert run(share=1e-4)["status"] == "out_of_memory"


def test_a_real_lack_of_memory_is_noted_and_a_larger_share_does(run, tmp_path, monkeypatch):
    real = fitting.find_learning_rate

    def greedy(module, device):
        take(0.4)
        return real(module, device)

    monkeypatch.setattr(fitting, "find_learning_rate", greedy)
    assert run(share=0.25)["status"] == "out_of_memory"
    (folder,) = (tmp_path / "cells").iterdir()
    assert attempts.exhausted_share(folder) == 0.25
    assert results.read_result(folder) is None
    assert run(share=0.5)["status"] == "done"


GREEDY = """
def before(cell, folder):
    import torch
    if cell.seed == 0:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.empty(int(0.4 * total), dtype=torch.uint8, device="cuda")
"""
"""Lets the cells of seed 0 take two fifths of the GPU."""


def test_one_trials_lack_of_memory_disturbs_no_neighbour(grid_of, fault_folder):
    """By the real command: the greedy cell ends at half a GPU, its neighbours at a quarter, each once."""
    grid = grid_of("greedy", seeds=6, inits=("random",))
    witness = Witness(grid)
    grid.finish(env=before_training(fault_folder / "greedy-hook", GREEDY))
    witness.look()
    for folder in (grid.out / "cells").iterdir():
        record = results.read_result(folder)
        greedy = record["cell"]["seed"] == 0
        assert record["status"] == "done"
        assert record["environment"]["device"] == "cuda"
        assert record["environment"]["share"] == (0.5 if greedy else 0.25)
        assert witness.counts[folder.name] == (2 if greedy else 1)
