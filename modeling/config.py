"""Typed configuration of a model and of its training, and the presets that come with the package.

Unknown keys are errors, so that a misspelt setting never passes for a default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tokenization.augmentation import AugmentationSchedule


class StrictModel(BaseModel):
    """Base of all configuration: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PresetError(ValueError):
    """An unknown preset or a setting that does not fit; the message says what exists or is expected."""


class SparsityConfig(StrictModel):
    """Which earlier positions a position attends to; key names follow DeepSpeed's former `sparse_attention`.

    Blocks are counted causally: what DeepSpeed calls bidirectional does not exist here. Sources: Child et al., 2019,
    "Generating Long Sequences with Sparse Transformers" (strided, fixed); Zaheer et al., 2020, "Big Bird"; Beltagy et
    al., 2020, "Longformer"; DeepSpeed's `SparsityConfig` classes.
    """

    mode: Literal["dense", "fixed", "strided", "local", "variable", "bigbird", "bslongformer"] = "strided"
    """`dense`: all. `local`: a sliding window of blocks. `strided`: that, and every `stride`-th earlier position.
    `fixed`: windows of `num_local_blocks` blocks, and the last blocks of every earlier window. `variable`: windows of
    `local_window_blocks` blocks, chosen global blocks and random ones. `bigbird`: a sliding window, the first
    `num_global_blocks` blocks and random ones. `bslongformer`: a sliding window and chosen global blocks."""
    block: int = Field(64, ge=1)
    """Tokens in a block."""
    stride: int = Field(32, ge=1)
    """`strided`: distance between the positions that the second half sees."""
    num_sliding_window_blocks: int = Field(3, ge=1)
    """`local`, `strided`, `bigbird`, `bslongformer`: width of the sliding window as DeepSpeed counts it, both sides
    and the own block; half of it, rounded down, lies before the own block."""
    num_local_blocks: int = Field(4, ge=1)
    """`fixed`: blocks in a window."""
    num_global_blocks: int = Field(1, ge=1)
    """`fixed`: blocks of every window that later windows see; `bigbird`: blocks at the beginning that all see."""
    num_different_global_patterns: int = Field(1, ge=1)
    """`fixed`: heads take turns in which blocks of a window are global; more than 1 needs different_layout_per_head."""
    num_random_blocks: int = Field(1, ge=0)
    """`variable`, `bigbird`: further earlier blocks that a block of queries sees, drawn from `seed`."""
    local_window_blocks: tuple[Annotated[int, Field(ge=1)], ...] = Field((4,), min_length=1)
    """`variable`: blocks of the first windows; the last number is repeated."""
    global_block_indices: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    """`variable`, `bslongformer`: blocks that all later ones see."""
    global_block_end_indices: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """One for each global block index: makes it the range from the index to this one, which is not included."""
    different_layout_per_head: bool = False
    """Whether heads draw random and global blocks of their own."""
    seed: int = Field(0, ge=0)
    factors: Literal["layers", "heads", "merged"] = "layers"
    """`strided` and `fixed` are made of two halves (Child et al.). `layers`: layers alternate between them; `heads`:
    half of the heads of every layer each; `merged`: all heads see both (`fixed` only)."""
    executor: Literal["auto", "fold", "flex", "dense_mask"] = "auto"
    """`fold` computes only what the layout keeps, with stock operations; `flex` compiles a kernel for it (CUDA only);
    `dense_mask` masks full attention: slow, the oracle. `auto`: the faster one of `fold` and `flex` on the device."""

    @model_validator(mode="after")
    def _fits(self) -> SparsityConfig:
        if self.factors != "layers" and self.mode not in ("strided", "fixed"):
            raise ValueError(f"{self.mode} attention has no halves: factors={self.factors} is for strided and fixed")
        if self.factors == "merged" and self.mode == "strided":
            raise ValueError("strided attention takes factors=layers or factors=heads")
        if self.mode == "fixed":
            if self.num_local_blocks % self.num_global_blocks:
                raise ValueError(
                    f"num_local_blocks {self.num_local_blocks} is not a multiple of num_global_blocks "
                    f"{self.num_global_blocks}"
                )
            if self.num_different_global_patterns > self.num_local_blocks // self.num_global_blocks:
                raise ValueError(
                    f"num_different_global_patterns {self.num_different_global_patterns} is more than num_local_blocks "
                    f"/ num_global_blocks = {self.num_local_blocks // self.num_global_blocks}"
                )
            if self.num_different_global_patterns > 1 and not self.different_layout_per_head:
                raise ValueError("num_different_global_patterns above 1 needs different_layout_per_head=true")
        ends = self.global_block_end_indices
        if ends is not None and (
            len(ends) != len(self.global_block_indices) or any(e <= b for b, e in zip(self.global_block_indices, ends))
        ):
            raise ValueError("global_block_end_indices must have one end, behind it, for each global block index")
        return self


StructureName = Literal["time", "chord", "part", "countdown"]
STRUCTURE: tuple[StructureName, ...] = ("time", "chord", "part", "countdown")


class ModelConfig(StrictModel):
    """Shape of the transformer."""

    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    width: int = Field(ge=8)
    """Size of the residual stream; a multiple of `heads`."""
    context: int = Field(ge=16)
    """Tokens in a window."""
    vocabulary_size: int = Field(0, ge=0)
    """Filled in from the dataset."""
    note_tokens: int = Field(0, ge=0, multiple_of=128)
    """Ids that are notes, the first ones of the vocabulary. Filled in from the dataset."""
    structure: tuple[StructureName, ...] = STRUCTURE
    """The embeddings beside token and position; MuseNet has all. None: a plain GPT."""
    factored_notes: bool = True
    """Embed a note as the sum of what its token, its row (instrument and velocity) and its pitch have learned, so
    that rare notes know what common ones do. MuseNet's own tokens shared nothing."""
    norm: Literal["layer", "rms"] = "layer"
    """`rms`: RMSNorm, without mean and bias (Zhang and Sennrich, 2019)."""
    positions: Literal["learned", "rotary"] = "learned"
    """`learned`: a table, added to the token. `rotary`: queries and keys are turned by their position (Su et al.,
    2021)."""
    feed_forward: Literal["gelu", "swiglu"] = "gelu"
    """`swiglu`: gated, of two thirds the inner width and so as many parameters (Shazeer, 2020)."""
    feed_forward_width: int | None = Field(None, ge=1)
    """Inner width of the feed-forward. None: four times `width`, gated two thirds of that."""
    qk_norm: bool = False
    """Normalise each head's queries and keys (Henry et al., 2020)."""
    kv_heads: int | None = Field(None, ge=1)
    """Grouped-query attention (Ainslie et al., 2023): heads of keys and values; divides `heads`. None: all heads."""
    dropout: float = Field(0.0, ge=0, lt=1)
    tied_output: bool = True
    """Whether the output projection is the token embedding's transpose."""
    recompute: bool = False
    """Recompute activations in the backward pass: a third more work, far less memory."""
    sparsity: SparsityConfig = SparsityConfig()

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        if self.positions == "rotary" and self.head_width % 2:
            raise ValueError(f"rotary positions need an even head width, not {self.head_width}")
        if self.sparsity.factors == "heads" and self.heads % 2:
            raise ValueError(f"factors=heads needs an even number of heads, not {self.heads}")
        if len(set(self.structure)) < len(self.structure):
            raise ValueError("structure names an embedding twice")
        return self

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class MixupSchedule(StrictModel):
    """Mixup: windows are mixed in pairs, position by position, all embeddings and the loss alike, with one share a
    window (Zhang et al., 2018; MuseNet, 2019, mixes token embeddings)."""

    rate: float = Field(0.0, ge=0, le=1)
    """Share of windows that are mixed at first."""
    alpha: float = Field(0.2, gt=0)
    """The partner's share is the smaller of a and 1 − a, a drawn from Beta(alpha, alpha)."""
    anneal_from: float = Field(0.5, ge=0, le=1)
    """Progress of training from which on the rate falls, to 0 at the end."""


class TrainingConfig(StrictModel):
    """How long and how a model is trained."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    """Windows per step over all ranks."""
    micro_batch_size: int = Field(ge=1)
    """Windows that one rank computes at once; the rest of the batch is accumulated."""
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(20, ge=0)
    schedule: Literal["cosine", "wsd"] = "cosine"
    """How the learning rate falls after the warm-up: along a cosine, or stable and then straight down over the last
    `decay` of the steps (Hägele et al., 2024, "warm-up, stable, decay")."""
    decay: float = Field(0.2, gt=0, le=1)
    """`wsd`: share of the steps in which the learning rate falls."""
    final_learning_rate: float = Field(0.1, ge=0, le=1)
    """Fraction of the learning rate that the schedule ends at."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """`muon`: orthogonalised momentum for the matrices inside the blocks (Jordan et al., 2024), AdamW for the rest."""
    muon_learning_rate: float = Field(0.02, gt=0)
    """The learning rate of what Muon trains; `learning_rate` is that of the rest."""
    weight_decay: float = Field(0.1, ge=0)
    gradient_clipping: float = Field(1.0, gt=0)
    """Norm that gradients are scaled down to; Muon's updates have a norm of their own."""
    style_dropout: float = Field(0.1, ge=0, le=1)
    """Share of windows whose style is hidden, so that the model also works without one, and with guidance."""
    instrument_dropout: float = Field(0.1, ge=0, le=1)
    """The same of the instrumentation, drawn on its own."""
    augmentation: AugmentationSchedule = AugmentationSchedule()
    """How windows are varied as they are read, beside what the dataset's copies are."""
    mixup: MixupSchedule = MixupSchedule()
    pack: bool = False
    """Fill windows with several short pieces, which do not see each other; otherwise what is behind a piece's end
    stays empty."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto`: bf16 where the device multiplies it natively, else fp32."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile; `auto`: on a GPU."""
    zero_stage: int = Field(1, ge=1, le=3)
    """What DeepSpeed shards among ranks: 1 optimiser state, 2 gradients too, 3 weights too."""
    offload: bool = False
    """Keep the optimiser's state, and with ZeRO-3 the weights, in the memory of the CPU."""
    max_minutes: float | None = Field(None, gt=0)
    """Stop early, with a checkpoint, once training has taken this long."""
    evaluate_every: int = Field(100, ge=1)
    """Steps between evaluations on the validation split."""
    evaluation_windows: int = Field(64, ge=1)
    """Windows of the validation split that an evaluation reads, always the same ones."""
    patience: int | None = Field(None, ge=1)
    """Stop early after so many evaluations without a better one."""
    checkpoint_every: int = Field(100, ge=1)
    checkpoint_minutes: float | None = Field(15.0, gt=0)
    """Save also when the last checkpoint is so old."""
    keep_checkpoints: int = Field(2, ge=1)
    """Newest checkpoints that are kept; the weights of the best evaluation are kept besides."""
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _mixup_has_partners(self) -> TrainingConfig:
        if self.mixup.rate > 0 and self.micro_batch_size < 2:
            raise ValueError("mixup mixes windows of a micro-batch: micro_batch_size must be at least 2")
        return self


class Preset(StrictModel):
    """A model and a way to train it that fit each other."""

    name: str
    model: ModelConfig
    training: TrainingConfig


class RunConfig(StrictModel):
    """All that one training run needs, written to `run.json` by the launcher and read by `modeling.training.train`."""

    dataset: Path
    """Folder of a dataset version."""
    folder: Path
    """Where checkpoints, metrics and weights go."""
    model: ModelConfig
    training: TrainingConfig
    ranks: Annotated[int, Field(ge=1)] = 1
    cache: Path | None = None
    """Where decoded tokens are kept, shared by the ranks of a machine; in memory without."""

    @model_validator(mode="after")
    def _batch_divides(self) -> RunConfig:
        unit = self.training.micro_batch_size * self.ranks
        if self.training.batch_size % unit:
            raise ValueError(
                f"batch_size {self.training.batch_size} is not a multiple of micro_batch_size × ranks = {unit}"
            )
        return self


def preset_names() -> list[str]:
    """The presets that exist, small to large."""
    order = ["tiny", "small", "base", "musenet"]
    found = {entry.name.removesuffix(".toml") for entry in (resources.files("modeling") / "presets").iterdir()}
    return [name for name in order if name in found] + sorted(found - {*order})


def load_preset(name: str) -> Preset:
    """A preset by name. Raises PresetError listing those that exist."""
    if name not in preset_names():
        raise PresetError(f"no preset {name!r}; there are: {', '.join(preset_names())}")
    text = (resources.files("modeling") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return Preset(name=name, **tomllib.loads(text))


def with_settings(preset: Preset, settings: Mapping[str, Any]) -> Preset:
    """A preset with changes by dotted key: `{"training.steps": 400, "model.sparsity.mode": "dense"}`.

    Values may be text, as a command line gives them: `none` for None, `4,8` for several. Raises PresetError, one
    line, naming the nearest known key.
    """
    content = preset.model_dump()
    for key, value in settings.items():
        *path, last = key.split(".")
        place: Any = content
        for part in path:
            place = place.get(part) if isinstance(place, dict) else None
        if key == "name" or not isinstance(place, dict) or last not in place or isinstance(place[last], dict):
            near = get_close_matches(key, [k for k in flattened(content) if k != "name"], n=1, cutoff=0.4)
            raise PresetError(f"no setting {key!r}" + (f"; nearest: {near[0]!r}" if near else ""))
        if isinstance(value, str) and value != "none" and _takes_several(Preset, [*path, last]):
            value = [part.strip() for part in value.split(",")] if value else []
        place[last] = None if value == "none" else value
    try:
        return Preset.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "preset"
        given = f" = {first['input']!r}" if isinstance(first["input"], str | int | float | None) else ""
        raise PresetError(f"{where}{given}: {first['msg'].removeprefix('Value error, ')}") from error


def _takes_several(model: type[BaseModel], path: Sequence[str]) -> bool:
    """Whether the setting at a path that exists is a tuple."""
    field = model.model_fields[path[0]].annotation
    if len(path) > 1 and isinstance(field, type) and issubclass(field, BaseModel):
        return _takes_several(field, path[1:])
    return tuple in (get_origin(field), *map(get_origin, get_args(field)))


def flattened(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` → `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
