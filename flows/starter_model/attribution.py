"""Attribution: every piece of the starter model's dataset, with its source and licence, as a page."""

from __future__ import annotations

from functools import cache

import polars as pl
from jinja2 import Template

from flows.ingestion.licences import licence_url
from flows.pages import page_template
from flows.starter_model.recipe import PIECES
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import ACCEPTED

ATTRIBUTION_PAGE = "attribution.html"
TEMPLATE = "attribution.html.jinja"


def attribution_page(dataset: DatasetVersion) -> str:
    """Render the page."""
    pieces = _pieces(dataset)
    groups = pieces.group_by("source", "licence", maintain_order=True)
    sources = groups.len().rows()
    listed = [(*key, group.select("path", "style", "split").rows()) for key, group in groups]
    urls = {licence: url for _, licence, _ in sources if (url := licence_url(licence)) is not None}
    return _template().render(count=len(pieces), sources=sources, listed=listed, urls=urls)


def attribution_note(dataset: DatasetVersion) -> str:
    """Return the section of the model card: the sources, and where each piece is listed."""
    counts = _pieces(dataset).group_by("source", "licence", maintain_order=True).len()
    rows = [f"| {source} | {licence} | {pieces:,} |" for source, licence, pieces in counts.rows()]
    return "\n".join(
        [
            f"\n\n## Attribution\n\nEvery piece with its source and licence is listed in `{ATTRIBUTION_PAGE}`.\n",
            "| source | licence | pieces |\n|---|---|---:|",
            *rows,
            "",
        ]
    )


def _pieces(dataset: DatasetVersion) -> pl.DataFrame:
    """Return the columns `source`, `licence`, `path`, `style` and `split` of all pieces, ordered by them."""
    accepted = dataset.manifest.filter(ACCEPTED).select("path", "licence", "style", "split")
    sources = pl.read_csv(PIECES, columns=["path", "source"])
    return accepted.join(sources, on="path").sort("source", "licence", "path")


@cache
def _template() -> Template:
    return page_template("flows.starter_model", TEMPLATE)
