"""Every check: its code, how it finds what it looks for, why that matters, and what to do about it.

A code is never given to another check, so that a mute and a page that names it go on to mean the same. A
check is added here and in `finding.FINDERS`; docs/checks.md is this table in words.
"""

from __future__ import annotations

from dataclasses import dataclass

POWER = 2.8
"""Standard errors that an effect must measure to be found in 80 % of studies, two-sided at 5 %."""

PREVALENCE_FACTOR, PREVALENCE_DEVIATIONS = 1.5, 3.0
"""By so much, and so many standard deviations, the share of positives differs from the training part's."""

DROP_DEVIATIONS = 1.96
"""Standard deviations over patients that a drop between two sizes must measure."""

LOST_SHARE = 0.05
"""Failed cells, of those that ended."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        code: stable, `TS` and three digits.
        title: what is wrong where it finds something.
        how: what it looks at, with its threshold.
        why: what it does to a conclusion.
        action: what to do.
    """

    code: str
    title: str
    how: str
    why: str
    action: str


CHECKS = (
    Check(
        "TS001",
        "learning rate at the edge of its range test",
        "any finished cell whose rate was cut off by the lowest or the highest rate that was tried "
        "(column rate_at_edge)",
        "The best rate may lie outside of the range. A network that was trained with too low or too high "
        "a rate "
        "looks worse than it is.",
        "Widen the range (--recipe range_test_low=1e-7, --recipe range_test_high=10) and run again.",
    ),
    Check(
        "TS002",
        "training loss still falling",
        "any finished cell whose training loss fell over the last third of its steps, along a straight "
        "line, by "
        "more than 0.02 nats and by more than chance explains (column still_falling)",
        "Networks that learn slowly, large ones from scratch above all, are cut off. Conjecture 1 is about "
        "training loss and would blame the network.",
        "Train longer (--recipe epochs=N), at least until no cell is named here.",
    ),
    Check(
        "TS003",
        "collapsed cell",
        "any finished cell more than 0.1 AUROC below, and more than 0.1 nats of training loss above, "
        "what the "
        "next smaller and the next larger training set gave the same network and seed (column collapsed)",
        "One run that went wrong moves the mean of its condition by more than most effects that are "
        "looked for.",
        "Add seeds (--seeds N), so that one run weighs less, and look at its curves.",
    ),
    Check(
        "TS004",
        "too few patients for the margin",
        f"the median over pairs of finished cells of {POWER:g} standard errors, over patients alone, of "
        f"their "
        "difference in test AUROC lies above the margin",
        "Effects of the size of the margin would be missed more often than in one of five studies, "
        "however many "
        "seeds there are: `undecided` then speaks of the data, not of the networks.",
        "Test on more patients (--test-share), or choose a wider margin before looking (--margin "
        "auroc=0.03).",
    ),
    Check(
        "TS005",
        "a part of another prevalence",
        f"the share of positive images of selection, test or official differs from that of training by a "
        f"factor "
        f"of {PREVALENCE_FACTOR:g} or more, and by more than {PREVALENCE_DEVIATIONS:g} standard "
        f"deviations, "
        "patients counted",
        "The parts are not drawn alike. Losses, average precision and the epoch that is chosen depend on "
        "the "
        "prevalence; AUROC does not, but the patients may differ in more than that.",
        "See how the part was made (--part-column); compare AUROC only, and no losses across parts.",
    ),
    Check(
        "TS006",
        "the same image in two parts",
        "any image that is equal, byte for byte or as it is trained, to one of another part (as recorded)",
        "What was trained on is tested on: AUROC is too high, and the more so the larger the network.",
        "Drop one of each pair, or give both to one patient.",
    ),
    Check(
        "TS007",
        "weights that may have seen the test",
        "any cell that starts from a file of weights of which nobody said that it was trained on natural "
        "images",
        "Weights that were pretrained on these radiographs, or on a public set that contains them, have "
        "seen "
        "the images that the test asks about.",
        "Find out what they were trained on. If on natural images, say so (--weights-origin "
        "NETWORK=natural).",
    ),
    Check(
        "TS008",
        "one seed",
        "the grid has one seed, or a condition has one finished seed where others have several",
        "What another seed would have given is not known. Most differences of 0.01 AUROC between two "
        "single runs "
        "are nothing but that.",
        "Add seeds (--seeds 3); cells that are done are not trained again.",
    ),
    Check(
        "TS009",
        "more data, lower AUROC",
        f"the mean test AUROC of a condition falls from one size to the next by more than the margin and "
        f"by more "
        f"than {DROP_DEVIATIONS:g} standard errors over patients; collapsed cells are left out",
        "More of the same data should not hurt. A recipe that does not suit the larger sizes does, and the "
        "power law through the sizes then means little.",
        "Look at the curves and the rates of the larger size (TS001, TS002), and add seeds.",
    ),
    Check(
        "TS010",
        "cells that failed",
        f"more than {100 * LOST_SHARE:.0f} % of the cells that ended have failed",
        "They are not missing by chance: what failed is often the largest network or the highest rate, "
        "and the "
        "mean over what is left flatters it.",
        "Read their errors in the report, mend the cause, and train them again (--retry-failed).",
    ),
)  # fmt: skip

CODES = tuple(check.code for check in CHECKS)
