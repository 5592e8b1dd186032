"""Scores without labels: their formulas in NumPy, the pass over a pool, the pick, the words, the command line."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy.spatial.distance import jensenshannon
from scipy.stats import spearmanr

from mmseg_adapt.cli.select import main
from mmseg_adapt.errors import UserError
from mmseg_adapt.methods.mixing import draw_classes
from mmseg_adapt.predictor import Predictor
from mmseg_adapt.random_state import derived_seed
from mmseg_adapt.selection import scores as formulas
from mmseg_adapt.selection.compare import compare
from mmseg_adapt.selection.harm import Limits, changed, measures, symptoms, vanished
from mmseg_adapt.selection.pool import Notes, Pool
from mmseg_adapt.selection.rule import Scores, best_run, certainty_of, pick, scores_of
from mmseg_adapt.selection.samples import spread
from mmseg_adapt.selection.snapshots import snapshots_of
from mmseg_adapt.selection.verdict import of_classes, words
from mmseg_adapt.selection.views import PIXELS, stride_of, thinned

from .test_training import failure
from .tiny import REPO, load, random_checkpoint, run_tool, tiny_config

# ------------------------------------------------------------------------------------------------- formulas, in NumPy


def miou_of(pairs: list, classes: list[int]) -> float:
    """The mIoU of pairs of label maps, in plain NumPy: pixels of the whole set first, then one division per class."""
    ious = []
    for c in classes:
        intersect = sum(((a == c) & (b == c) & (b != 255)).sum() for a, b in pairs)
        union = sum((((a == c) | (b == c)) & (b != 255)).sum() for a, b in pairs)
        ious.append(intersect / union if union else 0.0)
    return float(np.mean(ious))


def probabilities(*shape: int) -> np.ndarray:
    x = np.random.default_rng(0).normal(size=shape) * 3
    return np.exp(x) / np.exp(x).sum(0)


def test_the_miou_between_label_maps_leaves_ignored_pixels_out_and_counts_what_it_is_told():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 20, 30))
    b[:5] = 255
    total = formulas.areas(torch.from_numpy(a), torch.from_numpy(b), 5)
    assert formulas.miou(total) == pytest.approx(miou_of([(a, b)], [0, 1, 2]), abs=1e-12)
    counted = np.array([True, True, False, True, False])
    assert formulas.miou(total, counted) == pytest.approx(miou_of([(a, b)], [0, 1, 3]), abs=1e-12)
    assert np.isnan(formulas.miou(np.zeros((2, 5))))


def test_entropy_and_infomax_are_between_0_and_1_and_as_written():
    p = probabilities(4, 6, 5)
    expected = -(p * np.log(p)).sum(0) / np.log(4)
    ours = formulas.entropy(torch.from_numpy(p))
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-12)
    mean = p.mean((1, 2))
    marginal = -(mean * np.log(mean)).sum() / np.log(4)
    found = formulas.infomax(np.stack([p.sum((1, 2)), [5, 0, 0, 0]]), np.array([expected.sum(), 0]))
    np.testing.assert_allclose(found, [marginal - expected.mean(), 0], atol=1e-12)  # one class in all pixels: 0
    assert formulas.infomax(np.full(4, 3.0), 0.0) == pytest.approx(1)  # every class, each pixel certain


def test_the_density_of_soft_neighbourhoods_is_the_papers():
    p = probabilities(3, 12)
    f = p / np.sqrt((p**2).sum(0))
    entropies = []
    for i in range(12):
        weights = {j: np.exp(f[:, i] @ f[:, j] / 0.05) for j in range(12) if j != i}
        shares = np.array(list(weights.values())) / sum(weights.values())
        entropies.append(-(shares * np.log(shares)).sum())
    assert formulas.soft_neighbourhood_density(torch.from_numpy(p)) == pytest.approx(np.mean(entropies), abs=1e-12)
    alike = torch.full((3, 12), 1 / 3, dtype=torch.float64)
    assert formulas.soft_neighbourhood_density(alike) == pytest.approx(np.log(11))


def test_the_points_of_an_image_are_spread_over_it():
    p = torch.arange(2 * 30 * 50).view(2, 30, 50).float()
    points = formulas.points_of(p, 100)
    assert points.shape == (2, 100)
    assert points[0].tolist() == list(range(0, 1500, 15))
    assert torch.equal(formulas.points_of(p, 10**6), p.flatten(1))


def test_divergence_and_rank_correlation_are_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(6), 2)
    a[0], b[1] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    assert formulas.divergence(a, b) == pytest.approx(jensenshannon(a, b, base=2) ** 2, abs=1e-12)
    assert formulas.divergence(a, a) == 0
    x, y = rng.integers(0, 5, (2, 20))
    assert formulas.rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)
    assert np.isnan(formulas.rank_correlation([1, 1], [1, 2]))


def test_large_maps_are_compared_on_a_grid_of_bounded_size():
    assert stride_of(torch.zeros(128, 256)) == 1
    for size in ((160, 320), (1024, 2048), (37, 5000)):
        labels = torch.zeros(size)
        kept = thinned(labels, stride_of(labels))
        assert PIXELS / 4 < kept.numel() < 1.2 * PIXELS
    assert spread(305, 4) == [0, 76, 152, 228]
    assert spread(3, 4) == [0, 1, 2]


# ------------------------------------------------------------------------------------------------------------ the pass


@pytest.fixture(scope='module')
def runs(street_data, tmp_path_factory):
    """Two work dirs: source only, and DACS with two snapshots."""
    folder = tmp_path_factory.mktemp('runs')
    for name, iterations in (('source_only', (2,)), ('dacs', (2, 4))):
        cfg = tiny_config(f'demo/streets_{name}.py', street_data, folder / name)
        made = random_checkpoint(cfg, folder / name / 'made.pth')
        state = load(made)
        cfg.dump(folder / name / 'config.py')
        for number in iterations:
            torch.manual_seed(number + len(name))
            for key, value in state['state_dict'].items():
                if key.endswith('head.convs.0.weight') or 'decode_head' in key:
                    value += 0.05 * torch.randn_like(value)
            torch.save(state, folder / name / f'iter_{number}.pth')
        made.unlink()
    return folder


@pytest.fixture(scope='module')
def found(runs):
    return compare([runs / 'source_only', runs / 'dacs'], images=3, labels=True)


def test_every_number_of_a_pool_is_that_of_a_plain_transcription(runs, found):
    pictures = [cv2.imread(path)[..., ::-1] for path in found.images]
    predictors = [Predictor(s.config, s.file) for s in found.snapshots]
    labels = [[predictor(x).labels for x in pictures] for predictor in predictors]
    average = np.mean([[softmax(predictor, x) for x in pictures] for predictor in predictors], axis=0).argmax(1)
    shown = [c for c in range(8) if (average == c).mean() > 1e-4]
    assert len(shown) > 1
    for i, (predictor, own, score) in enumerate(zip(predictors, labels, found.scores)):
        mirrored = [predictor(np.ascontiguousarray(x[:, ::-1])).labels[:, ::-1] for x in pictures]
        assert score.flip == pytest.approx(miou_of(list(zip(own, mirrored)), shown), abs=1e-9)
        assert score.agreement == pytest.approx(miou_of(list(zip(own, average)), shown), abs=1e-9)
        p = np.stack([softmax(predictor, x) for x in pictures])
        assert score.entropy == pytest.approx(entropy_of(p).mean(), abs=1e-5)
        assert score.infomax == pytest.approx(infomax_of(p), abs=1e-5)
        np.testing.assert_allclose(
            found.pool.notes[i].shares, [np.mean(np.stack(own) == c) for c in range(8)], atol=1e-12
        )
        pairs = [mixed_pair(predictor, pictures[n], pictures[n - 1], own[n], own[n - 1], n) for n in (1, 2)]
        assert score.classmix == pytest.approx(miou_of(pairs, shown), abs=1e-9)


def softmax(predictor: Predictor, picture: np.ndarray) -> np.ndarray:
    sample = predictor.read(picture)[1]
    data = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
    with torch.no_grad():
        (result,) = predictor.segmentor.test_step(data)
    return result.seg_logits.data.double().softmax(0).numpy()


def entropy_of(p: np.ndarray, axis: int = 1) -> np.ndarray:
    return -(p * np.log(p)).sum(axis) / np.log(p.shape[axis])


def infomax_of(p: np.ndarray) -> float:
    """Of (images, C, H, W)."""
    return entropy_of(p.mean((0, 2, 3)), 0) - entropy_of(p).mean()


def mixed_pair(predictor, a, b, labels_a, labels_b, number) -> tuple[np.ndarray, np.ndarray]:
    generator = torch.Generator().manual_seed(derived_seed(number))
    table = draw_classes(torch.from_numpy(labels_a.astype(np.int64))[None], generator, of='image')[0]
    mask = table.numpy()[labels_a]
    assert 0 < mask.mean() < 1
    return predictor(np.where(mask[..., None], a, b)).labels, np.where(mask, labels_a, labels_b)


def test_true_mious_are_those_of_the_test_set_s_labels(runs, found):
    snapshot = found.snapshots[0]
    cfg, predictor = Config.fromfile(snapshot.config), Predictor(snapshot.config, snapshot.file)
    root = cfg.test_dataloader.dataset.data_root
    names = [p.name for p in sorted((runs.__class__(root) / 'target/val/images').iterdir())]
    pairs = [
        (predictor(f'{root}/target/val/images/{n}').labels, cv2.imread(f'{root}/target/val/labels/{n}', -1))
        for n in names
    ]
    present = [c for c in range(8) if any((x == c).any() for pair in pairs for x in pair)]
    assert found.scores[0].miou == pytest.approx(miou_of(pairs, present), abs=1e-9)


def test_the_source_is_scored_on_its_labels_at_the_size_that_training_sees(found):
    assert all(0 < score.source < 1 for score in found.scores)
    assert found.source_shares.sum() == pytest.approx(1)
    assert found.baselines == [0]


# ------------------------------------------------------------------------------------------------- the rule, the words


def score(name='x', agreement=0.5, flip=0.5, infomax=0.5, **others) -> Scores:
    unknown = dict.fromkeys(('entropy', 'snd', 'classmix', 'divergence', 'source'), float('nan'))
    return Scores(**{**unknown, **others}, name=name, agreement=agreement, flip=flip, infomax=infomax)


def test_flip_consistency_of_the_last_snapshots_picks_the_run_and_infomax_the_snapshot():
    scores = [score(flip=f, infomax=m) for f, m in ((0.5, 0.3), (0.9, 0.2), (0.6, 0.4), (0.8, 0.4), (0.7, 0.1))]
    assert pick(scores, ['a'] * 5) == 2
    assert best_run(scores, ['a', 'a', 'a', 'b', 'b']) == [3, 4]  # 0.7 against 0.6
    assert pick(scores, ['a', 'a', 'a', 'b', 'b']) == 3
    assert pick([score(agreement=float('nan'))], ['a']) == 0


def notes_of(name, maps, mirrored=None, classes=3) -> Notes:
    maps = [torch.as_tensor(m, dtype=torch.uint8) for m in maps]
    flips = [formulas.areas(a.long(), b.long(), classes) for a, b in zip(maps, mirrored or maps)]
    shares = np.bincount(torch.stack(maps).flatten().numpy(), minlength=classes)
    p = np.stack([np.bincount(m.flatten().numpy(), minlength=classes) for m in maps]).astype(float)
    notes = Notes(name, maps, np.stack(flips), p=p, uncertain=np.zeros(len(maps)), shares=shares / shares.sum())
    notes.infomax = float(formulas.infomax(p.sum(0), 0.0))
    return notes


def pool_of(*notes: Notes) -> Pool:
    total = [sum(torch.nn.functional.one_hot(n.labels[i].long(), 3).permute(2, 0, 1) for n in notes) for i in (0, 1)]
    return Pool(['road', 'car', 'train'], list(notes), [t.float() for t in total])


ROAD = [[[0, 0, 1, 1], [0, 0, 2, 2]]] * 2
ROADS = [torch.tensor(m) for m in ROAD]
WITHOUT = [[[0, 0, 1, 1], [0, 0, 1, 1]]] * 2


def test_a_snapshot_that_lost_a_class_of_the_pool_is_not_rewarded_for_it():
    shaky = [torch.tensor([[0, 0, 1, 1], [0, 0, 2, 1]])] * 2
    pool = pool_of(notes_of('whole', ROAD, shaky), notes_of('other', ROAD, shaky), notes_of('poor', WITHOUT))
    whole, _, poor = scores_of(pool)
    assert poor.flip == pytest.approx(2 / 3)  # consistent in two classes of three
    assert whole.flip == pytest.approx(np.mean([1, 2 / 3, 1 / 2]))
    assert whole.agreement == 1
    assert poor.agreement == pytest.approx(np.mean([1, 1 / 2, 0]))


def test_what_changed_what_vanished_and_whether_it_may_have_hurt_is_said_in_words():
    base = notes_of('base/iter_9', ROAD)
    good, bad = notes_of('a/iter_9', ROAD), notes_of('b/iter_9', WITHOUT)
    pool = pool_of(base, good, bad)
    assert changed(bad, base) == 1 / 4
    assert vanished(bad.shares, base.shares) == [2]
    scores, runs = scores_of(pool), ['base', 'a', 'b']
    said = words(pool, scores, runs, baselines=[0])
    assert said[0].startswith('best run: base/iter_9 (flip consistency 100.0), 0.0 above a/iter_9; ahead in 50 % of r')
    assert said[0].endswith('these images cannot separate the two')
    assert said[1] == 'pick: base/iter_9 (InfoMax 94.6)'  # classes of 1/2, 1/4, 1/4
    assert 'adaptation changed 0.0 % of the pixels (a/iter_9 compared with base/iter_9)' in said
    vanish = "class 'train' has vanished from the predictions of b/iter_9 (0 % of the pixels, expected about 17 %)"
    assert vanish in said
    pools = pool_of(base, *(notes_of(f'b/iter_{i}', WITHOUT) for i in range(5)))
    (lost,) = of_classes(pools, range(6), base.shares)  # one sentence per class
    assert "'train' has vanished from the predictions of b/iter_0, b/iter_1, b/iter_2 and 2 more snapshots (0 %" in lost
    (lost,) = of_classes(pools, range(1, 6), base.shares)
    assert 'the predictions of all 5 snapshots (' in lost
    assert not any('hurt' in sentence for sentence in said)
    early = notes_of('base/iter_3', ROAD)
    three = [score('base/iter_3', flip=0.9, infomax=0.1), score('base/iter_9', infomax=0.2), score('a/iter_9')]
    said = words(pool_of(early, base, good), three, ['base', 'base', 'a'], baselines=[0, 1])
    assert 'adaptation changed 0.0 % of the pixels (a/iter_9 compared with base/iter_9)' in said  # the rule's pick
    worse = pool_of(base, notes_of('c/iter_9', ROAD), bad)
    scores = [score('base/iter_9', 0.9), score('c/iter_9', 0.6), score('b/iter_9', 0.5)]
    said = words(worse, scores, runs, baselines=[0])
    assert any('source-only agrees better with the pool (90.0) than the adapted runs (60.0 at b' in s for s in said)


def test_the_pick_s_margin_is_compared_with_what_other_images_would_have_given():
    clear = [notes_of('a', ROAD), notes_of('b', ROAD, [torch.zeros(2, 4, dtype=torch.long)] * 2)]
    assert certainty_of(clear, 0, 1, 'flip') == 1
    assert certainty_of(clear, 1, 0, 'flip') == 0
    assert certainty_of([clear[0]] * 2, 0, 1, 'flip') == 0.5
    clear[1].uncertain = np.array([0.1, 0.0])  # less certain in one of the two images: a quarter of the draws lacks it
    assert certainty_of(clear, 0, 1, 'infomax') == pytest.approx(0.75 + 0.25 / 2, abs=0.03)


def test_harm_is_told_by_its_symptoms_beside_the_baseline_and_a_sound_run_has_none():
    base, poor = notes_of('base', ROAD), notes_of('poor', WITHOUT, [torch.zeros(2, 4, dtype=torch.long)] * 2)
    healthy, ill = score(flip=0.8, source=0.7, divergence=0.02), score(flip=0.6, source=0.4, divergence=0.3)
    assert symptoms(measures(base, healthy, base, healthy)) == []
    found = measures(poor, ill, base, healthy)
    assert found == pytest.approx(dict(source=0.3, flip=0.2, changed=0.25, divergence=0.28, vanished=1))
    assert symptoms(found) == [
        'it lost 30.0 mIoU on the source',
        'its flip consistency is 20.0 lower',
        'its class shares moved 0.28 bits away from those of the source',
    ]
    assert symptoms(found, Limits(0.4, 0.3, 0.2, 0.3, 0)) == [
        'it labels 25 % of the pixels differently',
        'it no longer predicts 1 of the classes',
    ]
    unknown = dict.fromkeys(found, float('nan')) | dict(vanished=0)
    assert symptoms(unknown) == []


# ---------------------------------------------------------------------------------------------------- the command line


def test_the_command_prints_scores_pick_and_words_and_writes_them(runs, found, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr('mmseg_adapt.selection.compare.compare', lambda *args, **_: asked.append(args) or found)
    arguments = [str(runs / 'source_only'), str(runs / 'dacs'), '--images', '3', '--with-labels', '--json']
    main([*arguments, str(tmp_path / 'scores.json')])
    assert asked == [([str(runs / 'source_only'), str(runs / 'dacs')], None, 3, True, None, None)]
    text = capsys.readouterr().out
    for words_ in ('agree', 'dacs/iter_4', 'pick: ', 'adaptation changed', 'rank correlation with the mIoU: '):
        assert words_ in text
    written = json.loads((tmp_path / 'scores.json').read_text())
    assert len(written['scores']) == 3
    assert written['pick'] in [row['name'] for row in written['scores']]
    assert max(map(len, text.splitlines()[:4])) <= 100
    with pytest.raises(UserError, match='scores.json exists'):
        main([*arguments, str(tmp_path / 'scores.json')])


def test_one_snapshot_has_no_agreement_and_that_is_said(runs, capsys):
    main([str(runs / 'dacs/iter_2.pth'), '--images', '100'])
    text = capsys.readouterr().out
    assert 'agreement with the pool (EnsV) needs several snapshots' in text
    assert 'agree ' not in text
    assert 'the target has only 4 images, not 100: all are used' in text


def test_a_damaged_checkpoint_is_left_out_and_named(runs, tmp_path):
    shutil.copytree(runs / 'dacs', tmp_path / 'dacs')
    whole = (tmp_path / 'dacs/iter_4.pth').read_bytes()
    (tmp_path / 'dacs/iter_4.pth').write_bytes(whole[: len(whole) // 2])
    snapshots, notes = snapshots_of([tmp_path / 'dacs'])
    assert [s.file.name for s in snapshots] == ['iter_2.pth']
    assert 'iter_4.pth is damaged' in notes[0]
    assert notes[0].endswith('skipped')
    (tmp_path / 'dacs/iter_2.pth').write_bytes(b'')
    with pytest.raises(UserError, match='iter_2.pth is damaged .* train again, or pass another'):
        snapshots_of([tmp_path / 'dacs'])


def test_snapshots_of_other_classes_are_refused_by_name(runs, tmp_path):
    shutil.copytree(runs / 'dacs', tmp_path / 'dacs')
    state = load(tmp_path / 'dacs/iter_4.pth')
    state['meta']['dataset_meta']['classes'] = tuple('abcdefgh')
    torch.save(state, tmp_path / 'dacs/iter_4.pth')
    with pytest.raises(UserError, match='dacs/iter_4 predicts a, b, c, .*dacs/iter_2 predicts road, .*: compare snap'):
        compare([tmp_path / 'dacs'], images=1)


def test_snapshots_whose_maps_differ_in_size_are_refused_by_name(runs, tmp_path):
    shutil.copytree(runs / 'dacs', tmp_path / 'dacs')
    cfg = Config.fromfile(tmp_path / 'dacs/config.py')
    cfg.test_dataloader.dataset.pipeline.insert(1, dict(type='CropBox', top=16))
    cfg.dump(tmp_path / 'dacs/config.py')
    with pytest.raises(UserError, match='dacs/iter_2 predicts maps of 192×80 .*source_only/iter_2 192×96 compared'):
        compare([runs / 'source_only', tmp_path / 'dacs'], target=target(cfg), images=1)


def target(cfg) -> str:
    return f'{cfg.train_dataloader.dataset.target.data_root}/target/train/images'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['nowhere'], 'nowhere does not exist: pass work dirs'),
        (['.'], r'. contains no checkpoint \(iter_\*.pth\): pass the work dir'),
        (['RUNS/source_only'], 'config.py has no target: pass the folder of target images with --target'),
        (['RUNS/source_only', '--target', '.'], '. contains no images: pass a folder of target images with --target'),
        (['RUNS/dacs', '--images', '0'], '--images 0 must be at least 1'),
        (['RUNS/dacs', '--part', 'master'], 'has no part master'),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence_with_its_cure(runs, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        main([a.replace('RUNS', str(runs)) for a in arguments])


def test_a_source_that_is_not_there_is_left_out_and_named(runs, tmp_path):
    shutil.copytree(runs / 'dacs', tmp_path / 'dacs')
    cfg = Config.fromfile(tmp_path / 'dacs/config.py')
    cfg.train_dataloader.dataset.source.data_root = 'gone'
    cfg.dump(tmp_path / 'dacs/config.py')
    found = compare([tmp_path / 'dacs/iter_2.pth'], images=1)
    assert found.source_shares is None
    assert 'source mIoU and class shares are skipped: gone' in found.notes[-1]


# ----------------------------------------------------------------------------------------------------------- the bench


def test_the_bench_says_what_every_rule_loses_and_which_symptom_would_have_warned(tmp_path, monkeypatch, capsys):
    values = [(0.50, 0.80, 0.9), (0.60, 0.85, 0.8), (0.40, 0.70, 0.7), (0.55, 0.60, 0.6)]  # miou, flip, agreement
    scores = [score(str(i), a, f, 0.4 - i / 10, miou=m, entropy=0.1 * i) for i, (m, f, a) in enumerate(values)]
    rows = [s.as_dict() for s in scores]
    for row, run in zip(rows, 'aaab'):
        row |= dict(pool='demo', run=f'dirs/{run}')
    file = tmp_path / 'pools.jsonl'
    file.write_text('\n'.join(map(json.dumps, rows)))
    run_tool('analysis/bench_selection.py', 'pools', '--from', file, monkeypatch=monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith('| demo | 4 | 47.5 | 50.0 | 60.0 | 20 % | 51.2 | 40.0 | +0.00 | +0.40 | +0.00 | +0.00 |')
    assert lines[3].startswith('| 1 runs, mean |')
    pool, run = (line for line in lines if line.startswith('| default '))
    assert pool == '| default | 1 | 10.00 | 10.0 | 100 % | 20 % | 10.0 |'
    assert run == '| default | 1 | 10.00 | 10.0 | 0 % | 50 % | 10.0 |'
    pool, run = (line for line in lines if line.startswith('| last |'))
    assert pool == '| last | 1 | 12.50 | 12.5 | 50 % | 0 % | 7.5 |'
    assert run == '| last | 1 | 20.00 | 20.0 | 100 % | 0 % | 0.0 |'

    sound = dict(source=0.0, flip=0.0, changed=0.1, divergence=0.0, vanished=0, before=0.5, after=0.55)
    runs = [dict(sound, run='sound/a/seed0'), dict(sound, run='spoilt/b/seed0', source=0.3, after=0.4)]
    file.write_text('\n'.join(map(json.dumps, [*runs, dict(sound, run='spoilt/b/seed1')])))
    run_tool('analysis/bench_selection.py', 'harm', '--from', file, monkeypatch=monkeypatch)
    text = capsys.readouterr().out
    assert '| any |  | 50 % of 2 | 0 % of 1 |' in text
    assert '| spoilt/b | 2 | 50.0 | 47.5 | 1 |' in text


def test_limits_fitted_to_the_sound_runs_of_some_seeds_are_measured_on_the_others(tmp_path, monkeypatch, capsys):
    quiet = dict(source=0.0, flip=0.0, changed=0.0, divergence=0.0, vanished=0, before=0.5, after=0.5)
    fit = [dict(quiet, run=f'sound/{i}/seed0', changed=i / 100, flip=i / 200) for i in range(20)]
    rest = [dict(quiet, run='spoilt/a/seed1', changed=0.175), dict(quiet, run='sound/a/seed1', changed=0.165)]
    file = tmp_path / 'harm.jsonl'
    file.write_text('\n'.join(map(json.dumps, [*fit, *rest])))
    run_tool('analysis/bench_selection.py', 'harm', '--from', file, '--fit', '0', monkeypatch=monkeypatch)
    text = capsys.readouterr().out
    assert '| any |  | 100 % of 1 | 0 % of 1 |' in text
    assert '| changed | 0.17 | 100 % of 1 | 0 % of 1 |' in text  # two of the twenty are higher: 10 %
    file.write_text(json.dumps(rest[0]))
    arguments = 'analysis/bench_selection.py', 'harm', '--from', file, '--fit', '1'
    assert 'no sound run' in failure(*arguments, monkeypatch=monkeypatch, capsys=capsys)


def test_the_pick_within_a_run_is_compared_with_its_last_best_and_mean_snapshot(tmp_path, monkeypatch, capsys):
    runs = [
        [(40, 5, 5), (60, 9, 1), (50, 7, 9)],
        [(50, 9, 1), (40, 2, 9), (60, 8, 5)],
        [(1, 1, 1), (2, 2, 2)],
    ]  # mIoU, InfoMax, flip
    lines = [
        dict(row='a', work_dir='a/0', snapshots=[dict(mIoU=m, infomax=i, flip=f) for m, i, f in run]) for run in runs
    ]
    file = tmp_path / 'x.jsonl'
    file.write_text('\n'.join(map(json.dumps, lines)))
    run_tool('analysis/bench_selection.py', 'runs', file, monkeypatch=monkeypatch)
    last = capsys.readouterr().out.splitlines()[-1]
    # picked 60 and 50, by flip 50 and 40; last 50 and 60; the mean is 50 twice
    assert last == '| all | 2 | 55.0 | 55.0 | 60.0 | 0 | 1 | 0 % | 45.0 | -200 % |'
    file.write_text(json.dumps(lines[2]))
    message = failure('analysis/bench_selection.py', 'runs', file, monkeypatch=monkeypatch, capsys=capsys)
    assert f'{file} contains no run of 3 snapshots' in message


def test_a_folder_without_spoilt_runs_is_named(tmp_path, monkeypatch, capsys):
    message = failure('analysis/bench_selection.py', 'harm', tmp_path, monkeypatch=monkeypatch, capsys=capsys)
    assert str(tmp_path) in message and 'spoil.py' in message


def test_the_rule_picks_from_the_stored_scores_what_the_docs_say():
    stored = json.loads((REPO / 'docs/results/select_cs2idd.json').read_text())
    page = (REPO / 'docs/results.md').read_text(encoding='utf-8')
    for pool in stored.values():
        runs = [row.pop('run') for row in pool['scores']]
        scores = [Scores(**row) for row in pool['scores']]
        chosen = scores[pick(scores, runs)]
        assert chosen.name == pool['pick']
        assert f'{100 * chosen.miou:.1f}' in page
