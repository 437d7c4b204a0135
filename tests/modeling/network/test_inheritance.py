"""Inheritance: what a network has learned of a token it knows under the token's name, whatever its id is now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from modeling.config import ModelConfig
from modeling.network.batch import Batch
from modeling.network.inheritance import inherit
from modeling.network.transformer import MuseNet
from modeling.network.weights import WeightsError, save_model
from tokenization.vocabulary import NEW, Mapping, Vocabulary

MakeModel = Callable[..., MuseNet]
WHOLE: dict[str, Any] = {
    "structure": ("time", "style", "instrumentation", "sounding", "harmony"),
    "melody": 2,
    "tied_output": False,
}
"""All tables that have a row for something in the vocabulary."""


def changed(vocabulary: Vocabulary, **changes: Any) -> Vocabulary:
    return Vocabulary.from_dict({**vocabulary.to_dict(), **changes})


def over(vocabulary: Vocabulary, config: ModelConfig, seed: int = 1) -> MuseNet:
    torch.manual_seed(seed)
    return MuseNet(config.over(vocabulary))


def test_the_same_music_is_heard_alike_in_another_order_of_styles(
    vocabulary: Vocabulary, make_model: MakeModel, make_batch: Callable[..., Batch], tmp_path: Path
) -> None:
    parent = make_model(**WHOLE).eval()
    save_model(parent, tmp_path)
    other = changed(vocabulary, styles=["jazz", "bach", "polka"])
    child = over(other, parent.config).eval()
    inherit(child, tmp_path, vocabulary, other)

    before = make_batch(2, 40)
    is_style = (before.tokens >= vocabulary.style_base) & (before.tokens < vocabulary.tempo_base)
    before.tokens[is_style] = vocabulary.style_id("jazz")
    before.tokens[:, 0] = torch.tensor([vocabulary.style_id("bach"), vocabulary.style_id("jazz")])
    ids = {vocabulary.style_id(style): other.style_id(style) for style in ("bach", "jazz")}
    after = before._replace(tokens=before.tokens.clone())
    for old, new in ids.items():
        after.tokens[before.tokens == old] = new
    heard, now = (net.logits(net.states(batch), batch.texture) for net, batch in ((parent, before), (child, after)))
    rows = torch.from_numpy(Mapping.between(vocabulary, other).tokens)
    torch.testing.assert_close(now[..., rows != NEW], heard[..., rows[rows != NEW]])


def test_a_new_style_begins_as_one_that_is_not_given(
    vocabulary: Vocabulary, make_model: MakeModel, tmp_path: Path
) -> None:
    parent = make_model(**WHOLE)
    save_model(parent, tmp_path)
    other = changed(vocabulary, styles=["polka"])
    child = over(other, parent.config)
    inherit(child, tmp_path, vocabulary, other)
    tables = [net.embeddings.token.own for net in (child, parent)]
    assert torch.equal(tables[0][other.style_id("polka")], tables[1][vocabulary.no_style])
    assert torch.equal(child.embeddings.style.weight[0], parent.embeddings.style.weight[-1])


def test_what_the_parent_has_not_is_drawn_as_ever(
    vocabulary: Vocabulary, make_model: MakeModel, tmp_path: Path
) -> None:
    parent = make_model(**WHOLE)
    save_model(parent, tmp_path)
    flute = {"name": "flute", "group": "winds", "output_program": 73, "rows": [80, 0], "programs": [73]}
    content = vocabulary.to_dict()
    grown = changed(
        vocabulary, instruments=[*content["instruments"], flute], groups=[*content["groups"], "winds"], max_wait=40
    )
    child, drawn = over(grown, parent.config), over(grown, parent.config)
    inherit(child, tmp_path, vocabulary, grown)
    row = len(grown.row_velocity) - 2
    assert torch.equal(child.embeddings.token.row[row:], drawn.embeddings.token.row[row:])
    assert torch.equal(child.embeddings.token.row[:row], parent.embeddings.token.row)
    assert torch.equal(child.melody.gain[:row], parent.melody.gain)
    assert torch.equal(child.embeddings.instrumentation.weight[-1], parent.embeddings.instrumentation.weight[-1])
    assert torch.equal(child.embeddings.instrumentation.weight[3], drawn.embeddings.instrumentation.weight[3])
    words = {name: grown.names.index(name) for name in ("wait:1", "wait:40", "end")}
    for net, name in ((parent, "wait:1"), (drawn, "wait:40"), (parent, "end")):
        theirs = words[name] if net is drawn else vocabulary.names.index(name)
        assert torch.equal(child.output.weight[words[name]], net.output.weight[theirs])
    assert torch.equal(child.blocks[1].attention.out_proj.weight, parent.blocks[1].attention.out_proj.weight)


@pytest.mark.parametrize(("of_parent", "of_child"), [(None, 8), (8, None), (8, 16), (8, 8)])
def test_the_head_of_a_critic_comes_along_where_it_fits(
    of_parent: int | None, of_child: int | None, vocabulary: Vocabulary, make_model: MakeModel, tmp_path: Path
) -> None:
    parent = make_model(critic=of_parent)
    save_model(parent, tmp_path)
    child = make_model(seed=2, critic=of_child)
    drawn = {name: weight.clone() for name, weight in child.state_dict().items()}
    inherit(child, tmp_path, vocabulary, vocabulary)
    for name, weight in child.state_dict().items():
        source = parent.state_dict() if of_parent == of_child or not name.startswith("critic.") else drawn
        assert torch.equal(weight, source[name]), name


def test_other_shapes_are_refused(vocabulary: Vocabulary, make_model: MakeModel, tmp_path: Path) -> None:
    save_model(make_model(), tmp_path)
    for changes in ({"d_model": 64}, {"layers": 3}):
        with pytest.raises(WeightsError, match="do not fit the model that begins with them"):
            inherit(make_model(**changes), tmp_path, vocabulary, vocabulary)
