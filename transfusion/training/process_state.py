"""Isolate trials that share a worker process: seeds, flags, threads, environment and memory."""

from __future__ import annotations

import atexit
import ctypes
import gc
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch

from transfusion import restored
from transfusion.training.schedule import CONTEXT_BYTES


@contextmanager
def clean_slate(seed: int, threads: int) -> Iterator[None]:
    """Isolate one trial: reset global state before it, restore the process's surroundings after it.

    Reset, and left so, are seeds, torch's flags, threads, default type and device (`reset`). Restored are
    environment variables, the working directory, signal handlers (Lightning leaves its own where a GPU fails)
    and warning filters.
    """
    directory = Path.cwd()
    with warnings.catch_warnings(), restored.variables(""), restored.handlers():
        reset(seed, threads)
        try:
            yield
        finally:
            os.chdir(directory)


def reset(seed: int, threads: int) -> None:
    """Reset global state that an earlier trial may have changed: seeds, flags of torch, threads, logging."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (libraries that draw from the global state)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)
    torch.backends.cudnn.enabled = True
    # The same algorithms every time, not the fastest of those tried: that choice would differ between runs.
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # float32 is float32, on every card
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning_fabric")


def allowed_fraction(share: float) -> float:
    """Fraction of the GPU's memory that torch may allocate for a trial with `share` of the GPU.

    Torch counts without CUDA's own context, which a share has to hold as well: it is the share less the
    context, but at least half of the share.
    """
    return max(share - CONTEXT_BYTES / _total_memory(), share / 2)


def cap_memory(share: float) -> None:
    """Cap this process at `share` of its GPU's memory, and reset the peak statistics."""
    torch.cuda.set_per_process_memory_fraction(allowed_fraction(share))
    torch.cuda.reset_peak_memory_stats()


def answers() -> bool:
    """Whether the GPU still computes for this process. After some errors (an illegal access, a card that has
    failed) it never does again."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def _total_memory() -> int:
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory


def release() -> None:
    """Free the memory of a finished trial, on the device and in the process.

    The first time, what has survived (modules, for the most part) is set aside: to go through it again after
    every trial would take a third of a second.
    """
    gc.collect()
    _set_aside()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@cache
def _set_aside() -> None:
    """Once a process. (Python 3.12 starts with objects of its own set aside: their count does not tell.)"""
    gc.freeze()
    atexit.register(gc.unfreeze)  # else extension modules find at the end what they made, and call it leaked


def resident_bytes() -> int | None:
    """Memory of this process, shared pages left out; None where the system does not say."""
    try:
        fields = Path("/proc/self/statm").read_text().split()
    except FileNotFoundError:
        return None
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
