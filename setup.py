"""`pip install -e .` registers the package; the OpenMMLab stack is the user's choice (see requirements*.txt)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def stack(requirements: str) -> list[str]:
    """The pins of a requirements file, without PyTorch, whose build is the user's choice."""
    lines = [line.split('#')[0].strip() for line in (ROOT / requirements).read_text().splitlines()]
    return [line for line in lines if line and not line.startswith('torch')]


EXPORT = ['onnx', 'onnxruntime', 'onnxscript', 'safetensors']

setup(
    name='mmseg_adapt',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'mmseg_adapt/__init__.py').read_text())[1],
    description='Unsupervised domain adaptation for semantic segmentation, as a plugin of MMSegmentation 1.x',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['mmseg_adapt', 'mmseg_adapt.*']),
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.6',
        'torchvision',
        'numpy',
        'packaging',
        'pillow',
        'opencv-python',
        'matplotlib',
        'scipy',
    ],
    extras_require={
        'upstream': stack('requirements.txt'),
        'onedl': stack('requirements-onedl.txt'),
        'export': EXPORT,
        'test': ['pytest', 'pytest-xdist', *EXPORT],
        'lint': ['ruff', 'codespell', 'pre-commit'],
    },
)
