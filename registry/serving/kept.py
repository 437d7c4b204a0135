"""Answers that are kept, as files named by the digest of their request, the oldest removed first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from infra.files import write_atomically


class KeptAnswers:
    """A folder of answers, the same bytes whenever they are asked for."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most

    def put(self, digest: str, answer: bytes) -> None:
        """Keep an answer, and remove the oldest beyond `most`. Raises OSError."""
        if not self.most:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file(digest), answer)
        files = sorted(self.folder.glob("*.json"), key=_changed)
        for file in files[: -self.most]:
            file.unlink(missing_ok=True)

    def get(self, digest: str) -> bytes | None:
        """Return an answer, None for one that is not kept."""
        with suppress(FileNotFoundError):
            return self._file(digest).read_bytes()
        return None

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}.json"


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # removed by another process meanwhile
        return 0.0
