"""Find and read config files."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from mmengine.config import Config

from ..errors import UserError, first_line

PACKAGE = Path(__file__).parents[1]


def root() -> Path:
    """The folder of the configs that come with the package, in a source tree or a wheel."""
    tree = PACKAGE.parent / 'configs'
    return tree if (tree / '_base_').is_dir() else PACKAGE / '.mim/configs'


def bases_from(folder: Path) -> str:
    """How a config in ``folder`` refers to :file:`configs/_base_`: by a path, or by the installed package."""
    if root().parent.name == '.mim':
        return 'mmseg_adapt::_base_'
    return os.path.relpath(root() / '_base_', folder.resolve())


def shipped() -> dict[str, Path]:
    """Name → file of the configs that come with the package: ``adaptseg/gta2cs_multilevel``."""
    files = sorted(root().glob('*/*.py'))
    return {
        file.relative_to(root()).with_suffix('').as_posix(): file
        for file in files
        if file.parent.name not in ('_base_', 'own')
    }


def path_of(name: str) -> Path:
    """The file of a config, from a path or the name of a config in the package. A unique name needs no folder.

    Raises:
        UserError: the config does not exist (lists the nearest names), or several folders have the name.
    """
    if (path := Path(name)).is_file():
        return path
    configs, wanted = shipped(), name.removeprefix('configs/').removesuffix('.py')
    if wanted in configs:
        return configs[wanted]
    same = [found for found in configs if found.endswith(f'/{wanted}')]
    if len(same) == 1:
        return configs[same[0]]
    if same:
        raise UserError(f'the config name {name} exists {len(same)} times: use one of {", ".join(same)}')
    pool = {found: found for found in configs} | {found.partition('/')[2]: found for found in reversed(configs)}
    near = [pool[found] for found in difflib.get_close_matches(wanted, pool, 3)]
    hint = f'did you mean {" or ".join(dict.fromkeys(near))}?' if near else 'for example adaptseg/gta2cs_multilevel'
    raise UserError(f'{name} does not exist: pass a config file, or the name of a config of the package; {hint}')


def config_of(name: str) -> Config:
    """Raises: UserError: the config does not exist, or the file is not a config."""
    path = path_of(name)
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is Python and may raise anything
        raise UserError(f'{path} cannot be read as a config: {first_line(error)}') from error
