"""Weights from outside the sweep, for `init=imagenet`: a user's file or torchvision's, fitted to our stages.

A file is a safetensors file, or what `torch.save` wrote of a state dict; nothing in it can run code. Whoever
trained it named its tensors: `adapt` knows torchvision's names and ours, with a wrapper's prefix or without.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
import torchvision
from safetensors.torch import load, save_file
from torch import Tensor

from transfusion import results
from transfusion.architectures import RESNETS, build
from transfusion.cell import Architecture
from transfusion.initialization import misfit
from transfusion.table import DataError, Problem

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs put the state dict of a checkpoint."""

PREFIXES = ("module.", "model.", "network.", "_orig_mod.", "stages.")
"""What wrappers (data parallel, Lightning, torch.compile) and our own `Network` put before every name."""

HEADS = re.compile(r"^(?:(?:module|model|network|_orig_mod)\.)*(?:head|fc|classifier)\.")
"""Classifiers: they belong to the classes of the pretraining and are dropped."""

STEM = re.compile(r"^(?=(?:conv1|bn1)\.)")
TIMEOUT_SECONDS = 20


def read(file: Path, architecture: Architecture) -> dict[str, Tensor]:
    """The tensors of `file`, named and shaped as the stages of `architecture`, float32 on the CPU.

    Raises:
        DataError: the file cannot be read, is no weights file, or does not fit; with the tensors that miss,
            are too many, have another shape, or are not finite.
    """
    weights = adapt(_tensors(file), architecture)
    with torch.device("meta"):
        own = build(architecture).stages.state_dict()
    infinite = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    found = misfit(own, weights) or "; ".join(f"not finite: {name}" for name in infinite[:20])
    if found:
        advice = f"name a file of {architecture} (--weights {architecture}=FILE)"
        raise DataError([Problem(str(file), found, f"the weights of {architecture}", advice)])
    return weights


def adapt(weights: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """`weights` with the names of our stages, without a classifier, for images of three channels.

    The first convolution of a network for gray images is spread evenly over three channels, so that it
    answers to three equal channels as it did to one: the inverse of summing over the channels, by which timm
    makes networks for gray images (`adapt_input_conv` in timm/models/_manipulate.py). Batch counters, which
    older files lack and nothing uses, start at 0.
    """
    backbone = {name: tensor for name, tensor in weights.items() if not HEADS.match(name)}
    while prefix := next((p for p in PREFIXES if backbone and all(n.startswith(p) for n in backbone)), None):
        backbone = {name.removeprefix(prefix): tensor for name, tensor in backbone.items()}
    adapted = {
        (STEM.sub("stem.", name) if architecture in RESNETS else name): (
            tensor.float() if tensor.is_floating_point() else tensor
        )
        for name, tensor in backbone.items()
    }
    first = "stem.conv1.weight" if architecture in RESNETS else "block1.0.weight"
    if first in adapted and adapted[first].ndim == 4 and adapted[first].shape[1] == 1:
        adapted[first] = adapted[first].expand(-1, 3, -1, -1) / 3
    for name in [name for name in adapted if name.endswith("running_mean")]:
        adapted.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return adapted


def fingerprint(file: Path) -> str:
    """The sha256 of the bytes of `file`, as `sha256sum` prints it."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def torchvision_file(architecture: Architecture) -> Path:
    """Torchvision's ImageNet weights of a ResNet in torch.hub's cache, downloaded there if need be.

    These are `IMAGENET1K_V1`: the first recipe, which all three ResNets share and studies of transfer used.

    Raises:
        DataError: the file is not there and cannot be downloaded: its address, and where to put it by hand.
    """
    url = torchvision.models.get_model_weights(architecture).IMAGENET1K_V1.url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / Path(urlparse(url).path).name
    if not file.exists():
        try:
            with urlopen(Request(url, headers={"User-Agent": "torch.hub"}), timeout=TIMEOUT_SECONDS):
                pass  # torch.hub knows no time limit: it would wait for ever behind a silent firewall
            folder.mkdir(parents=True, exist_ok=True)
            digest = file.stem.rpartition("-")[2]
            torch.hub.download_url_to_file(url, str(file), hash_prefix=digest)
        except (OSError, RuntimeError) as error:
            found = f"no such file, and no download ({type(error).__name__}: {error})"
            advice = (
                f"fetch {url} elsewhere and put it into {folder} as {file.name}, "
                f"or name a file of your own (--weights {architecture}=FILE)"
            )
            raise DataError([Problem(str(file), found, "torchvision's weights", advice)]) from error
    return file


def supplied_file(cells: Path, architecture: Architecture, fingerprint: str) -> Path:
    """Where the adapted weights of a sweep lie, beside the folder of its cells."""
    return cells.parent / "weights" / f"{architecture}-{fingerprint[:16]}.safetensors"


def store(file: Path, architecture: Architecture, cells: Path, fingerprint: str) -> Path:
    """Adapt `file` and write it to `supplied_file`, where every trial on every node finds it.

    Raises:
        DataError: as `read`.
    """
    target = supplied_file(cells, architecture, fingerprint)
    if not target.exists():
        weights = {name: tensor.contiguous() for name, tensor in read(file, architecture).items()}
        with results.atomic(target) as temporary:
            save_file(weights, temporary)
    return target


def _tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a file by the names that they have there, whichever of the two formats it is in."""
    try:
        content = file.read_bytes()
    except OSError as error:
        expected, advice = "a readable file of weights", "correct the path or its permissions"
        raise DataError([Problem(str(file), str(error.strerror), expected, advice)]) from error
    try:
        if content[8:9] == b"{":
            return load(content)
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = "no state dict, or one that needs code to be loaded"
        raise DataError([_no_weights(file, found)]) from error
    except Exception as error:  # readers of foreign bytes fail in many ways
        found = f"a broken or cut-off file ({type(error).__name__}: {' '.join(str(error).split())[:100]})"
        raise DataError([_no_weights(file, found)]) from error
    while container := _container(loaded):
        loaded = loaded[container]
    if not isinstance(loaded, Mapping) or not loaded:
        raise DataError([_no_weights(file, f"a {type(loaded).__name__}")])
    strange = [str(name) for name, value in loaded.items() if not isinstance(value, Tensor)]
    if strange:
        raise DataError([_no_weights(file, f"entries that are no tensors: {', '.join(strange[:20])}")])
    return dict(loaded)


def _container(loaded: Any) -> str | None:
    """The key of `loaded` that holds its state dict, if it is a checkpoint with more in it."""
    if not isinstance(loaded, Mapping):
        return None
    return next((key for key in CONTAINERS if isinstance(loaded.get(key), Mapping)), None)


def _no_weights(file: Path, found: str) -> Problem:
    expected = "safetensors, or a state dict saved by torch.save"
    return Problem(str(file), found, expected, "save model.state_dict() and name that file")
