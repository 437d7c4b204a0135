"""A tree of candidates: pieces that go on from each other, chosen, branched and rejected one after the other.

tree = Tree(load("champion"))
ideas = tree.begin(style="bach", length=512, best_of=4, ahead=96)   # four beginnings of 96 tokens
further = tree.branch(ideas[0], seed=7, ahead=96)                   # four ways on from the best one
whole = tree.go_on(further[1])                                      # as if it had never stopped
tree.piece(whole).save("piece.mid")
tree.save("tree.json")

A node is its tokens, its request and the number of its candidate. That is all of a state: the random numbers of every
token follow from seed, candidate and the token's place, so that a piece goes on from anywhere as if it had not stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, Unpack

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.digests import canonical_digest
from infra.errors import UserError, unknown_name
from infra.files import write_atomically
from infra.settings import one_line
from registry.composer import Composer
from registry.piece import Piece
from registry.prompts import Prompt
from registry.requests import PieceRequest, RequestOptions
from tokenization.encodings import HEADER

FORMAT: Final = 1
INFILL = ("infill", "replace", "add")
ORIGIN = ("prompt", "prompt_notes", "prompt_seconds", "prompt_bars", "opening", "tempo", *INFILL)
"""Fields of a request that say how a piece begins; one that goes on from a piece has its tokens instead."""
RIVALS = ({"style", "blend"}, {"length", "seconds", "bars"})
"""Fields that exclude each other: one that is given replaces the others."""


class Node(BaseModel):
    """A candidate at some point of its making."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """Digest of the files of the model that composed it."""
    request: PieceRequest
    """By which it goes on: without its prompt, and with its planned length."""
    tokens: str
    """So far, in their text form."""
    candidate: int
    """Its number among those of the request's seed."""
    score: float | None
    """The critic's probability that it is real; None without a critic."""
    parent: str | None = None
    """Digest of the node that it goes on from."""
    at: int = 0
    """Number of tokens that it has from its parent, or from its prompt and header."""

    @cached_property
    def digest(self) -> str:
        """Name of the node: 32 hexadecimal digits."""
        return canonical_digest(self.model_dump(mode="json", exclude={"score"}))

    @property
    def has_ended(self) -> bool:
        """True if its last token is `end`."""
        return self.tokens.split()[-1:] == ["end"]


def continued(request: PieceRequest, length: int, candidate: int, changes: Mapping[str, Any]) -> PieceRequest:
    """Return the request that goes on from tokens of candidate number `candidate` of a request.

    `length`: the tokens that were planned. Settings stay but for `changes`, fields of a request. With no other seed it
    goes on as that candidate did; with one there are as many candidates as before. With an infill it has no length and
    no instruments, since the rest of the piece stays. Raises UserError.
    """
    fields = request.model_dump(exclude={*ORIGIN, "bars"})
    if {*INFILL} & changes.keys():
        fields |= dict.fromkeys(("length", "seconds"), None) | {"instruments": (), "candidate": 0}
    else:
        fields |= {"seconds": request.time} if request.time is not None else {"length": length}
        fields |= {"candidate": 0} if "seed" in changes else {"candidate": candidate, "best_of": 1}
    for rivals in RIVALS:
        if rivals & changes.keys():
            fields = {name: value for name, value in fields.items() if name not in rivals}
    return PieceRequest.of({**fields, **changes})


def way_on(composer: Composer, node: Node, at: int | None, changes: Mapping[str, Any]) -> tuple[PieceRequest, Prompt]:
    """Return the request and the prompt by which a model goes on from a node; arguments as for `Tree.branch`.

    Raises UserError where nothing can follow.
    """
    tokens = composer.encoding.vocabulary.from_text(node.tokens)
    kept = len(tokens) - node.has_ended if at is None else at
    if not HEADER <= kept <= len(tokens) - node.has_ended:
        raise UserError(f"a branch keeps {HEADER} to {len(tokens) - node.has_ended} tokens of its node, not {kept}")
    if at is None and node.has_ended:
        raise UserError(f"the piece {node.digest[:12]} has ended: say from which of its tokens to go on")
    if node.request.length is None and node.request.seconds is None:
        raise UserError("the request of a node says how long its piece is: this one has neither length nor seconds")
    request = continued(node.request, node.request.length or 0, node.candidate, changes)
    return request, Prompt.of_tokens(tokens[:kept], composer.encoding.vocabulary, f"node {node.digest[:12]}")


def beginning_of(composer: Composer, request: PieceRequest, prompt: Prompt | None) -> int:
    """Return the tokens that all candidates of a request have from its prompt, or of their header. Raises UserError."""
    return HEADER if prompt is None else len(prompt.tokens(composer.encoding, *request.prompt_part))


def nodes_of(
    composer: Composer, request: PieceRequest, prompt: Prompt | None, pieces: Sequence[Piece], parent: str | None
) -> list[Node]:
    """Return the nodes of pieces that were composed for a request; `parent`: the digest of the node they go on from."""
    onwards = continued(request, composer.length_of(request, prompt), request.candidate, {})
    return [
        Node(
            model=composer.identity.digest,
            request=onwards.model_copy(update={"best_of": request.best_of}),
            tokens=piece.text,
            candidate=piece.candidate,
            score=piece.score,
            parent=parent,
            at=beginning_of(composer, request, prompt),
        )
        for piece in pieces
    ]


class Tree:
    """The candidates of one model that go on from each other."""

    def __init__(self, composer: Composer) -> None:
        self.composer = composer
        self.nodes: dict[str, Node] = {}
        """By digest, parents first."""

    def begin(self, ahead: int | None = None, **options: Unpack[RequestOptions]) -> list[Node]:
        """Compose the candidates of a request, the best first; the options are the fields of a `PieceRequest`.

        `ahead`: tokens behind header and prompt after which they stop; None: whole pieces. Raises UserError.
        """
        request = PieceRequest.of(options)
        return self._grow(request, self.composer.find_prompt(request), ahead, None)

    def branch(
        self, node: Node, at: int | None = None, ahead: int | None = None, **changes: Unpack[RequestOptions]
    ) -> list[Node]:
        """Go on from a node in other ways, the best first: with another `seed`, another temperature, other instruments.

        `at`: the tokens of the node that are kept, all unless given. Raises UserError where nothing can follow.
        """
        request, prompt = way_on(self.composer, node, at, changes)
        return self._grow(request, prompt, ahead, node)

    def go_on(self, node: Node, ahead: int | None = None) -> Node:
        """Go on from a node as if it had not stopped, to the end or by so many tokens. Raises UserError."""
        return self.branch(node, ahead=ahead)[0]

    def _grow(self, request: PieceRequest, prompt: Prompt | None, ahead: int | None, parent: Node | None) -> list[Node]:
        stop = None if ahead is None else beginning_of(self.composer, request, prompt) + ahead
        pieces = self.composer.candidates(request, prompt, stop=stop)
        found = nodes_of(self.composer, request, prompt, pieces, None if parent is None else parent.digest)
        self.nodes |= {node.digest: node for node in found}
        return found

    def children(self, node: Node | None) -> list[Node]:
        """Return the nodes that go on from one; of None the beginnings."""
        parent = None if node is None else node.digest
        return [other for other in self.nodes.values() if other.parent == parent]

    def path(self, node: Node) -> list[Node]:
        """Return the nodes from a beginning to a node."""
        return [*(self.path(self.nodes[node.parent]) if node.parent is not None else []), node]

    def walk(self, node: Node | None = None) -> Iterator[Node]:
        """Yield the nodes below one, each before those that go on from it; all of them unless one is given."""
        for child in self.children(node):
            yield child
            yield from self.walk(child)

    def reject(self, node: Node) -> None:
        """Remove a node and all that goes on from it. Raises UserError for one that is not in the tree."""
        if node.digest not in self.nodes:
            raise unknown_name("node", node.digest, self.nodes)
        for each in [node, *self.walk(node)]:
            del self.nodes[each.digest]

    def piece(self, node: Node) -> Piece:
        """Return the piece of a node, to hear it and to write it."""
        composer, request = self.composer, node.request
        vocabulary = composer.encoding.vocabulary
        tokens = np.asarray(vocabulary.from_text(node.tokens))
        kept = Prompt.of_tokens(tokens[: node.at], vocabulary, "prompt") if node.at > HEADER else None
        identity, device = composer.identity, composer.device
        return Piece(request, kept, identity, composer.encoding, tokens, node.score, node.candidate, device)

    def to_json(self) -> str:
        """Return the tree as JSON."""
        return json.dumps({"format": FORMAT, "nodes": [n.model_dump(mode="json") for n in self.nodes.values()]})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tree to a JSON file, atomically."""
        write_atomically(Path(path), self.to_json().encode())

    @classmethod
    def read(cls, composer: Composer, path: str | os.PathLike[str]) -> Tree:
        """Read a tree that a composer of the same model goes on with. Raises UserError."""
        try:
            content = _Content.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise UserError(f"{path} is not a tree of candidates of format {FORMAT}: {one_line(error)}") from error
        tree = cls(composer)
        for node in content.nodes:
            if node.model != composer.identity.digest:
                raise UserError(f"{path} is a tree of the model {node.model[:12]}, not {composer.identity.digest[:12]}")
            tree.nodes[node.digest] = node
        return tree


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1]
    nodes: tuple[Node, ...]
