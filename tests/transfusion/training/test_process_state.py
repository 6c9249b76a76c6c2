"""What one trial leaves in its process does not reach the next."""

import os
import random
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from transfusion.training import process_state
from transfusion.training.process_state import allowed_fraction, clean_slate
from transfusion.training.schedule import CONTEXT_BYTES


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002


def test_seeds_flags_threads_environment_and_folder_are_clean(tmp_path):
    os.environ["KEPT"] = "before"
    here = Path.cwd()
    with clean_slate(3, 1):
        first = draws()
        os.environ["LEFT_BEHIND"] = "1"
        os.environ["KEPT"] = "after"
        os.chdir(tmp_path)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        warnings.simplefilter("error")
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = False
        torch.backends.cudnn.allow_tf32 = True
        torch.set_grad_enabled(False)
        filters = list(warnings.filters)
    assert "LEFT_BEHIND" not in os.environ
    assert os.environ.pop("KEPT") == "before"
    assert Path.cwd() == here
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert warnings.filters != filters
    with clean_slate(3, 1):
        assert draws() == first
        assert torch.get_num_threads() == 1
        assert torch.get_default_dtype() == torch.float32
        assert not torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.allow_tf32, "its products have ten bits"
        assert torch.is_grad_enabled()


@pytest.mark.parametrize(("share", "allowed"), [(1.0, 0.9), (0.5, 0.4), (0.2, 0.1), (0.125, 0.0625)])
def test_a_share_of_memory_holds_cudas_context_but_half_of_it_at_most(monkeypatch, share, allowed):
    """Of a GPU with ten times the context's memory."""
    monkeypatch.setattr(process_state, "_total_memory", lambda: 10 * CONTEXT_BYTES)
    assert allowed_fraction(share) == pytest.approx(allowed)
