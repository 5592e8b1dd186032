"""The command ``mmseg-adapt``: one sub-command per tool.

A module of its own, beside the package: ``import mmseg_adapt`` loads PyTorch, which ``--help`` and ``doctor`` must not.
"""

from __future__ import annotations

import difflib
import importlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

COMMANDS = {  # name → module of mmseg_adapt.cli, what it does
    'run': ('run', 'adapt a model to a folder of images and predict them'),
    'new': ('new', 'inspect two folders of images and write a config for them'),
    'train': ('train', 'train a config'),
    'test': ('test', 'measure the mIoU of a checkpoint on the target'),
    'predict': ('predict', 'label images, a folder or a video'),
    'select': ('select', 'choose a snapshot of a run without labels'),
    'report': ('report', 'write report.html, a one-page report on a run'),
    'gap': ('gap', 'measure how far apart two folders of images are'),
    'export': ('export', 'write a trained segmentor as a plain MMSegmentation model, or as ONNX'),
    'render': ('render', "render source images in the target's style (AAN)"),
    'lessons': ('lessons', 'draw what the student of a self-training config learns'),
    'adapt-bn': ('adapt_bn', 'estimate the BN statistics of a checkpoint on target images'),
    'convert': ('convert', 'convert a released checkpoint of AdaptSegNet, ADVENT or CLAN'),
    'convert-selftraining': ('convert_selftraining', 'convert a released checkpoint of DAFormer, HRDA or MIC'),
    'doctor': ('', 'report what is installed, what is missing, and how to install it'),
}
STACKS = {
    'upstream': ('mmengine', 'mmcv-lite', 'mmcv', 'mmsegmentation'),
    'onedl': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation'),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f'  {name:{width}}  {does}' for name, (_, does) in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: mmseg-adapt COMMAND [arguments]   (help on a command: mmseg-adapt COMMAND --help)',
            '',
            'Unsupervised domain adaptation for semantic segmentation, on MMSegmentation 1.x.',
            '',
            *lines,
            '',
            'CONFIG is a path, or the name of a config that comes with the package: adaptseg/gta2cs_multilevel',
        ]
    )


def version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def doctor() -> int:
    """Print the installed stack and, where the package cannot be imported, the cure; 0 if all is well."""
    print(f'Python {sys.version.split()[0]}, mmseg_adapt {version_of("mmseg_adapt") or "from its source tree"}')
    extras = ('timm', 'onnxruntime', 'huggingface_hub')
    for name in ('torch', 'torchvision', 'numpy', *STACKS['upstream'], *STACKS['onedl'], *extras):
        if found := version_of(name):
            print(f'  {name} {found}')
    mixed = [stack for stack, names in STACKS.items() if any(map(version_of, names))]
    if len(mixed) > 1:
        print('error: both OpenMMLab stacks are installed, but one overwrites the other: create a new environment')
        return 1
    script = 'import torch; n = torch.cuda.device_count(); print([torch.cuda.get_device_name(i) for i in range(n)])'
    for what, code in (('GPUs', script), ('import mmseg_adapt', 'import mmseg_adapt; print("works")')):
        done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
        if done.returncode:
            print(f'error: {done.stderr.strip().splitlines()[-1]}')
            return 1
        answer = done.stdout.strip().splitlines()[-1]
        print(f'{what}: {"none, everything runs on the CPU" if answer == "[]" else answer}')
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a sub-command; its exit code."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ['--help']
    if name in ('-h', '--help'):
        print(usage())
        return 0
    if name in ('-V', '--version'):
        print(f'mmseg_adapt {version_of("mmseg_adapt") or "from its source tree"}')
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f'; did you mean {near[0]}?' if near else ''
        print(f'error: mmseg-adapt has no command {name!r}{hint} (see mmseg-adapt --help)', file=sys.stderr)
        return 2
    if name == 'doctor':
        return doctor()
    try:
        errors = importlib.import_module('mmseg_adapt.errors')
    except ImportError as error:
        print(f'error: {str(error).splitlines()[0]} (see mmseg-adapt doctor)', file=sys.stderr)
        return 1
    sys.argv = [f'mmseg-adapt {name}', *rest]
    with errors.one_sentence():
        importlib.import_module(f'mmseg_adapt.cli.{COMMANDS[name][0]}').main()
    return 0


if __name__ == '__main__':
    sys.exit(main())
