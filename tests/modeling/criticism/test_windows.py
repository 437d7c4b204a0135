"""Windows and labels: header and body from a token on, judged where they are real or not, nowhere else."""

from __future__ import annotations

from modeling.criticism import Window, batch_of, labels_of
from modeling.criticism.windows import LEAST_HEARD
from modeling.data import Split
from modeling.network.loss import UNHEARD, UNLABELLED
from tokenization.encodings import HEADER

SIZE = 48


def test_a_window_is_the_header_and_the_body_from_a_token_on(split: Split) -> None:
    tokens = split.pieces[-1]
    batch, music = batch_of([Window(tokens, 10, len(tokens))], SIZE, split.encoding)
    assert batch.tokens[0, :HEADER].tolist() == tokens[:HEADER].tolist()
    assert batch.tokens[0, HEADER:].tolist() == tokens[HEADER + 10 : SIZE + 10].tolist()
    assert bool(music.all())


def test_labels_begin_when_something_was_heard_and_end_with_the_piece(split: Split) -> None:
    short = split.pieces[-1][:30]
    windows = [Window(short, 0, len(short)), Window(split.pieces[-1], 0, 500, is_real=False)]
    _, music = batch_of(windows, SIZE, split.encoding)
    labels = labels_of(windows, music)
    first, heard = HEADER + LEAST_HEARD, len(short)
    assert labels[0].tolist() == [UNLABELLED] * first + [1.0] * (heard - first) + [UNHEARD] * (SIZE - heard)
    assert labels[1].tolist() == [UNLABELLED] * first + [0.0] * (SIZE - first)


def test_what_was_given_is_not_judged(split: Split) -> None:
    tokens = split.pieces[-1]
    window = Window(tokens, 20, len(tokens), is_real=False, judged_from=20 + 30)
    _, music = batch_of([window], SIZE, split.encoding)
    assert labels_of([window], music)[0].tolist() == [UNLABELLED] * 30 + [0.0] * (SIZE - 30)
