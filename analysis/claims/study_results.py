"""The study's own findings as claims beside ours: reproduced, not reproduced or undecided.

The study had one seed, 234 validation images and no interval. A finding is judged as a claim is
(`analysis.claims.verdicts`), corrected for the number of findings, on this grid's own sizes: its largest
stands for the study's 200,000 images, its middle ones for 50,000 and 100,000, its smallest for 5,000.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims.conjectures import (
    IN_DOMAIN_GAIN,
    NATURAL_GAIN,
    SCRATCH,
    Claim,
    Expects,
    Part,
    Sizes,
    worded,
)
from analysis.claims.sentences import unit_of, why_claim
from analysis.claims.verdicts import judge
from analysis.names import init_name
from analysis.statistics.catalogue import Margins
from analysis.statistics.measures import Measures
from analysis.statistics.terms import Across
from analysis.tables.schema import FINDINGS

WIDE, TALL = "cbr_large_wide", "cbr_large_tall"
RESNETS = ("resnet18", "resnet34", "resnet50")
IN_DOMAIN_ALONE: tuple[Part, ...] = ((1.0, "in_domain", "none"),)
FROZEN: tuple[Part, ...] = ((1.0, "in_domain", "backbone"), (-1.0, "random", "none"))
OUTCOME = {"supported": "reproduced", "refuted": "not reproduced", "undecided": "undecided"}


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What the study found, where, and the claim that tests it; `published` is its number, if it gave one."""

    figure: str
    finding: str
    claim: Claim
    published: str = ""

    @property
    def source(self) -> str:
        """Where the number stands."""
        return f"the study's figure {self.figure}" if self.published else ""


def _loss(
    figure: str,
    finding: str,
    quantity: str,
    group: tuple[str, ...],
    others: tuple[str, ...],
    expects: Expects,
) -> StudyResult:
    claim = Claim(
        0, finding, f"{finding}?", quantity, expects, "train_loss", SCRATCH, "largest", "difference",
        architectures=(*group, *others), group=group,
    )  # fmt: skip
    return StudyResult(figure, finding, claim)


def _wide(figure: str, finding: str, quantity: str, expects: Expects, parts: tuple[Part, ...], sizes: Sizes,
          published: str = "") -> StudyResult:  # fmt: skip
    claim = Claim(
        0, finding, f"{finding}?", quantity, expects, "test_auroc", parts, sizes, architectures=(WIDE,)
    )
    return StudyResult(figure, finding, claim, published)


def _flat(finding: str, quantity: str, across: Across, sizes: Sizes) -> StudyResult:
    claim = Claim(0, finding, f"{finding}?", quantity, "zero", "test_auroc", SCRATCH, sizes, across)
    return StudyResult("5", finding, claim)


STUDY: tuple[StudyResult, ...] = (
    StudyResult(
        "1",
        "The training loss of ResNet-50 spikes upwards",
        Claim(
            0, "ResNet-50 spikes", "", "spikes in a training run of ResNet-50", "positive", "spikes", SCRATCH,
            "largest", architectures=("resnet50",), replicate="count",
        ),
    ),
    _loss("2", "CBR-Large-Wide fits better than the ResNets", "training loss of CBR-Large-Wide minus the "
        "ResNets'",
          (WIDE,), RESNETS, "negative"),
    _loss("2", "ResNet-34 underfits less than ResNet-18 and ResNet-50",
          "training loss of ResNet-34 minus that of ResNet-18 and ResNet-50", ("resnet34",),
          ("resnet18", "resnet50"), "negative"),
    _loss("3", "CBR-Large-Wide fits better than ResNet-34", "training loss of CBR-Large-Wide minus "
        "ResNet-34's",
          (WIDE,), ("resnet34",), "negative"),
    _loss("3", "ResNet-34 fits better than CBR-Large-Tall and ResNet-18",
          "training loss of ResNet-34 minus that of CBR-Large-Tall and ResNet-18", ("resnet34",),
          (TALL, "resnet18"), "negative"),
    _loss("3", "CBR-Large-Tall and ResNet-18 fit equally", "training loss of CBR-Large-Tall minus "
                                                           "ResNet-18's",
          (TALL,), ("resnet18",), "zero"),
    _loss("3", "ResNet-50 fits worse than CBR-Large-Tall and ResNet-18",
          "training loss of ResNet-50 minus that of CBR-Large-Tall and ResNet-18", ("resnet50",),
          (TALL, "resnet18"), "positive"),
    _wide("4", "CBR-Large-Wide gains from a quarter of the data to all of it",
          "AUROC that CBR-Large-Wide gains from a quarter of the data to all of it", "positive", SCRATCH,
          "range", "+3.3 %"),
    _wide("4", "CBR-Large-Wide gains from {natural}", "AUROC that CBR-Large-Wide gains from {natural}",
          "positive", NATURAL_GAIN, "mean", "+2 % (ImageNet)"),
    _flat("No effect of parameters with all data", "AUROC from the fewest to the most parameters, all data",
          "log10_parameters", "largest"),
    _flat("No effect of parameters with little data", "AUROC from the fewest to the most parameters, "
                                                      "smallest size",
          "log10_parameters", "smallest"),
    _flat("No effect of depth with all data", "AUROC from the shallowest to the deepest network, all data",
          "log2_depth", "largest"),
    _flat("No effect of depth with little data", "AUROC from the shallowest to the deepest network, "
                                                 "smallest size",
          "log2_depth", "smallest"),
    StudyResult(
        "5",
        "ResNet-18 gains less from data than the other networks",
        Claim(
            0, "ResNet-18 gains less", "", "AUROC that ResNet-18 gains per doubling minus the others' gain",
            "negative", "test_auroc", SCRATCH, "trend", "difference", group=("resnet18",),
        ),
    ),
    _wide("6", "Fine-tuned from {in_domain} about equals scratch at the middle sizes",
          "AUROC of CBR-Large-Wide fine-tuned from {in_domain} minus from scratch, middle sizes", "zero",
          IN_DOMAIN_GAIN, "middle"),
    _wide("6", "Fine-tuned from {in_domain} falls with the last doubling of data",
          "AUROC of CBR-Large-Wide fine-tuned from {in_domain}, last doubling of data", "negative",
          IN_DOMAIN_ALONE, "last_doubling"),
    _wide("6", "Frozen from {in_domain} is worse than from scratch",
          "AUROC of CBR-Large-Wide frozen from {in_domain} minus from scratch", "negative", FROZEN, "mean"),
)  # fmt: skip


def study_result_table(
    measures: Measures, natural: str | None, margins: Margins, results: Sequence[StudyResult] = STUDY
) -> pd.DataFrame:
    """The table `findings`: every finding of the study beside this grid's estimate."""
    name, in_domain = init_name(natural) if natural else "natural images", init_name(measures.in_domain)
    judged = judge(measures, natural, margins, [result.claim for result in results])
    rows = []
    for result, j in zip(results, judged, strict=True):
        j = dataclasses.replace(j, claim=worded(j.claim, name, in_domain))
        claim = j.claim
        rows.append(
            {
                "figure": result.figure,
                "finding": result.finding.replace("{natural}", name).replace("{in_domain}", in_domain),
                "published": result.published or None,
                "source": result.source or None,
                "metric": claim.metric,
                "unit": unit_of(claim),
                **{
                    field: getattr(j.found, field, None)
                    for field in ("estimate", "low", "high", "seeds", "patients")
                },
                "margin": j.margin,
                "verdict": OUTCOME[j.verdict],
                "effect": j.effect,
                "why": why_claim(j),
            }
        )
    return pd.DataFrame(rows, columns=[c.name for c in FINDINGS])
