"""What a file of weights holds: its tensors by name, or what the file is instead and what to do about it.

Read are safetensors files and what `torch.save` wrote of tensors in dictionaries, however deep; nothing in a
file can run code.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from transfusion.problems import InputError, Problem

HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    np.float64(0).__reduce__()[0],
    np.zeros(0).__reduce__()[0],
]
HARMLESS += [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")]
"""What training programs put beside the weights and what holds nothing but values."""

DATA_MODULES = (
    "pathlib",
    "numpy",
    "omegaconf",
    "collections",
    "datetime",
    "pandas",
    "ml_collections",
    "easydict",
)
"""Where classes of settings and records come from, in contrast to those of networks."""

SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, TensorFlow)", "KERAS"),
    (0, b"\x1f\x8b", "a gzip archive", "UNPACK"),
    (0, b"BZh", "a bzip2 archive", "UNPACK"),
    (0, b"\xfd7zXZ\x00", "an xz archive", "UNPACK"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", "UNPACK"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "UNPACK"),
    (0, b"Rar!", "a rar archive", "UNPACK"),
    (257, b"ustar", "a tar archive", "UNPACK"),
    (0, b"\x93NUMPY", "a NumPy array", "NAMES"),
    (0, b"GGUF", "a GGUF file, of a language model", "SAVE"),
    (4, b"TFL3", "a TensorFlow Lite model", "KERAS"),
    (128, b"DICM", "a DICOM image", "OTHER"),
    (0, b"\x89PNG", "a PNG image", "OTHER"),
    (0, b"\xff\xd8\xff", "a JPEG image", "OTHER"),
    (0, b"%PDF", "a PDF document", "OTHER"),
    (0, b"PAR1", "a Parquet file", "OTHER"),
)
ADVICE = {
    "OTHER": "name the file of the weights",
    "KERAS": "convert it to PyTorch: kernels from H, W, in, out to out, in, H, W; gamma, beta and moving "
    "statistics to weight, bias, running_mean and running_var; and torch.save the result",
    "UNPACK": "unpack it and name the file inside",
    "NAMES": "nothing in it says of which layer each array is; torch.save a dictionary from the network's "
    'names to them: torch.save({"conv1.weight": torch.from_numpy(ARRAY), ...}, NEW)',
    "SAVE": "save model.state_dict() and name that file",
    "AGAIN": "fetch it again, and compare size and sha256 with the source's",
    "PAGE": "fetch the file itself, not the page about it (its download or raw link, logged in if need be)",
    "TEXT": "read that text: it is probably the server's answer in place of the file; "
    "then fetch the file itself",
    "SCRIPT": "save its weights alone: torch.save(torch.jit.load(FILE).state_dict(), NEW)",
    "ONNX": "export the PyTorch model that it was made of: torch.save(model.state_dict(), NEW)",
}


def tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a file by the names that they have there, those in nested dictionaries with dots.

    Raises:
        InputError: the file cannot be read, or is something else; what it is, and what to do.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError([_problem(file, *_unopened(file, error))]) from error
    if (other := _other(content, file)) is not None:
        raise InputError([_problem(file, *other)])
    loaded = _safetensors(content, file) if content[8:9] == b"{" else _saved(content, file)
    if not isinstance(loaded, Mapping):
        single = "a single number" if isinstance(loaded, int | float) else f"a {type(loaded).__name__}"
        raise InputError([_problem(file, single, ADVICE["SAVE"])])
    found = dict(_flat(loaded))
    if not found:
        held = _some([f"{name} ({type(value).__name__})" for name, value in loaded.items()])
        raise InputError([_problem(file, f"no tensors, but {held or 'an empty dictionary'}", ADVICE["SAVE"])])
    return found


def _unopened(file: Path, error: OSError) -> tuple[str, str]:
    """Why a file cannot be opened, with what lies there instead, and what to do."""
    folder = file if file.is_dir() else file.parent
    try:
        inside = sorted(one.name for one in folder.iterdir())
    except OSError:
        inside = []
    if file.is_dir():
        return f"a folder, which holds {_some(inside) or 'nothing'}", "name a file in it"
    if not isinstance(error, FileNotFoundError):
        return str(error.strerror).lower(), "change its permissions (chmod)"
    near = difflib.get_close_matches(file.name, inside, 1, 0.6)
    found = f"no such file, but {near[0]!r} beside it" if near else "no such file"
    return found, f"is it {folder / near[0]}?" if near else "correct the path"


def _flat(loaded: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Tensor]]:
    """Name and tensor of everything in nested dictionaries; what is no tensor is left out."""
    for name, value in loaded.items():
        if isinstance(value, Tensor):
            yield f"{above}{name}", value.detach()
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")


def _other(content: bytes, file: Path) -> tuple[str, str] | None:
    """What a file is that holds no weights of PyTorch, and what to do; None where it may hold them."""
    if not content:
        return "an empty file", ADVICE["AGAIN"]
    if not content.strip(b"\x00"):
        return f"{len(content):,} zero bytes", ADVICE["AGAIN"]
    for at, signature, what, advice in SIGNATURES:
        if content[at : at + len(signature)] == signature:
            return what, ADVICE[advice]
    if content[:2] == b"PK":
        return _other_zip(content)
    start = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"version https://git-lfs"):
        size = re.search(rb"size (\d+)", start)
        of = f" to {int(size[1]):,} bytes" if size else ""
        return f"a pointer of Git LFS{of}, not the weights", "run git lfs pull where it was cloned"
    if start[:1] == b"<":
        title = re.search(rb"<title[^>]*>([^<]{1,80})", content[:20_000], re.IGNORECASE)
        what = "an XML answer of a server" if start[:5] == b"<?xml" else "a web page"
        named = f" ({' '.join(title[1].decode(errors='replace').split())})" if title else ""
        return what + named, ADVICE["PAGE"]
    if file.suffix.lower() in (".onnx", ".pb", ".tflite", ".mlmodel"):
        return f"a model in the format {file.suffix.lower()}", ADVICE["ONNX"]
    if start[:1] in (b"{", b"[") or _is_text(content[:2000]):
        if b"weight_map" in content[:100_000]:
            return "an index of files of weights", (
                "join the files that it names, in Python in their folder, and name joined.pth: "
                f"{_joining(file)}"
            )
        words = " ".join(start[:80].decode(errors="replace").split())
        return f"a text ({words})", ADVICE["TEXT"]
    return None


def _joining(file: Path) -> str:
    """Python that joins the files of an index, which are safetensors or written by torch.save."""
    names = f'set(json.load(open("{file.name}"))["weight_map"].values())'
    if "safetensors" in file.name:
        imports, load = "import json, torch; from safetensors.torch import load_file", "load_file(f)"
    else:
        imports, load = "import json, torch", "torch.load(f, weights_only=True)"
    return f'{imports}; torch.save({{n: t for f in {names} for n, t in {load}.items()}}, "joined.pth")'


def _other_zip(content: bytes) -> tuple[str, str] | None:
    """As `_other`, of a zip archive, which torch.save writes as well."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile:
        return f"a cut-off file: a zip archive without its end, {len(content):,} bytes", ADVICE["AGAIN"]
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        return "a TorchScript program", ADVICE["SCRIPT"]
    if any(name.endswith("data.pkl") for name in names):
        return None
    if any(name.endswith((".weights.h5", "saved_model.pb")) for name in names):
        return "a model of Keras or TensorFlow", ADVICE["KERAS"]
    if names and all(name.endswith(".npy") for name in names):
        return f"NumPy arrays ({_some(names)})", ADVICE["NAMES"]
    if any("exported_program" in name or name.endswith("archive_format") for name in names):
        return "a program exported by PyTorch", ADVICE["SAVE"]
    return f"a zip archive of {_some(names) or 'nothing'}", ADVICE["UNPACK"]


def _safetensors(content: bytes, file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, those under a second name too, which are stored once."""
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        if start > len(content):
            raise ValueError(f"its header ends at byte {start:,}")
        header = json.loads(content[8:start])
        needed = start + max(
            (value["data_offsets"][1] for n, value in header.items() if n[:2] != "__"), default=0
        )
        if needed != len(content):
            raise ValueError(f"its header tells of {needed:,} bytes")
        found = load(content)
    except Exception as error:  # readers of foreign bytes fail in many ways
        text = f"a broken or cut-off safetensors file of {len(content):,} bytes ({_line(error)})"
        raise InputError([_problem(file, text, ADVICE["AGAIN"])]) from error
    for name, other in header.get("__metadata__", {}).items():
        if name not in found and other in found:
            found[name] = found[other]
    return found


def _saved(content: bytes, file: Path) -> Any:
    """What `torch.save` wrote, without running any code of it."""
    try:
        # What torch says of sparse tensors and old protocols is no news: they are refused, or read.
        ignored = warnings.catch_warnings(category=UserWarning, action="ignore")
        with torch.serialization.safe_globals(HARMLESS), ignored:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"(?:GLOBAL|global|class:?) `?([\w.]+\.[\w.]+)", str(error))
        if wanted and wanted[1].split(".")[0] in DATA_MODULES:
            found = f"a checkpoint with an object in it that needs code to be loaded ({wanted[1]})"
            advice = (
                "save its weights alone: torch.save(checkpoint[NAME], NEW) with the name of the state dict"
            )
        elif wanted:
            found = f"a pickled network, or another object that needs code to be loaded ({wanted[1]})"
            advice = (
                "where that code is installed, save the weights alone: torch.save(model.state_dict(), NEW)"
            )
        elif content[:1] == b"\x80" or content[:2] == b"PK":
            found, advice = "a pickle without weights, or one that needs code to be loaded", ADVICE["SAVE"]
        else:
            found, advice = "no weights in any known format", ADVICE["SAVE"]
        raise InputError([_problem(file, found, advice)]) from error
    except Exception as error:  # readers of foreign bytes fail in many ways
        if content[:1] != b"\x80" and content[:2] != b"PK":
            text = "no weights in any known format"
            raise InputError([_problem(file, text, ADVICE["SAVE"])]) from error
        found = f"a broken or cut-off file of {len(content):,} bytes ({_line(error)})"
        raise InputError([_problem(file, found, ADVICE["AGAIN"])]) from error


def _is_text(content: bytes) -> bool:
    return all(32 <= byte < 127 or byte in b"\t\r\n" for byte in content)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _problem(file: Path, found: str, advice: str) -> Problem:
    return Problem(str(file), found, "weights: safetensors, or tensors saved by torch.save", advice)
