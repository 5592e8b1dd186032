"""Activation checkpointing, torch.compile, channels-last: config lines that leave the training what it is."""

import copy
import warnings
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_adapt.compat.cpu_parallel import CPUSeparateDistributedDataParallel
from mmseg_adapt.engine import ActivationCheckpointHook, FastSegmentorHook
from mmseg_adapt.engine.fast_segmentor_hook import Compiled
from mmseg_adapt.errors import UserError

from .test_advent import optimisers_of
from .test_adversarial import adapter, batch
from .test_resume import small
from .tiny import CONFIGS, load, train

LAYERS = tuple(f'backbone.layer{i}' for i in range(1, 5))


@pytest.fixture(scope='module')
def trained(street_data, tmp_path_factory):
    """Trains for two iterations with further hooks and returns the weights, and those of the plain run."""

    def run(**hooks) -> dict:
        folder = tmp_path_factory.mktemp('fast')
        cfg = small('demo/streets_multilevel.py', street_data, folder)
        cfg.train_cfg.update(max_iters=2)
        for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
            cfg[key] = None
        cfg.default_hooks.update(hooks)
        train(cfg)
        return load(folder / 'iter_2.pth')['state_dict']

    plain = run()
    return lambda **hooks: (run(**hooks), plain)


def test_checkpointed_activations_change_no_bit_of_weights_or_bn_statistics(trained):
    ours, plain = trained(small_card=dict(type='ActivationCheckpointHook', blocks=LAYERS))
    assert ours.keys() == plain.keys()
    for name, value in plain.items():
        assert torch.equal(ours[name], value), name


@pytest.mark.parametrize(
    'line',
    [
        dict(channels_last=True),
        dict(compile=dict(backend='eager')),
        pytest.param(dict(compile=dict(backend='aot_eager')), marks=pytest.mark.slow),
        pytest.param(dict(channels_last=True, compile=True), marks=pytest.mark.slow),  # inductor: minutes on a CPU
    ],
    ids=str,
)
def test_a_compiled_or_channels_last_segmentor_trains_to_the_same_weights(line, trained):
    ours, plain = trained(fast=dict(type='FastSegmentorHook', **line))
    assert ours.keys() == plain.keys()
    for name, value in plain.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_checkpointed_blocks_save_their_inputs_only():
    def saved(blocks: tuple) -> int:
        model, kept = adapter(), []
        ActivationCheckpointHook(blocks).apply(model)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
            model.segmentor(torch.randn(1, 3, 64, 64).double(), mode='tensor')
        return sum(kept)

    assert saved(LAYERS) < 0.5 * saved(())


def test_a_block_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="blocks has 'backbone.layer5', which is not in the segmentor"):
        ActivationCheckpointHook(('backbone.layer5',)).apply(adapter())


def test_the_8_gb_config_is_the_published_training_with_less_memory():
    ours, published = (Config.fromfile(CONFIGS / f'adaptseg/gta2cs_multilevel{s}.py') for s in ('_8gb', ''))
    assert ours.default_hooks.pop('small_card').type == 'ActivationCheckpointHook'
    assert ours.to_dict() == published.to_dict()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize(
    'hooks',
    [
        dict(small_card=dict(type='ActivationCheckpointHook', blocks=LAYERS)),
        dict(fast=dict(type='FastSegmentorHook', channels_last=True)),
        dict(fast=dict(type='FastSegmentorHook', compile=True)),
    ],
    ids=str,
)
def test_every_line_trains_to_the_same_weights_on_a_gpu(hooks, trained):
    ours, plain = trained(**hooks)
    for name, value in plain.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-2, atol=1e-3, msg=name)


def test_backbone_and_heads_of_a_model_that_is_no_game_are_compiled_too(street_data, tmp_path):
    compiled = []

    def counted(graph, example_inputs):
        compiled.append(graph)
        return graph.forward

    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    model = MODELS.build(dict(cfg.model.segmentor, type='EncoderDecoder', test_cfg=dict(mode='whole'))).train()
    hook = FastSegmentorHook(compile=dict(backend=counted))
    hook.before_train(SimpleNamespace(model=model))
    features = model.extract_feat(torch.zeros(2, 3, 64, 64))
    backbone = len(compiled)
    assert backbone >= 1
    for head in (model.decode_head, model.auxiliary_head):  # as mmseg's loss() and predict()
        before = len(compiled)
        head.forward(features)
        assert len(compiled) > before


@pytest.fixture
def one_rank(tmp_path):
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_the_buckets_of_distributed_training_have_the_layout_of_the_weights(one_rank):
    def wrap(cfg, model):
        return CPUSeparateDistributedDataParallel(model, **cfg)

    cfg = dict(model_wrapper_cfg=dict(broadcast_buffers=False, find_unused_parameters=True))  # never renews its buckets
    runner = SimpleNamespace(
        model=wrap(cfg['model_wrapper_cfg'], adapter()), cfg=cfg, wrap_model=wrap, distributed=True
    )
    names = list(runner.model.state_dict())
    optimisers = optimisers_of(runner.model.module)
    FastSegmentorHook(channels_last=True).before_train(runner)
    assert list(runner.model.state_dict()) == names
    assert runner.model.module.segmentor.module.backbone.layer1[0].conv2.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    before = {name: p.clone() for name, p in runner.model.named_parameters()}
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            runner.model.train_step(batch(0), optimisers)
    finally:
        torch.set_warn_always(False)
    assert not [w for w in caught if 'bucket view strides' in str(w.message)]
    moved = {n.split('.')[1] for n, p in runner.model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {'segmentor', 'discriminator'}


def test_a_deep_copy_of_a_compiled_model_computes_with_its_own_weights(street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    cfg.model.segmentor.decode_head.dropout_ratio = 0.0
    model = MODELS.build(cfg.model).eval()
    FastSegmentorHook(compile=dict(backend='eager')).before_train(SimpleNamespace(model=model))
    image = torch.randn(1, 3, 64, 64)
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        before = model.segmentor(image, mode='tensor')['decode']
        for parameter in teacher.segmentor.parameters():
            parameter.zero_()
        torch.testing.assert_close(model.segmentor(image, mode='tensor')['decode'], before)
        assert teacher.segmentor(image, mode='tensor')['decode'].abs().max() == 0
    for part in ('backbone', 'decode_head'):
        assert isinstance(getattr(teacher.segmentor, part).forward, Compiled)


def test_a_mode_that_captures_cuda_graphs_is_refused():
    with pytest.raises(UserError, match="compile.mode = 'reduce-overhead' captures CUDA graphs"):
        FastSegmentorHook(compile=dict(mode='reduce-overhead'))
