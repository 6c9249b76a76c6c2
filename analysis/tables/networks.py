"""What networks are called and how they are drawn: as the tables say, else as is known of the study's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.tables.schema import LOOKS


@dataclass(frozen=True, slots=True)
class Look:
    """How a network is called and drawn; the columns `network`, `family`, `colour`, `marker` of `trials`."""

    network: str
    family: str
    colour: str
    marker: str


KNOWN: dict[str, Look] = {
    "resnet50": Look("ResNet-50", "ResNet", "#D55E00", "s"),
    "resnet34": Look("ResNet-34", "ResNet", "#E69F00", "D"),
    "resnet18": Look("ResNet-18", "ResNet", "#7A4419", "^"),
    "cbr_large_wide": Look("CBR-Large-Wide", "CBR", "#0072B2", "o"),
    "cbr_large_tall": Look("CBR-Large-Tall", "CBR", "#56B4E9", "v"),
    "cbr_small": Look("CBR-Small", "CBR", "#009E73", "P"),
    "cbr_tiny": Look("CBR-Tiny", "CBR", "#000000", "X"),
}
"""For tables that do not say it: those of version 0.1.0, and tables from elsewhere."""

OTHER_COLOUR, OTHER_MARKER = "#595959", "h"


@dataclass(frozen=True)
class Networks:
    """Name of a network in the tables -> its look."""

    looks: Mapping[str, Look]

    def __getitem__(self, name: str) -> Look:
        """Its look; gray under its own name where nothing is known of it."""
        return self.looks.get(name) or KNOWN.get(name) or Look(name, "", OTHER_COLOUR, OTHER_MARKER)

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Family by family, the study's own first in each; those of no family last."""
        own = list(KNOWN)

        def place(name: str) -> tuple[bool, str, int, str]:
            family = self[name].family
            return not family, family, own.index(name) if name in KNOWN else len(own), name

        return sorted(names, key=place)


def networks(trials: pd.DataFrame) -> Networks:
    """The looks that `trials` state; what a row leaves out is taken from `KNOWN`, else gray."""
    said = trials.reindex(columns=["architecture", *(column.name for column in LOOKS)])
    plain = Networks({})
    looks = {}
    for name, values in said.groupby("architecture", sort=False).first().astype(object).iterrows():
        known = plain[str(name)]
        stated = {column: value for column, value in values.items() if pd.notna(value)}
        looks[str(name)] = Look(**{c.name: str(stated.get(c.name, getattr(known, c.name))) for c in LOOKS})
    return Networks(looks)
