"""report.html: one self-contained file with the verdicts, the figures, the tables and what is missing."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import pandas as pd

from analysis.collect import Collection, completeness
from analysis.tables import Evidence

CSS = """
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:60rem;margin:0 auto;padding:0 1rem 3rem}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid #ddd}
img{max-width:100%;height:auto;display:block;margin:1rem 0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.25rem .6rem;text-align:left;border-bottom:1px solid #e5e5e5;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
"""

CAPTIONS = {
    "figure1": "Training loss of ResNet-50 over training, spikes marked.",
    "figure2": "Training loss of CBR-Large-Wide and the three ResNets.",
    "figure3": "Training loss of the five large networks.",
    "figure4": "AUROC of CBR-Large-Wide against the size of the data set, from scratch and pretrained.",
    "figure5": "AUROC against parameters (5a) and depth (5b), at the largest and the smallest size.",
    "figure6": "AUROC of CBR-Large-Wide: from scratch, fine-tuned and frozen from Consolidation.",
}


def write(evidence: Evidence, collection: Collection | None, figures: Path, names: list[str]) -> Path:
    """Write `report.html` and return its path."""
    trials = evidence.trials
    parts = [
        "<h1>Do we need pretraining, a larger network, or more data?</h1>",
        "<h2>Completeness</h2>",
        table(completeness(trials)),
    ]
    if collection is not None and collection.foreign:
        parts.append(
            f"<p>{collection.foreign} finished cells belong to other recipes or data and are left out.</p>"
        )
    for name in names:
        parts.append(
            f"<h2>{name.replace('figure', 'Figure ')}</h2>{picture(figures / f'{name}.png', CAPTIONS[name])}"
        )
    file = evidence.out / "report.html"
    file.write_text(page("Evidence", "\n".join(parts)), encoding="utf-8")
    return file


def page(title: str, body: str) -> str:
    """A whole HTML document."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{html.escape(title)}</title>'
        f"<style>{CSS}</style></head><body>{body}</body></html>"
    )


def picture(file: Path, caption: str) -> str:
    """An image, embedded, with its caption."""
    data = base64.b64encode(file.read_bytes()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def table(frame: pd.DataFrame) -> str:
    """A frame as an HTML table, escaped, numbers to the right."""
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame.columns)
    rows = "".join(
        "<tr>" + "".join(cell(value) for value in row) + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def cell(value: object) -> str:
    """One cell of a table; rounding happens here and nowhere before."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "<td></td>"
    if isinstance(value, bool | str):
        return f"<td>{html.escape(str(value))}</td>"
    text = f"{value:.4g}" if isinstance(value, float) and value != int(value) else f"{value:,.0f}"
    return f'<td class="n">{text}</td>'
