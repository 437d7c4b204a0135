"""The folders of model versions, read from a lake's database, or a copy of it, without MLflow."""

from __future__ import annotations

from pathlib import Path

from infra.databases import reading
from registry.identity import EXPERIMENT

QUERY = """
SELECT versions.version, substr(versions.storage_location, length(experiments.artifact_location) + 2)
FROM model_versions AS versions JOIN experiments
ON substr(versions.storage_location, 1, length(experiments.artifact_location) + 1)
    = experiments.artifact_location || '/'
WHERE experiments.name = ? AND experiments.artifact_location LIKE 'file:%' ORDER BY versions.version
"""


def version_folders(database: Path) -> dict[str, str]:
    """Return the folder of each version whose files lie in the lake, relative to that of the registry's artifacts.

    Raises sqlite3.Error.
    """
    with reading(database) as content:
        if not content.execute("SELECT 1 FROM sqlite_master WHERE name = 'model_versions'").fetchone():
            return {}
        return {str(version): str(folder) for version, folder in content.execute(QUERY, (EXPERIMENT,))}
