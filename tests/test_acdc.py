"""ACDC in the layout of its archives."""

import pytest
from mmseg.registry import DATASETS

from mmseg_adapt.datasets import ACDCDataset, LoadImage, LoadLabels
from mmseg_adapt.errors import UserError

from .test_benchmarks import acdc, image, label

PREFIX = dict(img_path='rgb_anon', seg_map_path='gt')


@pytest.fixture
def root(tmp_path):
    acdc(tmp_path)
    return tmp_path


def names(dataset):
    return [item['img_path'].split('rgb_anon/')[1] for item in (dataset[i] for i in range(len(dataset)))]


def test_a_split_holds_all_conditions_and_no_reference_image(root):
    dataset = DATASETS.build(dict(type='ACDCDataset', data_root=str(root)))
    assert names(dataset) == [
        f'{condition}/train/GOPR0475/GOPR0475_frame_000247_rgb_anon.png'
        for condition in ('fog', 'night', 'rain', 'snow')
    ]
    assert 'seg_map_path' not in dataset[0]
    night = ACDCDataset(data_root=str(root), split='val', conditions=['night'])
    assert names(night) == ['night/val/GOPR0475/GOPR0475_frame_000247_rgb_anon.png']


def test_training_needs_no_label_on_disk(tmp_path):
    for condition in ('fog', 'night', 'rain', 'snow'):
        image(tmp_path / f'rgb_anon/{condition}/train/GOPR0475/a_rgb_anon.png')
    assert len(ACDCDataset(data_root=str(tmp_path))) == 4


@pytest.mark.parametrize('kind', ['labelTrainIds', 'labelIds'])
def test_labels_are_read_as_train_ids_of_either_kind_of_file(kind, root):
    for path in list(root.glob('gt/*/val/*/*.png')):
        path.unlink()
        label(path.with_name(path.name.replace('labelTrainIds', kind)), 18 if kind == 'labelTrainIds' else 33)
    steps = [LoadImage(), LoadLabels()]
    dataset = ACDCDataset(data_root=str(root), split='val', data_prefix=PREFIX, pipeline=steps)
    assert len(dataset) == 4
    seen = set(dataset[0]['gt_seg_map'].ravel().tolist()) - {255}
    assert seen == set(range(19))
    assert dataset[3]['seg_map_path'].endswith(f'gt/snow/val/GOPR0475/GOPR0475_frame_000247_gt_{kind}.png')


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(split='training'), "split = 'training' must be one of train, val, test"),
        (dict(conditions=['sun']), r"conditions = \['sun'\] must be one or more of fog, night, rain, snow"),
        (dict(conditions=[]), 'must be one or more of'),
        (dict(split='test'), 'rgb_anon/fog/test does not exist'),
        (dict(data_prefix=PREFIX), 'gt/fog/train does not exist'),
    ],
)
def test_a_wrong_split_condition_or_folder_is_named(settings, message, root):
    with pytest.raises(UserError, match=message):
        ACDCDataset(data_root=str(root), **settings)
