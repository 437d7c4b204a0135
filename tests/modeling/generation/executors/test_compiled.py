"""The compiled executor: the eager one's logits for every kind of network, and the same bits in every batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from modeling.generation import executors
from modeling.generation.executors import DecodingState, Executor, ExecutorConfig, Fields, Floats, new_executor
from modeling.generation.executors.compiled import CompiledExecutor
from modeling.generation.kernels.forward import FIELDS
from modeling.generation.kernels.matrix import LARGEST
from modeling.network.transformer import MuseNet
from tokenization.encodings.echo import CONTEXTS, ECHO_BITS
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS
from tokenization.encodings.texture import ECHO, LATEST

MakeModel = Callable[..., MuseNet]
CONTEXT = 64
EVERYTHING = {"norm": "rms", "positions": "rotary", "feed_forward": "swiglu", "qk_norm": True, "kv_heads": 2}
FOUR_HEADS = {"heads": 4, "d_model": 48}
SPARSE = {"block": 8, "stride": 5}
NETWORKS = {
    "dense": ("dense", {}),
    "local": ("local", EVERYTHING),
    "strided": ("strided", {}),
    "strided, halves": ("strided", {"sparsity": {"mode": "strided", "factors": "heads", **SPARSE}, **EVERYTHING}),
    "fixed": ("fixed", EVERYTHING),
    "fixed by head": (
        "fixed",
        {
            "sparsity": {
                "mode": "fixed",
                "block": 4,
                "factors": "merged",
                "different_layout_per_head": True,
                "num_different_global_patterns": 4,
            },
            **FOUR_HEADS,
        },
    ),
    "variable": ("variable", {"kv_heads": 1}),
    "bigbird by head": (
        "bigbird",
        {"sparsity": {"mode": "bigbird", "block": 4, "different_layout_per_head": True}, **FOUR_HEADS, "kv_heads": 2},
    ),
    "bslongformer": ("bslongformer", {"norm": "rms"}),
    "rotary": ("dense", {"positions": "rotary"}),
    "qk-norm": ("dense", {"qk_norm": True}),
    "swiglu": ("dense", {"feed_forward": "swiglu", "d_ff": 37}),
    "odd sizes": ("strided", {"heads": 3, "d_model": 33, "d_ff": 50}),
    "plain GPT": ("dense", {"structure": (), "factored_notes": False, "tied_output": True}),
    "labels and metre": ("strided", {"structure": ("time", "style", "instrumentation", "metre")}),
    "melody": ("strided", {"structure": (), "melody": 3}),
    "texture": ("strided", {"structure": ("sounding", "harmony", "metre")}),
    "echo": ("strided", {"structure": ("echo",)}),
    "no time": ("dense", {"structure": ("chord", "countdown")}),
}


@pytest.fixture(scope="session")
def network(make_model: MakeModel) -> Callable[[str], MuseNet]:
    """A network whose weights, biases included, are large enough for every part to count."""

    def make(name: str) -> MuseNet:
        mode, changes = NETWORKS[name]
        model = make_model(seed=1, mode=mode, **{"tied_output": False, **changes}).eval()
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * (0.1 if parameter.ndim > 1 else 0.3))
        return model

    return make


@pytest.fixture(scope="session")
def fields(make_model: MakeModel) -> Fields:
    """Random tokens with random features, shape (FIELDS, 5, context); the first row begins with labels."""
    random = np.random.default_rng(0)
    config = make_model().config
    limits = (config.vocabulary_size, 2**16, CHORD, PARTS, COUNTDOWN)
    texture = random.integers(0, 2**60, (FIELDS - len(limits), 5, CONTEXT)) & random.integers(0, 2**60, (5, CONTEXT))
    texture[LATEST] &= 0x7F7F7F7F7F7F7F7F  # pitches
    echoes = random.integers(0, config.vocabulary_size, (5, CONTEXT)) << ECHO_BITS
    texture[ECHO] = echoes | random.integers(0, len(CONTEXTS) + 1, (5, CONTEXT))
    fields = np.concatenate([np.stack([random.integers(0, limit, (5, CONTEXT)) for limit in limits]), texture])
    fields[0, 0, :2] = config.header.style_base + 1, config.header.instrumentation_base + 3
    return fields


def eager(model: MuseNet) -> Executor:
    return new_executor(model, ExecutorConfig(executor="eager"))


def compiled(model: MuseNet, weights: str = "fp32") -> Executor:
    return new_executor(model, ExecutorConfig.model_validate({"executor": "compiled", "weights": weights}))


def logits_by_position(executor: Executor, fields: Fields, prompt: int) -> Floats:
    """Logits after each position from the prompt's last one on, shape (positions, rows, ids)."""
    state = executor.prefill(fields[:, :, :prompt], fields.shape[2])
    found = [state.logits.copy()]
    for position in range(prompt, fields.shape[2]):
        state.decode_step(fields[:, :, position])
        found.append(state.logits.copy())
    return np.stack(found)


class TestLogits:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_they_are_the_eager_ones(self, name: str, network: Callable[[str], MuseNet], fields: Fields) -> None:
        model = network(name)
        expected = logits_by_position(eager(model), fields[:, :2], 3)
        found = logits_by_position(compiled(model), fields[:, :2], 3)[..., : expected.shape[2]]
        assert expected.std() > 0.5
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)

    @pytest.mark.parametrize("name", ["strided, halves", "odd sizes"])
    def test_of_8_bits_they_are_those_of_the_rounded_weights(
        self, name: str, network: Callable[[str], MuseNet], fields: Fields
    ) -> None:
        model = network(name)
        small = logits_by_position(compiled(model, "int8"), fields[:, :3], 20)
        unrounded = logits_by_position(compiled(model), fields[:, :3], 20)
        with torch.no_grad():
            matrices = [m.weight for m in model.blocks.modules() if isinstance(m, torch.nn.Linear)]
            assert model.output is not None
            for weight in (*matrices, model.output.weight):
                scale = weight.abs().amax(1, keepdim=True) / LARGEST
                weight.copy_((weight / scale).round() * scale)
        rounded = logits_by_position(compiled(model), fields[:, :3], 20)
        np.testing.assert_allclose(small, rounded, atol=2e-4, rtol=0)
        assert 1e-3 < np.abs(small - unrounded).max() < 0.3

    def test_they_are_those_of_the_weights_at_that_time(
        self, network: Callable[[str], MuseNet], fields: Fields
    ) -> None:
        model = network("plain GPT")
        executor = compiled(model)
        before = executor.prefill(fields, CONTEXT).logits
        with torch.no_grad():
            model.norm.weight.zero_()
        assert np.array_equal(executor.prefill(fields, CONTEXT).logits, before)
        assert not np.allclose(compiled(model).prefill(fields, CONTEXT).logits, before)


@pytest.mark.parametrize(("weights", "cores"), [("fp32", 1), ("int8", 1), ("fp32", 3)])
class TestBits:
    """A row's bits depend on nothing but the row, however many cores rows are divided among."""

    @pytest.fixture
    def executor(
        self, weights: str, cores: int, network: Callable[[str], MuseNet], monkeypatch: pytest.MonkeyPatch
    ) -> Executor:
        executor = compiled(network("strided, halves"), weights)
        assert isinstance(executor, CompiledExecutor)
        monkeypatch.setattr(executors.compiled, "LEAST_WORK", 1)
        executor.cores = cores
        assert executor.parts(5) == cores
        return executor

    def test_rows_are_the_same_in_every_batch(self, executor: Executor, fields: Fields) -> None:
        together = logits_by_position(executor, fields, 7)
        for rows in ([0], [1, 3], [4, 2, 0]):
            assert np.array_equal(logits_by_position(executor, fields[:, rows], 7), together[:, rows])

    def test_prefill_gives_what_steps_give(self, executor: Executor, fields: Fields) -> None:
        step_by_step = logits_by_position(executor, fields[:, :3], 1)
        for prompt in (2, 33, CONTEXT):
            whole = executor.prefill(fields[:, :3, :prompt], CONTEXT)
            assert np.array_equal(whole.logits, step_by_step[prompt - 1])

    def test_rows_that_are_kept_or_copied_go_on_as_before(self, executor: Executor, fields: Fields) -> None:
        def ahead(state: DecodingState, rows: list[int], first: int) -> Floats:
            for position in range(first, first + 9):
                state.decode_step(fields[:, rows, position])
            return state.logits

        expected = logits_by_position(executor, fields, 10)
        state = executor.prefill(fields[:, :, :10], CONTEXT)
        state.keep(np.array([3, 1, 4]))
        assert np.array_equal(state.logits, expected[0][[3, 1, 4]])
        assert np.array_equal(ahead(state, [3, 1, 4], 10), expected[9][[3, 1, 4]])
        state.keep(np.array([2, 0, 2, 2]))
        assert np.array_equal(ahead(state, [4, 3, 4, 4], 19), expected[18][[4, 3, 4, 4]])
        state.keep(np.array([1]))
        assert np.array_equal(ahead(state, [3], 28), expected[27][[3]])


def test_each_core_has_enough_work_to_make_up_for_handing_it_over(make_model: MakeModel) -> None:
    executor = compiled(make_model(mode="dense"))
    assert isinstance(executor, CompiledExecutor)
    executor.cores = 4
    model = make_model(mode="dense")
    weights = sum(p.numel() for p in model.blocks.parameters()) + model.output_table().numel()
    rows = -(-executors.compiled.LEAST_WORK // weights)
    assert [executor.parts(many) for many in (1, rows, 2 * rows, 3 * rows, 9 * rows)] == [1, 1, 2, 3, 4]


@pytest.mark.parametrize(("fields", "positions"), [(FIELDS - 1, 4), (FIELDS, 9)])
def test_windows_that_compiled_code_would_read_beyond_are_refused(
    make_model: MakeModel, fields: int, positions: int
) -> None:
    executor = new_executor(make_model(mode="dense"), ExecutorConfig(executor="compiled"))
    with pytest.raises(ValueError, match=f"{FIELDS} fields and 8 positions"):
        executor.prefill(np.zeros((fields, 1, positions), np.int64), 8)
