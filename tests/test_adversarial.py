"""The game of methods/adversarial.py against the paper's loop, written out in plain PyTorch."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from mmseg.structures import SegDataSample
from paper_loop import LAMBDA_ADV, LAMBDA_SEG, LEVELS, PaperLoop

from mmseg_adapt.errors import UserError
from mmseg_adapt.models.losses import labels_of

CLASSES = 5


def head(in_index: int, channels: int, weight: float) -> dict:
    loss = dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=weight)
    return dict(
        type='DeepLabV2Head',
        in_channels=channels,
        in_index=in_index,
        num_classes=CLASSES,
        dilations=(1, 2),
        loss_decode=loss,
    )


def adapter(**overrides) -> torch.nn.Module:
    """A multi-level AdaptSegNet of toy width, in double precision."""
    torch.manual_seed(0)
    discriminator = dict(type='OutputSpaceDiscriminator', in_channels=CLASSES, base_channels=2)
    cfg = dict(
        type='AdaptSegNet',
        segmentor=dict(
            type='MultiLevelSegmentor',
            data_preprocessor=dict(type='SegDataPreProcessor', size_divisor=1, seg_pad_val=255),
            backbone=dict(type='DeepLabV2ResNet', depth=18, stem_channels=4, base_channels=4),
            decode_head=head(3, 32, LAMBDA_SEG['decode']),
            auxiliary_head=head(2, 16, LAMBDA_SEG['aux']),
            test_cfg=dict(mode='whole'),
        ),
        discriminator=dict(decode=discriminator, aux=discriminator),
        lambda_adv=LAMBDA_ADV,
    )
    cfg.update(overrides)
    model = MODELS.build(cfg).double().train()
    model.data_preprocessor = Stack()
    return model


class Stack(torch.nn.Module):
    """A data preprocessor that leaves double precision alone, which MMSegmentation's turns into single."""

    def forward(self, data, training):
        return dict(inputs=torch.stack(data['inputs']), data_samples=data['data_samples'])


OPTIM = dict(
    segmentor=dict(
        optimizer=dict(type='RepeatedSGD', lr=1e-3, momentum=0.9, weight_decay=5e-4),
        paramwise_cfg=dict(
            custom_keys={
                'decode_head': dict(lr_mult=10),
                'auxiliary_head': dict(lr_mult=10),
                'backbone.layer': dict(repeats=3),
            }
        ),
    ),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
)


def optimisers(model: torch.nn.Module):
    cfg = dict(optim_wrapper_cfg=copy.deepcopy(OPTIM), type='PlayerOptimWrapperConstructor')
    return OPTIM_WRAPPER_CONSTRUCTORS.build(cfg)(model)


def batch(t: int) -> dict:
    """Two source images with labels and one larger target image without."""
    g = torch.Generator().manual_seed(t)
    label = torch.randint(0, CLASSES, (2, 1, 64, 64), generator=g)
    label[torch.rand(label.shape, generator=g) < 0.1] = 255
    source = [SegDataSample(gt_sem_seg=PixelData(data=y), metainfo=dict(img_shape=(64, 64))) for y in label]
    return dict(
        source=dict(inputs=list(torch.randn(2, 3, 64, 64, generator=g).double()), data_samples=source),
        target=dict(
            inputs=list(torch.randn(1, 3, 64, 96, generator=g).double()),
            data_samples=[SegDataSample(metainfo=dict(img_shape=(64, 96)))],
        ),
    )


@pytest.mark.parametrize('objective', ['vanilla', 'lsgan'])
def test_six_iterations_equal_the_papers_loop(objective):
    ours = adapter(objective=objective)
    loop = PaperLoop(copy.deepcopy(ours), lsgan=objective == 'lsgan')
    wrappers = optimisers(ours)
    for t in range(6):
        log = {k: v.item() for k, v in ours.train_step(batch(t), wrappers).items() if 'loss' in k}
        assert log == pytest.approx(loop.iteration(batch(t)), rel=1e-9), t
    for (name, a), b in zip(ours.segmentor.state_dict().items(), loop.S.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10, msg=name)
    for (name, a), b in zip(ours.discriminator.state_dict().items(), loop.D.state_dict().values()):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10, msg=name)


class RecordingWrapper:
    """An optimiser wrapper that keeps the gradients of its step instead of moving."""

    def __new__(cls, wrapper, player):
        def step():
            wrapper.gradients = {n: None if p.grad is None else p.grad.clone() for n, p in player.named_parameters()}

        wrapper.step = step
        return wrapper


def gradients_of_one_iteration(model) -> dict[str, dict]:
    wrappers = optimisers(model)
    for player, wrapper in wrappers.items():
        RecordingWrapper(wrapper, getattr(model, player))
    model.train_step(batch(0), wrappers)
    return {player: getattr(wrapper, 'gradients', {}) for player, wrapper in wrappers.items()}


def test_the_segmentors_losses_leave_no_gradient_on_the_discriminator_and_the_other_way_round():
    both = gradients_of_one_iteration(adapter())
    alone = {}
    for player in ('segmentor', 'discriminator'):
        model = adapter()
        model.clock.movers = {player}
        alone[player] = gradients_of_one_iteration(model)[player]
        other = {'segmentor': 'discriminator', 'discriminator': 'segmentor'}[player]
        assert all(p.grad is None for p in getattr(model, other).parameters())
    for player, gradients in both.items():
        assert any(g is not None and g.abs().sum() > 0 for g in gradients.values())
        for name, gradient in gradients.items():
            expected = alone[player][name]
            assert (gradient is None) == (expected is None), name
            if gradient is not None:
                assert torch.equal(gradient, expected), name


def test_a_player_that_does_not_move_keeps_its_weights_and_still_logs_its_losses():
    for mover, sitter in (('segmentor', 'discriminator'), ('discriminator', 'segmentor')):
        model = adapter()
        model.clock.movers = {mover}
        before = {n: p.clone() for n, p in model.named_parameters()}
        log = model.train_step(batch(0), optimisers(model))
        assert {f'{level}.loss_adv' for level in LEVELS} <= log.keys()
        assert {f'discriminator.{level}.loss_dis' for level in LEVELS} <= log.keys()
        moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
        assert moved
        assert not any(n.startswith(sitter) for n in moved)


def test_without_discriminators_the_target_moves_bn_statistics_but_no_weight():
    model = adapter(discriminator={}, lambda_adv={})
    assert model.players == ('segmentor',)
    reference = copy.deepcopy(model.segmentor)
    optim = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type='PlayerOptimWrapperConstructor', optim_wrapper_cfg=dict(segmentor=copy.deepcopy(OPTIM['segmentor'])))
    )
    model.train_step(batch(0), optim(model))
    source = torch.stack(batch(0)['source']['inputs'])
    outputs = reference(source, mode='tensor')  # what training on the source alone would have done to the statistics
    sum(
        reference.loss_by_outputs(outputs, labels_of(batch(0)['source']['data_samples']))[f'{k}.loss_ce']
        for k in LEVELS
    ).backward()
    alone = reference.backbone.bn1.running_mean.clone()
    reference(torch.stack(batch(0)['target']['inputs']), mode='tensor')
    torch.testing.assert_close(model.segmentor.backbone.bn1.running_mean, reference.backbone.bn1.running_mean)
    assert not torch.allclose(model.segmentor.backbone.bn1.running_mean, alone)
    gradient = reference.backbone.conv1.weight.grad
    moved = (
        adapter(discriminator={}, lambda_adv={}).segmentor.backbone.conv1.weight - model.segmentor.backbone.conv1.weight
    )
    torch.testing.assert_close(moved, 1e-3 * (gradient + 5e-4 * reference.backbone.conv1.weight))


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (dict(lambda_adv=dict(decode=0.1)), r"levels \['aux', 'decode'\], but model.lambda_adv has \['decode'\]"),
        (
            dict(
                discriminator=dict(neck=dict(type='OutputSpaceDiscriminator', in_channels=5)), lambda_adv=dict(neck=1.0)
            ),
            r"has \['neck'\]: its keys must be levels .* \['decode', 'aux', 'backbone'\]",
        ),
        (
            dict(
                discriminator=dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=19)),
                lambda_adv=dict(decode=1.0),
            ),
            r'model.discriminator.decode.in_channels = 19, but the segmentor predicts 5 classes: set it to 5',
        ),
        (dict(objective='hinge'), r"model.objective = 'hinge' must be one of \['lsgan', 'vanilla'\]"),
        (
            dict(
                discriminator=dict(backbone=dict(type='OutputSpaceDiscriminator', in_channels=32)),
                lambda_adv=dict(backbone=1),
            ),
            'or FeatureAdaptation',
        ),
    ],
)
def test_a_config_that_cannot_work_is_refused_in_a_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        adapter(**overrides)


def test_a_stock_encoder_decoder_is_refused_with_the_type_to_use():
    segmentor = Config(
        dict(type='EncoderDecoder', backbone=dict(type='DeepLabV2ResNet', depth=18), decode_head=head(3, 512, 1))
    )
    with pytest.raises(UserError, match="set model.segmentor.type = 'MultiLevelSegmentor'"):
        adapter(segmentor=segmentor)


def test_the_feature_level_baseline_shows_the_discriminator_the_features_themselves():
    discriminator = dict(type='OutputSpaceDiscriminator', in_channels=32, base_channels=2)
    model = adapter(type='FeatureAdaptation', discriminator=dict(backbone=discriminator), lambda_adv=dict(backbone=0.1))
    seen = []
    classify = model.discriminator['backbone'].layers[0]  # the toy's features are too small for all five layers
    model.discriminator['backbone'].forward = lambda x: seen.append(x) or classify(x)
    wrappers = optimisers(model)
    log = model.train_step(batch(0), wrappers)
    assert 'backbone.loss_adv' in log
    assert [tuple(x.shape) for x in seen] == [(1, 32, 9, 13), (2, 32, 9, 9), (1, 32, 9, 13)]
