"""The transformer: its size and first weights, causality, caches that equal the full pass, and that it learns."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from modeling.config import ModelConfig, load_preset
from modeling.data import Loader, Split
from modeling.network.batch import Batch
from modeling.network.embeddings import time_waves
from modeling.network.loss import IGNORED
from modeling.network.mixup import Mix
from modeling.network.transformer import INITIAL_STD, MuseNet
from tokenization.vocabulary import Vocabulary

MakeModel = Callable[..., MuseNet]
MakeBatch = Callable[..., Batch]
MODES = ["dense", "local", "strided", "fixed", "variable", "bigbird", "bslongformer"]
MODERN: dict[str, object] = {
    "norm": "rms",
    "positions": "rotary",
    "feed_forward": "swiglu",
    "qk_norm": True,
    "kv_heads": 1,
}
VARIANTS: list[dict[str, object]] = [
    {},
    *({key: value} for key, value in MODERN.items()),
    {"structure": ()},
    {"structure": ("time", "part"), "positions": "rotary"},
    {"structure": ("sounding", "harmony", "metre", "echo")},
    {"sparsity": {"mode": "strided", "block": 8, "stride": 4, "factors": "heads"}, "kv_heads": 1},
    MODERN,
]
PLAIN: list[dict[str, object]] = [{"note_tokens": 0}, {"factored_notes": False}]
"""Settings that give every token an embedding of its own."""


def positions(batch: Batch, first: int, stop: int) -> Batch:
    """Some positions of a batch."""
    return Batch(*(None if x is None else x[:, first:stop] for x in batch))  # type: ignore[arg-type]


def joined(first: Batch, second: Batch) -> Batch:
    """Positions of a batch, and others behind them."""
    columns = zip(first, second, strict=True)
    return Batch(*(None if x is None or y is None else torch.cat([x, y], dim=1) for x, y in columns))  # type: ignore[arg-type]


def loss_and_gradients(
    model: MuseNet, batch: Batch, targets: Tensor, mix: Mix | None = None
) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad()
    loss = model(batch, targets, mix)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


class TestSize:
    def test_the_musenet_preset_has_2_billion_parameters(self) -> None:
        sizes = {"vocabulary_size": 4254, "note_tokens": Vocabulary.load("musenet").note_end}
        config = load_preset("musenet").model.model_copy(update=sizes)
        with torch.device("meta"):
            model = MuseNet(config)
        assert model.parameter_count() == pytest.approx(2.04e9, rel=0.01)
        assert model.embeddings.token.own.device.type == "meta"
        assert model.embeddings.token.row is None, "MuseNet's own notes share nothing"

    @pytest.mark.parametrize("plain", PLAIN, ids=str)
    def test_a_tied_output_is_counted_once(
        self, plain: dict[str, object], make_model: MakeModel, vocabulary: Vocabulary
    ) -> None:
        for changes in ({}, plain):
            tied, free = make_model(tied_output=True, **changes), make_model(tied_output=False, **changes)
            assert free.parameter_count() - tied.parameter_count() == vocabulary.size * 32
            assert tied.output is None

    @pytest.mark.parametrize("plain", PLAIN, ids=str)
    def test_shared_notes_cost_a_vector_for_each_row_and_pitch(
        self, plain: dict[str, object], make_model: MakeModel, vocabulary: Vocabulary
    ) -> None:
        rows = len(vocabulary.row_velocity)
        assert make_model().parameter_count() - make_model(**plain).parameter_count() == (rows + 128) * 32

    def test_the_vocabulary_s_size_must_be_known(self) -> None:
        with pytest.raises(ValueError, match="vocabulary_size is not set"):
            MuseNet(ModelConfig(layers=1, heads=1, d_model=8, context=16))

    def test_variants_of_a_layer_are_of_one_size(self, make_model: MakeModel) -> None:
        plain = make_model(d_model=256, layers=4, structure=()).parameter_count()
        for changes in ({"norm": "rms"}, {"feed_forward": "swiglu"}, {"qk_norm": True}):
            found = make_model(d_model=256, layers=4, structure=(), **changes).parameter_count()
            assert found == pytest.approx(plain, rel=0.01)


class TestFirstWeights:
    def test_what_adds_to_the_residual_stream_is_scaled_down_by_the_depth(self, make_model: MakeModel) -> None:
        model = make_model(layers=8, d_model=64)
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2 or name == "embeddings.time.weight":
                continue
            into_residual = name.endswith(("attention.out_proj.weight", "down_proj.weight"))
            expected = INITIAL_STD / math.sqrt(2 * 8) if into_residual else INITIAL_STD
            assert float(parameter.detach().std()) == pytest.approx(expected, rel=0.1), name

    def test_the_time_is_as_loud_as_the_other_embeddings(self, make_model: MakeModel) -> None:
        embeddings = make_model(d_model=64).embeddings
        time = embeddings.time(time_waves(torch.arange(0, 20_000, 7)))
        assert time.std().item() == pytest.approx(INITIAL_STD, rel=0.2)

    def test_biases_are_zero_and_gains_one(self, make_model: MakeModel) -> None:
        for name, parameter in make_model().named_parameters():
            if parameter.ndim == 1:
                expected = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                assert set(parameter.tolist()) == {expected}, name

    def test_an_untrained_network_guesses(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model = make_model()
        batch = make_batch(4, 32)
        loss = model(batch, batch.tokens.roll(-1, dims=1))
        assert loss.item() == pytest.approx(math.log(model.config.vocabulary_size), rel=0.02)

    def test_a_seed_gives_the_same_weights(self, make_model: MakeModel) -> None:
        first, second, other = make_model(1), make_model(1), make_model(2)
        assert torch.equal(first.blocks[0].feed_forward.up_proj.weight, second.blocks[0].feed_forward.up_proj.weight)
        assert not torch.equal(first.blocks[0].feed_forward.up_proj.weight, other.blocks[0].feed_forward.up_proj.weight)


class TestTable:
    """The token embedding, and the output projection where that is tied to it."""

    def test_it_shares_rows_and_pitches_among_the_notes(self, make_model: MakeModel, vocabulary: Vocabulary) -> None:
        token = make_model().embeddings.token
        violin = vocabulary.from_text("violin:v80:C4")[0]
        row, pitch = divmod(int(violin), 128)
        assert vocabulary.instruments[vocabulary.row_instrument[row]].name == "violin"
        torch.testing.assert_close(token()[violin], token.own[violin] + token.row[row] + token.pitch[pitch])
        assert torch.equal(token()[vocabulary.note_end :], token.own[vocabulary.note_end :])

    @pytest.mark.parametrize("plain", PLAIN, ids=str)
    def test_it_is_plain_where_notes_are_not_factored(self, plain: dict[str, object], make_model: MakeModel) -> None:
        token = make_model(**plain).embeddings.token
        assert token().data_ptr() == token.own.data_ptr()

    @pytest.mark.parametrize("changes", [{}, *PLAIN], ids=str)
    def test_a_tied_output_projects_by_it(
        self, changes: dict[str, object], make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        model = make_model(**changes)
        states = model.states(make_batch(2, 12))
        torch.testing.assert_close(model.logits(states), states @ model.embeddings.token().T)

    def test_an_output_of_its_own_does_not(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model = make_model(tied_output=False)
        states = model.states(make_batch(2, 12))
        assert model.output is not None
        torch.testing.assert_close(model.logits(states), states @ model.output.weight.T)


class TestLoss:
    def test_it_is_the_mean_over_the_targets_that_count(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model, batch = make_model(), make_batch(2, 12)
        targets = batch.tokens.roll(-1, dims=1)
        targets[0, 5:] = IGNORED
        log_probability = model.logits(model.states(batch)).log_softmax(-1).detach()
        counted = [(row, t) for row in range(2) for t in range(12) if row == 1 or t < 5]
        expected = -sum(float(log_probability[row, t, targets[row, t]]) for row, t in counted) / len(counted)
        assert model(batch, targets).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
class TestCausality:
    @settings(max_examples=8, deadline=None)
    @given(data=st.data())
    def test_logits_do_not_depend_on_later_tokens(
        self, mode: str, data: st.DataObject, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        variant = data.draw(st.sampled_from(VARIANTS))
        model = make_model(mode=mode, **{"layers": 3, **variant}).double().eval()
        length = data.draw(st.integers(2, 64))
        changed = data.draw(st.integers(1, length - 1))
        before, other = make_batch(1, length, 0), make_batch(1, length, 1)
        after = joined(before.slice(changed), positions(other, changed, length))
        with torch.no_grad():
            old, new = (model.logits(model.states(batch)) for batch in (before, after))
        torch.testing.assert_close(new[:, :changed], old[:, :changed], rtol=1e-9, atol=1e-12)
        assert not torch.allclose(new[:, changed], old[:, changed])


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "variable"])
class TestReach:
    """Only `variable` has, by design, positions that no later window attends to."""

    def test_the_last_token_hears_the_first_ones(self, mode: str, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model = make_model(mode=mode, layers=10).double().eval()
        batch = make_batch(1, 64)
        embedded = (
            model.embeddings(batch, model.embeddings.token(), batch.positions(), batch.labels(batch.positions()))
            .detach()
            .requires_grad_()
        )
        model.embeddings.forward = lambda *_: embedded  # type: ignore[method-assign]
        model.states(batch)[0, -1, 0].backward()  # type: ignore[no-untyped-call]
        heard = embedded.grad[0].abs().sum(-1) > 0  # type: ignore[index]
        assert bool(heard.all())


@pytest.mark.parametrize("mode", MODES)
class TestCaches:
    @pytest.mark.parametrize("prompt", [4, 8, 13, 33, 63])
    def test_single_steps_equal_one_pass(
        self, mode: str, prompt: int, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        model = make_model(mode=mode, layers=4).double().eval()
        batch = make_batch(2, 64)
        with torch.inference_mode():
            expected = model.logits(model.states(batch))
            cache = model.new_cache(2)
            steps = [model.states(batch.slice(prompt), cache)]
            for position in range(prompt, 64):
                single = positions(batch, position, position + 1)
                steps.append(model.states(single, cache, first=position))
            found = model.logits(torch.cat(steps, dim=1))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)

    def test_a_used_cache_is_filled_anew_by_a_first_pass(
        self, mode: str, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        model = make_model(mode=mode).eval()
        old, new = make_batch(1, 64, 0), make_batch(1, 20, 1)
        with torch.inference_mode():
            cache = model.new_cache(1)
            model.states(old, cache)
            model.states(new.slice(19), cache)
            last = model.states(positions(new, 19, 20), cache, first=19)
            expected = model.states(new)[:, 19:]
        torch.testing.assert_close(last, expected)

    def test_every_variant_equals_one_pass(self, mode: str, make_model: MakeModel, make_batch: MakeBatch) -> None:
        for variant in VARIANTS:
            model = make_model(mode=mode, **variant).double().eval()
            batch = make_batch(2, 40)
            with torch.inference_mode():
                cache = model.new_cache(2)
                steps = [model.states(batch.slice(21), cache)]
                for position in range(21, 40):
                    single = positions(batch, position, position + 1)
                    steps.append(model.states(single, cache, first=position))
                expected = model.states(batch)
            torch.testing.assert_close(
                torch.cat(steps, dim=1), expected, rtol=1e-9, atol=1e-9, msg=lambda text, v=variant: f"{v}: {text}"
            )

    def test_several_positions_after_the_first_pass_are_refused(
        self, mode: str, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        model = make_model(mode=mode).eval()
        cache = model.new_cache(1)
        with torch.inference_mode(), pytest.raises(ValueError, match="one position at a time"):
            model.states(make_batch(1, 2), cache, first=4)


class TestCachesAreForGeneration:
    @pytest.mark.parametrize("recompute", [False, True])
    def test_with_gradients_they_are_refused(
        self, recompute: bool, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        model = make_model(recompute=recompute)
        with pytest.raises(ValueError, match="inference_mode"):
            model.states(make_batch(1, 8), model.new_cache(1))

    def test_packed_windows_are_refused(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model = make_model()
        packed = make_batch(1, 8)._replace(document=torch.zeros(1, 8, dtype=torch.int64))
        with torch.inference_mode(), pytest.raises(ValueError, match="one document"):
            model.states(packed, model.new_cache(1))

    def test_grouped_queries_keep_fewer_keys(self, make_model: MakeModel) -> None:
        model = make_model(kv_heads=1)
        assert model.new_cache(3).layers[0].key_bktd.shape == (3, 1, 64, 16)


@pytest.mark.parametrize("mode", MODES)
class TestDocuments:
    def test_packed_pieces_are_as_if_alone(self, mode: str, make_model: MakeModel, make_batch: MakeBatch) -> None:
        """A piece has the same states anywhere in a window where its layout is the same."""
        for variant in ({}, {"positions": "rotary"}, {"structure": ("sounding", "harmony", "echo")}):
            model = make_model(mode=mode, **variant).double().eval()
            first, second = make_batch(2, 32, 0), make_batch(2, 32, 1)
            packed = joined(first, second)
            document = torch.tensor([[0] * 32 + [1] * 32] * 2)
            with torch.inference_mode():
                found = model.states(packed._replace(document=document))
                expected = model.states(first)
                changed = first._replace(tokens=make_batch(2, 32, 2).tokens)
                other = joined(changed, second)
                again = model.states(other._replace(document=document))
                alone = model.states(second)
            torch.testing.assert_close(found[:, :32], expected, rtol=1e-9, atol=1e-9)
            assert torch.equal(again[:, 32:], found[:, 32:])
            if mode in ("dense", "local", "strided"):  # windows and blocks fall alike in the second half
                torch.testing.assert_close(found[:, 32:], alone, rtol=1e-9, atol=1e-9)

    def test_one_document_is_none(self, mode: str, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model, batch = make_model(mode=mode).double(), make_batch(2, 50)
        whole = batch._replace(document=torch.full((2, 50), 3))
        torch.testing.assert_close(model.states(whole), model.states(batch), rtol=1e-9, atol=1e-9)


class TestEachPositionsLoss:
    def test_its_mean_over_what_counts_is_the_loss(self, make_model: MakeModel, make_batch: MakeBatch) -> None:
        model, batch = make_model(), make_batch(2, 12)
        targets = batch.tokens.roll(-1, dims=1)
        targets[0, 5:] = IGNORED
        losses = model(batch, targets, reduce=False)
        assert losses.shape == (2, 12)
        assert not losses[0, 5:].any()
        torch.testing.assert_close(losses.sum() / (12 + 5), model(batch, targets))


class TestTraining:
    @pytest.mark.parametrize("variant", VARIANTS, ids=str)
    @pytest.mark.parametrize("dropout", [0.0, 0.2])
    def test_recomputing_gives_the_same_gradients(
        self, dropout: float, variant: dict[str, object], make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        batch = make_batch(2, 40)._replace(document=torch.tensor([[0] * 25 + [1] * 15, [0] * 40]))
        targets = batch.tokens.roll(-1, dims=1)
        mix = Mix(torch.tensor([0.3, 0.0]), torch.tensor([1, 0]))
        found = []
        for recompute in (False, True):
            model = make_model(recompute=recompute, dropout=dropout, **variant)
            torch.manual_seed(5)
            found.append(loss_and_gradients(model, batch, targets, mix))
        (kept_loss, kept), (loss, recomputed) = found
        assert loss == kept_loss
        assert recomputed.keys() == kept.keys()
        for name, gradient in kept.items():
            torch.testing.assert_close(recomputed[name], gradient, msg=lambda text, name=name: f"{name}: {text}")

    @pytest.mark.parametrize("mode", MODES)
    def test_both_backends_give_the_same_gradients(
        self, mode: str, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        batch = make_batch(2, 45)
        targets = batch.tokens.roll(-1, dims=1)
        results = []
        for backend in ("fold", "dense_mask"):
            sparsity = {"mode": mode, "block": 8, "stride": 4, "backend": backend}
            results.append(loss_and_gradients(make_model(sparsity=sparsity).double(), batch, targets))
        assert results[0][0] == pytest.approx(results[1][0], rel=1e-9)
        for name, gradient in results[0][1].items():
            torch.testing.assert_close(gradient, results[1][1][name], rtol=1e-7, atol=1e-10)

    @pytest.mark.parametrize("tied", [True, False])
    @pytest.mark.parametrize("changes", [{}, *PLAIN], ids=str)
    def test_every_parameter_learns(
        self, changes: dict[str, object], tied: bool, make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        batch = make_batch(4, 64)
        model = make_model(tied_output=tied, **changes)
        _, gradients = loss_and_gradients(model, batch, batch.tokens.roll(-1, dims=1))
        names = {name for name, parameter in model.named_parameters() if parameter.numel()}
        assert ({"embeddings.token.row", "embeddings.token.pitch"} <= names) is (not changes)
        assert {name for name, gradient in gradients.items() if bool(gradient.abs().sum() > 0)} == names

    @pytest.mark.parametrize("variant", VARIANTS[1:], ids=str)
    def test_every_parameter_of_a_variant_learns(
        self, variant: dict[str, object], make_model: MakeModel, make_batch: MakeBatch
    ) -> None:
        batch = make_batch(4, 64)
        model = make_model(**variant)
        _, gradients = loss_and_gradients(model, batch, batch.tokens.roll(-1, dims=1))
        assert {name for name, gradient in gradients.items() if bool(gradient.abs().sum() > 0)} == {
            name for name, _ in model.named_parameters()
        }

    @pytest.mark.parametrize(("mode", "variant"), [("strided", {}), ("fixed", {}), ("dense", MODERN)], ids=str)
    def test_it_learns_a_small_batch_by_heart(
        self, mode: str, variant: dict[str, object], make_model: MakeModel, split: Split
    ) -> None:
        model = make_model(mode=mode, d_model=64, **variant)
        batch, targets = Loader(split, 64, batch_size=2).batch(0)
        optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
        losses = []
        for _ in range(60):
            loss = model(batch, targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[0] > 6
        assert np.mean(losses[-3:]) < 0.1
