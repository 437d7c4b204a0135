"""Grammar: which tokens may follow, so that every generation is well-formed music.

Only the asked-for instruments play, a note ends only if it sounds and starts only if it does not, no note sounds
and no rest lasts for ever, and ids that stand in headers never appear in the music.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tokenization.vocabulary import NO_ROW, PITCHES, Vocabulary

MAX_REST_TICKS = 4 * 96
"""Silence after which a wait is no longer allowed: four seconds in MuseNet's clock."""


class Grammar:
    """The state of a batch of pieces while they are generated."""

    def __init__(self, vocabulary: Vocabulary, playable: Tensor, longest_note: int) -> None:
        """`playable`: which instruments each piece may use, shape (batch, instruments), bool. `longest_note`: ticks
        after which a note has to end before time goes on.
        """
        device, batch = playable.device, len(playable)
        self.vocabulary = vocabulary
        row_instrument = torch.from_numpy(vocabulary.row_instrument).long().to(device)
        self.row_instrument = row_instrument
        self.is_off = torch.from_numpy(vocabulary.row_velocity == 0).to(device)
        self.held = torch.from_numpy(vocabulary.off_row != NO_ROW).to(device)[row_instrument]
        self.playable_row = playable[:, row_instrument]
        self.sounding = torch.zeros(batch, len(vocabulary.instruments), PITCHES, dtype=torch.bool, device=device)
        self.longest_note = longest_note
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
        notes = torch.where(self.is_off[:, None], sounding, starts)
        mask = torch.zeros(batch, vocabulary.size, dtype=torch.bool, device=self.finished.device)
        mask[:, : vocabulary.note_end] = notes.flatten(1)
        overdue = (self.sounding & (self.now[:, None, None] - self.since >= self.longest_note)).flatten(1).any(1)
        mask[:, vocabulary.wait_base + 1 : vocabulary.start] = ((self.silence < MAX_REST_TICKS) & ~overdue)[:, None]
        mask[:, vocabulary.end] = True
        mask[self.finished] = False
        mask[self.finished, vocabulary.pad] = True
        return mask

    def advance(self, tokens: Tensor) -> None:
        """Take in the next token of every piece, shape (batch,)."""
        vocabulary = self.vocabulary
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
        audible = is_note | self.sounding.flatten(1).any(1)
        self.silence = torch.where(audible, 0, self.silence + ticks)
