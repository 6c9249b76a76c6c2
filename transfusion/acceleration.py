"""What makes training fast on a GPU. On the CPU none of it is used, and its arithmetic stays as it is."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Precision = Literal["auto", "float32"]

MEMORY_MARGIN = 1.25
"""Room for fragmentation, and for the state of the best epoch, over the peak of the range test."""

COMPILE_SECONDS = 600.0
"""Training that is expected to take longer is compiled; a guess, as compiling has not been timed on a GPU."""

AHEAD = 3
"""Batches that are on their way to the GPU while one is trained on."""


def reduced_type(device: torch.device, precision: Precision = "auto") -> torch.dtype | None:
    """The type of the backbone's arithmetic; None where it is that of its weights, float32."""
    if precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return None


def worth_compiling(device: torch.device, seconds_per_step: float, steps: int) -> bool:
    """Whether training lasts long enough to pay for its compilation."""
    return device.type == "cuda" and seconds_per_step * steps > COMPILE_SECONDS


@dataclass(frozen=True)
class Resident:
    """Inputs in device memory.

    Attributes:
        inputs: [n, ...] on the device.
        position: int64 [N], where a row of the task lies in `inputs`; -1 for rows that were left out.
    """

    inputs: Tensor
    position: np.ndarray

    def holds(self, rows: np.ndarray) -> bool:
        return bool((self.position[rows] >= 0).all())


def resident(inputs: np.ndarray, rows: np.ndarray, device: torch.device, room: int) -> Resident | None:
    """`rows` of `inputs` in the memory of a GPU, or None where they do not fit.

    Args:
        room: bytes that torch may take of the device; what it took at most so far counts against it.
    """
    if device.type != "cuda":
        return None
    used = MEMORY_MARGIN * torch.cuda.max_memory_allocated(device)
    free = min(room - used, torch.cuda.mem_get_info(device)[0])
    if inputs[:1].nbytes * len(rows) > free:
        return None
    position = np.full(len(inputs), -1)
    position[rows] = np.arange(len(rows))
    kept = torch.empty(
        (len(rows), *inputs.shape[1:]), dtype=torch.from_numpy(inputs[:0]).dtype, device=device
    )
    for start in range(0, len(rows), 4096):
        part = rows[start : start + 4096]
        kept[start : start + len(part)] = torch.from_numpy(inputs[part]).to(device)
    return Resident(kept, position)


def from_memory(
    kept: Resident, targets: np.ndarray, rows: np.ndarray, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches out of device memory; indices and targets of all of them travel once."""
    device = kept.inputs.device
    where = torch.from_numpy(kept.position[rows]).to(device)
    labels = torch.from_numpy(targets[rows]).to(device)
    for start in range(0, len(rows), batch_size):
        part = slice(start, start + batch_size)
        yield kept.inputs[where[part]], labels[part]


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
