"""What packages that do not import Prefect say to the flow run that they work on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prefect.utilities.collections import visit_collection
from prefect.utilities.engine import resolve_to_final_result

from infra.services.flow_run import whole


class Sealed(list[str]):
    """A list that fails when its items are looked at."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("the items were looked at")


def test_a_whole_argument_is_handed_over_without_a_look_at_its_content() -> None:
    inside = Sealed(["one", "two"])
    assert _resolved(whole(inside)) is inside
    with pytest.raises(AssertionError):
        _resolved(inside)


def _resolved(argument: Any) -> Any:
    """Resolve an argument of a task as Prefect does."""
    return visit_collection(
        argument, visit_fn=resolve_to_final_result, return_data=True, remove_annotations=True, context={}
    )
