"""Weights from outside the sweep, for `init=imagenet`: a user's file or torchvision's, fitted to our stages.

`weights_file` opens files, `weights_names` finds our tensors among theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor

from transfusion.architectures import ARCHITECTURES, Architecture, Torchvision
from transfusion.files import atomic
from transfusion.networks import weights_file, weights_names
from transfusion.networks.network import build
from transfusion.problems import InputError, Problem

TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Weights:
    """The tensors of a file, named and shaped as our stages, float32 on the CPU.

    Attributes:
        prefix: what stood before their names in the file.
        unused: names in the file that were not needed: heads, losses, counters, other networks.
        gray: the first layer was made for one channel.
    """

    tensors: dict[str, Tensor]
    prefix: str
    unused: tuple[str, ...]
    gray: bool

    def notes(self) -> tuple[str, ...]:
        """What was found in the file, where that is not plain."""
        found = [f"tensors below {self.prefix!r}"] if self.prefix else []
        found += [f"not used: {_some(self.unused)}"] if self.unused else []
        found += ["first layer of one channel, spread over three"] if self.gray else []
        return tuple(found)


def read(file: Path, architecture: Architecture) -> Weights:
    """The weights in `file` for `architecture`, without a classifier, for images of three channels.

    The first convolution of a network for gray images is spread evenly over three channels, so that it
    answers to three equal channels as it did to one: the inverse of summing over the channels, by which timm
    makes networks for gray images (`adapt_input_conv` in timm/models/_manipulate.py). Batch counters, which
    older files lack and nothing uses, start at 0.

    Raises:
        InputError: the file cannot be read, is no weights file, or does not fit: what is missing,
            unexpected, of another shape, or not finite.
    """
    found = weights_file.tensors(file)
    fitted = weights_names.fit(found, architecture)
    if fitted.problems:
        raise InputError([_misfit(file, found, fitted, architecture)])
    if strange := [theirs for name, theirs in fitted.names.items() if not _is_plain(found[theirs], name)]:
        kinds = dict.fromkeys(_kind(found[theirs]) for theirs in strange)
        text = "; ".join(
            f"{kind} in {_some([theirs for theirs in strange if _kind(found[theirs]) == kind])}"
            for kind in kinds
        )
        expected = "plain numbers of 16 bits or more with a fraction"
        raise InputError([Problem(str(file), text, expected, "save the weights as float32")])
    with torch.device("meta"):
        own = build(architecture).stages.state_dict()
    # Copies: tensors of one file may share their memory, which a safetensors file cannot.
    given = {
        name: found[fitted.names[name]].to(like.dtype).clone(memory_format=torch.contiguous_format)
        if name in fitted.names
        else torch.zeros(like.shape, dtype=like.dtype)
        for name, like in own.items()
    }
    infinite = [fitted.names[name] for name, tensor in given.items() if not torch.isfinite(tensor).all()]
    negative = [
        fitted.names[name]
        for name, tensor in given.items()
        if name.endswith("running_var") and (tensor < 0).any()
    ]
    empty = [fitted.names[name] for name, tensor in given.items() if tensor.ndim == 4 and not tensor.any()]
    if infinite or negative or empty:
        problems = (
            [f"values that are not a number (NaN) or infinite in {_some(infinite)}"] if infinite else []
        )
        problems += [f"variances below 0 in {_some(negative)}"] if negative else []
        problems += [f"nothing but zeros in {_some(empty)}"] if empty else []
        expected = "finite numbers" + (", and variances of at least 0" if negative else "")
        expected += ", and kernels that were trained" if empty else ""
        advice = f"download the file again, or name another (--weights {architecture}=FILE)"
        raise InputError([Problem(str(file), "; ".join(problems), expected, advice)])
    first = next(iter(own))
    gray = given[first].shape[1] == 1
    if gray:
        given[first] = (given[first].expand(-1, 3, -1, -1) / 3).contiguous()
    used = set(fitted.names.values())
    return Weights(given, fitted.prefix, tuple(name for name in found if name not in used), gray)


def _misfit(
    file: Path, found: Mapping[str, Tensor], fitted: weights_names.Fit, architecture: Architecture
) -> Problem:
    """What a file has, and what of it does not fit, in a few of its own names."""
    below = f" below {fitted.prefix!r}" if fitted.prefix else ""
    text = f"{len(found)} tensor{'s' if len(found) != 1 else ''} ({_some(list(found))})"
    if fitted.names:
        text += f", {len(fitted.names)} of them named as ours{below}: " + "; ".join(fitted.problems)
    else:
        text += ", none of them named as a layer of it"
    advice = f"name a file of {architecture} (--weights {architecture}=FILE)"
    if fitted.rivals is not None:
        wanted, other = fitted.rivals
        keep = f'torch.save({{n: t for n, t in w.items() if n.startswith("{wanted or other}")}}, "one.pth")'
        also = f' (or "{other}")' if wanted and other else ""
        advice = f"save the one that you mean, in Python, and name one.pth: {_loading(file)}; {keep}{also}"
    elif fitted.near:
        ours, theirs = fitted.near[0]
        move = f'w["{fitted.prefix}{ours}"] = w.pop("{fitted.prefix}{theirs}")'
        if len(fitted.problems) > 2:  # more than one name: the first is an example
            rename = f"rename these tensors ({move}, and so on) and torch.save them anew"
        else:
            rename = (
                f"rename it, in Python, and name renamed.pth: {_loading(file)}; {move}; "
                'torch.save(w, "renamed.pth")'
            )
        advice = f"{rename}; or {advice}"
    if fitted.rivals is None and (fits := weights_names.others(found, architecture)):
        advice = f"it fits {fits[0]}: --weights {fits[0]}={file}"
    return Problem(str(file), text, f"the weights of {architecture}", advice)


def _loading(file: Path) -> str:
    """Python that reads the tensors of a file, whatever its format and however they are nested."""
    return (
        "from pathlib import Path; import torch; from transfusion.networks.weights_file import tensors; "
        f'w = tensors(Path("{file}"))'
    )


def _kind(tensor: Tensor) -> str:
    """Why a tensor is not plain numbers."""
    if tensor.is_meta:
        return "a shape without numbers"
    if tensor.is_quantized:
        return "quantised numbers"
    if tensor.layout != torch.strided:
        return "sparse tensors"
    if tensor.is_complex():
        return "complex numbers"
    return "numbers of 8 bits" if tensor.is_floating_point() else "whole numbers (quantised?)"


def _is_plain(tensor: Tensor, name: str) -> bool:
    """Whether a tensor holds the numbers themselves: integers and 8-bit floats need a scale as well."""
    strided = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    whole = name.endswith(weights_names.OPTIONAL) and not tensor.is_complex()
    return strided and (whole or (tensor.is_floating_point() and tensor.element_size() > 1))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def fingerprint(file: Path) -> str:
    """The sha256 of the bytes of `file`, as `sha256sum` prints it."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def torchvision_file(architecture: Architecture) -> Path:
    """Torchvision's ImageNet weights of `architecture` in torch.hub's cache, downloaded there if need be.

    These are its entry's `weights`; for the ResNets `IMAGENET1K_V1`, which studies of transfer used.

    Raises:
        InputError: the file is not there and cannot be downloaded: its address, and where to put it by hand;
            or it does not have the sha256 that its name tells.
        ValueError: torchvision has none.
    """
    backbone = ARCHITECTURES[architecture].backbone
    if not isinstance(backbone, Torchvision) or backbone.weights is None:
        raise ValueError(f"found {architecture}, expected a network with weights of torchvision's")
    url = torchvision.models.get_model_weights(backbone.name)[backbone.weights].url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / Path(urlparse(url).path).name
    digest = file.stem.rpartition("-")[2]
    if not file.exists():
        try:
            with urlopen(Request(url, headers={"User-Agent": "torch.hub"}), timeout=TIMEOUT_SECONDS):
                pass  # torch.hub knows no time limit: it would wait for ever behind a silent firewall
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), hash_prefix=digest)
        except (OSError, RuntimeError) as error:
            found = f"no such file, and no download ({type(error).__name__}: {error})"
            advice = (
                f"fetch {url} elsewhere and put it into {folder} as {file.name}, "
                f"or name a file of your own (--weights {architecture}=FILE)"
            )
            raise InputError([Problem(str(file), found, "torchvision's weights", advice)]) from error
    if not (sha256 := fingerprint(file)).startswith(digest):
        found = f"{file.stat().st_size:,} bytes with the sha256 {sha256[:8]}, a cut or changed download"
        advice = "delete the file, and it is fetched again"
        raise InputError([Problem(str(file), found, f"a sha256 that begins with {digest}", advice)])
    return file


def supplied_file(cells: Path, architecture: Architecture, fingerprint: str) -> Path:
    """Where the adapted weights of a sweep lie, beside the folder of its cells."""
    return cells.parent / "weights" / f"{architecture}-{fingerprint[:16]}.safetensors"


def store(file: Path, architecture: Architecture, cells: Path, fingerprint: str) -> Path:
    """Adapt `file` and write it to `supplied_file`, where every trial on every node finds it.

    Raises:
        InputError: as `read`.
    """
    target = supplied_file(cells, architecture, fingerprint)
    if not target.exists():
        weights = read(file, architecture).tensors
        with atomic(target) as temporary:
            save_file(weights, temporary)
    return target
