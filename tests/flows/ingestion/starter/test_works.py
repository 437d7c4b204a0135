"""The table of works: every score exists in music21, and file names are distinct."""

from __future__ import annotations

import pytest

from flows.ingestion.starter import classical
from flows.ingestion.starter.works import COMPOSERS, Work


def test_the_table_names_only_scores_that_music21_has() -> None:
    pytest.importorskip("music21")
    corpus = classical.corpus_folder()
    works = [work.path for composer in COMPOSERS for work in composer.works]
    assert [path for path in works if not (corpus / path).is_file()] == []
    assert len(set(works)) == len(works) >= 80


def test_no_two_works_of_a_style_share_a_file_name() -> None:
    names = [(composer.style, work.midi_name) for composer in COMPOSERS for work in composer.works]
    assert len(set(names)) == len(names)
    assert Work("haydn/opus74no1/movement2.mxl").midi_name == "opus74no1-movement2.mid"
    assert Work("bach/bwv66.6.mxl").midi_name == "bwv66.6.mid"
