"""Every door through which weights come in has the same lock: test, predict, export, resume, load_from, init_model."""

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.apis import init_model
from mmseg.registry import MODELS

from mmseg_adapt import Predictor
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.dacs import DACS
from mmseg_adapt.weights.parts import frozen_names, loaded, parts_of

from .test_training import failure
from .tiny import load, random_checkpoint, run_tool, tiny_config


@pytest.fixture(scope='module')
def folder(street_data, tmp_path_factory) -> Path:
    """adapter.py, adapter.pth of AdaptSegNet; plain.pth, its segmentor; teacher.pth, which has another as a teacher."""
    folder = tmp_path_factory.mktemp('parts')
    cfg = tiny_config('demo/streets_multilevel.py', street_data, folder / 'run')
    cfg.dump(folder / 'adapter.py')
    checkpoint = load(random_checkpoint(cfg, folder / 'adapter.pth'))
    segmentor = parts_of(checkpoint['state_dict'])['segmentor']
    torch.save(segmentor, folder / 'plain.pth')
    other = {f'teacher.{key}': value.flip(0) if value.ndim else value for key, value in segmentor.items()}
    torch.save({**checkpoint, 'state_dict': {**checkpoint['state_dict'], **other}}, folder / 'teacher.pth')
    return folder


def model_of(config: Path, **changes):
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(changes)
    return MODELS.build(cfg.model)


def dacs(config: Path) -> DACS:
    cfg = Config.fromfile(config).model
    return DACS(segmentor=cfg.segmentor, data_preprocessor=cfg.get('data_preprocessor'))


def started(folder: Path, checkpoint: str, tmp_path: Path, **changes) -> torch.nn.Module:
    """The model after training has loaded ``load_from`` and before the first iteration."""
    cfg = Config.fromfile(folder / 'adapter.py')
    cfg.load_from, cfg.work_dir = str(folder / checkpoint), str(tmp_path / 'work')
    cfg.experiment_name = cfg.visualizer.name = f'{tmp_path.name}_{checkpoint}'
    cfg.merge_from_dict(changes)
    runner = Runner.from_cfg(cfg)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.load_or_resume()
    return runner.model


def equal(found: dict, expected: dict) -> bool:
    return all(torch.equal(found[key], value) for key, value in expected.items())


# one lock


def without(folder: Path, words: tuple[str, ...], out: Path) -> Path:
    checkpoint = load(folder / 'adapter.pth')
    state = checkpoint['state_dict']
    checkpoint['state_dict'] = {k: v for k, v in state.items() if not any(word in k for word in words)}
    assert len(checkpoint['state_dict']) < len(state)
    torch.save(checkpoint, out)
    return out


@pytest.mark.parametrize('lacks', ['decode_head', 'backbone.layer4.1.bn2.running_mean', 'auxiliary_head.conv_seg.0'])
@pytest.mark.parametrize('door', ['test', 'predict', 'export', 'resume', 'load_from'])
def test_a_checkpoint_that_lacks_a_tensor_is_one_sentence_at_every_door_and_nothing_is_printed_as_a_result(
    door, lacks, folder, street_data, tmp_path, monkeypatch, capsys
):
    file, config = without(folder, (lacks,), tmp_path / 'partial.pth'), folder / 'adapter.py'
    work = ('--work-dir', tmp_path / 'work', '--cfg-options', f'experiment_name={door}_{lacks}')
    tool, *arguments = {
        'test': ('test.py', config, file, *work),
        'predict': ('predict.py', config, file, street_data / 'target/val/images', '--out', tmp_path / 'out'),
        'export': ('export_segmentor.py', config, file, tmp_path / 'out'),
        'resume': ('train.py', config, '--resume', file, *work),
        'load_from': ('train.py', config, *work, f'load_from={file}'),
    }[door]
    with pytest.raises(SystemExit) as stop:
        run_tool(tool, *arguments, monkeypatch=monkeypatch)
    assert stop.value.code == 1
    printed = capsys.readouterr()
    (sentence,) = [line for line in printed.err.splitlines() if line.startswith('error: ')]
    assert f'partial.pth lacks {lacks}' in sentence
    for word in ('mIoU: ', '| road', 'wrote ', 'loss: '):
        assert word not in printed.out
    assert not (tmp_path / 'out').exists()
    assert not list(tmp_path.glob('work/*.pth'))


def test_a_run_goes_on_only_from_a_file_of_the_same_model_that_holds_a_runs_state(
    folder, tmp_path, monkeypatch, capsys
):
    without(folder, ('discriminator.aux',), tmp_path / 'no_aux.pth')
    for file, message in (
        (tmp_path / 'no_aux.pth', 'is not a run of this config'),
        (folder / 'teacher.pth', 'this config has no teacher'),
        (folder / 'plain.pth', 'is not a run of this config'),
        (folder / 'adapter.pth', 'adapter.pth contains weights, but not the state of a run'),
    ):
        arguments = ('--resume', file, '--work-dir', tmp_path / 'w', '--cfg-options', f'experiment_name={file.stem}')
        found = failure('train.py', folder / 'adapter.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)
        assert message in found


# a plain segmentor


def test_a_plain_segmentors_checkpoint_is_tested_as_the_adapters(folder, tmp_path, monkeypatch, capsys):
    rows = {}
    for name in ('adapter', 'plain'):
        work = ('--work-dir', tmp_path / name, '--cfg-options', f'experiment_name=tested_{name}')
        run_tool('test.py', folder / 'adapter.py', folder / f'{name}.pth', *work, monkeypatch=monkeypatch)
        rows[name] = [line for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
    assert rows['plain'] == rows['adapter']
    assert len(rows['plain']) > 8


def test_a_plain_segmentors_checkpoint_is_predicted_with_as_the_adapters(folder, street_data):
    image = sorted((street_data / 'target/val/images').iterdir())[0]
    a, b = (Predictor(folder / 'adapter.py', folder / f'{name}.pth', 'cpu')(image) for name in ('adapter', 'plain'))
    assert np.array_equal(a.labels, b.labels)
    assert len(np.unique(a.labels)) > 1


def test_load_from_takes_a_plain_segmentor_and_reports_that_the_discriminators_do_not(folder, tmp_path):
    model = started(folder, 'plain.pth', tmp_path)
    assert equal(model.segmentor.state_dict(), load(folder / 'plain.pth'))
    for level in ('decode', 'aux'):
        assert f'plain.pth: discriminator.{level} is not in the file and keeps its initial weights' in logged(tmp_path)


def logged(tmp_path: Path) -> str:
    """What the run has logged."""
    return ''.join(file.read_text() for file in tmp_path.rglob('*.log'))


def test_an_adapters_checkpoint_starts_a_plain_model_of_mmsegmentation(folder):
    plain = model_of(folder / 'adapter.py').segmentor
    checkpoint = load(folder / 'adapter.pth')
    state, notes = loaded(plain.state_dict(), checkpoint, 'adapter.pth')
    plain.load_state_dict(state, strict=True)
    assert equal(plain.state_dict(), load(folder / 'plain.pth'))
    ignored = {f'discriminator.{level} is not part of this model and is ignored' for level in ('decode', 'aux')}
    assert set(notes) == ignored


def test_init_model_reads_a_plain_segmentor_into_an_adapter(folder, recwarn):
    file = folder / 'with_meta.pth'
    torch.save(dict(state_dict=load(folder / 'plain.pth'), meta=load(folder / 'adapter.pth')['meta']), file)
    model = init_model(Config.fromfile(folder / 'adapter.py'), str(file), device='cpu')
    assert equal(model.segmentor.state_dict(), load(folder / 'plain.pth'))
    adapters = init_model(Config.fromfile(folder / 'adapter.py'), str(folder / 'adapter.pth'), device='cpu')
    assert equal(adapters.state_dict(), load(folder / 'adapter.pth')['state_dict'])


# another family, a teacher


def test_adaptsegnets_checkpoint_starts_dacs_whose_teacher_is_a_copy_with_its_statistics(folder):
    model = dacs(folder / 'adapter.py')
    state, notes = loaded(model.state_dict(), load(folder / 'adapter.pth'), 'adapter.pth')
    model.load_state_dict(state, strict=True)
    expected = load(folder / 'plain.pth')
    assert equal(model.segmentor.state_dict(), expected)
    assert equal(model.teacher.state_dict(), expected)
    assert any('no teacher' in note and 'starts as a copy of the segmentor' in note for note in notes)
    assert 'discriminator.decode is not part of this model and is ignored' in notes


def test_each_part_is_loaded_from_its_own_and_the_teacher_where_it_is_asked_for(folder):
    model, checkpoint = dacs(folder / 'adapter.py'), load(folder / 'teacher.pth')
    parts = parts_of(checkpoint['state_dict'])
    for part in (None, 'teacher', 'segmentor'):
        model.load_state_dict(loaded(model.state_dict(), checkpoint, 'teacher.pth', part)[0], strict=True)
        assert equal(model.segmentor.state_dict(), parts[part or 'segmentor'])
        assert equal(model.teacher.state_dict(), parts[part or 'teacher'])
    with pytest.raises(UserError, match=r'plain.pth has no part teacher: it must be one of segmentor'):
        loaded(model.state_dict(), load(folder / 'plain.pth'), 'plain.pth', 'teacher')


def test_a_teacher_without_a_head_is_not_completed_with_the_students(folder):
    model, checkpoint = dacs(folder / 'adapter.py'), load(folder / 'teacher.pth')
    frozen = frozen_names(model.segmentor)
    lacking = {k: v for k, v in checkpoint['state_dict'].items() if not k.startswith('teacher.decode_head')}
    with pytest.raises(UserError, match='decode_head'):
        loaded(model.state_dict(), dict(state_dict=lacking), 'lacking.pth', 'teacher', frozen=frozen)
    model.segmentor.backbone.requires_grad_(False)
    frozen = frozen_names(model.segmentor)
    assert frozen
    once = {k: v for k, v in checkpoint['state_dict'].items() if k.removeprefix('teacher.') not in frozen}
    state, _ = loaded(model.segmentor.state_dict(), dict(state_dict=once), 'once.pth', 'teacher', frozen=frozen)
    parts = parts_of(checkpoint['state_dict'])
    assert equal(parts['segmentor'], {k: v for k, v in state.items() if k in frozen})
    assert torch.equal(state['decode_head.conv_seg.0.bias'], parts['teacher']['decode_head.conv_seg.0.bias'])


def test_the_teacher_can_be_tested_predicted_with_and_exported(folder, street_data, tmp_path, monkeypatch, capsys):
    config, file = folder / 'adapter.py', folder / 'teacher.pth'
    image = sorted((street_data / 'target/val/images').iterdir())[0]
    expected = Predictor(config, file, 'cpu', part='teacher')(image).labels
    assert not np.array_equal(Predictor(config, file, 'cpu')(image).labels, expected)
    options = ('--part', 'teacher', '--onnx', 'labels')
    run_tool('export_segmentor.py', config, file, tmp_path / 'out', *options, monkeypatch=monkeypatch)
    assert equal(load(tmp_path / 'out/model.pth')['state_dict'], parts_of(load(file)['state_dict'])['teacher'])
    assert np.array_equal(Predictor(tmp_path / 'out', device='cpu')(image).labels, expected)
    session = onnxruntime.InferenceSession(str(tmp_path / 'out/model.onnx'))
    pixels = cv2.imread(str(image))[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)  # RGB
    assert np.mean(session.run(None, {'image': pixels})[0][0] == expected) > 0.999
    scores = []
    for arguments in ((config, file, '--part', 'teacher'), (tmp_path / 'out/config.py', tmp_path / 'out/model.pth')):
        work = ('--work-dir', tmp_path / f'work{len(scores)}', '--cfg-options', f'experiment_name=part_{len(scores)}')
        run_tool('test.py', *arguments, *work, monkeypatch=monkeypatch)
        scores.append([line for line in capsys.readouterr().out.splitlines() if line.startswith('|')])
    assert scores[0] == scores[1]
    message = failure(
        'test.py', config, folder / 'plain.pth', '--part', 'teacher', monkeypatch=monkeypatch, capsys=capsys
    )
    assert 'plain.pth has no part teacher: it must be one of segmentor' in message


# a classifier that starts anew


def test_a_classifier_of_other_classes_starts_anew_only_where_it_is_asked_for(folder, tmp_path):
    checkpoint = load(folder / 'adapter.pth')
    state = checkpoint['state_dict']
    five = {key: value[:5] if 'conv_seg' in key else value for key, value in state.items()}
    torch.save({**checkpoint, 'state_dict': five}, tmp_path / 'five.pth')
    load_from = {'load_from': str(tmp_path / 'five.pth')}
    with pytest.raises(UserError, match=r'conv_seg.0.bias has shape \(5,\).*checkpoint_guard.anew=auxiliary_head'):
        started(folder, 'refused.pth', tmp_path, **load_from)
    anew = {'default_hooks.checkpoint_guard.anew': ['decode_head', 'auxiliary_head.conv_seg']}
    model = started(folder, 'five.pth', tmp_path, **load_from, **anew)
    backbone = {k: v for k, v in load(folder / 'plain.pth').items() if k.startswith('backbone.')}
    assert equal(model.segmentor.state_dict(), backbone)
    assert (
        'five.pth: 8 tensors of the segmentor keep their initial weights, such as auxiliary_head.conv_seg.0.bias'
        in logged(tmp_path)
    )


def test_bn_statistics_of_a_plain_checkpoint_are_adapted_as_the_adapters(folder, street_data, tmp_path, monkeypatch):
    states = []
    for name in ('adapter', 'plain'):
        out = tmp_path / f'{name}.pth'
        arguments = ('--target', street_data / 'target/train/images', '--work-dir', tmp_path / name, '--out', out)
        options = ('--cfg-options', f'experiment_name=bn_{name}')
        run_tool(
            'adapt_bn.py', folder / 'adapter.py', folder / f'{name}.pth', *arguments, *options, monkeypatch=monkeypatch
        )
        states.append(parts_of(load(out).get('state_dict', load(out)))['segmentor'])
    assert equal(*states)
    before = load(folder / 'plain.pth')
    assert not torch.equal(states[1]['backbone.bn1.running_mean'], before['backbone.bn1.running_mean'])
