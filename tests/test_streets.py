"""The generated domains: exact labels, fixed by their seed, alike in layout and unlike in look."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_adapt.demo import streets


@pytest.mark.parametrize('domain', ['source', 'target'])
def test_a_scene_is_fixed_by_its_seed(domain):
    image, label = streets.render(domain, 3)
    again, label_again = streets.render(domain, 3)
    assert image.shape == (*streets.SIZE, 3)
    assert image.dtype == label.dtype == np.uint8
    assert np.array_equal(image, again)
    assert np.array_equal(label, label_again)
    assert not np.array_equal(label, streets.render(domain, 4)[1])


def test_every_class_occurs_in_both_domains():
    for domain in ('source', 'target'):
        seen = np.unique(np.stack([streets.render(domain, seed)[1] for seed in range(8)]))
        assert seen.tolist() == list(range(len(streets.CLASSES)))


def test_labels_are_exact_where_a_class_has_one_colour():
    image, label = streets.render('source', 0)
    for flat in (streets.ROAD, streets.SIDEWALK, streets.SKY):
        assert np.ptp(image[label == flat].astype(int), axis=0).max() <= 1
    road = image[label == streets.ROAD][0]
    assert (np.abs(image[label != streets.ROAD].astype(int) - road).max(axis=1) > 1).all()


def test_the_domains_differ_in_look_more_than_in_layout():
    def mean(domain, of):
        return np.mean([of(*streets.render(domain, seed)) for seed in range(12)], axis=0)

    def shares(image, label):
        return np.bincount(label.ravel(), minlength=8) / label.size

    def road_colour(image, label):
        return image[label == streets.ROAD].mean(axis=0)

    assert np.abs(mean('source', shares) - mean('target', shares)).max() < 0.08
    assert np.abs(mean('source', road_colour) - mean('target', road_colour)).max() > 25


def test_an_interrupted_write_leaves_no_half_image(tmp_path, monkeypatch):
    def interrupted(part, data):
        with part.open('wb') as file:
            file.write(data[:99])
        raise KeyboardInterrupt

    def imwrite(name, array):  # as OpenCV's, killed
        interrupted(Path(name), b'0' * 99)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, 'write_bytes', interrupted)
        patch.setattr(cv2, 'imwrite', imwrite)
        streets.write(tmp_path, source=1, target=0, val=0)
    assert not [path for path in tmp_path.rglob('*') if path.is_file()]
    streets.write(tmp_path, source=1, target=0, val=0)
    image, _ = streets.render('source', 0)
    assert np.array_equal(cv2.imread(str(tmp_path / 'source/images/00000.png'))[..., ::-1], image)


def test_the_target_has_no_training_labels_and_files_are_not_written_twice(street_data):
    assert sorted(p.name for p in (street_data / 'target/train').iterdir()) == ['images']
    kept = street_data / 'source/images/00000.png'
    before = kept.stat().st_mtime_ns
    streets.write(street_data, source=4, target=4, val=2)
    assert kept.stat().st_mtime_ns == before
    image, label = streets.render('source', 0)
    assert np.array_equal(cv2.imread(str(kept))[..., ::-1], image)
    assert np.array_equal(cv2.imread(str(street_data / 'source/labels/00000.png'), cv2.IMREAD_UNCHANGED), label)
