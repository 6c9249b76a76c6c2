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
body{font:16px/1.55 system-ui,-apple-system,"Segoe
UI",sans-serif;color:#1a1a1a;background:#fff;max-width:58rem; margin:0 auto;padding:0 1rem
3rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid #ddd}
h3{font-size:1rem}figure{margin:1rem 0}figcaption{font-size:.85rem;color:#555}
img{max-width:100%;height:auto;display:block} ul.verdicts{list-style:none;padding:0}ul.verdicts
li{padding:.35rem 0;border-bottom:1px solid #eee} .wide{overflow-x:auto;margin:1rem
0}table{border-collapse:collapse;font-size:.82rem;overflow-wrap:normal} th,td{padding:.25rem
.6rem;text-align:left;border-bottom:1px solid #e5e5e5;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.long{min-width:18rem}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.1rem 1rem;font-size:.88rem;margin:0}
dt{color:#555}dd{margin:0;min-width:0}
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


def picture(file: Path, caption: str) -> str:
    """An image, embedded, with its caption."""
    data = base64.b64encode(file.read_bytes()).decode()
    text = escape(caption)
    image = f'<img alt="{text}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def table(frame: pd.DataFrame) -> str:
    """A frame as an HTML table, numbers to the right; it scrolls by itself on a narrow screen."""
    head = "".join(f"<th>{escape(str(name).replace('_', ' '))}</th>" for name in frame.columns)
    rows = "".join(
        "<tr>" + "".join(cell(value) for value in row) + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def cell(value: Any) -> str:
    """One cell of a table; rounding happens here and nowhere before. A missing value is empty."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "<td></td>"
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return f'<td class="n">{number(float(value))}</td>'
    text = escape(value)
    return f'<td class="long">{text}</td>' if len(text) > LONG else f"<td>{text}</td>"


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
