"""Names of a file's tensors to the names of our stages, whatever program named them.

Programs put prefixes before the names of a network (`module.`, `backbone.`, `model.encoder_q.`, nested
dictionaries), and name a ResNet's stages as torchvision does or by their places in a sequence. `fit`
looks for a prefix below which all that a network needs is there, under one of these namings.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
import torchvision
from torch import Tensor

from transfusion.architectures import ARCHITECTURES, Architecture, Torchvision
from transfusion.networks.network import build

OPTIONAL = "num_batches_tracked"
"""Counters that older files lack and nothing uses."""

STAGE = re.compile(r"(?:stem|layer|block|conv|bn|norm)\d*|[0-7]")
"""First part of a name that belongs to the backbone of some network."""

PREFERRED = (("encoder_q", "encoder_k"), ("online", "target"), ("teacher", "student"), ("", "momentum"))
"""Of two networks in one file, which one its authors go on with: MoCo, BYOL, DINO, and copies by momentum."""

SHOWN = 3


@dataclass(frozen=True)
class Fit:
    """A prefix of a file's names with one naming of our tensors.

    Attributes:
        prefix: what stands before the names, with its last dot.
        names: our name -> the file's, for those of our names that the file has.
        problems: what is missing, unexpected or of another shape; none where it fits.
        near: of the first names that are missing, each with the nearest of the file's own, where one is near.
        rivals: the prefixes of two networks that both fit and differ, or None.
    """

    prefix: str
    names: dict[str, str]
    problems: tuple[str, ...]
    near: tuple[tuple[str, str], ...] = ()
    rivals: tuple[str, str] | None = None


def fit(tensors: Mapping[str, Tensor], architecture: Architecture) -> Fit:
    """The best fit of a file's `tensors` to the stages of `architecture`; it may still have problems.

    Where several fit, the one that their program goes on with; if that is unknown and they differ, a problem.
    """
    own = _own(architecture)
    namings = _namings(architecture, own)
    hits: Counter[tuple[int, str]] = Counter()
    for name in tensors:
        parts = name.split(".")
        for cut in range(len(parts)):
            rest = ".".join(parts[cut:])
            for number, naming in enumerate(namings):
                if rest in naming:
                    hits[number, name.removesuffix(rest)] += 1
    if not hits:
        return Fit("", {}, ("none of their names",))
    most = max(hits.values())
    found = [
        _checked(tensors, own, namings[number], prefix)
        for (number, prefix), count in hits.items()
        if 2 * count > most
    ]
    fitting = [one for one in found if not one.problems]
    if not fitting:
        return min(found, key=lambda one: (-len(one.names), len(one.problems)))
    return _chosen(fitting, tensors)


def others(tensors: Mapping[str, Tensor], architecture: Architecture) -> list[Architecture]:
    """The other architectures that the tensors do fit."""
    return [one for one in ARCHITECTURES if one != architecture and not fit(tensors, one).problems]


def _own(architecture: Architecture) -> dict[str, Tensor]:
    """Our tensors by name, without content."""
    with torch.device("meta"):
        return build(architecture).stages.state_dict()


def _namings(architecture: Architecture, own: Iterable[str]) -> list[dict[str, str]]:
    """Each naming as its name -> our name."""
    namings = [{name: name for name in own}]
    backbone = ARCHITECTURES[architecture].backbone
    if isinstance(backbone, Torchvision):
        torchvisions = {_torchvisions(name, backbone): name for name in own}
        places = _places(backbone.name)
        namings.append(torchvisions)
        namings.append(
            {
                f"{places[first]}{dot}{rest}": ours
                for name, ours in torchvisions.items()
                for first, dot, rest in [name.partition(".")]
            }
        )
    return namings


def _torchvisions(name: str, backbone: Torchvision) -> str:
    """Torchvision's name of our tensor `name`: that of its stage's submodule, and what follows."""
    stage, _, rest = name.partition(".")
    parts = backbone.stages[stage]
    if len(parts) == 1:
        return f"{parts[0]}.{rest}"
    last, _, rest = rest.partition(".")
    return f"{next(part for part in parts if part.rpartition('.')[2] == last)}.{rest}"


@lru_cache
def _places(name: str) -> dict[str, str]:
    """Child of a torchvision network -> its place in `Sequential(*network.children())`."""
    with torch.device("meta"):
        network = torchvision.models.get_model(name, weights=None)
    return {child: str(place) for place, (child, _) in enumerate(network.named_children())}


def _checked(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], naming: Mapping[str, str], prefix: str
) -> Fit:
    """What of `naming` is there below `prefix`, and what is wrong with it, in the file's own names."""
    below = {name.removeprefix(prefix): name for name in tensors if name.startswith(prefix)}
    names = {ours: below[theirs] for theirs, ours in naming.items() if theirs in below}
    firsts = {theirs.split(".")[0] for theirs in naming}
    missing = [theirs for theirs in naming if theirs not in below and not theirs.endswith(OPTIONAL)]
    extra = [
        rest
        for rest in below
        if rest not in naming and _of_backbone(rest.split(".")[0], firsts) and not rest.endswith(OPTIONAL)
    ]
    first = next(iter(own))
    shapes = [
        f"shape of {theirs}: {tuple(tensors[below[theirs]].shape)} in place of {tuple(own[ours].shape)}"
        for theirs, ours in naming.items()
        if theirs in below
        and not theirs.endswith(OPTIONAL)
        and tuple(tensors[below[theirs]].shape) not in _shapes(own[ours], gray=ours == first)
    ]
    near = {
        name: close[0]
        for name in missing[:SHOWN]
        if (close := difflib.get_close_matches(name, extra, 1, 0.6))
    }
    groups = (
        (
            "missing: ",
            [name + (f" (nearest: {near[name]})" if name in near else "") for name in missing],
        ),
        ("too many: ", extra),
        ("", shapes),
    )
    problems = tuple(text for head, group in groups for text in _short(head, group))
    return Fit(prefix, names, problems, tuple(near.items()))


def _of_backbone(first: str, firsts: set[str]) -> bool:
    """Whether a name that begins so belongs to the backbone; all else is a head, or is not needed."""
    return first in firsts or STAGE.fullmatch(first) is not None


def _shapes(own: Tensor, *, gray: bool) -> tuple[tuple[int, ...], ...]:
    """Shapes that a tensor may have: ours, and with one channel where it is the first layer's."""
    shape = tuple(own.shape)
    return (shape, (shape[0], 1, *shape[2:])) if gray else (shape,)


def _short(head: str, group: list[str]) -> list[str]:
    more = [f"and {len(group) - SHOWN} more"] if len(group) > SHOWN else []
    return [f"{head}{one}" for one in group[:SHOWN]] + more


def _chosen(fitting: list[Fit], tensors: Mapping[str, Tensor]) -> Fit:
    """One of several that fit: they are equal, or it is known which is meant; else a problem."""
    best = fitting[0]
    for one in fitting[1:]:
        if all(torch.equal(tensors[best.names[name]], tensors[one.names[name]]) for name in best.names):
            continue
        decision = _preferred(best.prefix, one.prefix)
        if decision is None:
            text = f"two networks that fit and differ, below {best.prefix!r} and below {one.prefix!r}"
            return Fit(best.prefix, best.names, (text,), rivals=(best.prefix, one.prefix))
        best = best if decision == best.prefix else one
    return best


def _preferred(one: str, other: str) -> str | None:
    for wanted, unwanted in PREFERRED:
        for first, second in ((one, other), (other, one)):
            if unwanted in second and wanted in first and unwanted not in first:
                return first
    return None
