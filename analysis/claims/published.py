"""Published numbers that are drawn in gray or printed beside ours, each with its source.

Only numbers that were read in a source are here. What the study found in words is in
`analysis.claims.study_results`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.tables.schema import PUBLISHED as TABLE

RAGHU = "Raghu, Zhang, Kleinberg, Bengio 2019, arXiv 1902.07208 (read in secondary copies of its tables)"


@dataclass(frozen=True, slots=True)
class Published:
    """One published AUROC, as a fraction.

    Attributes:
        init: `random` or `imagenet`.
        train_images: None for all of the data set's training images.
    """

    data: str
    finding: str
    architecture: str
    init: str
    train_images: int | None
    auroc: float
    source: str = RAGHU


_CHEXPERT_RESNET50 = {
    "Atelectasis": (0.7952, 0.7976),
    "Cardiomegaly": (0.7523, 0.7493),
    "Consolidation": (0.8549, 0.8442),
    "Edema": (0.8834, 0.8889),
    "Pleural Effusion": (0.8870, 0.8807),
}
_RETINA = {
    ("resnet50", None): (0.964, 0.967),
    ("cbr_large_tall", None): (0.962, 0.962),
    ("resnet50", 5_000): (0.922, 0.946),
    ("cbr_large_tall", 5_000): (0.936, 0.939),
    ("cbr_large_wide", 5_000): (0.936, 0.937),
}

PUBLISHED: tuple[Published, ...] = (
    *(
        Published("CheXpert", finding, "resnet50", init, None, auroc)
        for finding, pair in _CHEXPERT_RESNET50.items()
        for init, auroc in zip(("random", "imagenet"), pair, strict=True)
    ),
    *(
        Published("RETINA", "diabetic retinopathy", architecture, init, images, auroc)
        for (architecture, images), pair in _RETINA.items()
        for init, auroc in zip(("random", "imagenet"), pair, strict=True)
    ),
)


def published(finding: str, *, data: str = "CheXpert") -> list[Published]:
    """The published AUROC for `finding` of `data`."""
    return [p for p in PUBLISHED if p.data == data and p.finding == finding]


def beside(estimates: pd.DataFrame, *, finding: str, natural: str | None) -> pd.DataFrame:
    """The table `published`: every published AUROC, and beside it this grid's own level of the same finding.

    A number for all of a data set's images stands beside this grid's largest size, one for 5,000 beside the
    same size; `imagenet` beside the natural-image initialisation `natural` of this grid.

    Args:
        estimates: rows of the table `estimates`.
        finding: what this grid trains.
    """
    ours = estimates[(estimates["metric"] == "test_auroc") & (estimates["freeze"] == "none")]
    ours = ours[ours["architecture"].notna() & ours["train_images"].notna() & ours["init"].notna()]
    rows = []
    for number in PUBLISHED:
        init = natural if number.init == "imagenet" else number.init
        size = number.train_images or ours["train_images"].max()
        match = ours[
            (ours["architecture"] == number.architecture)
            & (ours["init"] == init)
            & (ours["train_images"] == size)
            & (number.finding == finding)
        ]
        found = match.iloc[0].to_dict() if len(match) else {}
        head = {name: getattr(number, name) for name in ("data", "finding", "architecture", "init")}
        rows.append(
            head
            | {"train_images": number.train_images, "published_auroc": number.auroc, "source": number.source}
            | {"estimate_name": found.get("name")}
            | {name: found.get(name) for name in ("estimate", "low", "high", "seeds", "patients")}
        )
    return pd.DataFrame(rows, columns=[c.name for c in TABLE])
