"""The columns that say which cell a row is of: the axes of a study. Conditions follow from them."""

from __future__ import annotations

import pyarrow as pa

from analysis.names import IN_DOMAIN
from analysis.tables.columns import Column, count, text

KINDS = ("grid", "upstream")
FREEZES = ("none", "backbone")
BALANCES = ("natural", "balanced")

INITS = ("random", "imagenet", "photos", IN_DOMAIN)
NETWORK_NAMES = (
    "resnet50", "resnet34", "resnet18", "cbr_large_wide", "cbr_large_tall", "cbr_small", "cbr_tiny",
)  # fmt: skip

AXES = (
    Column(
        "kind", pa.string(), "",
        "`grid`: a cell of the study; `upstream`: a pretraining that others start from", KINDS,
        default="grid",
    ),
    text("finding", "finding that is trained, or the upstream task's name"),
    Column("architecture", pa.string(), "", "network", ours=NETWORK_NAMES),
    count("train_images", "training images; the smaller subset lies inside the larger", "images", low=1),
    Column("init", pa.string(), "", "where the weights come from: `random` or the upstream task", ours=INITS),
    text("freeze", "`none`: every weight is trained; `backbone`: the head alone", FREEZES),
    count("seed", "initialisation, order and augmentation"),
    Column(
        "balance", pa.string(), "", "`natural` or `balanced` classes in training; null is natural", BALANCES,
        default="natural",
    ),
    Column(
        "subset", pa.int64(), "",
        "which order of the training patients the nested subsets are cut from; null is 0, the usual one",
        low=0, default=0,
    ),
)  # fmt: skip
