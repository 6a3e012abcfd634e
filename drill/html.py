"""A drill as one page that needs nothing else: no other file, no script, no network. Pure.

drill/report.html.j2 is the page and drill/report.css how it looks. All that comes from outside - answers, errors, names - is escaped by the template
engine, and the page forbids a browser to load or to run anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drill import words
from drill.axis import LEFT, RIGHT, WIDTH
from drill.chart import STRIP, chart, seconds, strip, styles
from drill.marks import LANE, numbered

_HERE = Path(__file__).parent
_MOST_ROWS = 100
"""Rows of failed requests that a page shows; the document has more."""


def page(document: Mapping[str, Any]) -> str:
    """The page of a document."""
    scenarios = [
        {
            **scenario,
            "styles": (known := styles(scenario)),
            "runs": [
                {
                    **run,
                    "chart": chart(run, styles=known),
                    "strip": strip(run, styles=known),
                    "numbered": numbered(run["events"]),
                    "seconds": list(seconds(run["timeline"], 1.0)),
                }
                for run in scenario["runs"]
            ],
        }
        for scenario in document["scenarios"]
    ]
    return _environment().get_template("report.html.j2").render(document=document, scenarios=scenarios)


@cache
def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(_HERE))
    environment.filters |= {"duration": words.duration, "count": words.count, "spread": words.spread}
    environment.globals |= {
        "style": Markup((_HERE / "report.css").read_text()),  # noqa: S704 - a file of ours
        "amount": words.amount,
        "titles": words.TITLES,
        "most_rows": _MOST_ROWS,
        "drawing": {"width": WIDTH, "left": LEFT, "right": RIGHT, "lane": LANE, "strip": STRIP},
    }
    return environment
