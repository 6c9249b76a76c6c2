"""A case: a world, a preset, a number of seeds and an effect; many grids of it are simulated and judged."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.calibration.settings import Setting
from analysis.calibration.simulate import Design, design, draw
from analysis.calibration.truth import planted, simulated_claims, true_effects
from analysis.calibration.worlds import WORLDS, World, setting_of
from analysis.claims.conjectures import CONJECTURES, Claim
from analysis.claims.judged import Judged, Verdict, right_effects, right_verdict
from analysis.claims.verdicts import judge, overall

EFFECTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Planted effects, in margins."""
ANY = "any claim"
ROOMS = tuple(f"analysis.{room}" for room in ("statistics", "claims", "calibration"))
SUMS = (
    "grids",
    "wrong",
    "right",
    "misnamed",
    "estimated",
    "covered",
    "error",
    "squared_error",
    "standard_error",
)
"""What is added up over grids: counts (`misnamed`: a claim's `effect` is not what is true), and of the
estimates that there are their errors."""


@dataclass(frozen=True)
class Case:
    """What is simulated; `seed` and the number of a grid fix all of its random numbers."""

    world: str
    preset: str
    seeds: int
    effect: float
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.world}, {self.preset} with {self.seeds} seeds, {self.effect:g} margins"

    @cached_property
    def of_world(self) -> World:
        """The world of that name."""
        return next(world for world in WORLDS if world.name == self.world)

    @cached_property
    def setting(self) -> Setting:
        """The preset as the world changes it."""
        return setting_of(self.of_world, self.preset, self.seeds)

    @cached_property
    def entropy(self) -> int:
        """Start of the random numbers, the same on every machine and for every order of cases."""
        text = f"{self.world}|{self.preset}|{self.seeds}|{self.effect:g}|{self.seed}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def cases(worlds: Sequence[str], effects: Sequence[float], seed: int = 0) -> list[Case]:
    """Every study of every world at every effect."""
    return [
        Case(world.name, preset, seeds, effect, seed)
        for world in WORLDS
        if world.name in worlds
        for preset, seeds in world.studies
        for effect in effects
    ]


@dataclass(frozen=True)
class Planted:
    """A case with its truth: what every claim's contrast is, and the verdict that this asks for."""

    design: Design
    claims: list[Claim]
    true: list[float]
    rights: list[Verdict]


@lru_cache(maxsize=4)
def plant(case: Case) -> Planted:
    """The truth of a case, drawn once for all of its grids.

    Raises:
        ValueError: no AUROC can hold the effects.
    """
    return plant_in(case.setting, case.of_world, case.effect, np.random.default_rng([case.entropy, 1]))


def plant_in(setting: Setting, world: World, effect: float, rng: np.random.Generator) -> Planted:
    """Effects of `effect` margins in a setting and a world.

    Raises:
        ValueError: no AUROC can hold the effects.
    """
    claims = simulated_claims(setting)
    truth = planted(setting, effect, rng, claims, world)
    true = true_effects(truth, claims)
    margins = [setting.margins.of(claim.metric) for claim in claims]
    rights = [right_verdict(c, t, m) for c, t, m in zip(claims, true, margins, strict=True)]
    return Planted(design(setting, truth, world), claims, true, rights)


def right_overall(claims: Sequence[Claim], rights: Sequence[Verdict], conjecture: int) -> Verdict:
    """A conjecture's right verdict from those of the claims that it needs."""
    needed = [r for c, r in zip(claims, rights, strict=True) if c.conjecture == conjecture and c.needed]
    return "refuted" if "refuted" in needed else "supported"


def judge_grid(it: Planted, rng: np.random.Generator) -> list[Judged]:
    """Simulate a grid and judge it as a real one is judged."""
    return judge(draw(it.design, rng), "natural", it.design.setting.margins, it.claims)


def add_up(it: Planted, entropy: int, numbers: Sequence[int]) -> pd.DataFrame:
    """`SUMS` over grids: a row per claim, one per conjecture (`conjecture 1`) and one for any claim.

    Args:
        entropy: seeds the random numbers of every grid, together with its number.
    """
    asked = [k for k in CONJECTURES if any(c.needed and c.conjecture == k for c in it.claims)]
    names = [*(c.name for c in it.claims), *(f"conjecture {k}" for k in asked), ANY]
    total = np.zeros((len(names), len(SUMS)))
    for number in numbers:
        judged = judge_grid(it, np.random.default_rng([entropy, 2, number]))
        rows = [_scored(j, t, r) for j, t, r in zip(judged, it.true, it.rights, strict=True)]
        wrong = any(row[1] for row in rows)
        for conjecture in asked:
            verdict = overall([j for j in judged if j.claim.conjecture == conjecture])
            rows.append(_outcome(verdict, right_overall(it.claims, it.rights, conjecture)))
        rows.append((1.0, float(wrong), float("nan"), float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0))
        total += np.array(rows)
    table = pd.DataFrame(total, columns=list(SUMS))
    table.insert(0, "claim", names)
    kinds = ["claim"] * len(it.claims) + ["conjecture"] * len(asked) + ["any"]
    table.insert(1, "kind", kinds)
    table.insert(2, "true", it.true + [float("nan")] * (len(asked) + 1))
    return table


def _outcome(verdict: Verdict, right: Verdict) -> tuple[float, ...]:
    counted = 1.0, float(verdict not in (right, "undecided")), float(verdict == right)
    return (*counted, float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0)


def _scored(judged: Judged, true: float, right: Verdict) -> tuple[float, ...]:
    named = right_effects(judged.claim, true, judged.margin)
    counted = *_outcome(judged.verdict, right)[:3], float(judged.effect not in named)
    found = judged.found
    if found is None or not np.isfinite(found.low):
        return (*counted, 0.0, 0.0, 0.0, 0.0, 0.0)
    error = found.estimate - true
    covered = float(found.low <= true <= found.high)
    return (*counted, 1.0, covered, error, error**2, found.standard_error)


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Of the code that simulates and judges: sums of other code are not mixed with those of this."""
    digest = hashlib.sha256()
    for name in sorted(_imported("analysis.calibration.cases", set())):
        digest.update(name.encode() + b"\0" + _file(name).read_bytes())
    return digest.hexdigest()[:12]


def _imported(module: str, seen: set[str]) -> set[str]:
    """A module of the rooms that simulate and judge, with all modules of theirs that it imports."""
    seen.add(module)
    for node in ast.walk(ast.parse(_file(module).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(ROOMS):
            continue
        for name in (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)):
            if name not in seen and _file(name).is_file():
                _imported(name, seen)
    return seen


def _file(module: str) -> Path:
    return Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
