"""The few pieces of HTML that the report is made of; every text is escaped, every picture embedded."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CSS = """
:root{color-scheme:light}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;color:#1a1a1a;
background:#fff;max-width:58rem;margin:0 auto;padding:0 1rem 3rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25}
h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid #ddd}
h3{font-size:1rem}
figure{margin:1.2rem 0}
figcaption{font-size:.85rem;color:#555;max-width:40rem}
img{max-width:100%;height:auto;display:block}
img.column{width:34rem}
ul.verdicts{list-style:none;padding:0}
ul.verdicts li{padding:.35rem 0;border-bottom:1px solid #eee}
.wide{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.82rem;overflow-wrap:normal}
th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid #e5e5e5;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.long{min-width:13rem}
code{font-size:.9em}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.1rem 1rem;font-size:.88rem;
margin:0}
dt{color:#555}
dd{margin:0;min-width:0}
@media(max-width:600px){
.stack thead{display:none}
.stack,.stack tbody,.stack tr,.stack td{display:block}
.stack tr{border-bottom:1px solid #bbb;padding:.5rem 0}
.stack td,.stack td.n{border:0;padding:.05rem 0;text-align:left;white-space:normal}
.stack td:empty{display:none}
.stack td[data-name]:before{content:attr(data-name) ": ";color:#555}
dl{display:block}
dd{margin:0 0 .3rem 1rem}
}
"""
LONG = 60


def escape(text: object) -> str:
    """`text` with nothing left that HTML would read."""
    return html.escape(str(text))


def page(title: str, body: str) -> str:
    """A whole HTML document, readable at phone width."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f"<style>{CSS}</style></head>\n<body>{body}</body></html>\n"
    )


def paragraph(text: str) -> str:
    """One paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def prose(markdown: str) -> str:
    """Paragraphs of Markdown that uses **bold** and nothing else."""
    bold = re.compile(r"[*][*](.+?)[*][*]")
    return "".join(f"<p>{bold.sub(_bold, escape(block))}</p>" for block in markdown.strip().split("\n\n"))


def _bold(found: re.Match[str]) -> str:
    return f"<b>{found[1]}</b>"


def details(title: str, inside: str) -> str:
    """Something long that opens on a click, without scripts."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def picture(file: Path, caption: str, *, narrow: Path | None = None, kind: str = "column") -> str:
    """An image, embedded, with its caption.

    Args:
        narrow: another form of it for narrow screens.
        kind: `column` for a figure of a column's width, `page` for one of a page's.
    """
    text = escape(caption)
    image = f'<img class="{kind}" alt="{text}" src="{_data(file)}">'
    if narrow is not None:
        source = f'<source media="(max-width:600px)" srcset="{_data(narrow)}">'
        image = f"<picture>{source}{image}</picture>"
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _data(file: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def table(frame: pd.DataFrame, *, stack: bool = False) -> str:
    """A frame as an HTML table, numbers to the right; it scrolls by itself on a narrow screen.

    Args:
        stack: on a narrow screen every row becomes a block of its own, for tables of few rows and long texts.
    """
    names = [str(name).replace("_", " ") for name in frame.columns]
    head = "".join(
        f"<th{_right(frame[column])}>{escape(name)}</th>"
        for column, name in zip(frame.columns, names, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            cell(value, name if stack and k else "")
            for k, (name, value) in enumerate(zip(names, row, strict=True))
        )
        + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    kind = ' class="stack"' if stack else ""
    return f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _right(column: pd.Series) -> str:
    return ' class="n"' if pd.api.types.is_numeric_dtype(column) else ""


def cell(value: Any, name: str = "") -> str:
    """One cell of a table, its column's `name` kept for narrow screens; rounding happens here and nowhere
    before. A missing value is empty."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "<td></td>"
    named = f' data-name="{escape(name)}"' if name else ""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return f'<td class="n"{named}>{number(float(value))}</td>'
    text = escape(value)
    return f'<td class="long"{named}>{text}</td>' if len(text) > LONG else f"<td{named}>{text}</td>"


def number(value: float) -> str:
    """A number for reading: counts in full, others with three significant digits or three decimals."""
    if not np.isfinite(value):
        return escape(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else f"{value:.3g}"


def nested(record: dict[str, Any]) -> str:
    """A record as a list of names and values, records in it as lists of their own; nothing for null."""
    items = []
    for name, value in record.items():
        if value is None or value == {} or value == "":
            continue
        if isinstance(value, dict):
            shown = nested(value)
        elif isinstance(value, float):
            shown = number(value)
        else:
            shown = escape(value)
        items.append(f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{shown}</dd>")
    return f"<dl>{''.join(items)}</dl>"
