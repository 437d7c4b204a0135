"""The card as one self-contained HTML page: no network, no script, no other file."""

from __future__ import annotations

from functools import cache
from typing import Any

import polars as pl
from jinja2 import Template
from markupsafe import Markup

from flows.ingestion.card.charts import compact
from flows.ingestion.card.examples import draw_examples
from flows.ingestion.card.pictures import (
    instrument_pictures,
    links_picture,
    note_pictures,
    piece_pictures,
    token_pictures,
)
from flows.ingestion.card.tables import (
    collections_table,
    counts_table,
    families_table,
    family_sizes,
    gates_table,
    ignored_table,
    licences_table,
    outcomes_table,
    settings_table,
    shown,
    sizes_table,
    splits_table,
    styles_table,
)
from flows.ingestion.music_statistics import Statistics
from flows.pages import page_template
from tokenization.dataset.manifest import ACCEPTED
from tokenization.dataset.version import DatasetVersion
from tokenization.encodings import Time
from tokenization.pictures.piano_roll_svg import piano_roll_svg

TEMPLATE = "card.html.jinja"


def page(version: DatasetVersion, manifest: pl.DataFrame) -> str:
    """Render the page of a version, published or staged."""
    description, encoding = version.description, version.encoding
    vocabulary = encoding.vocabulary
    statistics = Statistics.from_dict(description.statistics)
    links = links_picture(manifest)
    return _template().render(
        about=description,
        created=description.created.strftime("%-d %B %Y, %H:%M %Z"),
        outcomes=dict(manifest.group_by("status").len().iter_rows()),
        files=len(manifest),
        families=family_sizes(manifest).text,
        hours=(manifest.filter(ACCEPTED)["seconds"].sum() or 0) / 3600,
        notes=manifest.filter(ACCEPTED)["notes"].sum() or 0,
        statistics=statistics,
        per_note=statistics.tokens / max(statistics.notes, 1),
        per_second=statistics.tokens / max(statistics.seconds, 1),
        rate=vocabulary.ticks_per_beat if encoding.time is Time.BEATS else vocabulary.ticks_per_second,
        ids=vocabulary.size,
        tables={
            "outcomes": outcomes_table(manifest),
            "families": families_table(manifest),
            "collections": collections_table(manifest),
            "licences": licences_table(manifest),
            "styles": styles_table(manifest, list(description.pieces)),
            "splits": splits_table(manifest, description),
            "sizes": sizes_table(manifest),
            "repairs": counts_table("repair", "files", description.repairs),
            "ignored": ignored_table(description.ignored),
            "gates": gates_table(description.gates),
            "settings": settings_table(description.settings),
        },
        links=None if links is None else Markup(links),
        pictures={
            "pieces": [Markup(picture) for picture in piece_pictures(statistics)],
            "notes": [Markup(picture) for picture in note_pictures(statistics)],
            "instruments": [Markup(picture) for picture in instrument_pictures(statistics, manifest)],
            "tokens": [Markup(picture) for picture in token_pictures(statistics, encoding)],
        },
        examples=_examples(version, manifest),
    )


def _examples(version: DatasetVersion, manifest: pl.DataFrame) -> list[dict[str, Any]]:
    """Draw example pieces, each with its file's row of the manifest and a piano roll."""
    drawn = draw_examples(version)
    wanted = [example.piece_id for example in drawn]
    rows = {row["sha256"]: row for row in manifest.filter(ACCEPTED & pl.col("sha256").is_in(wanted)).to_dicts()}
    return [
        {
            "file": rows[example.piece_id],
            "tokens": example.tokens,
            "notes": len(example.notes),
            "roll": Markup(piano_roll_svg(example.notes, version.vocabulary, shown(rows[example.piece_id]["path"]))),
        }
        for example in drawn
    ]


@cache
def _template() -> Template:
    return page_template("flows.ingestion.card", TEMPLATE, shown=shown, compact=compact)
