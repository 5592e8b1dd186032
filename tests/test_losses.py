import math

import pytest
import torch
from mmseg.models.losses import accuracy

from mmseg_adapt.models.losses import domain_loss, pixel_accuracy


@pytest.mark.parametrize(
    ('objective', 'domain', 'expected'),
    [
        ('vanilla', 'source', (math.log(2) + math.log(1 + math.e**2)) / 2),
        ('vanilla', 'target', (math.log(2) + math.log(1 + math.e**-2)) / 2),
        ('lsgan', 'source', (0 + 4) / 2),
        ('lsgan', 'target', (1 + 1) / 2),
    ],
)
def test_the_objectives_equal_their_formulas(objective, domain, expected):
    assert domain_loss(torch.tensor([0.0, 2.0]), domain, objective).item() == pytest.approx(expected)


def test_one_logit_with_cross_entropy_equals_the_papers_two_channel_softmax():
    score = torch.randn(2, 1, 3, 4)
    two_channels = torch.cat([torch.zeros_like(score), score], dim=1)  # channel 0 source, channel 1 target
    for index, domain in enumerate(('source', 'target')):
        paper = -torch.log_softmax(two_channels, dim=1)[:, index].mean()
        torch.testing.assert_close(domain_loss(score, domain), paper)


@pytest.mark.parametrize('ignored', [0.0, 0.3, 1.0])
def test_the_accuracy_that_waits_for_nothing_is_mmsegmentations(ignored):
    logits, labels = torch.randn(2, 5, 9, 11), torch.randint(0, 5, (2, 9, 11))
    labels[torch.rand(labels.shape) < ignored] = 255
    assert pixel_accuracy(logits, labels, 255) == accuracy(logits, labels, ignore_index=255).squeeze()
