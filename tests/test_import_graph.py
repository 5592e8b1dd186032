"""No room of the package imports from a room above it, and no modules import each other in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmseg_adapt'
FLOORS = (  # from the bottom; rooms of one floor may import each other
    ('errors', 'random_state', 'pictures', 'registry', 'compat', 'files'),
    ('weights', 'evaluation'),
    ('models',),
    ('datasets',),
    ('style',),
    ('methods',),
    ('log', 'optim'),
    ('engine',),
    ('runs',),
    ('export', 'predictor', 'prelabels'),
    ('selection',),
    ('report',),
    ('demo', 'cli'),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def imports(package: Path) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """Module → modules that it imports, wherever in its text; ``()`` is the package, which imports all."""
    files = {file.relative_to(package).with_suffix('').parts: file for file in package.rglob('*.py')}
    modules = {parts[:-1] if parts[-1] == '__init__' else parts: file for parts, file in files.items()}
    graph = {}
    for module, file in modules.items():
        home = module if file.stem == '__init__' else module[:-1]
        graph[module] = {
            target
            for node in ast.walk(ast.parse(file.read_text()))
            for name in names(node, home, package.name)
            if (target := longest(name, modules)) != module
        }
    return graph


def names(node: ast.AST, home: tuple[str, ...], package: str) -> list[tuple[str, ...]]:
    """What a statement imports from the package, as parts below it."""
    if isinstance(node, ast.Import):
        found = [tuple(alias.name.split('.')) for alias in node.names]
        return [name[1:] for name in found if name[0] == package]
    if not isinstance(node, ast.ImportFrom):
        return []
    start = tuple(node.module.split('.')) if node.module else ()
    if node.level:
        start = home[: len(home) - node.level + 1] + start
    elif start[:1] == (package,):
        start = start[1:]
    else:
        return []
    return [(*start, alias.name) for alias in node.names]


def longest(name: tuple[str, ...], modules: dict) -> tuple[str, ...]:
    """The module that a dotted name leads to; the rest of the name is in it."""
    return next(name[:n] for n in range(len(name), -1, -1) if name[:n] in modules)


def check(package: Path) -> None:
    graph = imports(package)
    if homeless := sorted({module[0] for module in graph if module} - FLOOR.keys()):
        raise AssertionError(f'{homeless} must be given a floor in FLOORS')
    inner = {module: {t for t in targets if t} for module, targets in graph.items() if module}
    for module, targets in inner.items():
        for target in targets:
            message = f'{".".join(module)} imports {".".join(target)}, which lies above it'
            assert FLOOR[target[0]] <= FLOOR[module[0]], message
    try:
        TopologicalSorter(inner).prepare()
        rooms = {}
        for module, targets in inner.items():
            rooms.setdefault(module[0], set()).update(t[0] for t in targets if t[0] != module[0])
        TopologicalSorter(rooms).prepare()
    except CycleError as error:
        raise AssertionError(f'a circle of imports: {error.args[1]}') from None


def test_no_room_imports_from_a_room_above_it_and_nothing_in_a_circle():
    assert len(imports(PACKAGE)) > 50
    check(PACKAGE)


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({'files/a.py': 'from ..engine.hook import Hook'}, 'files.a imports engine.hook, which lies above it'),
        ({'files/a.py': 'def late():\n    from ..engine import hook'}, 'files.a imports engine.hook'),
        ({'weights/a.py': 'import mmseg_adapt.engine.hook as hook'}, 'weights.a imports engine.hook'),
        ({'weights/a.py': 'from mmseg_adapt.engine import Hook'}, 'weights.a imports engine, which lies above it'),
        ({'models/a.py': 'from .b import x', 'models/b.py': 'from . import a'}, 'a circle of imports'),
        ({'weights/a.py': 'from ..evaluation import b', 'evaluation/b.py': 'from ..weights import c'}, 'a circle of'),
        ({'utils/a.py': ''}, "'utils'.* must be given a floor"),
    ],
    ids=str,
)
def test_an_arrow_upwards_or_in_a_circle_is_found(files, message, tmp_path):
    package = tmp_path / 'mmseg_adapt'
    for room in ('', 'engine', 'files', 'weights', 'models', 'evaluation', 'utils' if 'utils' in str(files) else ''):
        (package / room).mkdir(parents=True, exist_ok=True)
        (package / room / '__init__.py').touch()
    (package / 'engine/hook.py').write_text('import os\nfrom ..files import x\nfrom torch import nn\nHook = nn')
    (package / '__init__.py').write_text('from . import engine')
    check(package) if 'utils' not in str(files) else None
    for name, text in files.items():
        (package / name).write_text(text)
    with pytest.raises(AssertionError, match=message):
        check(package)


def test_the_engine_stays_small_and_the_root_nearly_empty():
    lines = sum(len(file.read_text().splitlines()) for file in (PACKAGE / 'engine').glob('*.py'))
    assert lines <= 900
    assert len([file for file in PACKAGE.glob('*.py') if file.name != '__init__.py']) <= 5
