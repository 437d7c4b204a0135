"""The archive: generations kept for the critic, each a window of a piece of the data composed anew.

- `Generation`, `Archive`: generations as Parquet files by the shard contract, bounded, the oldest thinned
- `Filler`: draws batches of generations under the headers and at the places of real pieces
- `generated_of`: generations as a critic learns from them
- `direction_of`: how pieces are led that are drawn as a sampler or a model says
- `long_pieces`: pieces that have a window to compose anew; `third_of`: where in its piece a window begins

Training and the criticism flow fill and read archives alike.
"""

from modeling.archive.files import Archive, ArchiveError, Generation
from modeling.archive.filling import THIRDS, Filler, direction_of, family_by_piece, generated_of, long_pieces, third_of

__all__ = [
    "THIRDS",
    "Archive",
    "ArchiveError",
    "Filler",
    "Generation",
    "direction_of",
    "family_by_piece",
    "generated_of",
    "long_pieces",
    "third_of",
]
