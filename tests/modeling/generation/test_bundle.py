"""A model's bundle: a registered version's files come back, and damaged ones are refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modeling.criticism import save_critic
from modeling.generation import ModelBundle, Request, compose
from modeling.network.weights import WeightsError, save_model
from tokenization.dataset import write_encoding
from tokenization.encodings import ENCODINGS, Time

MakeRequest = Callable[..., Request]
BundleOf = Callable[[str, Time], ModelBundle]
every_encoding = pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))


def register(bundle: ModelBundle, tmp_path: Path) -> Path:
    """Write the files of a registered version."""
    folder = tmp_path / "version"
    save_model(bundle.model, folder)
    if bundle.critic is not None:
        save_critic(bundle.critic, folder, is_tuned=False)
    write_encoding(folder, bundle.encoding)
    return folder


@pytest.fixture
def registered(bundle: ModelBundle, tmp_path: Path) -> Path:
    return register(bundle, tmp_path)


class TestLoad:
    def test_a_registered_version_composes_as_before(
        self, bundle: ModelBundle, registered: Path, make_request: MakeRequest
    ) -> None:
        loaded = ModelBundle.load(registered)
        assert loaded.vocabulary == bundle.vocabulary
        for old, new in zip(compose(bundle, make_request()), compose(loaded, make_request())):
            assert np.array_equal(new.tokens, old.tokens)
            assert (new.score, new.index) == (old.score, old.index)

    def test_one_without_a_critic_is_loaded_without(self, bundle: ModelBundle, tmp_path: Path) -> None:
        assert ModelBundle.load(register(replace(bundle, critic=None), tmp_path)).critic is None

    @every_encoding
    def test_it_is_loaded_with_its_encoding(self, name: str, time: Time, bundle_of: BundleOf, tmp_path: Path) -> None:
        bundle = bundle_of(name, time)
        loaded = ModelBundle.load(register(bundle, tmp_path))
        assert (loaded.encoding.name, loaded.encoding.time) == (name, time)
        assert loaded.vocabulary == bundle.vocabulary

    @pytest.mark.parametrize(
        "content",
        [{"name": "morse", "time": "beats"}, {"name": "onset", "time": "years"}, {"name": "onset"}, {"name": []}],
    )
    def test_an_encoding_that_does_not_exist_is_refused(self, content: dict[str, object], registered: Path) -> None:
        (registered / "encoding.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(WeightsError, match=r"no vocabulary and encoding can be read from .*version"):
            ModelBundle.load(registered)

    @pytest.mark.parametrize("name", ["vocabulary.json", "encoding.json"])
    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"{}", b"[]", b"morse"], ids=repr)
    def test_without_its_vocabulary_or_encoding_it_is_refused(
        self, content: bytes | None, name: str, registered: Path
    ) -> None:
        if content is None:
            (registered / name).unlink()
        else:
            (registered / name).write_bytes(content)
        with pytest.raises(WeightsError, match=r"no vocabulary and encoding can be read from .*version"):
            ModelBundle.load(registered)
