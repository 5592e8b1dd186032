"""Metadata: pyproject.toml. Here is only how configs and tools get into the package, where MMEngine and MIM look."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHIPPED = ('configs', 'tools', 'model-index.yml')  # as mmseg_adapt/.mim/…


class BuildWithConfigs(build_py):
    """Copies of configs and tools in a wheel; links to them in a tree that is installed with ``pip install -e``."""

    def run(self) -> None:
        super().run()
        folder = ROOT / 'mmseg_adapt/.mim' if self.editable_mode else Path(self.build_lib) / 'mmseg_adapt/.mim'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in SHIPPED:
            if self.editable_mode:
                (folder / name).symlink_to(Path('../..') / name)
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__', 'own'))
            else:
                shutil.copy(ROOT / name, folder / name)


setup(cmdclass=dict(build_py=BuildWithConfigs))
