"""Settings by dotted key: one grammar of texts, applied to any model, and faults told in one line."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.settings import SettingError, apply, flatten, one_line, parse_assignments


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sparsity(Strict):
    mode: str = "dense"
    windows: tuple[int, ...] = (4,)


class Shape(Strict):
    layers: int = Field(ge=1)
    ratio: float = 0.5
    kinds: frozenset[Literal["a", "b"]] = frozenset()
    limit: float | None = 3.0
    tied: bool = False
    styles: dict[str, int] = {}
    ends: tuple[int, ...] | None = None
    sparsity: Sparsity = Sparsity()

    @model_validator(mode="after")
    def _fits(self) -> Shape:
        if self.layers == 13:
            raise ValueError("13 layers bring bad luck")
        return self


class Settings(Strict):
    name: str
    shape: Shape = Shape(layers=2)
    engine: Shape | None = None


CONTENT = {"name": "tiny", "shape": {"layers": 2}}


def changed(**values: Any) -> Shape:
    """The shape after changes of its settings; `__` stands for a dot."""
    changes = {f"shape.{key.replace('__', '.')}": value for key, value in values.items()}
    return apply(Settings, CONTENT, changes).shape


class TestAssignments:
    def test_are_split_at_the_first_equals_sign(self) -> None:
        assert parse_assignments(["a.b=1", "c=x=y", "d="]) == {"a.b": "1", "c": "x=y", "d": ""}

    def test_a_text_without_a_value_is_refused(self) -> None:
        with pytest.raises(SettingError, match=r"^'a\.b' is not KEY=VALUE$"):
            parse_assignments(["a.b"])


def test_nested_mappings_get_dotted_keys() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": None}}, "e": [2]}) == {"a.b": 1, "a.c.d": None, "e": [2]}


class TestValues:
    def test_are_read_as_the_setting_s_type(self) -> None:
        shape = changed(layers="3", ratio="2e-1", tied="true", sparsity__mode="local")
        assert (shape.layers, shape.ratio, shape.tied, shape.sparsity.mode) == (3, 0.2, True, "local")

    def test_may_have_the_type_already(self) -> None:
        assert changed(layers=3, sparsity__windows=[1, 2]).sparsity.windows == (1, 2)

    def test_none_is_no_value_where_there_may_be_none(self) -> None:
        assert changed(limit="none").limit is None
        assert changed(sparsity__mode="none").sparsity.mode == "none"
        with pytest.raises(SettingError, match=r"^shape\.layers = 'none': Input should be a valid integer"):
            changed(layers="none")

    @pytest.mark.parametrize("text", ["4,8", "4, 8", "[4, 8]"])
    def test_lists_are_joined_by_commas_or_json(self, text: str) -> None:
        assert changed(sparsity__windows=text).sparsity.windows == (4, 8)
        assert changed(ends=text).ends == (4, 8)

    def test_a_list_may_be_empty_or_have_one_value(self) -> None:
        assert changed(sparsity__windows="").sparsity.windows == ()
        assert changed(sparsity__windows="7").sparsity.windows == (7,)
        assert changed(kinds='["a"]').kinds == changed(kinds="a").kinds == {"a"}

    def test_tables_are_json(self) -> None:
        assert changed(styles='{"bach": 3}').styles == {"bach": 3}

    @pytest.mark.parametrize("text", ["[1", '{"layers"'])
    def test_what_begins_like_json_must_be_json(self, text: str) -> None:
        key = "shape.sparsity.windows" if text.startswith("[") else "shape.styles"
        with pytest.raises(SettingError, match=f"^{key} = .*: neither a value nor JSON: "):
            apply(Settings, CONTENT, {key: text})


class TestGroups:
    def test_a_table_changes_some_of_the_settings_of_a_group(self) -> None:
        for table in ('{"ratio": 0.25, "sparsity": {"mode": "local"}}', {"ratio": 0.25, "sparsity.mode": "local"}):
            shape = apply(Settings, CONTENT, {"shape": table}).shape
            assert (shape.layers, shape.ratio, shape.sparsity.mode) == (2, 0.25, "local")

    def test_a_group_that_is_not_there_yet_is_made(self) -> None:
        assert apply(Settings, {"name": "x"}, {"shape.layers": "5"}).shape == Shape(layers=5)
        engine = apply(Settings, {"name": "x", "engine": None}, {"engine.layers": "5"}).engine
        assert engine == Shape(layers=5)

    def test_the_other_settings_of_a_group_stay(self) -> None:
        content = {"name": "x", "shape": Shape(layers=7)}
        shape = apply(Settings, content, {"shape.ratio": "0.1"}).shape
        assert (shape.layers, shape.ratio) == (7, 0.1)
        assert content["shape"] == Shape(layers=7)


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("key", "nearest"),
        [
            ("shape.layer", "shape.layers"),
            ("layers", "shape.layers"),
            ("shape.layers.more", "shape.layers"),
            ("shape.sparsity.mod", "shape.sparsity.mode"),
        ],
    )
    def test_are_answered_with_the_nearest(self, key: str, nearest: str) -> None:
        with pytest.raises(SettingError, match=f"^no setting '{key}'; nearest: '{nearest}'$"):
            apply(Settings, CONTENT, {key: "1"})

    @pytest.mark.parametrize("key", ["shape", "shape.sparsity", "", "zzzz"])
    def test_a_group_by_itself_is_none(self, key: str) -> None:
        with pytest.raises(SettingError, match=f"^no setting '{key}'"):
            apply(Settings, CONTENT, {key: "x"})

    def test_one_that_is_fixed_is_none(self) -> None:
        assert apply(Settings, CONTENT, {"name": "small"}).name == "small"
        with pytest.raises(SettingError, match=r"^no setting 'name'"):
            apply(Settings, CONTENT, {"name": "small"}, fixed={"name"})


class TestFaultsInOneLine:
    def fault(self, content: object) -> str:
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate(content)
        return one_line(caught.value, Settings)

    def test_a_value_is_shown_with_its_key(self) -> None:
        line = self.fault({"name": "x", "shape": {"layers": 0}})
        assert line == "shape.layers = 0: Input should be greater than or equal to 1"

    @pytest.mark.parametrize("value", [[1, 2], {"more": 1}], ids=str)
    def test_a_value_that_is_no_scalar_is_not(self, value: object) -> None:
        assert self.fault({"name": "x", "shape": {"layers": value}}).startswith("shape.layers: Input should be")

    def test_settings_that_do_not_fit_each_other(self) -> None:
        assert self.fault({"name": "x", "shape": {"layers": 13}}) == "shape: 13 layers bring bad luck"
        with pytest.raises(ValidationError) as caught:
            Shape(layers=13)
        assert one_line(caught.value) == "13 layers bring bad luck"

    def test_a_misspelt_key_comes_before_the_one_that_is_missing(self) -> None:
        assert self.fault({"nam": "x"}) == "no setting 'nam'; nearest: 'name'"
        assert self.fault({"name": "x", "shape": {"layer": 2}}) == "no setting 'shape.layer'; nearest: 'shape.layers'"
