"""Compare two configs."""

from __future__ import annotations


def first_difference(a, b, path: str = '') -> str | None:
    """The dotted key of the first difference between two configs, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys(), key=str):
            if (found := first_difference(a.get(key), b.get(key), f'{path}.{key}' if path else str(key))) is not None:
                return found
        return None
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        found = (first_difference(x, y, f'{path}[{i}]') for i, (x, y) in enumerate(zip(a, b)))
        return next((key for key in found if key is not None), None)
    return None if a == b else path
