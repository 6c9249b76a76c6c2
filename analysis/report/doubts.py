"""What the checks found, for reading: rows of the table `checks`."""

from __future__ import annotations

import pandas as pd

TITLE = "What makes this doubtful"


def doubts(checks: pd.DataFrame) -> pd.DataFrame:
    """The doubts that are not muted: `code`, `doubt`, `found`, `why it matters`, `what to do`."""
    rows = checks[checks["result"] == "doubt"]
    return pd.DataFrame(
        {
            "code": rows["code"],
            "doubt": rows["title"],
            "found": rows["found"],
            "why it matters": rows["why"].str.replace("`", "", regex=False),
            "what to do": rows["action"],
        }
    )


def others(checks: pd.DataFrame) -> str:
    """Which checks found nothing, could not tell or are muted, in a sentence; empty without any."""
    named = (("clear", "Nothing found by"), ("not known", "not to be told here:"), ("muted", "muted:"))
    said = [
        f"{words} {', '.join(checks.loc[checks['result'] == result, 'code'])}"
        for result, words in named
        if (checks["result"] == result).any()
    ]
    return f"{'; '.join(said)}. Every code: docs/checks.md." if said else ""
