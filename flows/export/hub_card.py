"""The card of an exported dataset: `README.md` as the Hugging Face hub reads it.

Source: Hugging Face Hub documentation, "Dataset Cards" (front matter) and "Data files configuration".
"""

from __future__ import annotations

import json

from flows.ingestion.card import markdown
from tokenization.dataset import DatasetVersion

HUB_LICENCES = frozenset(
    {
        *("apache-2.0", "mit", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "bsd-3-clause", "unlicense", "pddl", "odc-by", "odbl"),
        *("cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
        *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
        *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
    }
)
"""Licences that the hub knows by identifier; all are SPDX names in lower case."""
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
COLUMNS = (
    ("`piece_id`", "SHA-256 of the source file's bytes"),
    ("`collection`, `path`, `licence`", "the source file"),
    ("`style`, `instrumentation`", "composer or genre, or null; groups of instruments"),
    ("`family`", "pieces that are related share it; a family is never in two splits"),
    ("`transpose`, `velocity_shift`, `stretch`", "what makes the row a variant; 0, 0 and 1 in the original"),
    ("`notes`, `seconds`, `tempo`", "of the original piece"),
    ("`n_tokens`, `tokens`", "list of uint16; `vocabulary.json` and `encoding.json` say what they mean"),
)


def hub_card(version: DatasetVersion) -> str:
    """Return the card of a version: front matter, columns, and the version's own card."""
    about = version.description
    rows = sum(about.variants.values())
    matter = ["---", f"pretty_name: {json.dumps(about.name)}", "license:"]
    matter += [f"- {licence}" for licence in hub_licences([*about.licences])]
    matter += ["size_categories:", f"- {size_category(rows)}", "tags:", "- music", "- midi", "- symbolic-music"]
    matter += ["configs:", "- config_name: default", "  data_files:"]
    for split, count in about.variants.items():
        matter += [f"  - split: {split}", f'    path: "data/{split}-*.parquet"'] if count else []
    place = f"Digest `{version.digest}`, folder"  # which says nothing elsewhere
    card = "\n".join(line for line in markdown(version).splitlines() if not line.startswith(place))
    table = ["| column | content |", "|---|---|", *(f"| {name} | {content} |" for name, content in COLUMNS)]
    encoding = f"Tokens of the encoding `{about.encoding.name}` in {about.encoding.time}, version `{about.reference}`."
    return "\n".join([*matter, "---", "", card, "", "## Rows", "", encoding, "", *table, ""])


def hub_licences(licences: list[str]) -> list[str]:
    """Return the hub's identifiers of licences: `other` for those that it does not know, `unknown` for none."""
    known = sorted({each.lower() for each in licences} & HUB_LICENCES)
    unstated = [each for each in licences if not each or each.lower() in ("unknown", "not stated", "unstated")]
    others = [each for each in licences if each.lower() not in HUB_LICENCES and each not in unstated]
    return [*known, *(["other"] if others else []), *(["unknown"] if unstated or not licences else [])]


def size_category(rows: int) -> str:
    """Return the hub's category of a number of rows."""
    return next((name for limit, name in SIZES if rows < limit), "10M<n<100M")
