"""Every kind of head that MMSegmentation has: one iteration of a game, and the map that testing uses."""

import copy
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.structures import PixelData
from mmseg.datasets.transforms import GenerateEdge
from mmseg.models.decode_heads import Mask2FormerHead, PointHead
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmseg.structures import SegDataSample

from mmseg_adapt.errors import UserError
from mmseg_adapt.export.graph import ImageToLabels, deployed
from mmseg_adapt.export.plain import plain_config
from mmseg_adapt.methods.clock import Clock
from mmseg_adapt.models.heads import edges
from mmseg_adapt.models.losses import labels_of
from mmseg_adapt.models.refusals import needed

pytestmark = pytest.mark.filterwarnings('ignore:"dropout" is deprecated in `FFN:DeprecationWarning')  # K-Net's
CLASSES, SIZE = 4, (32, 64)
BN = dict(type='BN')
PREPROCESSOR = dict(type='SegDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3, size=SIZE)
RESNET = dict(type='ResNetV1c', depth=18, stem_channels=4, base_channels=4, norm_cfg=BN, out_indices=(0, 1, 2, 3))
COMMON = dict(num_classes=CLASSES, norm_cfg=BN, align_corners=False)
CE = dict(type='CrossEntropyLoss', use_sigmoid=False)
OHEM = dict(type='OhemCrossEntropy', thres=0.9, min_kept=100)
FCN = dict(type='FCNHead', in_channels=32, in_index=3, channels=8, num_convs=1, dropout_ratio=0, **COMMON)


def head(kind: str, **kwargs) -> dict:
    return {**COMMON, **dict(type=kind, in_channels=32, in_index=3, channels=8, dropout_ratio=0), **kwargs}


def knet() -> dict:
    updator = dict(type='KernelUpdator', in_channels=8, feat_channels=8, out_channels=8, norm_cfg=dict(type='LN'))
    stage = dict(
        type='KernelUpdateHead',
        num_classes=CLASSES,
        num_heads=2,
        feedforward_channels=16,
        in_channels=8,
        out_channels=8,
        feat_transform_cfg=dict(conv_cfg=dict(type='Conv2d'), act_cfg=None),
        kernel_updator_cfg=updator,
    )
    return dict(
        type='IterativeDecodeHead',
        num_stages=2,
        kernel_update_head=[copy.deepcopy(stage) for _ in range(2)],
        kernel_generate_head=dict(FCN),
    )


def small_ddrnet(**losses) -> dict:
    backbone = dict(type='DDRNet', in_channels=3, channels=8, ppm_channels=8, norm_cfg=BN)
    decode_head = dict(COMMON, type='DDRHead', in_channels=32, channels=8, dropout_ratio=0, **losses)
    return dict(backbone=backbone, decode_head=decode_head)


def small_pidnet() -> dict:
    backbone = dict(type='PIDNet', in_channels=3, channels=8, ppm_channels=8, num_stem_blocks=1, num_branch_blocks=1)
    losses = [dict(CE, loss_weight=0.4), OHEM, dict(type='BoundaryLoss'), OHEM]
    decode_head = dict(COMMON, type='PIDHead', in_channels=32, channels=8, loss_decode=losses)
    return dict(backbone=dict(backbone, norm_cfg=BN), decode_head=decode_head)


def cascade(last: dict, **kwargs) -> dict:
    return dict(type='MultiLevelCascade', num_stages=2, backbone=RESNET, decode_head=[FCN, last], **kwargs)


POINTS = dict(num_points=16, oversample_ratio=3, importance_sample_ratio=0.75)
SUBDIVISION = dict(mode='whole', subdivision_steps=1, subdivision_num_points=8, scale_factor=2)
SEGMENTORS = dict(
    fcn=lambda: dict(backbone=RESNET, decode_head=FCN),
    enc=lambda: dict(backbone=RESNET, decode_head=head('EncHead', in_channels=[16, 32], in_index=(2, 3), num_codes=4)),
    danet=lambda: dict(backbone=RESNET, decode_head=head('DAHead', pam_channels=4)),
    knet=lambda: dict(backbone=RESNET, decode_head=knet()),
    ddrnet=lambda: small_ddrnet(loss_decode=[OHEM, dict(OHEM, loss_weight=0.4)]),
    ddrnet_ce=lambda: small_ddrnet(loss_decode=[CE, dict(CE, loss_weight=0.4)]),
    pidnet=small_pidnet,
    stdc=lambda: dict(
        backbone=RESNET,
        decode_head=FCN,
        auxiliary_head=[dict(FCN, type='STDCHead', num_classes=2, boundary_threshold=0.1, loss_decode=[CE])],
    ),
    sigmoid=lambda: dict(backbone=RESNET, decode_head=dict(FCN, loss_decode=dict(CE, use_sigmoid=True))),
    ocrnet=lambda: cascade(head('OCRHead', ocr_channels=4)),
    point_rend=lambda: cascade(
        dict(type='PointHead', in_channels=[4], in_index=[0], channels=8, num_classes=CLASSES, dropout_ratio=0),
        train_cfg=POINTS,
        test_cfg=SUBDIVISION,
    ),
)
WEIGHTED = ('fcn', 'danet', 'knet', 'ddrnet_ce', 'sigmoid', 'ocrnet')
EXTRA = dict(  # what else the losses need
    enc={'decode.classes'},
    danet={'decode.pam', 'decode.cam'},
    knet={'decode.s0', 'decode.s1'},
    ddrnet={'decode.spatial'},
    ddrnet_ce={'decode.spatial'},
    pidnet={'decode.details', 'decode.boundaries'},
    point_rend={'decode.points', 'decode.at_points'},
)
LOGGED = dict(
    enc={'loss_ce', 'loss_se'},
    danet={'pam_cam.loss_ce', 'pam.loss_ce', 'cam.loss_ce'},
    knet={'loss_ce.s0', 'loss_ce.s1', 'loss_ce.s2'},
    ddrnet={'loss_context', 'loss_spatial'},
    ddrnet_ce={'loss_context', 'loss_spatial'},
    pidnet={'loss_sem_p', 'loss_sem_i', 'loss_bd', 'loss_sem_bd'},
    point_rend={'pointloss_ce'},
)


def segmentor(kind: str, **kwargs) -> dict:
    cfg = copy.deepcopy(SEGMENTORS[kind]())
    if kind == 'point_rend' and needed('PointHead'):
        pytest.skip(needed('PointHead'))
    return ConfigDict({'type': 'MultiLevelSegmentor', 'test_cfg': dict(mode='whole'), **cfg, **kwargs})


def game(cfg: dict, type: str = 'AdaptSegNet', channels: int = CLASSES, level: str = 'decode', **kwargs):
    torch.manual_seed(0)
    d = dict(type='OutputSpaceDiscriminator', in_channels=channels, base_channels=2)
    players = dict(discriminator={level: d}, lambda_adv={level: 0.1})
    model = MODELS.build({**dict(type=type, segmentor=cfg, data_preprocessor=PREPROCESSOR), **players, **kwargs})
    return model.train()


def optimisers(model):
    cfg = {player: dict(optimizer=dict(type='SGD', lr=0.01)) for player in model.players}
    return OPTIM_WRAPPER_CONSTRUCTORS.build(dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=cfg))(model)


def batch(classes: int = CLASSES) -> dict:
    generator = torch.Generator().manual_seed(1)
    data = {}
    for stream in ('source', 'target'):
        labels = (
            torch.randint(classes, (2, 1, 4, 8), generator=generator).repeat_interleave(8, 2).repeat_interleave(8, 3)
        )
        labels[:, :, :3] = 255
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
        data[stream] = dict(inputs=list(torch.rand(2, 3, *SIZE, generator=generator)), data_samples=samples)
    return data


def gradients(player) -> float:
    return sum(p.grad.abs().sum().item() for p in player.parameters() if p.grad is not None)


def kept_gradients(wrappers) -> None:
    for wrapper in wrappers.values():
        wrapper.zero_grad = lambda: None


@pytest.mark.parametrize('kind', SEGMENTORS)
def test_a_game_is_played_with_every_kind_of_head(kind):
    model = game(segmentor(kind))
    wrappers = optimisers(model)
    kept_gradients(wrappers)
    log = model.train_step(batch(), wrappers)
    assert all(torch.isfinite(value) for value in log.values()), log
    assert {f'decode.{name}' for name in LOGGED.get(kind, {'loss_ce'})} <= log.keys()
    assert gradients(model.segmentor) > 0
    assert gradients(model.discriminator) > 0


@pytest.mark.parametrize('kind', SEGMENTORS)
def test_the_adversarial_loss_alone_moves_the_backbone(kind):
    model = game(segmentor(kind))
    _, losses = model.deceive(**model.data_preprocessor(batch()['target'], True))
    losses['decode.loss_adv'].backward()
    assert gradients(model.segmentor.backbone) > 0
    assert gradients(model.discriminator) == 0


def precise(model, images):
    """In double precision, but for the points of PointRend, which are float32."""
    floats = any(isinstance(head, PointHead) for head in model.heads.values())
    return (model, images) if floats else (model.double(), images.double())


@pytest.mark.parametrize('kind', SEGMENTORS)
def test_the_map_that_a_discriminator_sees_is_the_one_that_testing_uses(kind):
    model, images = precise(game(segmentor(kind)).segmentor.eval(), torch.rand(2, 3, *SIZE))
    with torch.no_grad():
        outputs = model(images, mode='tensor')
        meta = dict(img_shape=torch.Size(outputs['decode'].shape[2:]))
        tested = model.encode_decode(images, [meta] * 2)
        torch.testing.assert_close(model.logits(images), tested)
    torch.testing.assert_close(outputs['decode'], tested)
    assert outputs['decode'].shape[:2] == (2, CLASSES)


@pytest.mark.parametrize('kind', SEGMENTORS)
def test_in_training_the_losses_get_what_they_need_beside_the_map(kind):
    outputs = game(segmentor(kind)).segmentor(torch.rand(2, 3, *SIZE), mode='tensor')
    maps = {'decode', 'decode_0', 'aux_0', 'backbone'}
    assert outputs.keys() - maps == EXTRA.get(kind, set())
    assert outputs['decode'].shape[:2] == (2, CLASSES)


@pytest.mark.parametrize(
    'kind', ['enc', 'danet', 'knet', 'ddrnet', 'pidnet', 'stdc', 'ocrnet', 'sigmoid', 'point_rend']
)
def test_the_losses_are_those_of_mmsegmentation(kind):
    data = batch()['source']
    model, images = precise(game(segmentor(kind)).segmentor, torch.stack(data['inputs']))
    labels = labels_of(data['data_samples'])
    for sample, label in zip(data['data_samples'], labels):
        made = GenerateEdge(edge_width=4).transform(dict(img_shape=SIZE, gt_seg_map=label.numpy().astype(np.uint8)))
        sample.gt_edge_map = PixelData(data=torch.from_numpy(made['gt_edge_map']).long()[None])
    torch.manual_seed(3)
    ours = model.loss_by_outputs(model(images, mode='tensor'), labels)
    torch.manual_seed(3)
    theirs = model.loss(images, data['data_samples'])
    if hasattr(model, 'num_stages'):  # whose last head is level 'decode'
        theirs = {name.replace('decode_1.', 'decode.'): value for name, value in theirs.items()}
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name].double().view(()), value.double().view(()), msg=name)


@pytest.mark.parametrize('width', [3, 4])
def test_the_edges_are_those_that_mmsegmentation_draws(width):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, (2, 6, 7)).repeat(5, 1).repeat(6, 2)
    labels[:, 8:15, 20:] = 255
    for label, found in zip(labels, edges(torch.from_numpy(labels), width)):
        drawn = GenerateEdge(edge_width=width).transform(dict(img_shape=label.shape, gt_seg_map=label))
        assert np.array_equal(found.numpy(), drawn['gt_edge_map'])


# --------------------------------------------------------------------------------------------------- self-training


def dacs(cfg: dict):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='DACS', segmentor=cfg, data_preprocessor=PREPROCESSOR)).train()
    model.clock = Clock(model.players)
    model.clock.runs = True
    return model


@pytest.mark.parametrize('kind', WEIGHTED)
def test_a_student_learns_with_weights_of_pixels(kind):
    model = dacs(segmentor(kind))
    outputs = model.segmentor(torch.rand(2, 3, *SIZE), mode='tensor')
    labels = labels_of(batch()['source']['data_samples'])
    half, whole = (model.supervised(outputs, labels, torch.full(labels.shape, weight)) for weight in (0.5, 1.0))
    for name in (name for name in whole if 'loss' in name):
        torch.testing.assert_close(half[name], 0.5 * whole[name])
    plain = model.supervised(outputs, labels)
    torch.testing.assert_close([whole[n] for n in plain if 'loss' in n], [plain[n] for n in plain if 'loss' in n])


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('enc', "level 'decode': EncHead does not support pixel weights.* set use_se_loss = False"),
        ('ddrnet', 'DDRHead does not support pixel weights.*OhemCrossEntropy .* CrossEntropyLoss'),
        ('pidnet', 'PIDHead does not support pixel weights.* use FCNHead'),
        ('stdc', "level 'aux_0': STDCHead does not support pixel weights.* remove it"),
        ('point_rend', 'PointHead does not support pixel weights'),
    ],
)
def test_self_training_refuses_a_head_that_takes_no_weights_when_it_is_built(kind, message):
    with pytest.raises(UserError, match=message):
        dacs(segmentor(kind))


# -------------------------------------------------------------------------------------------------------- cascades


def test_a_discriminator_may_look_at_an_earlier_head_of_a_cascade():
    model = game(segmentor('ocrnet'), level='decode_0')
    assert model.segmentor.levels == ('decode_0', 'decode', 'backbone')
    log = model.train_step(batch(), optimisers(model))
    assert torch.isfinite(log['decode_0.loss_adv'])
    later = model.segmentor.decode_head[1]
    later.forward = None  # it must not run where nobody looks
    outputs = model.segmentor(torch.rand(2, 3, *SIZE), mode='tensor', levels=('decode_0',))
    assert outputs.keys() == {'decode_0', 'backbone'}


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(type='CascadeEncoderDecoder'), "set model.segmentor.type = 'MultiLevelCascade'"),
        (dict(type='MultiLevelCascade', num_stages=3), 'needs a list of num_stages = 3 heads'),
    ],
)
def test_a_cascade_of_another_type_or_length_is_refused_with_the_cure(cfg, message):
    with pytest.raises(UserError, match=message):
        game({**segmentor('ocrnet'), **cfg})


def test_a_list_of_heads_asks_for_the_cascade():
    cfg = segmentor('ocrnet', type='MultiLevelSegmentor')
    del cfg['num_stages']
    with pytest.raises(UserError, match="set model.segmentor.type = 'MultiLevelCascade'"):
        game(cfg)


def test_a_cascade_is_exported_as_mmsegmentations_which_predicts_the_same():
    model = game(segmentor('ocrnet')).segmentor.eval()
    cfg = plain_config(Config(dict(model=segmentor('ocrnet', data_preprocessor=PREPROCESSOR)))).model
    assert cfg.type == 'CascadeEncoderDecoder'
    plain = MODELS.build(cfg).eval()
    plain.load_state_dict(model.state_dict())
    images = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        expected, found = (m.predict(images)[0].seg_logits.data for m in (plain, model))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize('kind', ['danet', 'enc', 'knet', 'pidnet'])
def test_the_graph_that_is_exported_has_the_map_that_testing_uses(kind):
    model = MODELS.build(segmentor(kind, data_preprocessor=dict(PREPROCESSOR, bgr_to_rgb=True))).eval()
    image = 255 * torch.rand(1, 3, *SIZE)
    probabilities, _ = deployed(model, image)
    with torch.no_grad():
        torch.testing.assert_close(ImageToLabels(model)(image), probabilities, rtol=1e-4, atol=1e-5)


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(decode_head=dict(type='SideAdapterCLIPHead')), 'SideAdapterCLIPHead compares masks with texts'),
        (dict(decode_head=dict(type='VPDDepthHead')), 'VPDDepthHead estimates depth'),
        (dict(decode_head=dict(type='PSAHead')), r'PSAHead needs mmcv with compiled ops \(PSAMask\)'),
        (
            dict(backbone=dict(type='mmpretrain.ConvNeXt')),
            'mmpretrain.ConvNeXt needs mmpretrain, which is not installed',
        ),
        (dict(decode_head=dict(type='Mask2FormerHead')), 'Mask2FormerHead needs mmdet, which is not installed'),
    ],
)
def test_what_cannot_be_built_here_or_adapted_is_refused_by_name_at_build(cfg, message):
    kind = next(iter(cfg.values()))['type']
    if kind not in ('SideAdapterCLIPHead', 'VPDDepthHead') and not needed(kind):
        pytest.skip('it is installed')
    with pytest.raises(UserError, match=message):
        game({**segmentor('fcn'), **cfg})


def test_a_head_with_a_prediction_of_its_own_is_refused_by_name_at_build():
    class Strange(type(MODELS.build(FCN))):
        def predict(self, *args):
            raise NotImplementedError

    MODELS.register_module(name='StrangeHead', force=True, module=Strange)
    with pytest.raises(UserError, match=r"level 'decode': Strange does not return a single logit map"):
        game(segmentor('fcn', decode_head=dict(FCN, type='StrangeHead')))


def test_hrda_refuses_a_head_with_more_than_one_map():
    cfg = segmentor('danet', type='HRDASegmentor', attention_head=FCN, detail_crop=(16, 16))
    with pytest.raises(UserError, match='HRDASegmentor fuses single maps.*not DAHead'):
        game(cfg)


# ------------------------------------------------------------------------------------------------ one binary output


def binary(**kwargs) -> dict:
    decode_head = dict(FCN, num_classes=2, out_channels=1, threshold=0.5, loss_decode=dict(CE, use_sigmoid=True))
    return segmentor('fcn', decode_head={**decode_head, **kwargs})


@pytest.mark.parametrize('type', ['AdaptSegNet', 'AdvEnt'])
def test_a_binary_head_of_one_output_gets_an_adversarial_gradient(type):
    model = game(binary(), type, channels=2)
    _, losses = model.deceive(**model.data_preprocessor(batch(2)['target'], True))
    assert torch.isfinite(losses['decode.loss_adv'])
    losses['decode.loss_adv'].backward()
    assert gradients(model.segmentor.backbone) > 0
    log = model.train_step(batch(2), optimisers(model))
    assert all(torch.isfinite(value) for value in log.values())


def test_a_discriminator_of_a_binary_head_takes_two_channels():
    with pytest.raises(UserError, match='in_channels = 1, but the segmentor predicts 2 classes: set it to 2'):
        game(binary(), channels=1)


def test_minent_of_a_binary_head_is_finite_and_moves_the_segmentor():
    model = game(binary(), 'MinEnt', discriminator={}, lambda_adv={}, lambda_ent=dict(decode=1.0))
    _, losses = model.deceive(**model.data_preprocessor(batch(2)['target'], True))
    assert 0 < losses['decode.loss_ent'] <= 1
    losses['decode.loss_ent'].backward()
    assert gradients(model.segmentor.backbone) > 0


def test_dacs_does_an_iteration_with_a_binary_head():
    model = dacs(binary())
    log = model.train_step(batch(2), optimisers(model))
    assert all(torch.isfinite(value) for value in log.values())
    assert log['mix.decode.loss_ce'] > 0


# ---------------------------------------------------------------------------------------------------- masks of mmdet


def mask_segmentor(family: str, name: str) -> dict:
    """MMSegmentation's config with few queries, layers and points, without the backbone."""
    folder = Path(mmseg.__file__).parent / '.mim/configs' / family
    cfg = Config.fromfile(folder / f'{name}_8xb2-160k_ade20k-512x512.py', import_custom_modules=False).model
    head = cfg.decode_head
    head.update(in_channels=[4, 8, 16, 32], num_classes=CLASSES, num_queries=8)
    head.loss_cls.class_weight = [1.0] * CLASSES + [0.1]
    head.transformer_decoder.num_layers = 3 if family == 'mask2former' else 1
    if family == 'mask2former':
        head.pixel_decoder.encoder.num_layers = 1
        head.train_cfg.num_points = 32
    cfg.pop('data_preprocessor')
    return ConfigDict(cfg, type='MultiLevelSegmentor', backbone=RESNET)


@pytest.mark.skipif(not hasattr(Mask2FormerHead, 'loss_by_feat'), reason='needs mmdet')
@pytest.mark.parametrize(('family', 'name'), [('maskformer', 'maskformer_r50-d32'), ('mask2former', 'mask2former_r50')])
def test_a_game_is_played_with_classes_of_masks(family, name):
    model = game(mask_segmentor(family, name)).eval()
    images = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        seen = model.segmentor(images, mode='tensor')['decode']
        meta = dict(img_shape=tuple(seen.shape[2:]))
        tested = model.segmentor.encode_decode(images, [meta, dict(meta)])
    torch.testing.assert_close(seen.softmax(1), tested / tested.sum(1, keepdim=True), atol=1e-4, rtol=1e-4)
    wrappers = optimisers(model.train())
    kept_gradients(wrappers)
    log = model.train_step(batch(), wrappers)
    assert all(torch.isfinite(value) for value in log.values()), log
    assert {'decode.loss_cls', 'decode.loss_mask', 'decode.loss_dice', 'decode.loss_adv'} <= log.keys()
    assert gradients(model.segmentor.backbone) > 0
    assert gradients(model.discriminator) > 0
    with pytest.raises(UserError, match='does not support pixel weights'):
        model.segmentor.check_weights()
