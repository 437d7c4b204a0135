"""What is compared fits every preset, and a difference counts only when it is more than noise."""

from __future__ import annotations

import pytest
from learning import Measured, Summary, bars, contestants

from modeling.config import ModelConfig, load_preset, preset_names, with_settings


def summary(name: str, *nats: float) -> Summary:
    return Summary.of(name, [Measured(name, seed, "", 1, 1, 1.0, "fp32", 1.0, one) for seed, one in enumerate(nats)])


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("variants", [False, True])
def test_contestants_are_changes_that_every_preset_takes(preset: str, variants: bool) -> None:
    original = load_preset(preset)
    models: dict[str, ModelConfig] = {}
    for name, changes in contestants(original, variants).items():
        models[name] = with_settings(original, changes).model
    assert models["plain"].norm == "layer"
    if variants:
        together = models["all together"]
        modern = (together.norm, together.positions, together.feed_forward, together.qk_norm)
        assert modern == ("rms", "rotary", "swiglu", True)
        assert together.kv_heads == original.model.heads // 2
        assert models["plain"].structure == together.structure == original.model.structure
    else:
        assert models["ours"] == original.model
        assert models["plain"].structure == ()
        assert models["plain"].sparsity.mode == "dense"


def test_ours_must_beat_plain_by_more_than_noise() -> None:
    ngram = summary("5-gram", 12.0)
    clear = bars(ngram, {"ours": summary("ours", 9.0, 9.1, 9.2), "plain": summary("plain", 9.5, 9.6, 9.7)})
    assert [bar.met for bar in clear] == [True, True]
    noisy = bars(ngram, {"ours": summary("ours", 9.0, 9.5, 10.0), "plain": summary("plain", 9.2, 9.7, 10.2)})
    assert [bar.met for bar in noisy] == [True, False]
    worse = bars(ngram, {"ours": summary("ours", 12.5), "plain": summary("plain", 13.0)})
    assert [bar.met for bar in worse] == [False, True]
