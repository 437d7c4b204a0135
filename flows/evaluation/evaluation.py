"""What is evaluated: real pieces, composed ones and those of the baselines, and the likelihood of test pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

import modeling
import tokenization
from flows.evaluation.baselines.executors import ngram_executor, noise_executor
from flows.evaluation.baselines.ngram import NGram
from flows.evaluation.compositions import Composing, Composition, compose_group
from flows.evaluation.folder import FolderPieces, read_folder
from flows.evaluation.groups import RealGroup, RealPiece, merged, read_groups, read_test_pieces, training_tokens
from flows.evaluation.likelihood import read_likelihoods
from flows.evaluation.measuring import Subject, subjects_of
from flows.evaluation.settings import EvaluationSettings
from infra.digests import canonical_digest, file_sha256
from infra.errors import UserError
from infra.lake import Lake
from modeling.generation import ExecutorConfig
from registry.composer import Composer
from registry.requests import PieceRequest
from tokenization.dataset import TEST, DatasetVersion
from tokenization.encodings import Encoding

ORDER = 5
"""Of the n-gram."""
NGRAM_TOKENS = 4_000_000
"""Training tokens of the n-gram, at most about."""
NGRAM, NOISE = "ngram", "noise"
SAMPLES = "samples"
EVERYTHING = "all pieces"
"""Group of a folder whose pieces have no style."""
NOT_COMPOSED = ("references", "notes", "copying", "resamples", "rolls")
"""Settings on which composed pieces do not depend."""
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Sets:
    """The pieces of one group, before they are measured."""

    group: RealGroup
    samples: list[Subject]
    encoding: Encoding
    """Of the samples."""
    references: dict[str, list[Subject]]
    seconds: float | None = None
    """That composing the samples took; None where that is not known."""


class Evaluation:
    """The evaluation of a model, or of a folder of MIDI files, against a dataset version on this machine's disk."""

    def __init__(
        self,
        lake: Lake,
        version: DatasetVersion,
        settings: EvaluationSettings,
        source: Composer | Path,
        leaked: frozenset[str] = frozenset(),
    ) -> None:
        """Draw the real pieces. Raises UserError as `read_groups` and `read_folder` do.

        `leaked`: held-out pieces that a model knows. None is composed for or compared with, unless too few are clean.
        """
        self.lake = lake
        self.version = version
        self.settings = settings
        self.composer = source if isinstance(source, Composer) else None
        self.leaked = leaked
        groups, self.notices = self._clean_groups()
        self.files: FolderPieces | None = None
        if isinstance(source, Path):
            self.files = read_folder(source, version.encoding, [group.name for group in groups])
            self.notices += self.files.refused
            groups = self._groups_of_files(groups, self.files)
        self.groups = groups
        self.source = str(source) if self.composer is None else self._model_name(self.composer)

    def _clean_groups(self) -> tuple[list[RealGroup], list[str]]:
        if not self.leaked:
            return read_groups(self.version, self.settings)
        try:
            return read_groups(self.version, self.settings, self.leaked)
        except UserError:
            groups, notices = read_groups(self.version, self.settings)
            return groups, ["too few held-out pieces are clean: distances are to all of them", *notices]

    @staticmethod
    def _model_name(composer: Composer) -> str:
        return f"{composer.identity.name} {composer.identity.version}"

    def _groups_of_files(self, groups: list[RealGroup], files: FolderPieces) -> list[RealGroup]:
        """Return the groups that the folder has pieces of; those without a style are compared with all."""
        found = [group for group in groups if group.name in files.groups]
        if "" in files.groups:
            whole = groups[0]
            if len(groups) > 1:
                whole = merged(groups, EVERYTHING, self.settings.pieces, self.settings.seed)
            if found and whole.name != EVERYTHING:
                raise UserError("some files lie in a folder of the style and some beside it; move them together")
            found.append(whole)
        return found

    @cached_property
    def source_digest(self) -> str:
        """SHA-256 of the model's files, or of the folder's."""
        if self.composer is not None:
            return self.composer.identity.digest
        assert self.files is not None
        return self.files.digest

    @cached_property
    def digest(self) -> str:
        """Digest of all that the report depends on, the code of musenet included."""
        return canonical_digest(
            {
                "source": self.source_digest,
                "dataset": self.version.digest,
                "settings": self.settings.content(),
                **({"leaked": sorted(self.leaked)} if self.leaked else {}),
                "code": [*self._code, code_digest(Path(tokenization.__file__).parent / "measures")],
            }
        )

    @cached_property
    def _code(self) -> list[str]:
        """Digests of the code that composes, so that pieces of other code are composed anew."""
        tokens, network, here = (Path(module).parent for module in (tokenization.__file__, modeling.__file__, __file__))
        folders = [tokens / name for name in ("encodings", "midi", "vocabulary")]
        folders += [network / name for name in ("controls", "generation", "network")]
        return [code_digest(folder) for folder in (*folders, here / "baselines")]

    @property
    def pieces_to_compose(self) -> int:
        """Pieces of the model and of the baselines, for progress."""
        of_model = self.settings.pieces if self.composer is not None else 0
        return len(self.groups) * (of_model + 2 * self.settings.references)

    def compose(self, on_progress: Progress) -> list[Sets]:
        """Compose all pieces, those of the model and of the baselines; what was composed before is read."""
        sets = []
        for group in self.groups:
            samples, encoding, seconds = self._samples(group, on_progress)
            references = {}
            if self.settings.references:
                for name, source in ((NGRAM, self._ngram_source), (NOISE, self._noise_source)):
                    found = self._compose(name, source, self.version.encoding, group, on_progress)
                    references[name] = subjects_of(found.pieces, self.version.encoding)
            sets.append(Sets(group, samples, encoding, references, seconds))
        return sets

    def _samples(self, group: RealGroup, on_progress: Progress) -> tuple[list[Subject], Encoding, float | None]:
        if self.composer is not None:
            encoding = self.composer.encoding
            found = self._compose(SAMPLES, self._model_source, encoding, group, on_progress)
            return subjects_of(found.pieces, encoding), encoding, found.seconds
        assert self.files is not None
        own = self.files.groups.get(group.name) or self.files.groups[""]
        return [Subject(name, notes) for name, notes in own], self.version.encoding, None

    def _compose(
        self, name: str, source: Callable[[], Composing], encoding: Encoding, group: RealGroup, on_progress: Progress
    ) -> Composition:
        of_model = name == SAMPLES
        settings = self.settings if of_model else self.settings.model_copy(update={"request": PieceRequest()})
        content = {key: value for key, value in settings.content().items() if key not in NOT_COMPOSED}
        key = canonical_digest(
            {
                "set": name,
                "source": self.source_digest if of_model else None,
                "dataset": self.version.digest,
                "settings": content,
                "group": [piece.piece_id for piece in group.held_out],
                "code": self._code,
            }
        )
        folder = self.lake.cache / "evaluation" / key
        count = settings.pieces if of_model else settings.references
        return compose_group(folder, source, encoding, self.version.encoding, group, count, settings, on_progress)

    def _model_source(self) -> Composing:
        assert self.composer is not None
        bundle = self.composer.bundle
        executor = bundle.executor(ExecutorConfig(weights=self.settings.request.weights))
        return Composing(executor, bundle.encoding, bundle.model.config.context, self.composer.drawing)

    @cached_property
    def _ngram(self) -> NGram:
        tokens = training_tokens(self.version, NGRAM_TOKENS, self.settings.seed)
        return NGram(tokens, self.version.vocabulary.size, ORDER)

    def _ngram_source(self) -> Composing:
        return Composing(ngram_executor(self._ngram), self.version.encoding, NGRAM_TOKENS)

    def _noise_source(self) -> Composing:
        return Composing(noise_executor(self.version.vocabulary.size), self.version.encoding, NGRAM_TOKENS)

    @cached_property
    def test_pieces(self) -> tuple[list[RealPiece], str]:
        """The pieces whose likelihood is measured, and the name of their split."""
        return ([], TEST) if self.composer is None else read_test_pieces(self.version, self.settings)

    def foresee(self, on_progress: Progress) -> pl.DataFrame:
        """Return the likelihood of each test piece under the model; what was computed before is read."""
        if self.composer is None:
            return pl.DataFrame()
        pieces, _ = self.test_pieces
        key = canonical_digest(
            {
                "source": self.source_digest,
                "dataset": self.version.digest,
                "pieces": [piece.piece_id for piece in pieces],
                "code": self._code,
            }
        )
        file = self.lake.cache / "evaluation" / f"{key}.parquet"
        composer, own = self.composer, self.version.encoding
        return read_likelihoods(file, lambda: composer.bundle, composer.encoding, own, pieces, on_progress)


def code_digest(package: Path) -> str:
    """Return a digest of all Python files below a folder."""
    files = sorted(package.rglob("*.py"))
    return canonical_digest({path.relative_to(package).as_posix(): file_sha256(path) for path in files})
