"""What is installed: a source distribution, the wheel built from it, and the command, used where no clone is."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config
from mmengine.hub import get_config

import mmseg_adapt_command as command
from mmseg_adapt.errors import UserError
from mmseg_adapt.files.config import config_of, path_of, shipped

from .tiny import CONFIGS, REPO

sys.path.insert(0, str(REPO / 'tools/analysis'))
import model_index  # noqa: E402


def call(*arguments, cwd: Path, path: Path = REPO, fails: bool = False) -> str:
    """``python …`` with the package below ``path``; what it prints, or the error of a call that fails."""
    environment = {**os.environ, 'PYTHONPATH': str(path), 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    run = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert (run.returncode != 0) == fails, run.stderr[-2000:]
    return run.stderr if fails else run.stdout


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """The wheel, built from what the source distribution holds, unpacked as an installer does."""
    folder = tmp_path_factory.mktemp('package')
    build = 'from setuptools import build_meta; import sys; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))'
    tree = folder / 'tree'
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=REPO, capture_output=True, text=True)
    for name in files.stdout.split('\n'):
        if name and (REPO / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((REPO / name).read_bytes())
    call('-c', build, 'build_sdist', folder, cwd=tree, path=tree)
    (sdist,) = folder.glob('*.tar.gz')
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / 'sdist', filter='data')
    (source,) = (folder / 'sdist').iterdir()
    call('-c', build, 'build_wheel', folder, cwd=source, path=source)
    (wheel,) = folder.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / 'site')
    return folder / 'site'


def test_the_wheel_holds_every_config_and_tool_that_the_repository_has(installed):
    inside = {
        p.relative_to(installed / 'mmseg_adapt/.mim').as_posix() for p in installed.glob('mmseg_adapt/.mim/**/*.*')
    }
    tracked = subprocess.run(['git', 'ls-files', 'configs', 'tools'], cwd=REPO, capture_output=True, text=True)
    assert set(tracked.stdout.split()) <= inside
    assert 'model-index.yml' in inside
    assert (installed / 'mmseg_adapt/py.typed').is_file()
    assert not list(installed.glob('tests'))


def test_the_installed_command_trains_a_config_that_inherits_by_package_name(installed, street_data, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'mmseg_adapt::demo/streets_mic.py'\n"
        f'train_dataloader = dict(batch_size=1, dataset=dict(source=dict(data_root={str(street_data)!r}), '
        f'target=dict(data_root={str(street_data)!r})))\n'
        f'val_dataloader = dict(dataset=dict(data_root={str(street_data)!r}))\n'
        'train_cfg = dict(max_iters=2, val_interval=2)\n'
        'default_hooks = dict(checkpoint=dict(interval=2))\n'
    )
    call('-m', 'mmseg_adapt_command', 'train', 'mine.py', cwd=tmp_path, path=installed)
    assert (tmp_path / 'work_dirs/mine/iter_2.pth').is_file()


def test_the_installed_command_writes_a_config_for_folders_of_ones_own(installed, street_data, tmp_path):
    folders = [street_data / f'source/{kind}' for kind in ('images', 'labels')]
    options = ['--source-images', folders[0], '--source-labels', folders[1], '--target-images', folders[0]]
    classes = ['--classes', 'road,sidewalk,building,pole,vegetation,sky,person,car', '--network', 'small']
    script = (
        'import sys, mmseg_adapt_command as c\n'
        'c.main(sys.argv[1:])\n'
        'from mmseg_adapt.files.config import config_of; print(config_of("own.py").model.type)'
    )
    printed = call('-c', script, 'new', 'own.py', *options, *classes, cwd=tmp_path, path=installed)
    assert "'mmseg_adapt::_base_/models/deeplabv2_small.py'" in (tmp_path / 'own.py').read_text()
    assert printed.split()[-1] == 'AdaptSegNet'


def test_configs_are_inherited_and_got_by_package_name_from_a_clone_too(monkeypatch, tmp_path):
    (tmp_path / '.mim').mkdir()
    for name in ('configs', 'model-index.yml'):
        (tmp_path / '.mim' / name).symlink_to(REPO / name)
    for module in (mmengine.config.config, mmengine.hub.hub):
        assert module.get_installed_path('mmseg_adapt') == str(REPO / 'mmseg_adapt')
        assert module.get_installed_path('mmengine') == str(Path(mmengine.__file__).parent)
        monkeypatch.setattr(module, 'get_installed_path', lambda name: str(tmp_path))
    expected = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_multilevel.py')
    assert get_config('mmseg_adapt::adaptseg/gta2cs_multilevel.py').model == expected.model
    (tmp_path / 'mine.py').write_text("_base_ = 'mmseg_adapt::adaptseg/gta2cs_multilevel.py'\n")
    assert Config.fromfile(tmp_path / 'mine.py').model.lambda_adv == expected.model.lambda_adv


def test_a_config_is_found_by_its_name_and_near_names_are_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = CONFIGS / 'adaptseg/gta2cs_multilevel.py'
    for name in ('adaptseg/gta2cs_multilevel', 'gta2cs_multilevel.py', 'configs/adaptseg/gta2cs_multilevel.py'):
        assert path_of(name).resolve() == expected
    assert config_of('gta2cs_multilevel').model.type == 'AdaptSegNet'
    with pytest.raises(UserError, match=r'exists \d times: use one of dacs/gta2cs_mitb5, daformer/gta2cs_mitb5'):
        path_of('gta2cs_mitb5')
    with pytest.raises(UserError, match='did you mean .*adaptseg/gta2cs_multilevel'):
        path_of('adaptseg/gta2cs_multilevl')
    with pytest.raises(UserError, match='nothing-like-it does not exist: pass a config file'):
        path_of('nothing-like-it')
    assert 'mic/gta2cs_mitb5' in shipped()
    assert not any(name.startswith('_base_') for name in shipped())


def test_the_index_of_models_is_what_the_headers_say():
    for name, text in model_index.files().items():
        assert (REPO / name).read_text() == text, 'run tools/analysis/model_index.py'


def test_help_and_version_do_not_load_pytorch(tmp_path):
    script = (
        'import sys, mmseg_adapt_command as c\n'
        'print(c.main(sys.argv[1:]), {"torch", "numpy", "mmseg_adapt"} & {*sys.modules})'
    )
    for option in ('--help', '--version'):
        assert call('-c', script, option, cwd=tmp_path).splitlines()[-1] == '0 set()'


def test_every_command_exists_and_an_unknown_one_is_answered_with_the_nearest(capsys):
    for name, (module, _) in command.COMMANDS.items():
        assert name == 'doctor' or (REPO / f'mmseg_adapt/cli/{module}.py').is_file()
    assert command.main(['trian']) == 2
    assert "no command 'trian'; did you mean train?" in capsys.readouterr().err


def test_a_command_fails_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', sys.argv)  # which the command replaces
    with pytest.raises(SystemExit) as stop:
        command.main(['train', 'none.py'])
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith('error: none.py does not exist')


def test_the_doctor_says_what_works_and_names_the_cure_of_what_does_not(tmp_path):
    assert 'import mmseg_adapt: works' in call('-m', 'mmseg_adapt_command', 'doctor', cwd=tmp_path)
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'mmseg/__init__.py').write_text("raise ImportError('half installed')")
    run = subprocess.run(
        [sys.executable, '-m', 'mmseg_adapt_command', 'doctor'],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{REPO}'},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert 'needs mmseg, but importing it fails (half installed); run: pip install' in run.stdout
