"""The health of the teacher: what is counted and said, that it changes nothing, and the pictures of lessons."""

import ast
import re
from inspect import signature
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_adapt.engine import TeacherHealthHook
from mmseg_adapt.methods import MIC
from mmseg_adapt.methods.clock import Clock
from mmseg_adapt.methods.mixing import most_probable
from mmseg_adapt.methods.self_training import Domain

from .test_health import runner_of
from .test_selftraining_runs import config_of, everything
from .tiny import REPO, load, run_tool, train

CLASSES = ('road', 'car', 'train')


def watched(q=0.5, agreements=(0.9, 0.6), pseudo=(0, 1, 2), window=4):
    """A hook that has seen ``window`` logged iterations of such a teacher, and its runner."""
    model = SimpleNamespace(witnesses=[], clock=Clock(['segmentor']), players=('segmentor',))
    names = dict(zip(('mix.agreement', 'masked.agreement'), agreements))
    runner = runner_of(model, **{'teacher.confident': q}, **names)
    runner.train_dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=CLASSES)))
    hook = TeacherHealthHook(window=window)
    hook.before_train(runner)
    for runner.iter in range(window):
        iterate(hook, runner, pseudo)
    return hook, runner


def iterate(hook, runner, pseudo) -> None:
    runner.model.clock.iteration = runner.iter
    source, target = (torch.tensor(labels).view(1, 1, -1) for labels in ((0, 1, 2, 255), pseudo))
    for witness in runner.model.witnesses:
        witness(Domain(source, source), Domain(target, target), [])
    hook.after_train_iter(runner, runner.iter)


@pytest.mark.parametrize(
    ('teacher', 'words'),
    [
        (dict(), ''),
        (
            dict(q=0.01),
            'hardly any pseudo-label is confident (1 % of the pixels reach model.pseudo_threshold): lower i',
        ),
        (dict(q=0.999), 'nearly every pseudo-label is confident (99.9 % of the pixels reach model.pseudo_threshold):'),
        (dict(pseudo=(0, 0, 1)), "the pseudo-labels have lost 'train' (0 % of their pixels, 25 % of the source's): if"),
        (dict(agreements=(0.3, 0.45)), 'teacher and student have drifted apart (they agree on 45 % of the pseudo-lab'),
    ],
    ids=lambda value: '' if isinstance(value, dict) else value[:20],
)
def test_a_teacher_that_cannot_teach_is_named_once_with_the_knob_to_turn(teacher, words):
    hook, runner = watched(**teacher)
    assert len(runner.logger.warnings) == bool(words)
    assert words in ''.join(runner.logger.warnings)
    runner.iter += 1
    iterate(hook, runner, teacher.get('pseudo', (0, 1, 2)))
    assert len(runner.logger.warnings) == bool(words)  # once
    for name, value in (('teacher.confident', 0.5), ('mix.agreement', 0.9)):
        runner.message_hub.log_scalars[f'train/{name}'] = HistoryBuffer([value], [1])
    for runner.iter in range(5, 9):
        iterate(hook, runner, (0, 1, 2))
    assert len(runner.logger.infos) == bool(words)  # over


def test_nothing_is_said_before_a_window_has_passed_and_old_labels_are_forgotten():
    hook, runner = watched(pseudo=(0, 0, 0), window=10)
    assert len(hook.counts) == 10
    assert len(runner.logger.warnings) == 2  # car and train
    runner.iter = 30
    iterate(hook, runner, (0, 1, 2))
    assert len(hook.counts) == 1
    assert runner.message_hub.log_scalars['train/teacher.classes'].data[0].tolist() == [1] * 10 + [3]
    early = TeacherHealthHook(window=10)
    early.before_train(runner)
    runner.logger.warnings.clear()
    iterate(early, runner, (0, 0, 0))
    assert not runner.logger.warnings


def test_a_short_run_is_judged_after_a_third_of_it():
    hook, runner = watched(q=0.01, window=4)
    short = TeacherHealthHook()
    runner.max_iters, runner.iter = 8, 0
    runner.logger.warnings.clear()
    short.before_train(runner)
    assert short.window == 3
    for runner.iter in range(3):
        assert not runner.logger.warnings
        iterate(short, runner, (0, 1, 2))
    assert len(runner.logger.warnings) == 1


def test_labels_are_counted_at_logged_iterations_only():
    hook, runner = watched()
    counted = len(hook.counts)
    runner.model.clock.logs = False
    runner.iter = 4
    iterate(hook, runner, (0, 0, 0))
    assert len(hook.counts) == counted


def test_the_health_of_a_run_is_logged_and_changes_no_weight(street_data, tmp_path):
    def run(name: str, **hooks) -> dict:
        cfg = everything(street_data, tmp_path / name)
        cfg.default_hooks.pop('teacher_health')
        cfg.default_hooks.update(hooks)
        runner = train(cfg)
        run.logged = {key for key in runner.message_hub.log_scalars if key.startswith('train/teacher.')}
        return load(tmp_path / name / 'iter_2.pth')['state_dict']

    plain = run('plain')
    assert run.logged == {'train/teacher.confident'}
    ours = run('ours', teacher_health=dict(type='TeacherHealthHook', window=1))
    assert run.logged == {'train/teacher.confident', 'train/teacher.classes'}
    assert all(torch.equal(ours[name], value) for name, value in plain.items())


# ------------------------------------------------------------------------------------------------------------ pictures


def test_the_lessons_of_a_config_are_drawn_with_the_teacher_of_a_checkpoint(street_data, tmp_path, monkeypatch):
    cfg = config_of('mic', street_data, tmp_path / 'run')
    cfg.model.mask.update(begin=0, ramp=0)
    cfg.train_dataloader.batch_size = 3
    cfg.dump(tmp_path / 'mic.py')

    def drawn(*arguments) -> np.ndarray:
        out = tmp_path / 'lessons.png'
        run_tool('analysis/browse_lessons.py', tmp_path / 'mic.py', *arguments, '--out', out, monkeypatch=monkeypatch)
        return cv2.imread(str(out))

    untrained = drawn('--images', 3)
    assert untrained.shape == (3 * (48 + 20), 9 * (96 + 4), 3)
    train(cfg)
    trained = drawn(tmp_path / 'run/iter_2.pth', '--images', 3)
    assert trained.shape == untrained.shape
    same = (trained == untrained).all((0, 2)).reshape(9, 100).all(1)
    assert same.tolist()[:4] == [True, True, True, False]  # source, its labels and target; not the pseudo-labels


def test_the_picture_s_confidence_is_the_softmax_s():
    logits = torch.randn(2, 5, 3, 4).double()
    labels, confidence = most_probable(logits.clone())
    expected, best = logits.softmax(1).max(1)
    assert torch.equal(labels, best)
    torch.testing.assert_close(confidence, expected)


# ------------------------------------------------------------------------------------------------------------ the page

PAGE = (REPO / 'docs/self_training.md').read_text()


def test_the_page_s_options_have_the_defaults_that_it_names():
    known = {name: p.default for cls in reversed(MIC.__mro__[:4]) for name, p in signature(cls).parameters.items()}
    rows = re.findall(r'^\| (`[a-z_`, ]+`) \| ([^|]*) \|', PAGE.split('## Options')[1].split('## ')[0], flags=re.M)
    assert len(rows) == 10
    for names, default in rows:
        for name in re.findall(r'\w+', names):
            assert known[name] == ast.literal_eval(default.strip('`')), name


def test_the_page_s_lines_train(street_data, tmp_path):
    cfg = config_of('dacs', street_data, tmp_path, 1)
    for block in re.findall(r'```python\n(.*?)```', PAGE, flags=re.S):
        exec(block, lines := {})
        cfg.merge_from_dict({key: value for key, value in lines.items() if not key.startswith('__')})
    cfg.train_dataloader.sampler.orders.source.update(min_pixels=10, statistics=str(tmp_path))  # small images
    cfg.default_hooks.lessons.interval = 1
    train(cfg)
    assert (tmp_path / 'lessons/iter_1.png').exists()
