"""Validate a data set before the first trial starts; all problems are reported at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from transfusion.data import stored_apart
from transfusion.data.dataset import Dataset, too_few
from transfusion.data.part_counts import PartCounts, count
from transfusion.data.survey import Survey, survey
from transfusion.images.inspection import image_problems, look_at, said_once, told
from transfusion.images.reading import AS_STATED, Reading
from transfusion.problems import InputError, Problem

__all__ = ["check", "image_problems", "label_problems", "upstream_problems"]


def check(
    dataset: Dataset,
    *,
    findings: Sequence[str],
    train_images: int,
    uncertain: Callable[[str], str] = lambda finding: "zeros",
    blank: str = "zeros",
    asked: Reading = AS_STATED,
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Raise one `InputError` with every problem that would make a trial on `dataset` fail.

    Args:
        findings: those that will be trained.
        train_images: the largest subset that will be asked for.
        uncertain: policy for -1 by finding (`Recipe.uncertain_policy`).
        blank: policy for blanks.
        asked: how the user wants pixel values to be read.
        progress: called with (images done, images in all) now and then.

    Returns:
        How the images are to be read, and what a plan says of them.

    Raises:
        InputError: with all problems.
    """
    problems = [*label_problems(dataset, findings, train_images, uncertain, blank)]
    looks = look_at(dataset.root, dataset.frame["image"], headers=True, progress=progress)
    problems += told(dataset.root, dataset.frame["image"].tolist(), looks)
    found = survey(dataset.root, dataset.frame["image"].tolist(), looks, asked, progress)
    problems += said_once([*found.problems, *found.empty])
    if problems:
        raise InputError(problems)
    images = dataset.frame["image"].tolist()
    apart = [
        note
        for finding in findings
        for note in stored_apart.notes(
            finding, dataset.labels(finding, uncertain(finding), blank), images, looks
        )
    ]
    return replace(found, notes=(*found.notes, *apart), looks=tuple(looks))


def label_problems(
    dataset: Dataset,
    findings: Sequence[str],
    train_images: int,
    uncertain: Callable[[str], str],
    blank: str,
) -> list[Problem]:
    """Problems: unknown findings, parts without images or with one class only, too few images."""
    problems = []
    sizes = dataset.frame["part"].value_counts()
    if sizes.get("train", 0) < train_images:
        problems.append(too_few("train", train_images, int(sizes.get("train", 0))))
    for finding in findings:
        if finding not in dataset.findings:
            advice = "choose one of these (--finding)"
            problems.append(
                Problem("finding", repr(finding), f"one of {', '.join(dataset.findings)}", advice)
            )
            continue
        counts = {one.part: one for one in count(dataset, [finding], uncertain, blank)}
        for part in ("train", "selection", "test", "official"):
            one = counts.get(part)
            if one is None and part == "official":
                continue
            positives, negatives = (one.trained_positive, one.trained_negative) if one else (0, 0)
            if positives and negatives:
                continue
            problems.append(
                Problem(
                    f"finding {finding!r}, part {part!r}",
                    f"{positives} positive and {negatives} negative images",
                    "both classes",
                    "choose another finding (--finding), read its labels otherwise (--uncertain, --blank), "
                    "or add data",
                )
            )
    return problems


def upstream_problems(counts: Sequence[PartCounts]) -> list[Problem]:
    """Problems of a finding for pretraining: it needs labels of both classes in `train`.

    Its other parts are not measured for a claim: one labelled image in `selection` chooses the epoch.
    """
    problems = []
    advice = (
        "read its labels otherwise (--uncertain, --blank), add data, or leave this pretraining out (--inits)"
    )
    for one in counts:
        found = f"{one.trained_positive} positive and {one.trained_negative} negative images"
        where = f"finding {one.finding!r}, part {one.part!r}"
        if one.part == "train" and not (one.trained_positive and one.trained_negative):
            problems.append(Problem(where, found, "both classes", advice))
        if one.part == "selection" and one.ignored == one.images:
            problems.append(Problem(where, found, "at least one", advice))
    return problems
