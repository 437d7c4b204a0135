"""The checksum of a cache's files."""

from __future__ import annotations

import numpy as np
import pytest

from flows.ingestion.parsing.checksum import checksum

DATA = np.random.default_rng(0).integers(0, 256, 77, np.uint8).tobytes()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 31, 32, 33, 64, 77])
def test_every_flipped_bit_changes_it(size: int) -> None:
    data = DATA[:size]
    found = {checksum(data)}
    for bit in range(8 * size):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        found.add(checksum(bytes(changed)))
    assert len(found) == 8 * size + 1


def test_it_tells_lengths_and_orders_apart() -> None:
    zeros = [bytes(size) for size in range(70)]
    turned = [DATA[first:] + DATA[:first] for first in range(len(DATA))]
    assert len({checksum(data) for data in [*zeros, *turned]}) == len(zeros) + len(turned)


def test_it_is_that_of_the_same_bytes_elsewhere() -> None:
    assert checksum(memoryview(b"?" + DATA)[1:]) == checksum(DATA)
    assert len(checksum(b"")) == 32
