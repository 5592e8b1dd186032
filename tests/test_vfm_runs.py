"""Foundation models through whole runs: self-training and the game, adapters, resume, precision, ranks, export."""

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.model import revert_sync_batchnorm
from mmseg.apis import init_model
from mmseg.registry import HOOKS, MODELS
from torch import nn

from mmseg_adapt import Predictor
from mmseg_adapt.cli.launch import enable_amp
from mmseg_adapt.errors import UserError, is_expected, sentence
from mmseg_adapt.export import export_segmentor, graph, plain
from mmseg_adapt.weights.segmentor import load_segmentor

from . import forked
from .test_hrda import StopAfter  # noqa: F401  (registration)
from .test_hrda import config_of as hrda_of
from .test_resume import STATE, assert_equal, small
from .test_selftraining_runs import losses_of
from .tiny import load, random_checkpoint, tiny_config, train

VIT = dict(type='FoundationViT', model_name='vit_small_patch14_dinov2', depth=2, embed_dim=24, num_heads=2)
VIT.update(patch_size=8, img_size=64)


def on_vit(segmentor: ConfigDict, folder: Path) -> None:
    """A tiny ViT with weights to start from, in place of a segmentor's network."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    weights = MODELS.build(VIT).timm_model.model.state_dict()
    torch.save(weights, folder / 'released.pth')
    file = str(folder / 'released.pth')
    segmentor.backbone = dict(VIT, drop_path_rate=0.1, init_cfg=dict(type='Pretrained', checkpoint=file))
    segmentor.decode_head = dict(type='SETRUPHead', in_channels=24, channels=8, num_convs=2, up_scale=2, num_classes=8)
    segmentor.decode_head.update(norm_cfg=dict(type='BN'), align_corners=False, dropout_ratio=0.1)
    segmentor.test_cfg = dict(mode='slide', crop_size=(48, 48), stride=(24, 24))


def config_of(data: Path, folder: Path, iterations: int = 2, low_rank: bool = True):
    cfg = small('demo/streets_mic.py', data, folder)
    on_vit(cfg.model.segmentor, folder)
    cfg.model.type = 'VFMUDA'
    cfg.model.mask.update(begin=0, ramp=0, block=16)
    cfg.model.feature_distance = dict(weight=0.1)
    cfg.model.segmentor.projection = dict(type='FeatureProjection', in_channels=24)
    if low_rank:
        cfg.model.segmentor.low_rank = dict(rank=3)
    else:
        cfg.optim_wrapper.segmentor.paramwise_cfg = dict(layer_decay=0.9, norm_decay_mult=0.0)
    cfg.optim_wrapper.segmentor.optimizer = dict(type='AdamW', lr=1e-3, weight_decay=0.01)
    cfg.optim_wrapper.segmentor.pop('accumulative_counts')
    cfg.train_cfg.update(max_iters=iterations, val_interval=100)
    return cfg


@pytest.mark.parametrize('low_rank', [True, False])
def test_a_resumed_run_on_a_foundation_model_is_the_uninterrupted_one_to_the_bit(low_rank, street_data, tmp_path):
    def run(name: str, iterations: int, resume: Path | None = None) -> tuple[dict, dict]:
        cfg = config_of(street_data, tmp_path / name, 4, low_rank)
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='StopAfterIteration', iteration=iterations)]
        cfg.default_hooks.checkpoint.interval = 2
        if name == 'half':  # changes no bit
            blocks = ('backbone.timm_model.model.blocks',)
            cfg.default_hooks.small_card = dict(type='ActivationCheckpointHook', blocks=blocks)
        cfg.resume, cfg.load_from = bool(resume), resume and str(resume)
        logged = losses_of(train(cfg))
        return load(tmp_path / name / f'iter_{iterations}.pth'), logged

    whole, logged = run('whole', 4)
    run('half', 2)
    resumed, _ = run('half', 4, tmp_path / 'half/iter_2.pth')
    for part in STATE:
        assert_equal(resumed[part], whole[part], 0, part)
    names = ('decode.loss_ce', 'loss_feature_distance', 'mix.decode.loss_ce', 'masked.decode.loss_ce')
    assert {*names, 'target.loss_feature_distance'} <= logged.keys()
    assert all(np.isfinite(values).all() for values in logged.values())
    assert logged['loss_feature_distance'][0] > 0
    state = whole['state_dict']
    released = load(tmp_path / 'whole/released.pth')['blocks.0.attn.qkv.weight']
    frozen = 'backbone.timm_model.model.blocks.0.attn.qkv.weight'
    assert torch.equal(state[f'segmentor.{frozen}'], released) == low_rank
    assert torch.equal(state[f'imagenet.{frozen.removeprefix("backbone.")}'], released)
    assert (f'teacher.{frozen}' in state) != low_rank  # shared, so saved once


@pytest.mark.parametrize('network', ['adapters', 'vit', 'hrda'])
def test_mixed_precision_trains_every_lesson(network, street_data, tmp_path):
    cfg = hrda_of(street_data, tmp_path) if network == 'hrda' else config_of(street_data, tmp_path, 1, network != 'vit')
    cfg.train_cfg.max_iters = 1
    enable_amp(cfg, 'bf16', gpu=False)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SeenTypes')]
    SeenTypes.seen = set()
    runner = train(cfg)
    logged = losses_of(runner)
    assert {'decode.loss_ce', 'mix.decode.loss_ce', 'masked.decode.loss_ce'} <= logged.keys()
    assert all(np.isfinite(values).all() for values in logged.values())
    assert SeenTypes.seen == {torch.bfloat16}
    state = {key: x for key, x in runner.model.state_dict().items() if x.is_floating_point()}
    assert all(x.dtype == torch.float32 and x.isfinite().all() for x in state.values())


@HOOKS.register_module(force=True)
class SeenTypes(Hook):
    """Notes the type of the logits of student and teacher in training."""

    seen: set = set()

    def before_train(self, runner):
        for part in parts_of(runner.model):
            part.decode_head.register_forward_hook(self.note)

    def note(self, head, inputs, logits):
        if head.training:
            self.seen.add(logits.dtype)


@pytest.mark.parametrize('network', ['adapters', 'hrda'])
def test_synchronised_bn_is_built_and_goes_back_without_a_gpu_and_nothing_shared_is_copied(
    network, street_data, tmp_path
):
    cfg = hrda_of(street_data, tmp_path) if network == 'hrda' else config_of(street_data, tmp_path)
    cfg.model.segmentor['backbone' if network == 'hrda' else 'decode_head'].norm_cfg = dict(type='SyncBN')
    model = MODELS.build(cfg.model)
    student, teacher = (sum(isinstance(m, nn.SyncBatchNorm) for m in part.modules()) for part in parts_of(model))
    assert student == teacher > 0
    names = list(model.state_dict())
    plain = revert_sync_batchnorm(model)
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in plain.modules())
    assert list(plain.state_dict()) == names
    for theirs, mine in zip(*(part.parameters() for part in parts_of(plain))):
        assert (mine is theirs) == (not theirs.requires_grad)


def parts_of(model) -> tuple[nn.Module, nn.Module]:
    return model.segmentor, model.teacher


@pytest.fixture
def trained(street_data, tmp_path) -> tuple[Config, dict, Path]:
    """A run with adapters: its config, as it was written, its weights and its checkpoint."""
    cfg = config_of(street_data, tmp_path / 'run')
    checkpoint = random_checkpoint(cfg, tmp_path / 'run/iter_2.pth')
    saved = load(checkpoint)
    for key, value in saved['state_dict'].items():
        if 'lora_' in key or 'gamma' in key:
            value.normal_(std=0.3)
    torch.save(saved, checkpoint)
    cfg.dump(tmp_path / 'trained.py')
    return Config.fromfile(tmp_path / 'trained.py'), saved['state_dict'], checkpoint


@torch.no_grad()
def test_the_graph_of_a_vit_has_the_size_of_a_window_and_its_adapters(trained, tmp_path):
    """The window has another size than the positional embeddings."""
    cfg, state, checkpoint = trained
    out = export_segmentor(cfg, str(checkpoint), tmp_path / 'out', onnx='probabilities')
    assert 'N = 1, 48×48' in (out / 'README.md').read_text() and (out / 'sliding.py').exists()
    session = onnxruntime.InferenceSession(str(out / 'model.onnx'))
    assert session.get_inputs()[0].shape == [1, 3, 48, 48]
    (image,) = graph.images(((48, 48),), count=1)
    found = torch.from_numpy(session.run(None, {'image': image.numpy()})[0])
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(state)
    logits = model.segmentor.logits(model.data_preprocessor(dict(inputs=[image[0].flip(0)]))['inputs'])
    expected = F.interpolate(logits, (48, 48), mode='bilinear').softmax(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-2
    cfg.model.segmentor.test_cfg = dict(mode='whole')
    with pytest.raises(
        UserError, match="graph of FoundationViT takes one sliding window.* set test_cfg = dict.mode='sl"
    ):
        export_segmentor(cfg, str(checkpoint), tmp_path / 'none', onnx='probabilities')
    assert not (tmp_path / 'none').exists()


@pytest.mark.parametrize('part', [None, 'teacher'])
@torch.no_grad()
def test_an_export_merges_adapters_into_a_model_of_mmsegmentation_s_own(part, trained, tmp_path):
    cfg, state, checkpoint = trained
    out = export_segmentor(cfg, str(checkpoint), tmp_path / 'out', part=part)
    exported = Config.fromfile(out / 'config.py')
    assert exported.model.type == 'EncoderDecoder' and exported.model.backbone.type == 'TIMMBackbone'
    assert not plain.ours(exported.model) and 'lora' not in str(load(out / 'model.pth')['state_dict'].keys())
    model = MODELS.build(cfg.model).eval()
    model.load_state_dict(state)
    images = torch.randn(1, 3, 48, 96)
    expected = getattr(model, part or 'segmentor').logits(images)
    stock = init_model(exported, str(out / 'model.pth'), device='cpu')
    found = stock.decode_head(stock.extract_feat(images))
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()
    ours = Predictor(out, device='cpu').segmentor  # and nothing is downloaded
    assert torch.equal(ours.decode_head(ours.extract_feat(images)), found)
    other = getattr(model, 'segmentor' if part else 'teacher').logits(images)
    assert (found - other).abs().max() > 1e-3 * expected.abs().max()


def test_adapters_of_another_rank_are_refused(street_data, tmp_path):
    file = random_checkpoint(config_of(street_data, tmp_path / 'run'), tmp_path / 'rank3.pth')
    cfg = config_of(street_data, tmp_path / 'other')
    cfg.model.segmentor.low_rank.rank = 4
    cfg.load_from = str(file)
    with pytest.raises(
        UserError, match=r'lora_a has shape \(3, 24\), but this config needs \(4, 24\): .* its low_rank.rank'
    ):
        train(cfg)


def test_adapters_are_not_dropped_without_a_word(trained):
    cfg, _, checkpoint = trained
    del cfg.model.segmentor['low_rank']
    with pytest.raises(UserError, match='has low-rank adapters, but this config has no backbone.*its low_rank.rank'):
        load_segmentor(cfg, str(checkpoint))


@pytest.mark.parametrize('network', ['vit', 'hrda'])
def test_the_game_trains_on_these_networks_in_mixed_precision(network, street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path, 1)
    if network == 'vit':
        on_vit(cfg.model.segmentor, tmp_path)
    else:
        cfg.model.segmentor = hrda_of(street_data, tmp_path).model.segmentor
    enable_amp(cfg, 'bf16', gpu=False)
    cfg.model.discriminator.decode.base_channels = 2
    logged = losses_of(train(cfg))
    assert np.isfinite(logged['decode.loss_adv'] + logged['discriminator.decode.loss_dis']).all()


def no_projection(cfg):
    cfg.model.segmentor.pop('projection')


def odd_crops(cfg):
    for domain in ('source', 'target'):
        cfg.train_dataloader.dataset[domain].pipeline.insert(-1, dict(type='Resize', scale=(90, 48)))


def odd_windows(cfg):
    cfg.model.segmentor.test_cfg.crop_size = (48, 50)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (odd_windows, r'patches of 8 pixels, but a window \(test_cfg.crop_size\) is 48×50: set .* such as 48×48'),
        (no_projection, r'model.feature_distance compares projected features: set model.segmentor.projection = dict'),
        (odd_crops, 'has patches of 8 pixels, but an image is 48×90: set scale and crop_size to multiples of 8'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, message, street_data, tmp_path):
    cfg = config_of(street_data, tmp_path)
    change(cfg)
    with pytest.raises(UserError, match=message):
        train(cfg)


def test_ranks_that_differ_are_one_sentence():
    for message in (
        'DDP expects same model across all ranks, but Rank 0 has 9 params, while rank 1 has inconsistent 5 params.',
        '[1]: params[3] in this process with sizes [4, 24] appears not to match sizes of the same param in process 0.',
    ):
        assert is_expected(RuntimeError(message))
        assert sentence(RuntimeError(message)).endswith(
            ': start all ranks with the same config (check model.segmentor and its low_rank)'
        )


@pytest.mark.slow
def test_a_rank_whose_adapters_differ_stops_in_one_sentence(street_data, tmp_path):
    cfg = config_of(street_data, tmp_path)
    cfg.dump(tmp_path / 'run.py')
    with open(tmp_path / 'run.py', 'a') as file:
        file.write("\nmodel['segmentor']['low_rank']['rank'] = 3 + int(__import__('os').environ['RANK'])\n")
    arguments = [str(tmp_path / 'run.py'), '--work-dir', str(tmp_path / 'two')]
    job = dict(tool='train.py', arguments=arguments, ranks=2, log=str(tmp_path / 'two.log'))
    with pytest.raises(AssertionError):  # both ranks end with 1; rank 0 only sees that the other end is gone
        forked.run([job], tmp_path)
    lines = (tmp_path / 'two.log').read_text().splitlines()
    assert [line for line in lines if re.search('^error: .*params.*: start all ranks with the same config', line)]


@pytest.mark.slow
@pytest.mark.parametrize('network', ['vit', 'hrda'])
def test_two_ranks_equal_one_process_that_accumulates(network, street_data, tmp_path):
    """BN in evaluation mode, so that the batch does not matter; the adapters' gradients are reduced once per step."""
    cfg = config_of(street_data, tmp_path, 4) if network == 'vit' else hrda_of(street_data, tmp_path)
    cfg.model.segmentor.decode_head.update(dropout_ratio=0.0)
    cfg.model.segmentor.backbone.pop('drop_path_rate', None)
    cfg.model.teacher_bn = 'average'
    cfg.model.jitter = cfg.model.blur = None
    if network == 'vit':
        cfg.model.segmentor.decode_head.norm_cfg = dict(type='GN', num_groups=2)
    else:
        cfg.model.segmentor.backbone.norm_eval = True
        cfg.model.segmentor.attention_head.update(dropout_ratio=0.0)
    cfg.optim_wrapper.segmentor.accumulative_counts = 1
    cfg.param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
    cfg.train_cfg.update(max_iters=4, val_interval=100)
    cfg.custom_imports.imports += ['tests.lesson_draws']
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SameDraws')]
    cfg.dump(tmp_path / 'run.py')

    def job(name: str, ranks: int, *options) -> dict:
        arguments = [tmp_path / 'run.py', '--work-dir', tmp_path / name]
        arguments += ['--cfg-options', *options] if options else []
        return dict(
            tool='train.py', arguments=list(map(str, arguments)), ranks=ranks, log=str(tmp_path / f'{name}.log')
        )

    accumulate = ('optim_wrapper.segmentor.accumulative_counts=2', 'train_cfg.max_iters=8')
    forked.run([job('two', 2, 'sync_bn=torch'), job('one', 1, *accumulate)], tmp_path)
    two, one = (load(tmp_path / file)['state_dict'] for file in ('two/iter_4.pth', 'one/iter_8.pth'))
    assert two.keys() == one.keys()
    for name, value in two.items():
        torch.testing.assert_close(value, one[name], rtol=1e-5, atol=1e-5, msg=name)
