"""The numbers that a run logs."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path


def scalars_of(file: Path) -> list[dict]:
    """The rows of a ``scalars.json``, without a last row that a running or killed process wrote only in part."""
    rows = []
    for line in file.read_text().splitlines():
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows
