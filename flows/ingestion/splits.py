"""Splits: which families train, validate and test. A family never crosses a split."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


class SplitShares(BaseModel):
    """Shares of families that are held out; the rest trains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(0.1, ge=0, lt=0.5)
    test: float = Field(0.1, ge=0, lt=0.5)
    seed: int = 0


def split_of(family: str, shares: SplitShares) -> str:
    """The split of a family: a function of its id alone, so that new files never move old ones."""
    digest = hashlib.sha256(f"{shares.seed}:{family}".encode()).digest()
    draw = int.from_bytes(digest[:8], "big") / 2**64
    if draw < shares.validation:
        return VALIDATION
    return TEST if draw < shares.validation + shares.test else TRAIN
