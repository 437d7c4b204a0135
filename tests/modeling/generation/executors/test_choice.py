"""The choice of an executor: compiled where it can be, and what cannot be is refused with what can."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modeling.generation.executors import ExecutorConfig, ExecutorError, new_executor, resolved
from modeling.generation.executors.compiled import CompiledExecutor
from modeling.generation.executors.eager import EagerExecutor
from modeling.network.transformer import MuseNet


def test_on_a_processor_it_is_compiled_unless_the_eager_one_is_asked_for(make_model: Callable[..., MuseNet]) -> None:
    model = make_model()
    assert isinstance(new_executor(model), CompiledExecutor)
    assert isinstance(new_executor(model, ExecutorConfig(executor="eager")), EagerExecutor)


def test_other_precisions_are_eager(make_model: Callable[..., MuseNet]) -> None:
    model = make_model().double()
    assert isinstance(new_executor(model), EagerExecutor)
    with pytest.raises(ExecutorError, match=r"not torch\.float64 on cpu: take executor=eager or auto"):
        new_executor(model, ExecutorConfig(executor="compiled"))


def test_8_bits_are_taken_where_they_can_be(make_model: Callable[..., MuseNet]) -> None:
    automatic = ExecutorConfig(weights="auto")
    compiled = new_executor(make_model(), automatic)
    assert isinstance(compiled, CompiledExecutor)
    assert compiled.network.output.small.size
    assert not compiled.network.output.full.size
    assert isinstance(new_executor(make_model().double(), automatic), EagerExecutor)


@pytest.mark.parametrize(
    ("asked", "compilable", "choice"),
    [
        (("auto", "fp32"), True, ("compiled", "fp32")),
        (("compiled", "auto"), True, ("compiled", "int8")),
        (("auto", "int8"), True, ("compiled", "int8")),
        (("eager", "auto"), True, ("eager", "fp32")),
        (("recorded", "auto"), True, ("recorded", "fp32")),
        (("auto", "auto"), False, ("eager", "fp32")),
    ],
)
def test_what_automatic_stands_for(
    asked: tuple[str, str], compilable: bool, choice: tuple[str, str], make_model: Callable[..., MuseNet]
) -> None:
    model = make_model() if compilable else make_model().double()
    config, expected = (
        ExecutorConfig.model_validate(dict(zip(("executor", "weights"), pair))) for pair in (asked, choice)
    )
    assert resolved(model, config) == expected


@pytest.mark.parametrize("executor", ["auto", "eager"])
def test_8_bits_are_for_the_compiled_one(executor: str, make_model: Callable[..., MuseNet]) -> None:
    config = ExecutorConfig.model_validate({"executor": executor, "weights": "int8"})
    model = make_model() if executor == "eager" else make_model().double()
    with pytest.raises(ExecutorError, match="take weights=fp32"):
        new_executor(model, config)
