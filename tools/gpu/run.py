"""Install the wheels of the kit, then run the stages, each in its own process with a time limit.

Imports only the standard library until the wheels are installed. A stage writes OUT/<stage>.json and OUT/report.txt
after every row, so an interrupted run keeps its finished rows.
"""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STAGES = {  # most valuable first → time limit in seconds
    'tests': 120,
    'speed': 180,
    'aan': 60,
    'real': 420,
    'memory': 300,
}
EXPECTED = ('torch', 'torchvision', 'numpy', 'scipy', 'cv2', 'matplotlib', 'PIL', 'yaml', 'rich', 'packaging', 'pytest')


class Refused(Exception):
    """Something that the kit needs is missing; the message names it and the cure."""


def missing(requirements: Path) -> list[str]:
    """The lines of ``wheels.txt`` that the machine does not satisfy."""
    lines = [line.strip() for line in requirements.read_text().splitlines() if line[:1].isalpha()]
    return [line for line in lines if not _installed(*line.partition('==')[::2])]


def _installed(name: str, wanted: str) -> bool:
    try:
        return version(name) == wanted if wanted else bool(version(name))
    except PackageNotFoundError:
        return False


def install(wheels: Path, site: Path) -> None:
    """Unpack the wheels of missing packages into ``site``. Nothing is downloaded.

    Raises:
        Refused: If a wheel is missing, or a package that the machine should have.
    """
    if absent := [name for name in EXPECTED if find_spec(name) is None]:
        raise Refused(f'{absent[0]} is missing: install it, or add it to tools/gpu/wheels.txt for prepare.sh')
    needed = missing(HERE / 'wheels.txt')
    files = [_wheel(wheels, *line.partition('==')[::2]) for line in needed]
    if files:
        pip = [sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '--no-deps', '--no-compile']
        subprocess.run([*pip, '--disable-pip-version-check', '--target', site, *files], check=True)


def _wheel(wheels: Path, name: str, wanted: str) -> Path:
    pattern = re.compile(rf'{name.replace("-", "_")}-{re.escape(wanted) if wanted else "[^-]+"}-')
    found = [file for file in sorted(wheels.glob('*.whl')) if pattern.match(file.name)]
    if not found:
        exact = f'{name} {wanted}'.strip()
        raise Refused(f'{wheels} contains no wheel for {exact}, which is not installed: run tools/gpu/prepare.sh again')
    return found[-1]


def card(device: str) -> dict:
    """The hardware that the numbers were measured on.

    Raises:
        Refused: If PyTorch finds no GPU, and the CPU was not requested.
    """
    import torch

    about = dict(device='CPU', torch=torch.__version__, python=platform.python_version(), cores=os.cpu_count())
    if device == 'cpu':
        return about
    if not torch.cuda.is_available():
        raise Refused('PyTorch finds no GPU: run this on a machine with one, or rehearse with --device cpu --tiny')
    gpu = torch.cuda.get_device_properties(0)
    return {**about, 'device': gpu.name, 'gib': gpu.total_memory / 2**30, 'cuda': torch.version.cuda}


def run_stage(name: str, limit: float, args: Namespace, env: dict, log) -> str:
    """Run one stage and say how it ended."""
    command = [sys.executable, HERE / f'stage_{name}.py', '--out', args.out, '--kit', args.kit, '--device', args.device]
    command += ['--seconds', str(limit), *(['--tiny'] if args.tiny else [])]
    process = subprocess.Popen(list(map(str, command)), cwd=ROOT, env=env, stdout=log, stderr=log, process_group=0)
    try:
        code = process.wait(limit)
        return 'done' if code == 0 else f'failed with {code}: see log.txt'
    except subprocess.TimeoutExpired:
        return f'stopped after {limit:g} s'
    finally:  # also what it started
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def parse() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, required=True, help='new folder for the results')
    parser.add_argument('--kit', type=Path, default=ROOT / 'work_dirs/gpu_kit', help='folder that prepare.sh wrote')
    parser.add_argument('--stages', default=','.join(STAGES), help='stages to run, in this order')
    parser.add_argument('--limits', default='', help='time limits in seconds, such as speed=300,real=500')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda')
    parser.add_argument('--tiny', action='store_true', help='rehearse on small images with few iterations')
    args = parser.parse_args()
    args.out, args.kit = args.out.resolve(), args.kit.resolve()
    args.stages = args.stages.split(',')
    args.limits = {**STAGES, **{k: float(v) for k, v in (pair.split('=') for pair in args.limits.split(',') if pair)}}
    return args


def main() -> None:
    args = parse()
    if unknown := [name for name in args.stages if name not in STAGES]:
        raise Refused(f'--stages names {unknown[0]!r}: choose from {", ".join(STAGES)}')
    if args.out.exists():
        raise Refused(f'{args.out} exists: choose another folder with --out')
    with tempfile.TemporaryDirectory() as site:
        install(args.kit / 'wheels', Path(site))
        paths = [site, ROOT, ROOT / 'tools/analysis', HERE, *os.environ.get('PYTHONPATH', '').split(os.pathsep)]
        env = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, filter(None, paths))), 'PYTHONUNBUFFERED': '1'}
        if args.device == 'cpu':
            os.environ['CUDA_VISIBLE_DEVICES'] = env['CUDA_VISIBLE_DEVICES'] = ''
        about = card(args.device)
        args.out.mkdir(parents=True)
        about['stages'] = {}
        (args.out / 'card.json').write_text(json.dumps(about, indent=1))
        with (args.out / 'log.txt').open('w') as log:
            for name in args.stages:
                started = time.time()
                ended = run_stage(name, args.limits[name], args, env, log)
                about['stages'][name] = f'{ended}, {time.time() - started:.0f} s'
                (args.out / 'card.json').write_text(json.dumps(about, indent=1))
                print(f'{name}: {about["stages"][name]}', flush=True)
        report = args.out / 'report.txt'
        print(report.read_text() if report.exists() else 'no stage wrote a row: see log.txt')


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a stage must not outlive this process
    try:
        main()
    except Refused as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
