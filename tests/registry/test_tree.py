"""A tree of candidates: going on is not having stopped, branches share their beginning, and all of it is JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import UserError
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.requests import PieceRequest
from registry.tree import Node, Tree, continued


@pytest.fixture
def tree(composer: Composer) -> Tree:
    return Tree(composer)


def begin(tree: Tree, ahead: int | None = 30) -> list[Node]:
    return tree.begin(style="bach", length=100, best_of=3, seed=5, ahead=ahead)


def words(node: Node) -> list[str]:
    return node.tokens.split()


class TestGoingOn:
    def test_is_not_having_stopped(self, tree: Tree) -> None:
        whole = {node.candidate: node.tokens for node in begin(tree, None)}
        for node in begin(tree):
            assert len(words(node)) == 34, "the header and thirty tokens"
            assert tree.go_on(tree.go_on(node, ahead=11)).tokens == whole[node.candidate]

    def test_keeps_a_length_in_seconds(self, tree: Tree) -> None:
        (whole,) = tree.begin(bars=2, tempo=60, best_of=1)
        (start,) = tree.begin(bars=2, tempo=60, best_of=1, ahead=20)
        assert tree.go_on(start).tokens == whole.tokens

    def test_from_an_end_has_to_say_from_where(self, tree: Tree) -> None:
        (node,) = tree.begin(length=40, best_of=1)
        assert node.has_ended
        with pytest.raises(UserError, match="has ended: say from which of its tokens to go on"):
            tree.go_on(node)
        with pytest.raises(UserError, match=r"a branch keeps 4 to \d\d tokens of its node, not 40"):
            tree.branch(node, at=40)


class TestABranch:
    def test_shares_the_beginning_and_goes_another_way(self, tree: Tree) -> None:
        node = begin(tree)[0]
        branches = tree.branch(node, at=20, seed=6, ahead=30)
        assert [len(words(branch)) for branch in branches] == [50] * 3
        assert {tuple(words(branch)[:20]) for branch in branches} == {tuple(words(node)[:20])}
        assert len({branch.tokens for branch in branches}) == 3
        assert all(branch.parent == node.digest and branch.at == 20 for branch in branches)
        assert [branch.score for branch in branches] == sorted((b.score for b in branches), reverse=True)

    def test_of_a_branch_goes_on_as_that_one(self, tree: Tree) -> None:
        node = begin(tree)[0]
        whole = {branch.candidate: branch.tokens for branch in tree.branch(node, seed=6)}
        for branch in tree.branch(node, seed=6, ahead=15):
            assert tree.go_on(branch).tokens == whole[branch.candidate]

    def test_takes_other_settings(self, tree: Tree) -> None:
        (branch,) = tree.branch(begin(tree)[0], temperature=0.5, seconds=20, best_of=1, ahead=8)
        assert (branch.request.temperature, branch.request.seconds, branch.request.length) == (0.5, 20, None)
        with pytest.raises(UserError, match="temperature = -1: Input should be greater than 0"):
            tree.branch(begin(tree)[0], temperature=-1)


class TestATree:
    def test_is_walked_from_beginnings_to_leaves(self, tree: Tree) -> None:
        first, second, third = begin(tree)
        further = tree.branch(second, seed=6, ahead=8)
        assert [*tree.walk()] == [first, second, *further, third]
        assert tree.children(None) == [first, second, third]
        assert tree.path(further[1]) == [second, further[1]]

    def test_loses_what_goes_on_from_a_rejected_node(self, tree: Tree) -> None:
        first, second, third = begin(tree)
        tree.branch(tree.branch(second, seed=6, ahead=8)[0], seed=7, ahead=8)
        tree.reject(second)
        assert [*tree.walk()] == [first, third]
        with pytest.raises(UserError, match="no node"):
            tree.reject(second)

    def test_is_read_as_it_was_written(self, tree: Tree, composer: Composer, tmp_path: Path) -> None:
        node = begin(tree)[0]
        tree.branch(node, seed=6, ahead=8)
        tree.save(tmp_path / "tree.json")
        again = Tree.read(composer, tmp_path / "tree.json")
        assert again.nodes == tree.nodes
        assert again.go_on(node).tokens == tree.go_on(node).tokens

    def test_of_another_model_or_no_tree_is_refused(self, tree: Tree, composer: Composer, tmp_path: Path) -> None:
        begin(tree, 4)
        file = tmp_path / "tree.json"
        tree.save(file)
        other = ModelIdentity(version="9", digest="cd" * 32, dataset="songs@abc", run="r")
        with pytest.raises(UserError, match=r"is a tree of the model .* not cdcdcdcdcdcd"):
            Tree.read(Composer(composer.files, other), file)
        file.write_text(json.dumps({"format": 9}))
        with pytest.raises(UserError, match=r"tree\.json is not a tree of candidates of format 1"):
            Tree.read(composer, file)
        with pytest.raises(UserError, match="cannot be read: No such file"):
            Tree.read(composer, tmp_path / "nowhere.json")

    def test_gives_pieces(self, tree: Tree) -> None:
        node = begin(tree)[1]
        (branch,) = tree.branch(node, best_of=1, seed=9)
        piece = tree.piece(branch)
        assert piece.text == branch.tokens
        assert piece.prompt is not None
        assert piece.prompt.data.decode().split() == words(node)
        assert piece.midi.startswith(b"MThd")


def test_a_continued_request_takes_what_is_given_in_place_of_its_rivals() -> None:
    request = PieceRequest(style="bach", bars=8, tempo=60, best_of=4)
    plain = continued(request, 500, 3, {})
    assert (plain.seconds, plain.length, plain.tempo, plain.candidate, plain.best_of) == (32, None, None, 3, 1)
    other = continued(request, 500, 3, {"blend": "bach, jazz", "length": 900, "seed": 2})
    assert (other.style, other.length, other.seconds, other.candidate, other.best_of) == (None, 900, None, 0, 4)
