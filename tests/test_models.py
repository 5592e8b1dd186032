"""DeepLabV2's networks and the discriminator: sizes, parameter counts, equality with plain PyTorch twins."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS
from torch import nn

from mmseg_adapt.errors import UserError

from .tiny import CONFIGS


def millions(module: nn.Module) -> float:
    return round(sum(p.numel() for p in module.parameters()) / 1e6, 3)


@pytest.fixture(scope='module')
def paper_model():
    cfg = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_multilevel_paper.py').model
    cfg.segmentor.backbone.init_cfg = None
    with torch.device('meta'):
        return MODELS.build(cfg)


def test_parameter_counts_are_the_published_ones(paper_model):
    assert millions(paper_model.segmentor) == pytest.approx(44.60, abs=0.005)
    for level in ('decode', 'aux'):
        assert millions(paper_model.discriminator[level]) == 2.781


@pytest.mark.parametrize(('image', 'logits'), [((720, 1280), (91, 161)), ((512, 1024), (65, 129))])
def test_logits_have_the_published_sizes(paper_model, image, logits):
    outputs = paper_model.segmentor(torch.empty(1, 3, *image, device='meta'), mode='tensor')
    assert {k: tuple(v.shape) for k, v in outputs.items()} == {
        'decode': (1, 19, *logits),
        'aux': (1, 19, *logits),
        'backbone': (1, 2048, *logits),
    }


@pytest.mark.parametrize(('depth', 'channels'), [(18, (64, 128, 256, 512)), (50, (256, 512, 1024, 2048))])
def test_other_depths_have_output_stride_8(depth, channels):
    with torch.device('meta'):
        features = MODELS.build(dict(type='DeepLabV2ResNet', depth=depth))(torch.empty(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [
        (1, c, h, w) for c, (h, w) in zip(channels, [(17, 25)] + 3 * [(9, 13)])
    ]


def test_vgg_equals_torchvisions_layers_without_pool4_and_pool5_and_with_dilation():
    torchvision = pytest.importorskip('torchvision')
    ours = MODELS.build(dict(type='DeepLabV2VGG', fc_channels=8)).eval()
    twin = torchvision.models.vgg16(weights=None).features.eval()
    missing, unexpected = ours.features.load_state_dict(twin.state_dict(), strict=False)
    assert not missing
    assert not unexpected
    x = expected = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        for index, layer in enumerate(twin):
            if index >= 24 and isinstance(layer, nn.Conv2d):
                expected = F.conv2d(expected, layer.weight, layer.bias, padding=2, dilation=2)
            elif index not in (23, 30):
                expected = layer(expected)
        for conv in (ours.fc6, ours.fc7):
            expected = F.relu(F.conv2d(expected, conv.weight, conv.bias, padding=4, dilation=4))
        (features,) = ours(x)
    assert features.shape == (1, 8, 6, 8)
    torch.testing.assert_close(features, expected)


def test_the_classifier_is_the_sum_of_its_dilated_convolutions():
    head = MODELS.build(dict(type='DeepLabV2Head', in_channels=6, num_classes=4, dilations=(1, 3)))
    x = torch.randn(1, 6, 9, 9)
    expected = sum(
        F.conv2d(x, conv.weight, conv.bias, padding=rate, dilation=rate) for conv, rate in zip(head.conv_seg, (1, 3))
    )
    torch.testing.assert_close(head([x]), expected)
    assert head.dropout is None
    assert head.align_corners


def test_the_classifiers_weights_are_drawn_from_n_0_001_and_survive_init_weights():
    head = MODELS.build(dict(type='DeepLabV2Head', in_channels=256, num_classes=19))
    head.init_weights()
    for conv in head.conv_seg:
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_the_discriminator_equals_its_description():
    discriminator = MODELS.build(dict(type='OutputSpaceDiscriminator', in_channels=5, base_channels=4))
    convs = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convs] == [(5, 4), (4, 8), (8, 16), (16, 32), (32, 1)]
    x = expected = torch.rand(2, 5, 64, 96)
    for i, conv in enumerate(convs):
        expected = F.conv2d(expected, conv.weight, conv.bias, stride=2, padding=1)
        expected = F.leaky_relu(expected, 0.2) if i < 4 else expected
    torch.testing.assert_close(discriminator(x), expected)
    assert expected.shape == (2, 1, 2, 3)


def test_the_papers_upsampling_brings_the_scores_to_the_size_of_the_image():
    cfg = dict(type='OutputSpaceDiscriminator', in_channels=3, base_channels=2)
    plain, upsampled = MODELS.build(cfg), MODELS.build(dict(cfg, upsample=True))
    upsampled.load_state_dict(plain.state_dict())
    x = torch.rand(1, 3, 64, 96)
    expected = F.interpolate(plain(x), (64, 96), mode='bilinear', align_corners=True)
    torch.testing.assert_close(upsampled(x), expected)


@pytest.mark.parametrize(
    ('shape', 'message'), [((1, 4, 64, 64), 'set in_channels = 4'), ((1, 3, 16, 64), 'only 16×64')]
)
def test_the_discriminator_names_what_it_cannot_judge(shape, message):
    discriminator = MODELS.build(dict(type='OutputSpaceDiscriminator', in_channels=3, base_channels=2))
    with pytest.raises(UserError, match=message):
        discriminator(torch.rand(shape))


def test_the_region_discriminator_equals_its_description():
    discriminator = MODELS.build(dict(type='RegionDiscriminator', in_channels=5, channels=4))
    x = torch.rand(2, 5, 7, 9)
    branches = [
        F.conv2d(x, branch.weight, branch.bias, padding=rate, dilation=rate)
        for rate, branch in zip((1, 2, 3, 4), discriminator.branches)
    ]
    expected = F.conv2d(torch.cat(branches, dim=1), discriminator.score.weight, discriminator.score.bias)
    assert expected.shape == (2, 1, 7, 9)
    assert torch.equal(discriminator(x), expected)


def test_the_image_level_discriminator_equals_its_description():
    discriminator = MODELS.build(dict(type='ImageDiscriminator', in_channels=5, channels=4))
    hidden, score = (m for m in discriminator.modules() if isinstance(m, nn.Conv2d))
    x = torch.rand(2, 5, 7, 9)
    expected = (x.mean(dim=(2, 3)) @ hidden.weight[:, :, 0, 0].T + hidden.bias).relu()
    expected = expected @ score.weight[:, :, 0, 0].T + score.bias
    torch.testing.assert_close(discriminator(x), expected[:, :, None, None])


def test_the_ablations_region_level_discriminator_differs_from_rans_in_its_rates_alone():
    with torch.device('meta'):
        ran, conv, ada = (
            MODELS.build(Config.fromfile(CONFIGS / f'fcan/gta2cs_{row}.py').model.discriminator.backbone)
            for row in ('ran', 'conv', 'ada')
        )
    aspp = 4 * (2048 * 9 * 128 + 128) + 512 + 1  # four branches, 1×1
    assert [sum(p.numel() for p in d.parameters()) for d in (ran, conv)] == [aspp, aspp]
    assert sum(p.numel() for p in ada.parameters()) == 2048 * 512 + 512 + 512 + 1
    assert [b.dilation for b in ran.branches] == [(r, r) for r in (1, 2, 3, 4)]
    assert [b.dilation for b in conv.branches] == [(1, 1)]
    features = torch.empty(1, 2048, 65, 129, device='meta')
    assert [tuple(d(features).shape) for d in (ran, conv, ada)] == [(1, 1, 65, 129)] * 2 + [(1, 1, 1, 1)]
