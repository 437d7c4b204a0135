"""A model version that composes: requests are checked before the network is loaded, equal requests give equal files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import registry as package
from infra.errors import RunError, UserError
from infra.lake import Lake
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.lineage import DatasetReference
from registry.models import CHAMPION, set_alias
from registry.prompts import Prompt
from registry.publishing import register
from registry.requests import PieceRequest
from registry.runs import begin_run
from registry.store import Registry
from registry.version_files import CRITIC_FILE
from tokenization.midi import read_midi

IDENTITY = ModelIdentity(version="3", digest="ab" * 32, dataset="songs@abc", run="r")


@pytest.fixture
def unloaded(bundle: Path) -> Composer:
    return Composer(bundle, IDENTITY)


class TestChecking:
    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"style": "polka"}, "no style 'polka'; there are: bach, jazz"),
            ({"instruments": "kazoo"}, "no instrument 'kazoo'; there are: piano, strings"),
        ],
    )
    def test_unknown_names_list_what_exists(self, unloaded: Composer, fields: dict[str, str], message: str) -> None:
        with pytest.raises(UserError, match=message):
            unloaded.check(PieceRequest.model_validate(fields), None)
        with pytest.raises(UserError, match=message):
            unloaded.compose(**fields)  # type: ignore[misc]
        assert "bundle" not in vars(unloaded), "nothing was loaded for it"

    def test_an_unknown_option_is_answered_with_the_nearest(self, unloaded: Composer) -> None:
        with pytest.raises(UserError, match="no setting 'temprature'; nearest: 'temperature'"):
            unloaded.compose(temprature=0.5)  # type: ignore[call-arg]

    def test_a_prompt_of_other_instruments_says_what_happens(self, unloaded: Composer, midi_fixtures: Path) -> None:
        prompt = Prompt((midi_fixtures / "ok_type0.mid").read_bytes(), "ok_type0.mid")
        lines = unloaded.check(PieceRequest(instruments=("violin",)), prompt)
        assert lines == ["the prompt plays piano; its notes stay, and mostly violin will follow"]
        lines = unloaded.check(PieceRequest(instruments=("violin",), require=True), prompt)
        assert lines == ["the prompt plays piano; its notes stay, and only violin will follow"]
        assert unloaded.check(PieceRequest(instruments=("violin", "piano")), prompt) == []
        assert unloaded.check(PieceRequest(), prompt) == []

    def test_the_names_that_a_request_may_use(self, unloaded: Composer) -> None:
        assert unloaded.styles == ("bach", "jazz")
        assert {"piano", "strings", "violin", "drums"} <= {*unloaded.instruments}


class TestALengthInSeconds:
    def test_takes_the_pace_of_the_style(self, unloaded: Composer) -> None:
        lengths = [
            unloaded.length_of(PieceRequest(style=style, seconds=seconds), None)
            for style, seconds in (("jazz", 10), ("bach", 10), (None, 10), ("bach", 0.1))
        ]
        assert lengths == [204, 104, 104, 32], "a header of 4; a style without pieces takes the pace of all music"

    def test_is_refused_by_a_model_without_its_pace(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="version 3 of the model does not say how many tokens a second takes"):
            Composer(tmp_path, IDENTITY).length_of(PieceRequest(seconds=10), None)

    def test_is_kept_by_a_piece(self, composer: Composer) -> None:
        piece = composer.compose(style="jazz", seconds=2.5, best_of=1)
        assert len(piece.tokens) <= 54


class TestAnInfill:
    @pytest.fixture
    def scale(self, midi_fixtures: Path) -> Path:
        """Eight notes of a piano, a quarter of a second each."""
        return midi_fixtures / "ok_type0.mid"

    def test_of_bars_keeps_the_rest(self, composer: Composer, scale: Path) -> None:
        piece = composer.compose(prompt=scale, infill="0.25bars-0.75bars", best_of=2)
        given = composer.encoding.quantised(read_midi(scale.read_bytes()))
        kept = (given.onset < 0.5) | (given.onset >= 1.5)
        found = {*zip(piece.notes.onset.tolist(), piece.notes.duration.tolist(), piece.notes.pitch.tolist())}
        rest = {*zip(given.onset[kept].tolist(), given.duration[kept].tolist(), given.pitch[kept].tolist())}
        assert rest <= found
        assert found - rest
        assert all(0.5 <= onset < onset + duration <= 1.5 for onset, duration, _ in found - rest)
        assert piece.seam is not None

    def test_of_an_added_instrument(self, composer: Composer, scale: Path) -> None:
        piece = composer.compose(prompt=scale, add="violin", infill="0s-1s", best_of=1)
        assert piece.instrumentation == "piano_strings"
        is_violin = piece.notes.program == 40
        assert is_violin.any()
        assert piece.notes.onset[is_violin].max() < 1
        assert (~is_violin).sum() == 8
        assert piece.seam is not None

    def test_is_refused_in_one_line(self, unloaded: Composer, scale: Path) -> None:
        for options, message in (
            ({"infill": "1s-2s"}, "infill, replace and add change a given piece: name one as prompt or opening"),
            ({"infill": "9s-12s", "prompt": scale}, r"nothing lies between 9 s and 12 s of a piece of 2\.0 s"),
            ({"add": "kazoo", "prompt": scale}, "no instrument 'kazoo'"),
        ):
            with pytest.raises(UserError, match=message):
                unloaded.compose(**options)  # type: ignore[misc, arg-type]
        assert "bundle" not in vars(unloaded)


class TestTheBest:
    """Of several candidates: by the critic, if that was measured to beat chance."""

    @staticmethod
    def measured(bundle: Path, tmp_path: Path, auc: dict[str, float] | None) -> Composer:
        """The composer of the bundle, of which the critic has another AUC."""
        files = tmp_path / "files"
        shutil.copytree(bundle, files)
        content = json.loads((files / CRITIC_FILE).read_text())
        (files / CRITIC_FILE).write_text(json.dumps(content | {"auc": auc}))
        return Composer(files, IDENTITY)

    def test_is_the_critics(self, composer: Composer) -> None:
        asked = PieceRequest(length=40, best_of=3)
        assert (composer.candidates_for_best(asked), composer.unranked_because(asked)) == (3, None)
        pieces = composer.candidates(asked)
        best = composer.answer(asked)
        assert (best.rank, best.candidate, best.digest) == ("critic", pieces[0].candidate, pieces[0].digest)

    def test_is_the_first_where_the_critic_may_know_nothing(self, bundle: Path, tmp_path: Path) -> None:
        composer = self.measured(bundle, tmp_path, {"value": 0.37, "low": 0.25, "high": 0.49})
        asked = PieceRequest(length=40, best_of=3)
        assert composer.candidates_for_best(asked) == 1
        assert composer.unranked_because(asked) == (
            "the model's critic was not found to beat chance (AUC 0.37, 95 % interval 0.25 to 0.49): "
            "the first candidate is taken"
        )
        assert "bundle" not in vars(composer), "nothing was loaded for it"
        best = composer.answer(asked)
        assert (best.rank, best.candidate) == ("none", 0)
        assert [each.candidate for each in composer.candidates(asked)] == [0, 1, 2], "all are there for who wants them"

    def test_of_an_unmeasured_critic_is_the_first(self, bundle: Path, tmp_path: Path) -> None:
        composer = self.measured(bundle, tmp_path, None)
        said = composer.unranked_because(PieceRequest(best_of=3))
        assert said == "the model has no critic that was measured: the first candidate is taken"
        for plain in (PieceRequest(best_of=1), PieceRequest(rank="none"), PieceRequest(rank="critic")):
            assert composer.unranked_because(plain) is None


class TestAPiece:
    def test_is_the_same_for_the_same_request(self, composer: Composer) -> None:
        first, again = (composer.compose(style="bach", length=48, best_of=2, seed=5) for _ in range(2))
        assert first.midi == again.midi
        assert first.name == again.name
        other = composer.compose(style="bach", length=48, best_of=2, seed=5, temperature=0.7)
        assert other.name != first.name
        assert first.name.startswith("bach-piano-seed5-")
        assert first.name.endswith(f"-{first.digest[:12]}-c{first.candidate}")

    def test_can_be_written(self, composer: Composer, tmp_path: Path) -> None:
        piece = composer.compose(length=48, best_of=1)
        file = piece.save(tmp_path / "new" / "piece.mid")
        assert file.read_bytes() == piece.midi
        assert len(read_midi(piece.midi)) == len(piece.notes)
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match="cannot be written"):
            piece.save(tmp_path / "file" / "piece.mid")

    def test_knows_what_made_it(self, composer: Composer) -> None:
        piece = composer.compose(length=32, best_of=1)
        assert (piece.model.dataset, piece.model.run, piece.device) == ("songs@" + "ab" * 16, "0123456789ab", "cpu")
        assert 0 <= piece.score <= 1


def test_files_that_are_no_model_are_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no vocabulary and encoding can be read"):
        _ = Composer(tmp_path, IDENTITY).encoding


class TestLoading:
    def test_by_alias(
        self, bundle: Path, dataset: DatasetReference, tmp_path: Path, make_registry: Callable[[Lake], Registry]
    ) -> None:
        lake = Lake(tmp_path)
        registry = make_registry(lake)
        version = register(registry, begin_run(registry, "f" * 32, "tiny", {}), bundle, dataset, {"run": "r7"}, "")
        set_alias(registry, version.version, CHAMPION)
        composer = package.load("champion", lake=tmp_path)
        assert composer.identity == ModelIdentity(
            version="1", digest=version.tags["bundle"], dataset=str(dataset), run="r7"
        )
        assert composer.compose(style="bach", length=40, best_of=1).tokens.size <= 40

    def test_from_a_lake_without_models(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"no model 'champion'.*has no registry; `musenet models import starter"):
            package.load(lake=tmp_path / "empty")
        assert not (tmp_path / "empty").exists()
