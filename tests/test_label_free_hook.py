"""Scores without labels during training: their values, the best snapshot, exact resume, ranks."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.logging import MessageHub

from mmseg_adapt.cli.launch import _settle
from mmseg_adapt.errors import UserError
from mmseg_adapt.log.scalars import scalars_of
from mmseg_adapt.predictor import Predictor
from mmseg_adapt.selection.label_free_hook import LabelFreeHook
from mmseg_adapt.selection.samples import target_images

from . import forked
from .test_resume import small
from .test_selection import infomax_of, miou_of, softmax
from .tiny import REPO, load, train

PAGE = (REPO / 'docs/choosing.md').read_text()
NAMES = ('infomax', 'flip_consistency', 'teacher_agreement')


def config_of(data, folder, iterations=4, hook=True, best=None, val=True):
    """DACS with dropout and augmentation: whoever draws a random number changes the weights."""
    cfg = small('demo/streets_dacs.py', data, folder)
    cfg.train_cfg.update(max_iters=iterations, val_interval=2)
    cfg.default_hooks.checkpoint.update(interval=2, save_best=best)
    if hook:
        exec(re.search(r'```python\n(.*?)```', PAGE, flags=re.S)[1], lines := {})
        cfg.custom_hooks = [*cfg.custom_hooks, dict(lines['custom_hooks'][0], images=3)]
    if not val:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    _settle(cfg)
    return cfg


def logged(folder) -> dict[int, dict]:
    rows = [row for file in sorted(folder.glob('*/vis_data/scalars.json')) for row in scalars_of(file)]
    return {row['step']: {name: row[name] for name in NAMES} for row in rows if NAMES[0] in row}


@pytest.fixture(scope='module')
def whole(street_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    cfg = config_of(street_data, folder / 'run', best='infomax')
    cfg.dump(folder / 'dacs.py')
    train(cfg)
    return folder


def test_what_is_logged_is_the_checkpoint_s_score_by_a_plain_transcription(whole):
    for step, values in logged(whole / 'run').items():
        file = whole / f'run/iter_{step}.pth'
        student, teacher = (Predictor(whole / 'dacs.py', file, part=part) for part in (None, 'teacher'))
        paths = target_images([student.cfg], None, 3)[0]
        views = [student(path) for path in paths]
        mirrored = [student(np.ascontiguousarray(view.image[:, ::-1])).labels[:, ::-1] for view in views]
        flips = miou_of([(view.labels, labels) for view, labels in zip(views, mirrored)], range(8))
        taught = miou_of([(view.labels, teacher(path).labels) for view, path in zip(views, paths)], range(8))
        informed = infomax_of(np.stack([softmax(student, view.image) for view in views]))
        assert values == pytest.approx(dict(zip(NAMES, (100 * informed, 100 * flips, 100 * taught))), abs=0.01)
    assert sorted(logged(whole / 'run')) == [2, 4]


def test_the_best_snapshot_is_kept_by_infomax(whole):
    scores = {step: values['infomax'] for step, values in logged(whole / 'run').items()}
    best = next(step for step in sorted(scores) if scores[step] == max(scores.values()))
    assert [file.name for file in whole.glob('run/best_*')] == [f'best_infomax_iter_{best}.pth']


def test_a_run_with_the_hook_has_the_weights_and_random_state_of_one_without(whole, street_data, tmp_path):
    train(config_of(street_data, tmp_path / 'plain', hook=False))
    ours, plain = (load(folder / 'iter_4.pth') for folder in (whole / 'run', tmp_path / 'plain'))
    assert all(torch.equal(ours['state_dict'][name], value) for name, value in plain['state_dict'].items())
    assert torch.equal(ours['exact_resume']['random'][0]['torch'], plain['exact_resume']['random'][0]['torch'])


@pytest.mark.slow
def test_a_resumed_run_logs_and_keeps_what_the_uninterrupted_one_does(whole, street_data, tmp_path):
    cfg = config_of(street_data, tmp_path / 'resumed', best='infomax')
    cfg.resume, cfg.load_from = True, str(whole / 'run/iter_2.pth')
    train(cfg)
    folders = tmp_path / 'resumed', whole / 'run'
    ours, theirs = (load(folder / 'iter_4.pth') for folder in folders)
    assert all(torch.equal(ours['state_dict'][name], value) for name, value in theirs['state_dict'].items())
    assert logged(folders[0]) == logged(folders[1])  # the validation at 2 is repeated
    best = (state['message_hub']['runtime_info'] for state in (ours, theirs))
    assert (
        len({(info['best_score'], Path(info['best_ckpt']).name) for info in best}) == 1
    )  # which the checkpoint at 2 knows


@pytest.mark.slow
def test_without_a_validation_every_checkpoint_is_scored_and_the_best_is_kept(whole, street_data, tmp_path):
    folder = tmp_path / 'unvalidated'
    train(config_of(street_data, folder, best='infomax', val=False))
    assert logged(folder) == logged(whole / 'run')
    (kept,) = folder.glob('best_*')
    assert [kept.name] == [file.name for file in whole.glob('run/best_*')]
    step = int(kept.stem.split('_')[-1])
    weights, same = (load(file)['state_dict'] for file in (kept, folder / f'iter_{step}.pth'))
    assert all(torch.equal(weights[name], value) for name, value in same.items())
    ours, theirs = (load(f / 'iter_4.pth')['message_hub']['runtime_info'] for f in (folder, whole / 'run'))
    assert ours['best_score'] == theirs['best_score']


def test_a_better_checkpoint_replaces_the_best_and_a_worse_one_does_not(tmp_path):
    hub, saved = MessageHub('label_free'), []

    class Runner:
        work_dir, message_hub, hooks = tmp_path, hub, [CheckpointHook(save_best='infomax', rule='greater')]

        def save_checkpoint(self, folder, name, **_):
            saved.append(name)
            (folder / name).touch()

    hook = LabelFreeHook()
    for hook.step, score in ((1, 50.0), (2, 60.0), (3, 55.0), (4, 60.0)):
        hook.values = {'infomax': score}
        hook._keep_best(Runner())
    assert saved == ['best_infomax_iter_1.pth', 'best_infomax_iter_2.pth']
    assert [file.name for file in tmp_path.iterdir()] == saved[1:]
    assert hub.get_info('best_score') == 60.0


def test_a_run_without_target_or_test_pipeline_is_refused_before_it_trains(street_data, tmp_path):
    cfg = config_of(street_data, tmp_path)
    hook = LabelFreeHook(target=str(tmp_path))
    runner = type('Runner', (), dict(cfg=cfg))
    with pytest.raises(UserError, match='contains no images'):
        hook.before_train(runner)
    runner.cfg = Config(dict(cfg.to_dict(), test_dataloader=None))
    with pytest.raises(UserError, match='LabelFreeHook: set test_dataloader.dataset.pipeline'):
        hook.before_train(runner)


@pytest.mark.slow
def test_two_ranks_share_the_images_and_log_the_score_of_all(street_data, tmp_path):
    cfg = config_of(street_data, tmp_path, iterations=2)
    cfg.custom_imports.imports += ['tests.forked']
    cfg.dump(tmp_path / 'dacs.py')
    arguments = [str(tmp_path / 'dacs.py'), '--work-dir', str(tmp_path / 'two')]
    log = tmp_path / 'two.log'
    forked.run([dict(tool='train.py', arguments=arguments, ranks=2, log=str(log))], tmp_path)
    (values,) = logged(tmp_path / 'two').values()
    student = Predictor(tmp_path / 'dacs.py', tmp_path / 'two/iter_2.pth')
    views = [student(path) for path in target_images([cfg], None, 3)[0]]
    mirrored = [student(np.ascontiguousarray(view.image[:, ::-1])).labels[:, ::-1] for view in views]
    flips = miou_of([(view.labels, labels) for view, labels in zip(views, mirrored)], range(8))
    assert values['flip_consistency'] == pytest.approx(100 * flips, abs=0.01)
    informed = infomax_of(np.stack([softmax(student, view.image) for view in views]))
    assert values['infomax'] == pytest.approx(100 * informed, abs=0.01)
    assert len(re.findall('iteration 2: infomax', log.read_text())) == 1
