"""Grammar: which tokens may follow, so that every generation is well-formed music.

A piece ends near its planned end, only the asked-for instruments play, a note ends only if it sounds and starts
only if it does not, what happens at one time comes in the encoding's order (note-offs, notes by pitch, drums),
no note and no rest lasts for ever, and ids that stand in headers never appear in the music.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tokenization.vocabulary import NO_ROW, PITCHES, Vocabulary

MAX_REST_TICKS = 4 * 96
"""Silence after which a wait is no longer allowed: four seconds in MuseNet's clock."""


class Grammar:
    """The state of a batch of pieces while they are generated."""

    def __init__(self, vocabulary: Vocabulary, playable: Tensor, longest_note: int, earliest_end: Tensor) -> None:
        """`playable`: which instruments each piece may use, shape (batch, instruments), bool. `longest_note`: ticks
        after which a note has to end before time goes on. `earliest_end`: tokens that a piece has at least before it
        may end, shape (batch,).
        """
        device, batch = playable.device, len(playable)
        self.vocabulary = vocabulary
        row_instrument = torch.from_numpy(vocabulary.row_instrument).long().to(device)
        self.row_instrument = row_instrument
        self.is_off = torch.from_numpy(vocabulary.row_velocity == 0).to(device)
        self.held = torch.from_numpy(vocabulary.off_row != NO_ROW).to(device)[row_instrument]
        self.rank = note_ranks(vocabulary).to(device)
        self.last_rank = torch.full((batch,), -1, device=device)
        """Rank of the latest note since the last wait, -1 when there was none."""
        self.playable_row = playable[:, row_instrument]
        self.sounding = torch.zeros(batch, len(vocabulary.instruments), PITCHES, dtype=torch.bool, device=device)
        self.longest_note = longest_note
        self.earliest_end = earliest_end
        self.taken = 0
        """Tokens so far."""
        self.now = torch.zeros(batch, dtype=torch.long, device=device)
        self.since = torch.zeros_like(self.sounding, dtype=torch.long)
        """Tick at which each sounding note started."""
        self.silence = torch.zeros(batch, dtype=torch.long, device=device)
        """Ticks since anything last sounded."""
        self.finished = torch.zeros(batch, dtype=torch.bool, device=device)

    def allowed(self) -> Tensor:
        """Which ids may come next, shape (batch, vocabulary), bool. A finished piece allows only padding."""
        vocabulary = self.vocabulary
        batch = len(self.finished)
        sounding = self.sounding[:, self.row_instrument]
        starts = self.playable_row[:, :, None] & ~(sounding & self.held[:, None])
        notes = torch.where(self.is_off[:, None], sounding, starts).flatten(1)
        notes &= self.rank > self.last_rank[:, None]
        overdue = self._overdue() & notes
        first_overdue = torch.where(overdue, self.rank, len(self.rank)).amin(1)
        notes &= self.rank <= first_overdue[:, None]
        mask = torch.zeros(batch, vocabulary.size, dtype=torch.bool, device=self.finished.device)
        mask[:, : vocabulary.note_end] = notes
        may_wait = (self.silence < MAX_REST_TICKS) & ~overdue.any(1)
        mask[:, vocabulary.wait_base + 1 : vocabulary.start] = may_wait[:, None]
        mask[:, vocabulary.end] = self.taken >= self.earliest_end
        mask[self.finished] = False
        mask[self.finished, vocabulary.pad] = True
        return mask

    def _overdue(self) -> Tensor:
        """Note-offs of notes that have sounded too long, shape (batch, note ids)."""
        too_long = self.sounding & (self.now[:, None, None] - self.since >= self.longest_note)
        return (too_long[:, self.row_instrument] & self.is_off[:, None]).flatten(1)

    def advance(self, tokens: Tensor) -> None:
        """Take in the next token of every piece, shape (batch,)."""
        vocabulary = self.vocabulary
        self.taken += 1
        self.finished |= tokens == vocabulary.end
        is_note = tokens < vocabulary.note_end
        row = torch.where(is_note, tokens, 0) // PITCHES
        pitch = torch.where(is_note, tokens, 0) % PITCHES
        index = torch.arange(len(tokens), device=tokens.device)[is_note]
        voice = self.row_instrument[row[is_note]]
        self.sounding[index, voice, pitch[is_note]] = (~self.is_off & self.held)[row[is_note]]
        self.since[index, voice, pitch[is_note]] = self.now[is_note]
        ticks = tokens - vocabulary.wait_base
        ticks = torch.where((ticks >= 1) & (ticks <= vocabulary.max_wait), ticks, 0)
        self.now = self.now + ticks
        rank = self.rank[torch.where(is_note, tokens, 0)]
        self.last_rank = torch.where(is_note, rank, torch.where(ticks > 0, -1, self.last_rank))
        audible = is_note | self.sounding.flatten(1).any(1)
        self.silence = torch.where(audible, 0, self.silence + ticks)


def note_ranks(vocabulary: Vocabulary) -> Tensor:
    """The place of every note id in the order in which the encoding writes what happens at one tick, shape (ids,)."""
    row = np.repeat(np.arange(len(vocabulary.row_velocity)), PITCHES)
    pitch = np.tile(np.arange(PITCHES), len(vocabulary.row_velocity))
    is_drum = vocabulary.off_row[vocabulary.row_instrument[row]] == NO_ROW
    kind = np.where(vocabulary.row_velocity[row] == 0, 0, np.where(is_drum, 2, 1))
    order = np.lexsort((-row, pitch, kind))
    ranks = np.empty(len(row), np.int64)
    ranks[order] = np.arange(len(row))
    return torch.from_numpy(ranks)
