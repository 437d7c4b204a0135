"""The examination of a lake that earlier releases have worked on, and its upgrade to the installed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from flows.retention.guard import alone
from flows.upgrade.databases import Schema, migrate, require_unused, schemas
from flows.upgrade.formats import Formats, formats
from infra.errors import UserError
from infra.lake import Lake
from infra.services.records import services_lock


@dataclass(frozen=True)
class Examination:
    """What was found, or has become of it."""

    databases: tuple[Schema, ...]
    formats: tuple[Formats, ...]

    def lines(self) -> list[str]:
        """Say it in lines."""
        found = [schema.line() for schema in self.databases]
        return [*found, *(line for kind in self.formats for line in kind.lines())]

    @property
    def needs_work(self) -> bool:
        """True if a database is outdated, or something of the lake has to be made again."""
        return any(schema.is_outdated and schema.kept is None for schema in self.databases) or any(
            kind.refused for kind in self.formats
        )


def examine(lake: Lake) -> Examination:
    """Examine a lake and change nothing. Raises UserError for a folder that does not exist, and RunError."""
    if not lake.root.is_dir():
        raise UserError(f"{lake.root} is no lake; name one with --lake")
    return Examination(tuple(schemas(lake)), tuple(formats(lake)))


def upgrade_lake(lake: Lake, progress: Callable[[int, int], None]) -> Examination:
    """Migrate the databases of a lake that nothing uses. Raises UserError while something does, and RunError.

    No server of the lake can start meanwhile.
    """
    with services_lock(lake), alone(lake):
        found = examine(lake)
        outdated = [schema for schema in found.databases if schema.is_outdated]
        for schema in outdated:
            schema.require_known()
        require_unused(lake, outdated)
        kept = {}
        for number, schema in enumerate(outdated):
            kept[schema.library] = migrate(lake, schema)
            progress(number + 1, len(outdated))
    upgraded = (replace(schema, kept=kept.get(schema.library)) for schema in found.databases)
    return replace(found, databases=tuple(upgraded))
