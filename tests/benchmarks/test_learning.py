"""The comparison fits every preset, and a difference counts only when it exceeds the noise."""

from __future__ import annotations

import pytest
import torch
from learning import Measured, Summary, bars, contestants, curves

from modeling.config import ModelConfig, load_preset, preset_names, with_settings
from modeling.network.transformer import MuseNet


def run(name: str, seed: int, nats_per_note: float, *curve: tuple[int, float]) -> Measured:
    return Measured(
        contestant=name,
        seed=seed,
        run_id="",
        parameters=1,
        steps=1,
        minutes=1.0,
        precision="fp32",
        windows=None,
        nats_per_token=1.0,
        nats_per_note=nats_per_note,
        curve=list(curve),
    )


def summary(name: str, *nats: float) -> Summary:
    return Summary.of(name, [run(name, seed, one) for seed, one in enumerate(nats)])


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("variants", [False, True])
def test_contestants_are_changes_that_every_preset_takes(preset: str, variants: bool) -> None:
    original = load_preset(preset)
    models: dict[str, ModelConfig] = {}
    for name, changes in contestants(original, variants).items():
        models[name] = with_settings(original, changes).model
    assert models["plain"].norm == "layer"
    if variants:
        together = models["rms, rotary, qk_norm, swiglu"]
        modern = (together.norm, together.positions, together.feed_forward, together.qk_norm)
        assert modern == ("rms", "rotary", "swiglu", True)
        assert models["plain"].structure == together.structure == original.model.structure
        grouped, plain = (size(models[name]) for name in ("kv_heads=heads/2", "plain"))
        assert grouped == pytest.approx(plain, rel=0.001)
    else:
        assert models["ours"] == original.model
        assert models["plain"].structure == ()
        assert models["plain"].sparsity.mode == "dense"
        bare = models["bare"]
        assert (bare.structure, bare.factored_notes) == ((), False)
        assert (bare.norm, bare.positions) == (original.model.norm, original.model.positions)


def size(config: ModelConfig) -> int:
    with torch.device("meta"):
        return MuseNet(config.model_copy(update={"vocabulary_size": 4764})).parameter_count()


def met(**nats: tuple[float, ...]) -> list[bool]:
    ngram = summary("5-gram", 12.0)
    return [bar.met for bar in bars(ngram, {name: summary(name, *one) for name, one in nats.items()})]


def test_ours_must_beat_the_networks_by_more_than_noise() -> None:
    plain, bare = (9.5, 9.6, 9.7), (9.4, 9.5, 9.6)
    assert met(ours=(9.0, 9.1, 9.2), plain=plain, bare=bare) == [True, True, True]
    assert met(ours=(9.3, 9.4, 9.5), plain=plain, bare=bare) == [True, True, False]
    assert met(ours=(9.0, 9.5, 10.0), plain=(9.2, 9.7, 10.2), bare=(9.9, 9.9, 9.9)) == [True, False, False]
    assert met(ours=(12.5,), plain=(13.0,), bare=(13.0,)) == [False, True, True]


def test_curves_are_means_over_seeds() -> None:
    found = curves([run("ours", 0, 1.0, (100, 3.0), (200, 2.0)), run("ours", 1, 1.0, (100, 4.0)), run("plain", 0, 1.0)])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()]
    assert cells[0] == ["after steps", "ours", "plain"]
    assert cells[2:] == [["100", "3.500", ""], ["200", "2.000", ""]]
