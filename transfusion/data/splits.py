"""Which patients train, select the epoch and test, where a hash of the patient alone would not do.

Large data keep the hash (`dataset.split_patients`). Where that would leave too few patients of a class, where
the user gives shares, or where a column of the user's table names some parts but not all, patients are taken
by hash within four strata: those with positive images, with negative ones, with both and with neither.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from transfusion.data.dataset import PARTS, SELECTION_SHARE, TEST_SHARE, Dataset, Split, patient_hashes
from transfusion.data.identifiers import Where
from transfusion.problems import InputError, Problem, SettingError

SMALL_PATIENTS = 400
"""Fewer patients than this, `official` apart, are a small set."""

LARGE_PATIENTS = 5_000
"""From so many patients on the hash stays as long as every part has both classes."""

FEWEST = {"test": 20, "selection": 1}
"""Between the two, a set is small where the hash leaves a part with fewer patients of a class than this. (The
smoke preset's 428 patients keep their hash: 24 are positive in the test, one in the selection.)"""

SMALL_TEST_SHARE = 0.2
SMALL_SELECTION_SHARE = 0.1
"""Shares of a small set, those of Wang et al. 2017 (ChestX-ray8, arXiv 1705.02315): 70, 10 and 20 %."""

NEEDED = {"test": 2, "selection": 1, "train": 1}
"""Patients of either class in each part. Among the test patients one of a class is too few: an interval needs
the scatter between them."""

WORDS = {
    "train": ("train", "training"),
    "selection": ("selection", "val", "valid", "validation", "dev", "development", "tune", "tuning"),
    "test": ("test", "testing", "holdout", "heldout"),
    "official": ("official", "external", "externaltest", "externalvalidation"),
}
"""What a column may call the parts; case, spaces, hyphens and underscores do not count."""

POSITIVE, NEGATIVE = 1, 2
STRATA = 4
"""A patient's stratum is the sum: with positive images, with negative ones, both, neither."""


@dataclass(frozen=True)
class Shares:
    """The shares of the patients that `--test-share` and `--selection-share` ask for; None is the default."""

    test: float | None = None
    selection: float | None = None

    def __post_init__(self) -> None:
        given = {"--test-share": self.test, "--selection-share": self.selection}
        problems = [
            f"{name}: found {share:g}, expected a share of the patients between 0 and 1, such as 0.2"
            for name, share in given.items()
            if share is not None and not 0 < share < 1
        ]
        if not problems and (self.test or 0) + (self.selection or 0) >= 1:
            problems = [
                f"--test-share, --selection-share: found {self.test:g} and {self.selection:g}, "
                "expected less than 1 together, since the rest trains"
            ]
        if problems:
            raise SettingError("; ".join(problems))


def given_parts(values: pd.Series, patients: pd.Series, where: Where) -> tuple[np.ndarray, list[Problem]]:
    """The parts that a column of the user's own table names.

    Args:
        values: the column, text, empty where nothing stands [rows].
        patients: whose image each row is [rows].
        where: names rows.

    Returns:
        One of `PARTS` for every row (`train` where the word is unknown), and a problem for every unknown
        word and for every patient in two parts, both with their rows.
    """
    part_of = {word: part for part, words in WORDS.items() for word in words}
    codes, words = pd.factorize(values)
    plain = ["".join(c for c in str(word).casefold() if c.isalnum()) for word in words]
    problems = []
    expected = f"one of {', '.join(part_of)}"
    unknown = [code for code, word in enumerate(plain) if word not in part_of]
    for code in unknown[:SHOWN]:
        found = repr(str(words[code])) if plain[code] else "no part"
        found += f" ({len(unknown):,} words in all name no part)" if len(unknown) > SHOWN else ""
        problems.append(
            Problem(where(np.flatnonzero(codes == code)), found, expected, "correct or fill in the field")
        )
    parts = np.array([part_of.get(word, "train") for word in plain], dtype=object)[codes]
    who, names = pd.factorize(patients)
    pairs = np.unique(who * len(PARTS) + np.array([PARTS.index(part) for part in parts]))
    split = np.flatnonzero(np.bincount(pairs // len(PARTS), minlength=len(names)) > 1)
    for code in split[:SHOWN]:
        rows = np.flatnonzero(who == code)
        found = f"patient {names[code]} in {' and '.join(part for part in PARTS if part in parts[rows])}"
        found += f" ({len(split):,} patients in all are in two parts)" if len(split) > SHOWN else ""
        advice = "correct the column of the parts"
        problems.append(Problem(where(rows), found, "every patient in one part", advice))
    return parts, problems


SHOWN = 5
"""So many words or patients of one kind of problem are named."""


def assign(dataset: Dataset, finding: str, labels: np.ndarray, shares: Shares) -> Dataset:
    """The data set with its patients in parts that can be trained and tested on.

    Args:
        dataset: as a reader made it, parts by hash or by a column.
        finding: what the grid trains, for the words.
        labels: of every row after the policies, 1, 0 or NaN [len(dataset.frame)].
        shares: what the user asks for.

    Returns:
        `dataset` itself where the hash will do; else another, with an identity of its own.

    Raises:
        InputError: a share is given of a part that a column names, or the patients are too few.
    """
    by_column = dataset.split.rule == "column"
    present = set(dataset.frame["part"].unique())
    missing = tuple(part for part in ("test", "selection") if not (by_column and part in present))
    given = {"test": shares.test, "selection": shares.selection}
    problems = [
        Problem(
            f"--{part}-share {share:g}",
            f"a column that names the patients of {part!r}",
            "a part that it does not name",
            "drop the option, or the words from the column",
        )
        for part, share in given.items()
        if share is not None and part not in missing
    ]
    if problems:
        raise InputError(problems)
    reason = _small(dataset, labels)
    if not by_column and not reason and shares == Shares():
        return dataset
    wanted = _shares(missing, given, small=bool(reason))
    parts = (
        _stratified(dataset, finding, labels, wanted) if wanted else dataset.frame["part"].to_numpy(object)
    )
    order = _mixed_order(dataset.frame["patient"], labels, parts) if reason else None
    return dataclasses.replace(
        dataset,
        frame=dataset.frame.assign(part=pd.Series(parts, dtype=dataset.frame["part"].dtype)),
        split=_described(by_column, finding, wanted, reason),
        order=order,
        fingerprint=_fingerprint(dataset, parts, order),
    )


def _shares(missing: Sequence[str], given: Mapping[str, float | None], *, small: bool) -> dict[str, float]:
    """The share of each part that is to be made; one that is not given gets half of what is left at most."""
    test, selection = (SMALL_TEST_SHARE, SMALL_SELECTION_SHARE) if small else (TEST_SHARE, SELECTION_SHARE)
    left = 1 - sum(share or 0 for share in given.values())
    default = {"test": min(test, left / 2), "selection": min(selection, left / 2)}
    return {part: default[part] if (share := given[part]) is None else share for part in missing}


def _small(dataset: Dataset, labels: np.ndarray) -> str:
    """Why the set is a small one, in words; empty where it is none."""
    part = dataset.frame["part"].to_numpy(object)
    patients = dataset.frame["patient"]
    count = patients[part != "official"].nunique()
    if count < SMALL_PATIENTS:
        return f"{count:,} patients are fewer than {SMALL_PATIENTS}"
    for name, some in FEWEST.items():
        fewest = some if count < LARGE_PATIENTS else 1
        inside = part == name
        for label, what in ((1, "a positive"), (0, "a negative")):
            found = patients[inside & (labels == label)].nunique()
            if found < fewest:
                return f"otherwise {found} of the patients in {name!r} had {what} image, fewer than {fewest}"
    return ""


def _strata(patients: pd.Series, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Code of each row [rows], and name and stratum of each patient [patients]."""
    codes, names = pd.factorize(patients)
    positive = np.bincount(codes, labels == 1, minlength=len(names)) > 0
    negative = np.bincount(codes, labels == 0, minlength=len(names)) > 0
    return codes, np.asarray(names, dtype=object), POSITIVE * positive + NEGATIVE * negative


def _stratified(
    dataset: Dataset, finding: str, labels: np.ndarray, shares: Mapping[str, float]
) -> np.ndarray:
    """Part of every row: `shares` of the patients that are to be parted, the others as they are.

    Raises:
        InputError: too few patients for both classes in every part.
    """
    parts = dataset.frame["part"].to_numpy(object).copy()
    if dataset.split.rule == "column":
        free = np.flatnonzero(parts == "train")
    else:
        free = np.flatnonzero(parts != "official")
    codes, names, strata = _strata(dataset.frame["patient"].iloc[free], labels[free])
    counts = allocate(np.bincount(strata, minlength=STRATA), shares)
    if counts is None:
        raise InputError([_too_few_patients(finding, strata, shares)])
    by_hash = np.argsort(patient_hashes(pd.Series(names), "part"), kind="stable")
    of_patient = np.empty(len(names), dtype=object)
    for stratum in range(STRATA):
        members = by_hash[strata[by_hash] == stratum]
        of_patient[members] = np.repeat([*counts], [count[stratum] for count in counts.values()])
    parts[free] = of_patient[codes]
    return parts


def allocate(sizes: np.ndarray, shares: Mapping[str, float]) -> dict[str, np.ndarray] | None:
    """How many patients of each stratum each part gets.

    Every part first gets the patients of either class that it needs, then as many of each stratum as bring it
    nearest to its share; `train` gets the rest.

    Args:
        sizes: patients in each stratum [4].
        shares: of the parts other than `train`, together below 1.

    Returns:
        Patients [4] by part, in sum `sizes`; None where some part cannot have both classes.
    """
    left = sizes.astype(int).copy()
    counts = {part: np.zeros(STRATA, dtype=int) for part in (*shares, "train")}
    for part, own in counts.items():
        for _ in range(NEEDED[part]):
            pair = [POSITIVE, NEGATIVE] if left[POSITIVE] and left[NEGATIVE] else [POSITIVE + NEGATIVE]
            if left[pair].min() < 1:
                return None
            left[pair] -= 1
            own[pair] += 1
    for part, share in shares.items():
        short = np.maximum(np.floor(share * sizes + 0.5).astype(int) - counts[part], 0)
        more = np.minimum(short, left)
        counts[part] += more
        left -= more
    counts["train"] += left
    return counts


def _too_few_patients(finding: str, strata: np.ndarray, shares: Mapping[str, float]) -> Problem:
    positive, negative = int((strata & POSITIVE > 0).sum()), int((strata & NEGATIVE > 0).sum())
    needed = sum(NEEDED[part] for part in (*shares, "train"))
    apart = f"{NEEDED['test']} of each for the test" if "test" in shares else "1 of each for each part"
    some = f"{positive:,} patients" if positive > 1 else "1 patient" if positive else "no patient"
    return Problem(
        f"finding {finding!r}",
        f"{some} with a positive image and {f'{negative:,}' if negative else 'none'} with a negative one",
        f"at least {needed} patients with a positive and at least {needed} with a negative image, {apart}",
        "add patients, choose another finding (--finding), or read labels otherwise (--uncertain, --blank)",
    )


def _mixed_order(patients: pd.Series, labels: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """int64 rank of every row's patient within the part, so that the first few hold both classes.

    Those with and those without a positive image come by hash, each evenly over the whole, the rarer first.
    """
    order = np.zeros(len(patients), dtype=np.int64)
    for part in PARTS:
        rows = np.flatnonzero(parts == part)
        codes, names, strata = _strata(patients.iloc[rows], labels[rows])
        hashes = patient_hashes(pd.Series(names), "order")
        positive = strata & POSITIVE > 0
        rarer = positive if 2 * positive.sum() <= len(names) else ~positive
        place = np.empty(len(names))
        for chosen, first in ((rarer, 0.0), (~rarer, 0.5)):
            members = np.flatnonzero(chosen)
            place[members[np.argsort(hashes[members])]] = (np.arange(len(members)) + first) / len(members)
        rank = np.empty(len(names), dtype=np.int64)
        rank[np.lexsort((hashes, place))] = np.arange(len(names))
        order[rows] = rank[codes]
    return order


def _fingerprint(dataset: Dataset, parts: np.ndarray, order: np.ndarray | None) -> str:
    """16 hexadecimal digits of the data and of who is in which part, whatever rule put them there."""
    rows = pd.DataFrame({"patient": dataset.frame["patient"], "part": parts})
    if order is not None:
        rows["order"] = order
    lines = rows.drop_duplicates("patient").sort_values("patient").to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(f"{dataset.fingerprint}\n{lines}".encode()).hexdigest()[:16]


def _described(by_column: bool, finding: str, shares: Mapping[str, float], reason: str) -> Split:
    rules = ["the column of the parts"] if by_column else []
    if shares:
        made = " and ".join(f"{100 * share:g} % for {part!r}" for part, share in shares.items())
        whom = "its training patients" if by_column else "the patients"
        rules.append(f"of {whom} {made}, with and without {finding} in proportion")
    text = "; ".join(rules)
    if reason:
        text += f" ({reason})"
    return Split("column" if by_column else "stratified", text)
