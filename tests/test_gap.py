"""The gap between two folders: formulas in NumPy, a set against itself, the demo's domains, the command line."""

import cv2
import numpy as np
import pytest

from mmseg_adapt.cli.gap import KNOWN, main
from mmseg_adapt.demo import streets
from mmseg_adapt.errors import UserError
from mmseg_adapt.report.folders import gap_between
from mmseg_adapt.report.gap import FOLDS, _folds, describe, gram_distance, kernel_distance, tell_apart

from .tiny import REPO, random_checkpoint, tiny_config


@pytest.fixture(scope='module')
def domains(tmp_path_factory):
    folder = streets.write(tmp_path_factory.mktemp('domains'), source=40, target=40, val=2)
    return str(folder / 'source/images'), str(folder / 'target/train/images')


def test_two_domains_are_told_apart_and_a_set_split_in_two_is_not(domains):
    apart = gap_between(*domains)
    assert apart.told.error < 0.02
    assert apart.told.words().startswith('a gap: a linear model tells the two sets apart in ')
    alike = gap_between(domains[0], domains[0])
    assert alike.told.error == pytest.approx(0.5, abs=0.1)  # of 20 against 20 images
    assert alike.told.words().startswith('no gap: ')
    assert abs(alike.kid[0]) < apart.kid[0] / 20


def test_the_classifier_is_a_ridge_regression_that_has_not_seen_what_it_judges():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(30, 4)), rng.normal(size=(20, 4)) + [1, 0, 0.5, 0]
    told = tell_apart(source, target)
    x, y = np.concatenate([source, target]), np.repeat([-1, 1], [30, 20])
    folds = _folds(30, 20)
    assert [(folds == f).sum() for f in range(FOLDS)] == [10] * 5
    for fold in range(FOLDS):
        seen = folds != fold
        z = (x - x[seen].mean(0)) / x[seen].std(0)
        weight = np.where(y == 1, 1 / (seen & (y == 1)).sum(), 1 / (seen & (y == -1)).sum())
        root = np.sqrt(weight[seen])[:, None]
        a = np.concatenate([root * z[seen], np.sqrt(4 / seen.sum()) * np.eye(4)])
        w = np.linalg.lstsq(a, np.concatenate([root[:, 0] * y[seen], np.zeros(4)]), rcond=None)[0]
        middle = (z[seen & (y == 1)].mean(0) + z[seen & (y == -1)].mean(0)) @ w / 2
        np.testing.assert_allclose(np.concatenate(told.scores)[~seen], z[~seen] @ w - middle, atol=1e-10)
    assert told.error == ((told.scores[0] > 0).mean() + (told.scores[1] <= 0).mean()) / 2


def test_the_kernel_distance_is_the_unbiased_mmd_of_standardised_features():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 3)) + 1
    both = np.concatenate([x, y])
    x, y = ((s - both.mean(0)) / both.std(0) for s in (x, y))

    def k(a, b):
        return (a @ b / 3 + 1) ** 3

    inside = sum(k(s[i], s[j]) for s in (x, y) for i in range(12) for j in range(12) if i != j) / (12 * 11)
    expected = 1000 * (inside - 2 * np.mean([k(a, b) for a in x for b in y]))
    assert kernel_distance(*np.split(both, 2), subsets=2) == pytest.approx((expected, 0), abs=1e-8)


def test_an_image_is_described_by_its_light_and_size():
    image = np.full((40, 80, 3), 100, np.uint8)
    flat, features = describe(image)
    assert flat == dict(brightness=100, contrast=0, sharpness=0, width=80, height=40)
    noisy = np.random.default_rng(0).integers(0, 255, (40, 80, 3), dtype=np.uint8)
    sharp, blurred = (describe(x)[0]['sharpness'] for x in (noisy, cv2.GaussianBlur(noisy, (9, 9), 2)))
    assert sharp > 2 * blurred > 0
    assert features.shape == describe(noisy)[1].shape == (41,)
    assert np.isfinite(features).all()


def test_grams_are_compared_by_their_norm():
    a, b = np.eye(3), 3 * np.eye(3)
    assert gram_distance(a, b) == pytest.approx(2 / 3)


def test_the_command_looks_with_pixels_with_an_encoder_or_with_a_trained_segmentor(domains, tmp_path, capsys):
    main([*domains, '--images', '10'])
    text = capsys.readouterr().out
    assert '10 source and 10 target images' in text
    for word in ('a linear model', 'kernel distance', 'brightness', 'sharpness', 'nearest to the source: ', 'farthest'):
        assert word in text
    encoder = dict(type='ResNetStyleEncoder', layers=['conv1', 'res2c'], stem_channels=8, base_channels=8)
    (tmp_path / 'aan.py').write_text(f'aan = dict(encoder={encoder})')
    main([*domains, '--images', '10', '--encoder', str(tmp_path / 'aan.py')])
    assert 'Gram distance: conv1 ' in capsys.readouterr().out
    cfg = tiny_config('demo/streets_dacs.py', tmp_path, tmp_path)
    cfg.dump(tmp_path / 'dacs.py')
    checkpoint = random_checkpoint(cfg, tmp_path / 'iter_2.pth')
    main([*domains, '--images', '10', '--model', str(tmp_path / 'dacs.py'), str(checkpoint)])
    lines = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith('predicted'))
    shares = [[float(cell.rstrip('%')) for cell in line.split()[1:]] for line in lines[start + 1 : start + 9]]
    assert np.sum(shares, axis=0) == pytest.approx([100, 100], abs=0.5)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere', 'nowhere'], 'nowhere does not exist: pass a folder of images'),
        (['empty', 'empty'], 'empty contains 0 images: pass a folder with at least 4'),
        (['empty', 'empty', '--images', '3'], '--images 3 is too small: use at least 4'),
        (['empty', 'empty', '--encoder', 'a.py', '--model', 'a', 'b'], '--encoder and --model cannot be combined'),
        (['empty', 'empty', '--encoder', 'a.py'], 'a.py has no aan.encoder: pass a config such as'),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence_with_its_cure(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'a.py').write_text('aan = dict()')
    with pytest.raises(UserError, match=message):
        main(arguments)


def test_the_known_pairs_of_the_command_are_those_of_the_page():
    page = (REPO / 'docs/choosing.md').read_text()
    for _, error, kid in KNOWN:
        assert f'| {error} | {kid} |'.replace('-', '−') in page
