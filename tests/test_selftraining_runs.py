"""Self-training through real runs: resume, starts from other methods, precision, small cards, streams, bad input."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS, MODELS
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg_adapt.cli.launch import enable_amp
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods import daformer, self_training
from mmseg_adapt.runs.checkpoint_files import newest_sound

from .test_aan_style_transfer import aan, root  # noqa: F401 (a fixture)
from .test_resume import STATE, assert_equal, small
from .test_streams import streams_of
from .tiny import load, random_checkpoint, tiny_config, train


def config_of(method: str, data: Path, folder: Path, iterations: int = 2, **model):
    """MIC (or DACS) of seconds, which logs every iteration and validates never."""
    cfg = small(f'demo/streets_{method}.py', data, folder)
    cfg.train_cfg.update(max_iters=iterations, val_interval=100)
    cfg.optim_wrapper.segmentor.pop('accumulative_counts')
    cfg.model.update(model)
    return cfg


def everything(data: Path, folder: Path, iterations: int = 2, **model):
    """DACS, the feature distance and masks; DropPath has no place in a ResNet, dropout is there."""
    cfg = config_of('mic', data, folder, iterations, **model)
    cfg.model.mask.update(begin=0, ramp=0)
    torch.manual_seed(0)
    backbone = MODELS.build(cfg.model.segmentor.backbone)
    file = folder / 'imagenet.pth'
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(backbone.state_dict(), file)
    cfg.model.segmentor.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(file))
    cfg.model.feature_distance = dict(weight=0.005, classes=(3, 6, 7), min_ratio=0.5)
    return cfg


def losses_of(runner) -> dict[str, list[float]]:
    scalars = runner.message_hub.log_scalars
    return {name.removeprefix('train/'): h.data[0].tolist() for name, h in scalars.items() if name.startswith('train/')}


# ------------------------------------------------------------------------------------------------------------- resume


@pytest.mark.parametrize('setting', ['mic', 'dacs_last_average'])
def test_a_resume_at_iteration_2_of_4_is_the_uninterrupted_run_to_the_bit_teacher_included(
    setting, street_data, tmp_path
):
    def run(name: str, iterations: int, resume: str | None = None) -> dict:
        if setting == 'mic':
            cfg = everything(street_data, tmp_path / name, 4)
            cfg.optim_wrapper.segmentor.accumulative_counts = 3
        else:
            more = dict(teacher_follows='last', teacher_bn='average', mix='image', per_image=True)
            cfg = config_of('dacs', street_data, tmp_path / name, 4, **more)
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='StopAfter', iteration=iterations)]
        cfg.default_hooks.checkpoint.interval = 2
        cfg.resume, cfg.load_from = bool(resume), resume
        train(cfg)
        return load(tmp_path / name / f'iter_{iterations}.pth')

    @HOOKS.register_module(name='StopAfter', force=True)
    class StopAfter(Hook):
        def __init__(self, iteration):
            self.iteration = iteration

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            runner.train_loop.stop_training = runner.iter + 1 == self.iteration

    whole = run('whole', 4)
    run('half', 2)
    resumed = run('half', 4, str(tmp_path / 'half/iter_2.pth'))
    for part in STATE:
        assert_equal(resumed[part], whole[part], 0, part)
    state = whole['state_dict']
    student, teacher = (state[f'{part}.backbone.conv1.weight'] for part in ('segmentor', 'teacher'))
    assert not torch.equal(student, teacher)


@HOOKS.register_module(force=True)
class AtTheStart(Hook):
    """Keeps the weights that training begins with."""

    seen: dict = {}

    def before_train(self, runner):
        AtTheStart.seen = {name: value.clone() for name, value in runner.model.state_dict().items()}


def started(cfg, checkpoint: Path) -> dict[str, dict]:
    """Part → the weights with which the run began that ``load_from`` started."""
    cfg.load_from = str(checkpoint)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='AtTheStart')]
    train(cfg)
    parts = {}
    for key, value in AtTheStart.seen.items():
        part, name = key.split('.', 1)
        parts.setdefault(part, {})[name] = value
    return parts


def test_a_run_that_had_no_teacher_is_not_resumed_but_may_be_started_from(street_data, tmp_path):
    train(config_of('dacs', street_data, tmp_path / 'run', 1))
    checkpoint = load(newest_sound(tmp_path / 'run'))
    checkpoint['state_dict'] = {k: v for k, v in checkpoint['state_dict'].items() if not k.startswith('teacher.')}
    torch.save(checkpoint, tmp_path / 'without.pth')
    cfg = config_of('dacs', street_data, tmp_path / 'resumed')
    cfg.resume, cfg.load_from = True, str(tmp_path / 'without.pth')
    with pytest.raises(UserError, match=r'without.pth is not a run of this config: .*without.pth has no teacher; to s'):
        train(cfg)
    parts = started(config_of('dacs', street_data, tmp_path / 'started', 1), tmp_path / 'without.pth')
    assert_equal(parts['teacher'], parts['segmentor'], 0)
    saved = {k.removeprefix('segmentor.'): v for k, v in checkpoint['state_dict'].items()}
    assert_equal(parts['segmentor'], saved, 0)


@pytest.mark.parametrize('method', ['AdaptSegNet', 'AdvEnt', 'RAN'])
def test_a_checkpoint_of_the_game_starts_self_training(method, street_data, tmp_path):
    game = tiny_config(f'demo/streets_{"ran" if method == "RAN" else "singlelevel"}.py', street_data, tmp_path / 'game')
    game.model.type = method
    file = random_checkpoint(game, tmp_path / 'game.pth')
    cfg = tiny_config('demo/streets_dacs.py', street_data, tmp_path / 'run', 1)
    cfg.train_cfg.val_interval = 10
    parts = started(cfg, file)
    saved = load(file)['state_dict']
    saved = {k.removeprefix('segmentor.'): v for k, v in saved.items() if k.startswith('segmentor.')}
    for part in ('segmentor', 'teacher'):
        assert_equal(parts[part], saved, 0)


# ----------------------------------------------------------------------------------------- steps, modes, precision


def test_with_accumulation_the_teacher_follows_once_per_step_and_keeps_its_own_statistics(
    street_data, tmp_path, monkeypatch
):
    steps, follow = [], self_training.follow
    monkeypatch.setattr(self_training, 'follow', lambda *args: steps.append(args[2]) or follow(*args))
    cfg = config_of('dacs', street_data, tmp_path, 6)
    cfg.optim_wrapper.segmentor.accumulative_counts = 2
    model = train(cfg).model
    assert steps == [1, 2]
    batches = {part: getattr(model, part).backbone.bn1.num_batches_tracked.item() for part in ('segmentor', 'teacher')}
    assert batches == dict(segmentor=12, teacher=6)


def test_nothing_frozen_is_optimised_and_dropout_of_the_teacher_stays_off_after_validations(street_data, tmp_path):
    seen = []

    @HOOKS.register_module(name='Modes', force=True)
    class Modes(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            model = runner.model
            frozen = [p for part in (model.teacher, model.imagenet) for p in part.parameters()]
            optimised = {id(p) for group in runner.optim_wrapper['segmentor'].param_groups for p in group['params']}
            assert frozen
            assert not optimised & set(map(id, frozen))
            assert not any(p.requires_grad for p in frozen)
            parts = (model.segmentor, model.teacher)
            dropouts = [part.decode_head.dropout.training for part in parts]
            norms = [{m.training for m in part.modules() if isinstance(m, _BatchNorm)} for part in parts]
            seen.append((dropouts, norms, {m.training for m in model.imagenet.modules()}))

        def before_val_iter(self, runner, batch_idx, data_batch=None):
            assert not any(m.training for m in runner.model.modules())

    cfg = everything(street_data, tmp_path, 3)
    cfg.train_cfg.val_interval = 1
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='Modes')]
    train(cfg)
    assert seen == [([True, False], [{True}, {True}], {False})] * 3


@pytest.mark.parametrize(('precision', 'dtype'), [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_in_mixed_precision_probabilities_and_distances_are_float32(
    precision, dtype, street_data, tmp_path, monkeypatch
):
    seen = {}

    def spied(module, name):
        function = getattr(module, name)

        def spy(first, *args, **kwargs):
            result = function(first, *args, **kwargs)
            seen[name] = first.dtype, (result[1] if isinstance(result, tuple) else result).dtype
            return result

        monkeypatch.setattr(module, name, spy)

    spied(self_training, 'pseudo_labels')
    spied(daformer, 'feature_distance')
    cfg = everything(street_data, tmp_path)
    enable_amp(cfg, precision, gpu=False)
    runner = train(cfg)
    assert seen == dict(pseudo_labels=(dtype, torch.float32), feature_distance=(dtype, torch.float32))
    logged = losses_of(runner)
    assert {'decode.loss_ce', 'loss_feature_distance', 'mix.decode.loss_ce', 'masked.decode.loss_ce'} <= logged.keys()
    assert all(np.isfinite(values).all() for values in logged.values())
    assert all(torch.isfinite(v).all() and v.dtype != dtype for v in runner.model.state_dict().values())


@pytest.fixture(scope='module')
def trained(street_data, tmp_path_factory):
    """Trains with further hooks; returns the weights, and those of the plain run."""

    def run(iterations: int, **hooks) -> dict:
        cfg = everything(street_data, tmp_path_factory.mktemp('fast'), iterations)
        cfg.default_hooks.update(hooks)
        return train(cfg).model.state_dict()

    return lambda iterations, **hooks: (run(iterations, **hooks), run(iterations))


def test_checkpointed_activations_and_pictures_change_no_bit(trained, tmp_path):
    blocks = tuple(f'backbone.layer{i}' for i in range(1, 5))
    ours, plain = trained(
        2,
        small_card=dict(type='ActivationCheckpointHook', blocks=blocks),
        lessons=dict(type='LessonPictureHook', interval=2, out_dir=str(tmp_path)),
    )
    assert_equal(dict(ours), dict(plain), 0)
    picture = cv2.imread(str(tmp_path / 'iter_2.png'))
    assert [path.name for path in tmp_path.iterdir()] == ['iter_2.png']
    assert picture.shape == (48 + 20, 9 * (96 + 4), 3)  # source, target, mix, masked, two each, and the confidence
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


@pytest.mark.parametrize('line', [dict(channels_last=True), dict(compile=dict(backend='eager'))], ids=str)
def test_a_compiled_or_channels_last_student_trains_to_the_same_weights(line, trained):
    """But for what rounding decides: the gates of ReLUs that are given 0, and later on pseudo-labels."""
    ours, plain = trained(1, fast=dict(type='FastSegmentorHook', **line))
    assert ours.keys() == plain.keys()
    names = [
        name.removeprefix('imagenet.') for name in plain if name.startswith('imagenet.') and name.endswith('weight')
    ]

    def gap(a: dict, b: dict, part: str) -> float:
        return sum((a[f'segmentor.backbone.{n}'] - b[f'{part}{n}']).square().sum() for n in names).sqrt().item()

    assert gap(ours, plain, 'segmentor.backbone.') < 0.1 * gap(plain, plain, 'imagenet.')


# ------------------------------------------------------------------------------------------------------- combinations


def test_several_sources_and_targets_and_a_labelled_part_of_the_target_are_learned_together(street_data, tmp_path):
    cfg = config_of('mic', street_data, tmp_path)
    cfg.model.mask.update(begin=0, ramp=0)
    cfg.train_dataloader.dataset = dict(streams_of(street_data), batch_sizes=dict(source=2, target=3))
    logged = losses_of(train(cfg))
    for name in ('decode', 'labeled_target.decode', 'mix.decode', 'masked.decode'):
        assert np.isfinite(logged[f'{name}.loss_ce']).all()
        assert len(logged[f'{name}.loss_ce']) == 2


def test_renders_of_aan_are_a_source(root, street_data, tmp_path):  # noqa: F811
    cfg = config_of('mic', street_data, tmp_path, 1)
    pipeline = cfg.train_dataloader.dataset.source.pipeline
    pipeline.insert(1, aan(root / 'source'))
    assert np.isfinite(losses_of(train(cfg))['mix.decode.loss_ce']).all()


@pytest.mark.parametrize('config', ['streets_source_only', 'streets_singlelevel', 'streets_dacs'])
def test_rare_classes_are_drawn_for_every_method(config, street_data, tmp_path):
    cfg = tiny_config(f'demo/{config}.py', street_data, tmp_path, 1)
    cfg.train_cfg.val_interval = 10
    order = dict(type='RareClassOrder', temperature=0.1, min_pixels=10, statistics=str(tmp_path / 'counted'))
    alone = 'source_only' in config
    sampler = dict(type='OrderSampler', order=order) if alone else dict(orders=dict(source=order))
    cfg.train_dataloader.sampler = {'type': 'DomainPairSampler', **sampler}
    runner = train(cfg)
    assert list((tmp_path / 'counted').iterdir())
    assert all(np.isfinite(v).all() for k, v in losses_of(runner).items() if 'loss' in k)


# ---------------------------------------------------------------------------------------------------------- bad input


def no_such_class(cfg, folder):
    source = cfg.train_dataloader.dataset.source
    source.id_map = {i: 255 if i == 6 else i for i in range(8)}  # no person
    order = dict(type='RareClassOrder', min_pixels=10, classes=['person'], statistics=str(folder / 'counted'))
    cfg.train_dataloader.sampler.orders = dict(source=order)


def statistics_of_another_data_set(cfg, folder):
    (folder / 'sample_class_stats.json').write_text(json.dumps([{'0': 100, 'file': 'elsewhere/1.png'}]))
    cfg.train_dataloader.sampler.orders = dict(source=dict(type='RareClassOrder', statistics=str(folder)))


def pooled_head(cfg, folder):
    head = dict(type='ASPPHead', in_channels=32, in_index=3, channels=8, num_classes=8, dilations=(1, 2))
    cfg.model.segmentor.decode_head = dict(head, norm_cfg=dict(type='BN'), align_corners=True)


def labels_of_the_target(cfg, folder):
    target = cfg.train_dataloader.dataset.target
    target.data_prefix.seg_map_path = 'target/val/labels'
    target.pipeline.insert(1, dict(type='LoadLabels'))


def targets_of_another_size(cfg, folder):
    cfg.train_dataloader.dataset.target.pipeline.insert(-1, dict(type='Resize', scale=(64, 48)))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            pooled_head,
            r'BN cannot normalise one image that is pooled to one value: set train_dataloader.batch_size = 2',
        ),
        (
            statistics_of_another_data_set,
            r'sample_class_stats.json does not list .*, so it belongs to another data set: s',
        ),
        (
            lambda cfg, _: cfg.model.update(ignore_top=40, ignore_bottom=8),
            r'less than the 48 rows',
        ),
        (lambda cfg, _: cfg.model.update(pseudo_threshold=96.8), r'model.pseudo_threshold = 96.8 must be in \[0, 1\]'),
        (lambda cfg, _: cfg.model.update(alpha=-1), r'model.alpha = -1 must be in \[0, 1\]'),
        (
            lambda cfg, _: cfg.model.update(type='DAFormer', feature_distance=dict(weight=0.005)),
            r'model.feature_distance compares with the initial network, .*: set model.segmentor.backbone.init_cfg',
        ),
        (no_such_class, r'RareClassOrder: no label contains person: remove it'),
        (labels_of_the_target, r'dataset.target.pipeline has LoadLabels: remove it; adaptation is unsupervised'),
        (
            targets_of_another_size,
            r'source and target cannot be mixed \(48×96 and 48×64\): crop both',
        ),
        (
            lambda cfg, _: cfg.update(custom_hooks=[]),
            r'DACS needs the clock: add AlternatingUpdateHook to custom_hooks',
        ),
        (lambda cfg, _: cfg.model.update(teacher_bn='mean'), r"model.teacher_bn = 'mean' must be one of \['batch', 'a"),
        (lambda cfg, _: cfg.model.update(mix='pixel'), r"model.mix = 'pixel' must be one of \['batch', 'image'\]"),
        (
            lambda cfg, _: cfg.model.update(type='MIC', mask=dict(block=128)),
            r'mask.block = 128 is larger than the image .48×96',
        ),
    ],
)
def test_a_config_that_cannot_teach_is_refused_in_one_sentence(change, message, street_data, tmp_path):
    cfg = config_of('dacs', street_data, tmp_path)
    change(cfg, tmp_path)
    with pytest.raises(UserError, match=message) as refusal:
        train(cfg)
    assert '\n' not in str(refusal.value)
