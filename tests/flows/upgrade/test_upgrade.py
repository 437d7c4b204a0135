"""`musenet upgrade`: databases are migrated once nothing uses them, and what cannot be read any more is named."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flows.retention.guard import in_use
from flows.upgrade import databases
from flows.upgrade.databases import schemas
from flows.upgrade.formats import Formats, formats
from flows.upgrade.upgrade import examine, upgrade_lake
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.services.database import create_database, database
from infra.services.schema import expected_revision, known_revisions, stored_revision
from registry.errors import RegistryError
from registry.store import Registry


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.prefect_home.mkdir(parents=True)
    create_database(lake)
    return lake


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as content, content:
        content.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def upgraded(lake: Lake) -> list[str]:
    return upgrade_lake(lake, lambda *_: None).lines()


def found(lake: Lake, kind: str) -> Formats:
    return next(each for each in formats(lake) if each.kind == kind)


class TestDatabases:
    def test_of_the_installed_releases_are_left_as_they_are(self, lake: Lake, make_registry) -> None:
        make_registry(lake)
        before = {path: path.read_bytes() for path in (database(lake), lake.registry_database)}
        assert not examine(lake).needs_work
        assert all("has the schema of the installed release" in line for line in upgraded(lake)[:2])
        assert {path: path.read_bytes() for path in before} == before

    @pytest.mark.slow
    def test_of_earlier_releases_are_migrated_and_kept(self, lake: Lake, make_registry, tmp_path: Path) -> None:
        registry = make_registry(lake)
        run = registry.client.create_run(registry.experiment_id, run_name="of the past").info.run_id
        lake = copied(lake, tmp_path / "past")
        downgrade_registry(lake)
        earlier = known_revisions()[expected_revision()]
        set_revision(database(lake), earlier)  # whose migration may be done again: it only adds an index
        with pytest.raises(RegistryError, match=r"the installed MLflow works with .* then `musenet upgrade`"):
            Registry.open(lake)
        lake = copied(lake, tmp_path / "stopped")  # without the connections of this process
        assert [schema.is_outdated and schema.is_known for schema in schemas(lake)] == [True, True]

        prefect, mlflow, *_ = upgraded(lake)
        assert prefect.startswith(f"Prefect: schema {earlier} is now {expected_revision()}; the database before is ")
        assert stored_revision(lake.prefect_home / f"prefect.{earlier}.db") == earlier
        assert mlflow.startswith("MLflow: schema ")
        assert not examine(lake).needs_work
        assert Registry.open(lake).client.get_run(run).info.run_name == "of the past"
        assert not [*lake.root.rglob(".staging-*")]

    def test_of_later_releases_are_refused(self, lake: Lake) -> None:
        set_revision(database(lake), "of-the-future")
        assert examine(lake).needs_work
        with pytest.raises(UserError, match="of-the-future, which the installed Prefect does not know: install the"):
            upgraded(lake)
        assert stored_revision(database(lake)) == "of-the-future"

    def test_that_a_process_uses_are_refused(self, lake: Lake) -> None:
        set_revision(database(lake), known_revisions()[expected_revision()])
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM flow'); print(flush=True)"
        command = [sys.executable, "-c", f"{code}; sys.stdin.read()", str(database(lake))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
            assert user.stdin and user.stdout
            user.stdout.readline()
            with pytest.raises(UserError, match=rf"is used by .*\(pid {user.pid}\): stop it \(`musenet down`"):
                upgraded(lake)
            user.stdin.close()
        with in_use(lake), pytest.raises(UserError, match="an ingestion, a critic, a backup"):
            upgraded(lake)

    def test_that_cannot_be_migrated_stay_as_they_were(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        earlier = known_revisions()[expected_revision()]
        set_revision(database(lake), earlier)
        before = database(lake).read_bytes()
        monkeypatch.setitem(databases.MIGRATIONS, "Prefect", lambda staged: database(staged).write_bytes(b""))
        with pytest.raises(RunError, match="has not brought"):
            upgraded(lake)
        assert database(lake).read_bytes() == before
        assert [path.name for path in lake.prefect_home.iterdir()] == ["prefect.db"]

    def test_that_are_none_are_named(self, lake: Lake) -> None:
        database(lake).write_bytes(b"no database" * 1000)
        with pytest.raises(RunError, match=r"prefect\.db cannot be read: file is not a database; restore it"):
            examine(lake)


class TestFormats:
    def test_of_an_earlier_dataset_are_read(self, lake: Lake, catalogue) -> None:
        """The form of musenet 0.1.0, without a number and with `fates`."""
        content = json.loads((catalogue.after.path / "dataset.json").read_bytes())
        content["fates"] = content.pop("outcomes")
        content["licences"] = [*content["licences"]]
        for name in ("format", "collections", "gates"):
            del content[name]
        folder = lake.root / "datasets" / "mine" / content["digest"]
        folder.mkdir(parents=True)
        (folder / "dataset.json").write_text(json.dumps(content))
        assert found(lake, "dataset versions") == Formats("dataset versions", 1, ())

    def test_that_are_not_read_say_what_to_do(self, lake: Lake) -> None:
        run = lake.runs / "0123456789ab"
        files = {
            lake.root / "datasets/mine/0000/dataset.json": {"format": 9},
            run / "run.json": {"run_id": run.name, "config": {"format": 1}, "preset": "tiny", "dataset": "mine@0000"},
            run / "model/model.json": {"layers": 1},
            run / "critic/aaaa/critic.json": {"format": 3},
        }
        for path, content in files.items():
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(content))
        examined = examine(lake)
        assert examined.needs_work
        refused = [line for line in examined.lines() if line.startswith("  refused: ")]
        for line, (path, remedy) in zip(
            refused,
            (
                ("dataset.json", "install a newer one"),
                ("run.json", "train again"),
                ("model.json", "train the model again"),
                ("critic.json", "train the critic again"),
            ),
            strict=True,
        ):
            assert path in line and remedy in line


def test_what_is_no_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no lake"):
        examine(Lake(tmp_path / "none"))


def copied(lake: Lake, place: Path) -> Lake:
    shutil.copytree(lake.root, place)
    return Lake(place)


def downgrade_registry(lake: Lake) -> None:
    """Bring MLflow's database to the schema before the present one, by MLflow's own migration."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config

    command.downgrade(_get_alembic_config(f"sqlite:///{lake.registry_database}"), "-1")
