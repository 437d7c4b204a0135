"""A request in a user's words: guidance reaches the sampler and the piece's metadata, and is checked before."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from flows.cli import musenet
from flows.sampling.requests import SampleParameters, piece_request, provenance


def test_guidance_is_passed_on_and_recorded() -> None:
    parameters = SampleParameters(style="bach", guidance=2.5)
    assert piece_request(parameters, 0, None).sampling.guidance == 2.5
    assert provenance(parameters, "7", "songs@abc", 0)["guidance"] == 2.5


def test_without_it_music_is_as_in_the_data() -> None:
    assert piece_request(SampleParameters(), 0, None).sampling.guidance == 1.0


@pytest.mark.parametrize("guidance", [0.5, float("inf"), float("nan")])
def test_less_than_1_and_no_number_are_refused(guidance: float) -> None:
    with pytest.raises(ValidationError, match="guidance"):
        SampleParameters(guidance=guidance)


def test_the_command_says_what_it_takes() -> None:
    result = CliRunner().invoke(musenet, ["sample", "--guidance", "0.5"])
    assert result.exit_code == 2
    assert "'--guidance': 0.5 is not in the range x>=1" in result.output
