"""What makes training fast on a GPU. On the CPU none of it is used, and its arithmetic stays as it is."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from transfusion.study import Precision

COMPILE_SECONDS = 600.0
"""Training that is expected to take longer is compiled; a guess, as compiling has not been timed on a GPU."""

VARIANTS = 1024
"""Compiled variants of one function that a process keeps: every architecture, image size and batch size of a
sweep is one, and torch would go on plainly, and silently, after the eighth."""

AHEAD = 3
"""Batches that are on their way to the GPU while one is trained on."""


def reduced_type(device: torch.device, precision: Precision = "auto") -> torch.dtype | None:
    """The type of the backbone's arithmetic; None where it is that of its weights, float32."""
    if device.type != "cuda" or precision == "float32":
        return None
    # In hardware (compute capability 8.0 on): emulated, it is slower than float32.
    return torch.bfloat16 if precision == "bfloat16" or torch.cuda.is_bf16_supported(False) else None


def type_name(device: torch.device, precision: Precision = "auto") -> str:
    """The type of the backbone's arithmetic, as `bfloat16`."""
    return str(reduced_type(device, precision) or torch.float32).removeprefix("torch.")


def warmed_up(device: torch.device) -> None:
    """Reset the peak memory after the first step, whose one-off allocations are not needed later."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def worth_compiling(device: torch.device, seconds_per_step: float, steps: int) -> bool:
    """Whether training lasts long enough to pay for its compilation."""
    return device.type == "cuda" and seconds_per_step * steps > COMPILE_SECONDS


def compiled(network: nn.Module, example: Tensor) -> tuple[Callable[[Tensor], Tensor], str]:
    """`network` as its training steps call it: compiled, or plain on a machine that cannot compile.

    One step is tried, of which the network keeps nothing: a C compiler or Python's headers may be missing.

    Args:
        example: one whole batch of training inputs, on the network's device.

    Returns:
        What to call, and `yes` or why it is not compiled.

    Raises:
        torch.OutOfMemoryError: the step that was tried does not fit.
    """
    import torch._dynamo
    import torch._inductor.config

    torch._dynamo.config.recompile_limit = VARIANTS
    torch._dynamo.config.accumulated_recompile_limit = 8 * VARIANTS
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = str(torch.get_num_threads())
    torch._inductor.config.compile_threads = torch.get_num_threads()
    twin = torch.compile(network.forward)
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    try:
        twin(example).sum().backward()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever torch's compilers, and the system's, raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        _say_once(reason)
        return network.__call__, reason
    finally:
        with torch.no_grad():
            for name, value in network.named_buffers():
                value.copy_(buffers[name])
        network.zero_grad()
    return twin, "yes"


@lru_cache
def _say_once(reason: str) -> None:
    logging.getLogger(__name__).warning(
        "cells train without torch.compile, which does not work here (%s); it needs a C compiler and the "
        "headers of Python (Debian: apt-get install gcc python3-dev)",
        reason,
    )


def ahead(
    inputs: np.ndarray, targets: np.ndarray, parts: Sequence[np.ndarray], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the rows `parts`: a thread gathers and pins them, and they travel while others compute."""
    ready: queue.Queue[tuple[Tensor, Tensor, torch.cuda.Event] | BaseException | None] = queue.Queue(AHEAD)
    over = threading.Event()
    side = torch.cuda.Stream(device)

    def offer(item: tuple[Tensor, Tensor, torch.cuda.Event] | BaseException | None) -> None:
        while not over.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def gather() -> None:
        try:
            for rows in parts:
                if over.is_set():
                    return
                with torch.cuda.stream(side):
                    batch = [
                        torch.from_numpy(values[rows]).pin_memory().to(device, non_blocking=True)
                        for values in (inputs, targets)
                    ]
                    offer((batch[0], batch[1], side.record_event()))
            offer(None)
        except BaseException as error:
            offer(error)

    thread = threading.Thread(target=gather, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            pixels, labels, copied = item
            current = torch.cuda.current_stream(device)
            current.wait_event(copied)
            for tensor in (pixels, labels):
                tensor.record_stream(current)
            yield pixels, labels
    finally:
        over.set()
        thread.join()
