"""What kind of failure an exception is: it decides whether a cell is recorded, tried again, or all stops."""

from __future__ import annotations

import errno
import sys
from typing import Literal

Failure = Literal["diverged", "out_of_memory", "storage", "lost", "upstream", "error"]
"""`diverged` is a result (the loss was not finite); `out_of_memory` and `lost` (the process or its node died)
were tried again before they were recorded; `storage` stops the sweep and is never recorded; `upstream` could
not start; `error` is everything else, recorded with its traceback."""


class DivergedError(ArithmeticError):
    """A training loss that is not finite: the step, the epoch and the learning rate."""


class StoppedError(Exception):
    """The trial was asked to stop; its checkpoint is written."""


STORAGE_ERRNOS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE, errno.ENODEV}
)

STORAGE_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "os error 28",
    "os error 122",
    "os error 30",
    "PytorchStreamWriter failed writing",
    "inline_container.cc",
)
"""What writers that raise no OSError say (torch's archive writer, the serializer of safetensors)."""

MEMORY_WORDS = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_INITIALIZED",
    "DEVICE_ALLOCATION_FAILED",
    "unable to find an engine to execute this computation",
    "busy or unavailable",
    "not enough memory: you tried to allocate",
    "DefaultCPUAllocator: can't allocate memory",
    "Cannot allocate memory",
)
"""What torch says when memory is short without raising `torch.OutOfMemoryError`: CUDA's libraries cannot
start, or find no room to work in. `busy`: the card takes one process at a time, so a whole share helps."""


def failure_of(error: BaseException) -> Failure:
    """The class of an exception, found along its chain of causes."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for one in chain:
        if isinstance(one, DivergedError):
            return "diverged"
        if isinstance(one, MemoryError) or _of_torch(one):
            return "out_of_memory"
        if isinstance(one, OSError) and one.errno == errno.ENOMEM:
            return "out_of_memory"
        if isinstance(one, OSError) and one.errno in STORAGE_ERRNOS:
            return "storage"
        if any(words in str(one) for words in STORAGE_WORDS):
            return "storage"
        if isinstance(one, RuntimeError) and any(words in str(one) for words in MEMORY_WORDS):
            return "out_of_memory"
    return "error"


def _of_torch(error: BaseException) -> bool:
    """Whether it is torch's own error of memory; where torch is not imported, nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
