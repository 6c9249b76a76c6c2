"""A CUDA device for tests on machines without one: tensors that say `cuda:0`, computed on the CPU.

    with pretended() as gpu:
        run_trial(..., device="cuda")

Python sees the device; C++ sees the CPU, so that autograd's engine needs no CUDA. As on a real device, what
mixes tensors of both kinds raises, and memory ends; and every copy between them that would wait is counted.
No kernel of CUDA runs: neither speed nor CUDA's rounding nor the order of its streams can be seen here.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from transfusion.training import augmentation

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
aten = torch.ops.aten
CROSSING = {aten._to_copy.default, aten.copy_.default, aten._copy_from.default}
CPU_INDICES = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}
JOINING = {aten.cat.default, aten.stack.default}
SIZE_FROM_VALUES = {aten.nonzero.default, aten.masked_select.default, aten.unique_consecutive.default}
FACTORIES = {
    *(
        "arange",
        "as_tensor",
        "empty",
        "empty_strided",
        "eye",
        "from_numpy",
        "full",
        "linspace",
        "ones",
        "rand",
    ),
    *("randint", "randn", "randperm", "scalar_tensor", "tensor", "zeros"),
}
PLACES = ("/transfusion/", "/pytorch_lightning/", "/torch/optim/")


class Gpu:
    """What a pretended device was asked to do.

    Attributes:
        waits: (what, file:line) of everything that makes the CPU wait for the device.
        kinds: how often (operation, type of a tensor on the device) was computed.
        largest: bytes of the largest tensor of each type that lay on the device.
        held, peak, highest: bytes in use now, at most since `reset_peak_memory_stats`, and at most ever.
        limit: bytes that may be in use.
    """

    def __init__(self, memory: int, capability: tuple[int, int]) -> None:
        self.memory, self.capability, self.limit = memory, capability, memory
        self.waits: list[tuple[str, str]] = []
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.largest: Counter[torch.dtype] = Counter()
        self.held = self.peak = self.highest = 0
        self.users: Counter[int] = Counter()

    def wait(self, what: str) -> None:
        self.waits.append((what, place()))

    def take(self, storage: torch.UntypedStorage) -> None:
        """Count a tensor's memory, once for all that share it."""
        key, size = storage.data_ptr(), storage.nbytes()
        if not self.users[key]:
            if self.held + size > self.limit:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Pretended to allocate {size} bytes")
            self.held += size
            self.peak, self.highest = max(self.peak, self.held), max(self.highest, self.held)
        self.users[key] += 1

    def give_back(self, storage: torch.UntypedStorage) -> None:
        key = storage.data_ptr()
        self.users[key] -= 1
        if not self.users[key]:
            self.held -= storage.nbytes()

    def restrict(self, fraction: float) -> None:
        self.limit = int(fraction * self.memory)


class Call(threading.local):
    """The call in progress, of each thread its own: a gathering thread runs beside the main one."""

    inherit = explicit = asked = False


CALL = Call()
GPUS: list[Gpu] = []


def place() -> str:
    """Where in the code that matters the call in progress began."""
    for frame in reversed(traceback.extract_stack()):
        if any(part in frame.filename for part in PLACES):
            return f"{frame.filename.rsplit('/', 1)[1]}:{frame.lineno}"
    return "backward"


class OnGpu(torch.Tensor):
    """A tensor on the device; `e` holds its elements."""

    @staticmethod
    def __new__(cls, e: torch.Tensor) -> OnGpu:
        return torch.Tensor._make_wrapper_subclass(
            cls, e.shape, strides=e.stride(), storage_offset=e.storage_offset(), dtype=e.dtype
        )

    def __init__(self, e: torch.Tensor) -> None:
        self.gpu = GPUS[-1]
        self.gpu.take(e.untyped_storage())
        self.gpu.largest[e.dtype] = max(self.gpu.largest[e.dtype], e.untyped_storage().nbytes())
        self.e = e

    def __del__(self) -> None:
        if "e" in self.__dict__:
            self.gpu.give_back(self.e.untyped_storage())

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def record_stream(self, stream: object) -> None:
        pass

    def __repr__(self, **_: object) -> str:
        return f"OnGpu({self.e})"

    def __reduce_ex__(self, protocol: int) -> object:
        return self.e.detach().clone().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict) -> torch.Tensor:
        made = self.detach().clone()
        if isinstance(self, torch.nn.Parameter):
            made = torch.nn.Parameter(made, self.requires_grad)
        memo[id(self)] = made
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def elements(value: object) -> object:
    return value.e if isinstance(value, OnGpu) else value


def wrapped(out: object) -> object:
    return tree_map(lambda value: OnGpu(value) if isinstance(value, torch.Tensor) else value, out)


def compute(func, args, kwargs):
    """One operation on elements; its result lies where CUDA would put it."""
    gpu = GPUS[-1]
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, OnGpu)]
    mixing = 0 if func not in JOINING else -1  # dimensions of a CPU tensor that may stand beside the device's
    here = [tensor for tensor in tensors if not isinstance(tensor, OnGpu) and tensor.dim() > mixing]
    device = kwargs.get("device")
    if there and here and func not in CROSSING | CPU_INDICES:
        raise RuntimeError(f"{func}: expected all tensors on one device, found cuda:0 and cpu ({place()})")
    if there and here and func in CPU_INDICES:
        gpu.wait(f"index by the CPU ({func})")
    for tensor in there:
        gpu.kinds[str(func), str(tensor.dtype).removeprefix("torch.")] += 1
    inner = {name: CPU if isinstance(value, torch.device) else value for name, value in kwargs.items()}
    if func is aten._to_copy.default:
        to_gpu = device.type == "cuda" if device is not None and CALL.asked else bool(there)
        if to_gpu != bool(there) and not kwargs.get("non_blocking"):
            gpu.wait("copy to cuda" if to_gpu else "copy to cpu")
        out = func(elements(args[0]), **{**inner, "non_blocking": False})
        return OnGpu(out) if to_gpu else out
    if func is aten.copy_.default and len(there) == 1:
        gpu.wait("copy_ across")
    if func is aten._local_scalar_dense.default and there:
        gpu.wait("item")
    if func in SIZE_FROM_VALUES and there:
        gpu.wait(str(func))
    out = func(*tree_map(elements, args), **tree_map(elements, inner))
    if func._schema.is_mutable:
        written = [
            value
            for value, known in zip(args, func._schema.arguments, strict=False)
            if known.alias_info and known.alias_info.is_write
        ]
        if isinstance(out, torch.Tensor) and written and isinstance(written[0], torch.Tensor):
            return kwargs.get("out", written[0])
        if out is None:
            return None
    if there:
        on_gpu = not (device is not None and device.type == "cpu" and CALL.explicit)
    elif device is not None and device.type == "cuda":
        on_gpu = True
    else:  # made from nothing, beside tensors of the device or in its backward pass
        in_backward = torch._C._current_graph_task_id() != -1
        on_gpu = not tensors and not CALL.explicit and (CALL.inherit or in_backward)
    return wrapped(out) if on_gpu else out


class Dispatch(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Function(TorchFunctionMode):
    """What only Python's side of a call knows: which device was asked for, and whether to wait."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        first = args[0] if args else None
        if func is torch.Tensor.numpy and isinstance(first, OnGpu):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")
        if func is torch.Tensor.cpu and isinstance(first, OnGpu):
            return moved(first, "cpu")
        if func is torch.Tensor.cuda:
            return moved(first, "cuda")
        if func is torch.Tensor.to and isinstance(first, torch.Tensor):
            return moved(first, *args[1:], **kwargs)
        if func is torch.Tensor.pin_memory:
            return first
        before = CALL.inherit, CALL.explicit
        CALL.explicit = name in FACTORIES
        tensors = tree_flatten((args, kwargs))[0]
        CALL.inherit = not CALL.explicit and (
            CALL.inherit or any(isinstance(value, OnGpu) for value in tensors)
        )
        asked = kwargs.get("device")
        try:
            if CALL.explicit and asked is not None and torch.device(asked).type == "cuda":
                made = func(*args, **{**kwargs, "device": CPU})
                if name in ("tensor", "as_tensor"):
                    GPUS[-1].wait("copy to cuda")
                return OnGpu(made)
            return func(*args, **kwargs)
        finally:
            CALL.inherit, CALL.explicit = before


def moved(tensor: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
    """`tensor.to(...)`."""
    device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(
        *[value.device if isinstance(value, torch.Tensor) else value for value in args
          if not isinstance(value, bool)],
        **{name: value for name, value in kwargs.items() if name != "copy"},
    )  # fmt: skip
    non_blocking = non_blocking or (len(args) > 2 and args[2] is True)
    target = device or tensor.device
    same = target.type == tensor.device.type and dtype in (None, tensor.dtype)
    if same and (memory_format is None or tensor.is_contiguous(memory_format=memory_format)):
        return tensor
    extra = {} if memory_format is None else {"memory_format": memory_format}
    CALL.asked = True
    try:
        return aten._to_copy.default(
            tensor, device=CUDA if target.type == "cuda" else CPU, dtype=dtype or tensor.dtype,
            non_blocking=bool(non_blocking), **extra,
        )  # fmt: skip
    finally:
        CALL.asked = False


def moved_module(module: torch.nn.Module, fn, recurse: bool = True) -> torch.nn.Module:
    """`Module._apply` with new parameters in place of `.data =`, which cannot change a tensor's class."""
    for child in module.children():
        moved_module(child, fn)
    for name, weight in module._parameters.items():
        if weight is not None:
            with torch.no_grad():
                new = fn(weight)
            if new is not weight:
                module._parameters[name] = torch.nn.Parameter(new, weight.requires_grad)
    for name, value in module._buffers.items():
        if value is not None:
            module._buffers[name] = fn(value)
    return module


class Stream:
    """A stream or an event: everything is computed at once, in the order of the calls."""

    def __init__(self, *_: object, **__: object) -> None: ...
    def record_event(self) -> Stream:
        return Stream()

    def wait_event(self, event: Stream) -> None: ...
    def synchronize(self) -> None: ...


@contextlib.contextmanager
def pretended(memory: int = 24 * 2**30, capability: tuple[int, int] = (8, 6)) -> Iterator[Gpu]:
    """One device of so many bytes and this compute capability, for this thread and those it starts."""
    gpu = Gpu(memory, capability)
    properties = SimpleNamespace(
        total_memory=memory, major=capability[0], minor=capability[1], name="pretended",
        multi_processor_count=100,
    )  # fmt: skip

    class Autocast(torch.autocast):
        def __init__(self, device_type, dtype=None, **options):
            super().__init__("cpu" if device_type == "cuda" else device_type, dtype, **options)

    def reset_peak(device: object = None) -> None:
        gpu.peak = gpu.held

    cuda = {
        "Event": Stream,
        "Stream": Stream,
        "_lazy_init": lambda: None,
        "current_device": lambda: 0,
        "current_stream": lambda device=None: Stream(),
        "device_count": lambda: 1,
        "empty_cache": lambda: None,
        "get_arch_list": lambda: ["sm_75", "sm_80", "sm_86", "sm_90"],
        "get_device_capability": lambda device=0: capability,
        "get_device_name": lambda device=0: "pretended",
        "get_device_properties": lambda device=0: properties,
        "get_rng_state": lambda device=None: torch.empty(0),
        "get_rng_state_all": lambda: [],
        "is_available": lambda: True,
        "is_bf16_supported": lambda including_emulation=True: including_emulation or capability >= (8, 0),
        "is_current_stream_capturing": lambda: False,
        "is_initialized": lambda: True,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        "max_memory_allocated": lambda device=None: gpu.peak,
        "mem_get_info": lambda device=None: (memory - gpu.held, memory),
        "reset_peak_memory_stats": reset_peak,
        "set_device": lambda device: None,
        "set_per_process_memory_fraction": lambda fraction, device=None: gpu.restrict(fraction),
        "stream": lambda stream: contextlib.nullcontext(),
        "synchronize": lambda device=None: gpu.wait("synchronize"),
    }
    start = threading.Thread.run

    def in_modes(thread: threading.Thread) -> None:
        with Dispatch(), Function():
            start(thread)

    with contextlib.ExitStack() as stack:
        for name, value in cuda.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(torch.optim.Optimizer, name):
                stack.enter_context(mock.patch.object(torch.optim.Optimizer, name))
        if hasattr(torch._C, "_cuda_clearCublasWorkspaces"):
            stack.enter_context(mock.patch.object(torch._C, "_cuda_clearCublasWorkspaces"))
        stack.enter_context(mock.patch.object(torch, "autocast", Autocast))
        stack.enter_context(mock.patch.object(torch.nn.Module, "_apply", moved_module))
        stack.enter_context(mock.patch.object(threading.Thread, "run", in_modes))
        stack.callback(augmentation._statistics.cache_clear)
        augmentation._statistics.cache_clear()
        GPUS.append(gpu)
        stack.callback(GPUS.remove, gpu)
        stack.enter_context(Dispatch())
        stack.enter_context(Function())
        yield gpu
