"""What a column of evidence is: its name, type, unit, meaning and the values that it may have."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `unit` is empty for names, labels and counts.

    Attributes:
        words: the only values that it may have; empty where any will do.
        ours: names that this code knows, to be spelled so; others may be there as well.
        pattern: what a text must match as a whole, and that in words; None where any will do.
        low, high: the ends of its range, themselves in it; None where there is none.
        default: what a null of an axis stands for; None where an axis may not be null.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    ours: tuple[str, ...] = ()
    default: str | int | None = None
    pattern: tuple[str, str] | None = None

    def expected(self) -> str:
        """What may stand in it, in words."""
        if self.words:
            return f"{', '.join(self.words[:-1])} or {self.words[-1]}"
        if self.pattern:
            return self.pattern[1]
        kind = {"string": "text", "int64": "a whole number", "bool": "true or false"}
        of_kind = kind.get(str(self.type), "a number")
        if self.low is None:
            return of_kind
        if self.high is None:
            return f"{of_kind}, at least {self.low:g}"
        return f"{of_kind} from {self.low:g} to {self.high:g}"


def text(name: str, meaning: str, words: tuple[str, ...] = ()) -> Column:
    """A name or label; `words` are the only ones that it may be, where there are any."""
    return Column(name, pa.string(), "", meaning, words)


def count(name: str, meaning: str, unit: str = "", low: int | None = 0) -> Column:
    """A whole number of `unit`, at least `low`."""
    return Column(name, pa.int64(), unit, meaning, low=low)


def real(name: str, meaning: str, unit: str = "", low: float | None = None) -> Column:
    """A number, in `unit`, at least `low` where there is such an end."""
    return Column(name, pa.float64(), unit, meaning, low=low)


def loss(name: str, meaning: str) -> Column:
    """Cross-entropies are never negative."""
    return real(name, meaning, "nats", low=0)


def span(name: str, meaning: str) -> Column:
    """A time in seconds."""
    return real(name, meaning, "seconds", low=0)


def area(name: str, meaning: str) -> Column:
    """An area under a curve: from 0 to 1."""
    return Column(name, pa.float64(), "", meaning, low=0, high=1)


def is_true(flags: pd.Series) -> pd.Series:
    """bool: where a flag is true; one that is not known is not."""
    return flags.eq(True).fillna(False).astype(bool)
