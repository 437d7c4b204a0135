"""The configuration of the network: its shape and its attention pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from modeling.config.base import StrictModel

if TYPE_CHECKING:
    from tokenization.vocabulary import Vocabulary


MODEL_CONFIG, MODEL_WEIGHTS = "model.json", "model.safetensors"
"""The files of a trained model (`modeling.network.weights`)."""


class SparsityConfig(StrictModel):
    """The attention pattern: which earlier positions a position attends to.

    Key names follow DeepSpeed's former `sparse_attention`; every pattern is causal, DeepSpeed's bidirectional ones do
    not exist here. Sources: Child et al., 2019, "Generating Long Sequences with Sparse Transformers" (strided, fixed);
    Zaheer et al., 2020, "Big Bird"; Beltagy et al., 2020, "Longformer"; DeepSpeed's `SparsityConfig` classes.
    """

    mode: Literal["dense", "fixed", "strided", "local", "variable", "bigbird", "bslongformer"] = "strided"
    """`dense`: all earlier positions. `local`: a sliding window of blocks. `strided`: a sliding window, and every
    `stride`-th earlier position. `fixed`: windows of `num_local_blocks` blocks, and the last blocks of every earlier
    window. `variable`: windows of `local_window_blocks` blocks, chosen global blocks and random ones. `bigbird`: a
    sliding window, the first `num_global_blocks` blocks and random ones. `bslongformer`: a sliding window and chosen
    global blocks."""
    block: int = Field(64, ge=1)
    """Tokens in a block."""
    stride: int = Field(32, ge=1)
    """`strided`: distance between the positions of the second factor."""
    num_sliding_window_blocks: int = Field(3, ge=1)
    """`local`, `strided`, `bigbird`, `bslongformer`: size of the sliding window as DeepSpeed counts it, both sides
    and the own block; half of it, rounded down, precedes the own block."""
    num_local_blocks: int = Field(4, ge=1)
    """`fixed`: blocks in a window."""
    num_global_blocks: int = Field(1, ge=1)
    """`fixed`: blocks of every window that later windows attend to; `bigbird`: initial blocks that all attend to."""
    num_different_global_patterns: int = Field(1, ge=1)
    """`fixed`: number of choices of a window's global blocks, among which heads rotate; more than 1 needs
    different_layout_per_head."""
    num_random_blocks: int = Field(1, ge=0)
    """`variable`, `bigbird`: further earlier blocks for each block of queries, drawn from `seed`."""
    local_window_blocks: tuple[Annotated[int, Field(ge=1)], ...] = Field((4,), min_length=1)
    """`variable`: blocks of the first windows; the last number is repeated."""
    global_block_indices: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    """`variable`, `bslongformer`: blocks that all later ones attend to."""
    global_block_end_indices: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """One end (exclusive) for each global block index, which makes it a range of blocks."""
    different_layout_per_head: bool = False
    """True if heads draw random and global blocks of their own."""
    seed: int = Field(0, ge=0)
    """Seed of the random blocks."""
    factors: Literal["layers", "heads", "merged"] = "layers"
    """Placement of the two factors of `strided` and `fixed` (Child et al.). `layers`: layers alternate between them;
    `heads`: half of the heads of every layer each; `merged`: all heads attend to both (`fixed` only)."""
    backend: Literal["auto", "fold", "flex", "dense_mask"] = "auto"
    """`fold` computes only what the layout keeps, with stock operations; `flex` compiles a kernel for it (CUDA only);
    `dense_mask` masks full attention: slow, the reference. `auto`: the faster of `fold` and `flex` on the device."""

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


StructureName = Literal[
    "time", "chord", "part", "countdown", "style", "instrumentation", "metre", "sounding", "harmony", "echo"
]
STRUCTURE: tuple[StructureName, ...] = ("time", "chord", "part", "countdown")
"""MuseNet's embeddings beside token and position."""


class HeaderIds(StrictModel):
    """The blocks of a vocabulary's ids that headers consist of."""

    style_base: int = Field(0, ge=0)
    """The first style."""
    styles: int = Field(0, ge=0)
    """Slots of styles."""
    instrumentation_base: int = Field(0, ge=0)
    """The id of the instrumentation with the bit mask m is `instrumentation_base + m`."""
    groups: int = Field(0, ge=0)
    """Bits of a mask."""


class ModelConfig(StrictModel):
    """The shape of the transformer."""

    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    d_model: int = Field(ge=8)
    """Size of the residual stream; a multiple of `heads`."""
    context: int = Field(ge=16)
    """Tokens in a window."""
    vocabulary_size: int = Field(0, ge=0)
    """Number of token ids; set from the dataset."""
    note_tokens: int = Field(0, ge=0, multiple_of=128)
    """Number of ids that are notes, the first ones of the vocabulary; set from the dataset."""
    header: HeaderIds = HeaderIds()
    """Ids of styles and instrumentations; set from the dataset."""
    ticks_per_beat: int = Field(1, ge=1)
    """Ticks of a beat; set from the dataset."""
    structure: tuple[StructureName, ...] = STRUCTURE
    """Embeddings beside token and position. Empty: a plain GPT. `style` and `instrumentation` repeat what the header
    says at every position, however far from it; an instrumentation is the sum of its groups. `metre` is the place in
    the beat and the number of the beat, modulo twelve; where time is in seconds, of beats at 120 a minute. `sounding`:
    the pitches that sound, by their age, and how many they are. `harmony`: how often each pitch class occurs among the
    last 8 and the last 64 notes. `echo`: the token that came next when the last tokens were last heard before."""
    factored_notes: bool = True
    """True to embed a note as the sum of an embedding of its token, one of its row (instrument and velocity) and one
    of its pitch, so that rare notes share what frequent ones learn. MuseNet's own tokens shared nothing."""
    melody: int = Field(0, ge=0, le=8)
    """Last notes from each of which the logits of pitches are counted by interval, besides the output projection, and
    from the pitch classes heard; 0: none. Small models learn by it that melodies go by steps and keep to a scale."""
    norm: Literal["layer", "rms"] = "layer"
    """`rms`: RMSNorm, without mean and bias (Zhang and Sennrich, 2019)."""
    positions: Literal["learned", "rotary"] = "learned"
    """`learned`: a table, added to the token embedding. `rotary`: queries and keys are rotated (Su et al., 2021)."""
    feed_forward: Literal["gelu", "swiglu"] = "gelu"
    """`swiglu`: gated, with two thirds of the hidden size and so as many parameters (Shazeer, 2020)."""
    d_ff: int | None = Field(None, ge=1)
    """Hidden size of the feed-forward. None: four times `d_model`, gated two thirds of that."""
    qk_norm: bool = False
    """True to normalise each head's queries and keys (Henry et al., 2020)."""
    kv_heads: int | None = Field(None, ge=1)
    """Heads of keys and values in grouped-query attention (Ainslie et al., 2023); divides `heads`. None: `heads`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    tied_output: bool = True
    """True if the output projection is the token embedding's transpose."""
    critic: int | None = Field(None, ge=4, multiple_of=4)
    """Hidden units of a critic's head that is trained with the network; set from `training.critic`. None: no head."""
    recompute: bool = False
    """True to recompute activations in the backward pass: a third more work, far less memory."""
    sparsity: SparsityConfig = SparsityConfig()

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        if self.d_model % self.heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of heads {self.heads}")
        if self.kv_heads is not None and self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        if self.positions == "rotary" and self.d_head % 2:
            raise ValueError(f"rotary positions need an even d_head, not {self.d_head}")
        if self.sparsity.factors == "heads" and self.heads % 2:
            raise ValueError(f"factors=heads needs an even number of heads, not {self.heads}")
        if len(set(self.structure)) < len(self.structure):
            raise ValueError("structure names an embedding twice")
        return self

    def over(self, vocabulary: Vocabulary) -> ModelConfig:
        """Return the configuration of a network for the ids of a vocabulary."""
        header = HeaderIds(
            style_base=vocabulary.style_base,
            styles=vocabulary.style_slots,
            instrumentation_base=vocabulary.instrumentation_base,
            groups=len(vocabulary.groups),
        )
        sizes = {"vocabulary_size": vocabulary.size, "note_tokens": vocabulary.note_end}
        return self.model_copy(update={**sizes, "header": header, "ticks_per_beat": vocabulary.ticks_per_beat})

    @property
    def listens(self) -> bool:
        """True if the network reads `Batch.texture`."""
        return not {"sounding", "harmony", "echo"}.isdisjoint(self.structure) or self.melody > 0

    @property
    def d_head(self) -> int:
        """Size of a head's queries, keys and values."""
        return self.d_model // self.heads
