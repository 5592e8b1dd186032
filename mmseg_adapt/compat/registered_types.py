"""mmengine imports a type that no registry knows by its name, so data could run ``dict(type='os.system', …)``.

Needed up to mmengine 0.10.7 and onedl-mmengine 0.10.12. It can go once a registry can be told not to import by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import registry


@contextmanager
def registered_types_only() -> Iterator[None]:
    """Inside, registries import nothing by name. This covers types hidden in other arguments."""
    import_by_name = registry.get_object_from_string
    registry.get_object_from_string = lambda name: None
    try:
        yield
    finally:
        registry.get_object_from_string = import_by_name
