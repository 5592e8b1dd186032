"""Class probabilities of heads with one map per class, and with one map for two classes."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_adapt.models.probabilities import class_probabilities, predicted_probabilities


def test_one_map_of_logits_is_one_minus_p_and_p():
    z = torch.linspace(-60, 60, 24, dtype=torch.float64).reshape(2, 1, 3, 4)
    found = class_probabilities(z)
    assert found.shape == (2, 2, 3, 4)
    torch.testing.assert_close(found[:, 1:], 1 / (1 + (-z).exp()), rtol=1e-14, atol=0)
    torch.testing.assert_close(found[:, :1], 1 / (1 + z.exp()), rtol=1e-14, atol=0)
    two = class_probabilities(torch.cat([torch.zeros_like(z), z], 1))  # the softmax of two maps that says the same
    torch.testing.assert_close(found, two, rtol=1e-12, atol=0)


def test_the_gradient_through_one_map_is_not_zero():
    z = torch.zeros(1, 1, 2, 2, requires_grad=True)
    class_probabilities(z)[:, 1].sum().backward()
    assert torch.equal(z.grad, torch.full_like(z, 0.25))


@pytest.mark.parametrize('channels', [1, 2, 5])
def test_what_mmsegmentation_predicts_becomes_the_same_probabilities_as_its_logits(channels):
    head = dict(type='FCNHead', in_channels=4, channels=4, num_convs=1, out_channels=channels, threshold=0.3)
    head.update(num_classes=max(channels, 2), norm_cfg=dict(type='BN'))
    backbone = dict(type='ResNetV1c', depth=18, stem_channels=4, base_channels=4, norm_cfg=dict(type='BN'))
    head.update(in_channels=32, in_index=3)
    model = MODELS.build(
        dict(type='EncoderDecoder', backbone=backbone, decode_head=head, test_cfg=ConfigDict(mode='whole'))
    ).eval()
    image = torch.rand(1, 3, 64, 64)
    meta = dict(img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64))
    with torch.no_grad():
        logits = model.encode_decode(image, [meta])
        (result,) = model.predict(image, [SegDataSample(metainfo=meta)])
    found = predicted_probabilities(result.seg_logits.data[None])
    torch.testing.assert_close(found, class_probabilities(logits))
    assert found.shape[1] == max(channels, 2)
    torch.testing.assert_close(found.sum(1), torch.ones(1, 64, 64))
