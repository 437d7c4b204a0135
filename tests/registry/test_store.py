"""The store: created, found again, and one error in one line for whatever MLflow refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.runs import MetricRow, log_metrics
from registry.store import EXPERIMENT, Registry, RegistryError, first_line, registry_errors


class TestTheStore:
    def test_is_made_where_there_is_none_and_found_again(self, tmp_path: Path) -> None:
        first = Registry.open(tmp_path / "deep" / "mlflow.db", tmp_path / "artifacts")
        again = Registry.open(tmp_path / "deep" / "mlflow.db", tmp_path / "artifacts")
        assert again.experiment_id == first.experiment_id
        experiment = first.client.get_experiment_by_name(EXPERIMENT)
        assert experiment.artifact_location == (tmp_path / "artifacts").as_uri()

    def test_a_file_that_is_no_database_is_an_error_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_text("no database" * 1000)
        with pytest.raises(RegistryError, match=r"the registry in .*mlflow\.db cannot be opened: .+") as error:
            Registry.open(tmp_path / "mlflow.db", tmp_path / "artifacts")
        assert "\n" not in str(error.value)


def test_whatever_a_store_refuses_is_first_line(registry: Registry) -> None:
    with pytest.raises(RegistryError) as error, registry_errors():
        log_metrics(registry, "0" * 32, [MetricRow(1, 0.0, {"loss": 1.0})])
    assert "\n" not in str(error.value)
    with pytest.raises(RegistryError, match=r"^disk full$"), registry_errors():
        raise OSError("disk full\nand more")


def test_the_first_line_of_an_error_or_else_its_kind() -> None:
    assert first_line(ValueError("first\nsecond")) == "first"
    assert first_line(ValueError()) == "ValueError"
