"""What networks are called and how they are drawn: as the tables say, else as is known of the study's own."""

import dataclasses

import pandas as pd

from analysis.tables.networks import KNOWN, OTHER_COLOUR, Look, networks
from transfusion.architectures import ARCHITECTURES


def test_what_is_known_of_older_tables_is_what_the_entries_say():
    names = {"network": "label", "family": "family", "colour": "colour", "marker": "marker"}
    for name, look in KNOWN.items():
        assert dataclasses.asdict(look) == {a: getattr(ARCHITECTURES[name], b) for a, b in names.items()}


def test_the_tables_come_first_then_what_is_known_then_gray():
    trials = pd.DataFrame(
        {
            "architecture": ["resnet50", "cbr_tiny", "wide", "mine", "wide"],
            "network": [None, "Tiny", "Wide", None, "Wide"],
            "family": [None, None, "CBR", None, "CBR"],
            "colour": [None, "#112233", "#445566", None, None],
            "marker": [None, None, "p", None, "p"],
        }
    )
    found = networks(trials)
    assert found["resnet50"] == KNOWN["resnet50"]
    assert found["cbr_tiny"] == Look("Tiny", "CBR", "#112233", "X")
    assert found["wide"] == Look("Wide", "CBR", "#445566", "p")
    assert (found["mine"].network, found["mine"].colour) == ("mine", OTHER_COLOUR)
    assert found["resnet18"] == KNOWN["resnet18"], "a network that is not there yet"
    assert found.ordered(trials["architecture"].unique()) == ["cbr_tiny", "wide", "resnet50", "mine"]
    assert networks(trials[["architecture"]])["cbr_tiny"] == KNOWN["cbr_tiny"]
