"""Reading a config file."""

from __future__ import annotations

import os.path as osp

from mmengine.config import Config

from ..errors import UserError, first_line


def config_of(path: str) -> Config:
    """Raises: UserError: no such file, or a file that is no config."""
    if not osp.isfile(path):
        raise UserError(f'{path} does not exist: name a config, e.g. configs/adaptseg/gta2cs_multilevel.py')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is Python, which may raise anything
        raise UserError(f'{path} cannot be read as a config: {first_line(error)}') from error
