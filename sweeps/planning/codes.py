"""Which codes trained the finished cells of a plan, and in which types, where they are more than one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from transfusion.records.code_version import Code, of_record


def several_codes(records: Iterable[dict[str, Any]], here: Code, missing: int) -> str:
    """A sentence that names the codes of finished cells and of those still to come; empty for a single one.

    Args:
        records: of the finished cells.
        here: the code that trains the `missing` ones.
    """
    names: dict[str, str] = {}
    cells: Counter[str] = Counter()
    for record in records:
        code = record.get("code")
        digest = str(code["digest"]) if code else ""
        names.setdefault(digest, of_record(code).describe() if code else "code that left no version")
        cells[digest] += 1
    text = {digest: f"{count} by {names[digest]}" for digest, count in cells.items()}
    if missing and (len(text) > 1 or here.digest not in text):
        text["missing"] = f"{missing} will be by {here.describe()}"
    if len(text) < 2:
        return ""
    return f"The cells of this plan are trained by different codes: {'; '.join(text.values())}."


def several_types(records: Iterable[dict[str, Any]], here: str, missing: int) -> str:
    """A sentence that names the types that cells compute in, finished ones and those to come; empty for one.

    Args:
        records: of the finished cells.
        here: the type of the `missing` ones, as `bfloat16`.
    """
    cells = Counter(str(kind) for record in records if (kind := record["environment"].get("type")))
    text = {kind: f"{count} in {kind}" for kind, count in cells.items()}
    if missing and (len(text) > 1 or here not in text):
        text["missing"] = f"{missing} will in {here}"
    if not cells or len(text) < 2:
        return ""
    return (
        f"The cells of this plan compute in different types: {'; '.join(text.values())}. A difference "
        "between cells may be one between GPUs; in another --out all are trained on one kind."
    )
