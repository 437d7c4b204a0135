"""Augmentation: transposed, louder or softer, slower or faster variants of a piece.

`variants` has the settings and draws variants; `transform` applies one, to notes before they are encoded (`apply`) or
to tokens (`apply_to_tokens`), which gives what encoding the varied notes would have given. A dataset's copies and the
training loader's variants on the fly are drawn from the same `Choices`.
Source: OpenAI, "MuseNet" (2019): transposition, less of it late in training; volumes; timing in absolute time.
"""

from tokenization.augmentation.transform import (
    apply,
    apply_to_tokens,
    transpose_range,
    transpose_range_of_tokens,
    vary,
)
from tokenization.augmentation.variants import (
    LOUDEST,
    ORIGINAL,
    SOFTEST,
    STRETCH_STEPS,
    VERSION,
    AugmentationSchedule,
    AugmentationSettings,
    Choices,
    Variant,
    draw_variants,
)

__all__ = [
    "LOUDEST",
    "ORIGINAL",
    "SOFTEST",
    "STRETCH_STEPS",
    "VERSION",
    "AugmentationSchedule",
    "AugmentationSettings",
    "Choices",
    "Variant",
    "apply",
    "apply_to_tokens",
    "draw_variants",
    "transpose_range",
    "transpose_range_of_tokens",
    "vary",
]
