"""Samples that go on from earlier ones: their request, their prompt and their parent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flows.sampling.metadata import SampleMetadata, find_prompt, read_metadata
from flows.sampling.origins import ParentInfo
from flows.sampling.parameters import SampleParameters
from infra.errors import UserError
from registry.composer import Composer
from registry.prompts import Prompt
from registry.requests import PieceRequest
from registry.tree import continued
from tokenization.vocabulary import Tokens


@dataclass(frozen=True)
class Continuation:
    """A request that goes on from a sample."""

    request: PieceRequest
    prompt: Prompt
    parent: ParentInfo


def go_on_from(file: Path, composer: Composer, parameters: SampleParameters) -> Continuation:
    """Return how to go on from the sample whose metadata are in `file`.

    Its settings stay but for the fields that were given. Raises UserError for a sample that cannot be read, that is of
    another vocabulary, or that has no music at the time from which to go on.
    """
    from modeling.generation import tokens_before

    then = read_metadata(file)
    tokens = _tokens_of(then, file.parent, composer)
    kept = len(tokens)
    if parameters.at is not None:
        if parameters.at > then.seconds:
            raise UserError(f"{file.name} lasts {then.seconds:.1f} s: it cannot be left at {parameters.at:g} s")
        kept = tokens_before(composer.encoding, tokens, parameters.at)
    given = {name: getattr(parameters, name) for name in parameters.model_fields_set & PieceRequest.model_fields.keys()}
    length = composer.length_of(then.request, find_prompt(then, file.parent))
    request = continued(then.request, length, then.candidate, given)
    parent = ParentInfo(name=file.name, digest=then.digest, midi=then.files["midi"].sha256, at=kept)
    return Continuation(
        request, Prompt.of_tokens(tokens[:kept], composer.encoding.vocabulary, f"of {file.name}"), parent
    )


def _tokens_of(then: SampleMetadata, folder: Path, composer: Composer) -> Tokens:
    """Return the tokens of a sample without its end, from its text file."""
    text = folder / then.files["text"].name
    try:
        data = text.read_bytes()
    except OSError as error:
        raise UserError(f"{text} cannot be read: {error.strerror}; `musenet sample --again` restores it") from error
    if hashlib.sha256(data).hexdigest() != then.files["text"].sha256:
        raise UserError(f"{text} has changed since it was written; continue it as --prompt, or put the old one back")
    return Prompt(data, str(text)).tokens(composer.encoding, None, None, None)
