"""The metric against a plain NumPy count of a known confusion."""

import numpy as np
import pytest
import torch
from mmseg.registry import METRICS

from mmseg_adapt.errors import UserError

CLASSES = ('road', 'wall', 'car', 'train')


def metric(**kwargs):
    built = METRICS.build(dict(type='ClassIoUMetric', iou_metrics=['mIoU'], **kwargs))
    built.dataset_meta = dict(classes=CLASSES)
    return built


def evaluate(built, pairs) -> dict:
    for predicted, truth in pairs:
        sample = dict(
            pred_sem_seg=dict(data=torch.from_numpy(predicted)[None]),
            gt_sem_seg=dict(data=torch.from_numpy(truth)[None]),
        )
        built.process({}, [sample])
    return built.evaluate(len(pairs))


def images():
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 255], size=(3, 8, 9))  # no train in the ground truth
    predicted = np.where(rng.random(truth.shape) < 0.6, truth % 255, rng.integers(0, 4, truth.shape))
    return list(zip(predicted, truth))


def test_class_iou_and_the_miou_of_fewer_classes_equal_a_plain_count():
    pairs = images()
    result = evaluate(metric(without=dict(mIoU3=('train',), mIoU2=('train', 'wall'))), pairs)
    predicted, truth = (np.concatenate([p[i].ravel() for p in pairs]) for i in (0, 1))
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    iou = [100 * ((predicted == c) & (truth == c)).sum() / ((predicted == c) | (truth == c)).sum() for c in range(4)]
    assert [result[f'IoU.{name}'] for name in CLASSES] == pytest.approx(iou, abs=0.006)
    assert result['mIoU'] == pytest.approx(np.mean(iou), abs=0.006)
    assert result['mIoU3'] == pytest.approx(np.mean(iou[:3]), abs=0.006)
    assert result['mIoU2'] == pytest.approx((iou[0] + iou[2]) / 2, abs=0.006)


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    truth = np.zeros((1, 4, 4), int)
    result = evaluate(metric(), [(truth[0], truth[0])])
    assert result['mIoU'] == 100
    assert np.isnan(result['IoU.train'])


def test_an_unknown_class_in_a_protocol_is_named():
    with pytest.raises(UserError, match=r"ClassIoUMetric.without.mIoU3 names \['tram'\]"):
        evaluate(metric(without=dict(mIoU3=('tram',))), images())
