"""Which weights cells start from: the arms that are compared, and which of them come from natural images.

The axis `init` of a cell says where weights come from in general (`imagenet`), its columns `weights...` which
they are. Cells whose weights are no natural images, or are not known to be, are an arm of their own, under
the weights' name, so that no claim on natural images rests on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.names import IN_DOMAIN, init_of

TORCHVISION = ("f37072fd", "b627a593", "0676ba61", "11ad3fa6", "5c106cde", "333f7ec4", "19c8e357")
"""How the sha256 of torchvision's published weights of ResNet-18, -34 and -50 begin: natural images."""

NATURAL_IMAGES = ("imagenet", "photos")
"""Initialisations that are natural images where nothing else is said of the weights."""

SHOWN_FILES = 3


@dataclass(frozen=True)
class Origins:
    """What the rows of `trials` start from.

    Attributes:
        arms: the arm of each row: its `init`, or a name for weights that are told apart from it.
        natural: initialisation -> the arm of its cells that start from natural images.
        in_domain: the initialisations that are pretraining on another finding of the same data.
        others: the arms of weights that are not natural images, or are not known to be.
    """

    arms: pd.Series
    natural: dict[str, str]
    in_domain: tuple[str, ...]
    others: tuple[str, ...]


def origins(trials: pd.DataFrame) -> Origins:
    """The arms of `trials`; tables without the columns `weights...` keep their initialisations."""
    arms = trials["init"].copy()
    given = trials.reindex(columns=["weights", "weights_sha256", "weights_natural"])
    sha256 = given["weights_sha256"].astype(object).where(given["weights_sha256"].notna(), "")
    known = sha256.str[:8].isin(TORCHVISION)
    said = given["weights_natural"].astype(object)
    natural = known | (said == True)  # noqa: E712 - null is neither
    domain = in_domain(trials)
    other = ~natural & ((sha256 != "") | (said == False)) & ~arms.isin(["random", *domain])  # noqa: E712
    names = given["weights"].astype(object).where(given["weights"].notna(), "weights")
    for name in names[other].unique():
        rows = other & (names == name)
        arms[rows] = _labelled(name, sha256[rows])
    labels = {}
    for init in sorted(set(trials["init"].dropna()) - {"random", *domain}):
        mine = (trials["init"] == init) & ~other
        if mine.any():
            labels[init] = _natural_arm(init, names[mine], sha256[mine], known[mine])
            arms[mine] = labels[init]
    return Origins(arms, labels, domain, tuple(arms[other].unique()))


def in_domain(trials: pd.DataFrame) -> tuple[str, ...]:
    """The initialisations whose upstream cells train a finding; `IN_DOMAIN` alone where there are none."""
    upstream = trials.loc[trials["kind"] == "upstream", "finding"].dropna().unique()
    words = {init_of(str(finding)) for finding in upstream}.difference(NATURAL_IMAGES)
    return tuple(init for init in trials["init"].dropna().unique() if init in words) or (IN_DOMAIN,)


def _natural_arm(init: str, names: pd.Series, sha256: pd.Series, known: pd.Series) -> str:
    """`init` itself, or with the names of files that the user says are natural images."""
    declared = ~known & (sha256 != "")
    if not declared.any():
        return init
    parts = [_labelled(name, sha256[declared & (names == name)]) for name in names[declared].unique()]
    rest = ["ImageNet"] if init == "imagenet" and (~declared).any() else []
    return f"natural images: {'; '.join([*rest, *parts])}"


def _labelled(name: str, sha256: Iterable[str]) -> str:
    """`radimagenet (sha 1a2b3c4d)`."""
    files = sorted({one[:8] for one in sha256 if one})
    if not files:
        return name
    return f"{name} (sha {', '.join(files)})" if len(files) <= SHOWN_FILES else f"{name} ({len(files)} files)"


def natural_arm(trials: pd.DataFrame, declared: object) -> str | None:
    """The arm of natural images, None if there is none.

    Args:
        declared: which initialisation the sweep calls its natural images, if it does.
    """
    found = origins(trials)
    inits = set(found.natural)
    findings = {str(f).lower() for f in trials.loc[trials["init"] == "random", "finding"].dropna()}
    known = [name for name in NATURAL_IMAGES if name in inits]
    candidates = [declared] if declared in inits else known or sorted(inits - findings)
    return found.natural[str(candidates[0])] if candidates else None


def starts(trials: pd.DataFrame) -> pd.DataFrame:
    """What cells start from, a row for each: name, sha256, origin, input, networks and number of cells."""
    found = origins(trials)
    grid = trials.assign(arm=found.arms)[trials["kind"].fillna("grid") == "grid"]
    grid = grid[grid["init"].notna() & (grid["init"] != "random")]
    rows = []
    columns = ["init", "arm", "weights", "weights_sha256", "weights_input"]
    for (_, arm, name, sha256, scale), cells in grid.groupby(columns, dropna=False, sort=False):
        natural = arm in found.natural.values() and cells["init"].iloc[0] in found.natural
        rows.append(
            {
                "weights": name if pd.notna(name) else arm,
                "sha256": sha256 if pd.notna(sha256) else "",
                "origin": "natural images"
                if natural
                else "in domain"
                if arm in found.in_domain
                else "other images",
                "input": scale if pd.notna(scale) else "",
                "networks": ", ".join(dict.fromkeys(cells["architecture"])),
                "cells": len(cells),
            }
        )
    return pd.DataFrame(rows, columns=["weights", "sha256", "origin", "input", "networks", "cells"])


def left_out(trials: pd.DataFrame) -> str:
    """Which cells conjecture 4 leaves out and why, a sentence; empty if there are none."""
    found = origins(trials)
    grid = trials["kind"].fillna("grid") == "grid"
    parts = []
    for arm in found.others:
        rows = trials[(found.arms == arm) & grid]
        networks = ", ".join(dict.fromkeys(rows["architecture"]))
        parts.append(f"{len(rows)} cells of {networks} from {arm}")
    if not parts:
        return ""
    return (
        f"Conjecture 4 is judged by weights from natural images alone. Left out of its claims: "
        f"{'; '.join(parts)}, which are not natural images as far as is known."
    )
