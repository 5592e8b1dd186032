"""The metric against a plain NumPy count of a known confusion; what is counted: one upsampling, scales and flips."""

import multiprocessing

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS, METRICS, MODELS

from mmseg_adapt.errors import UserError

from .tiny import CONFIGS, run_tool, tiny_config, train

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


def test_synthias_19_16_and_13_class_miou_of_one_run_equal_a_plain_count():
    cfg = Config.fromfile(CONFIGS / 'source_only/synthia2cs.py')
    built = METRICS.build(cfg.test_evaluator)
    names = CityscapesDataset.METAINFO['classes']
    built.dataset_meta = dict(classes=names)
    rng = np.random.default_rng(0)
    truth = rng.choice([*range(19), 255], size=(2, 60, 70))
    predicted = np.where(rng.random(truth.shape) < 0.5, truth % 255, rng.integers(0, 19, truth.shape))
    result = evaluate(built, list(zip(predicted, truth)))
    confusion = np.zeros((19, 19))
    np.add.at(confusion, (truth[truth != 255], predicted[truth != 255]), 1)
    iou = 100 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1) - np.diag(confusion))
    of16 = [i for i, name in enumerate(names) if name not in ('terrain', 'truck', 'train')]
    of13 = [i for i in of16 if names[i] not in ('wall', 'fence', 'pole')]
    assert (len(of16), len(of13)) == (16, 13)
    expected = dict(mIoU=iou.mean(), mIoU16=iou[of16].mean(), mIoU13=iou[of13].mean())
    assert {key: result[key] for key in expected} == pytest.approx(expected, abs=0.006)


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    truth = np.zeros((1, 4, 4), int)
    result = evaluate(metric(), [(truth[0], truth[0])])
    assert result['mIoU'] == 100
    assert np.isnan(result['IoU.train'])


def test_an_unknown_class_in_a_protocol_is_named():
    with pytest.raises(UserError, match=r"ClassIoUMetric.without.mIoU3 has \['tram'\]"):
        evaluate(metric(without=dict(mIoU3=('tram',))), images())


def test_memory_does_not_grow_with_the_images_and_every_pixel_counts():
    pairs = images() * 20
    built = metric()
    for predicted, truth in pairs:
        sample = {k: dict(data=torch.from_numpy(v)) for k, v in (('pred_sem_seg', predicted), ('gt_sem_seg', truth))}
        built.process({}, [sample, sample])
        assert len(built.results) == 2
        assert all(r.shape == (4, len(CLASSES)) for r in built.results)
    # 2²⁴ pixels: from there on float32 would lose one that is added
    built.results[0] += 2**24 - built.results[0][0, 0]
    before = built.results[0][0, 0].item()
    one = dict(pred_sem_seg=dict(data=torch.zeros(1, 1)), gt_sem_seg=dict(data=torch.zeros(1, 1)))
    built.process({}, [one])
    built.process({}, [one])
    last = images()[-1]
    assert built.results[0][0, 0].item() == before + 1 + ((last[0] == 0) & (last[1] == 0)).sum()


def rank(number: int, world_size: int, folder, queue) -> None:
    """What one rank of ``world_size`` reports of its share of three images, padded as mmengine's sampler pads."""
    torch.distributed.init_process_group('gloo', f'file://{folder}/meet', rank=number, world_size=world_size)
    pairs = images()
    padded = -(-len(pairs) // world_size) * world_size
    built = metric(collect_device='cpu')
    built.collect_dir = f'{folder}/parts'
    for i in range(number, padded, world_size):
        predicted, truth = (torch.from_numpy(a) for a in pairs[i % len(pairs)])
        built.process({}, [dict(pred_sem_seg=dict(data=predicted), gt_sem_seg=dict(data=truth))])
    queue.put(built.evaluate(len(pairs)))


@pytest.mark.parametrize('world_size', [2, 4])
def test_ranks_add_up_to_the_whole_set_and_no_image_is_counted_twice(world_size, tmp_path):
    expected = evaluate(metric(), images())
    fork = multiprocessing.get_context('fork')
    queue = fork.Queue()
    ranks = [fork.Process(target=rank, args=(i, world_size, tmp_path, queue)) for i in range(world_size)]
    for process in ranks:
        process.start()
    results = [queue.get(timeout=60) for _ in ranks]
    for process in ranks:
        process.join()
    for result in results:
        assert result == pytest.approx(expected, nan_ok=True)


MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
HALF = dict(type='Resize', scale=(96, 48), keep_ratio=False)  # of the demo's images


@pytest.fixture
def demo(street_data, tmp_path):
    """The demo's config on tiny data, tested at half of the images' size, and its model with sharp predictions."""
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    cfg.test_dataloader.dataset.pipeline[1:1] = [HALF]
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    for conv in model.decode_head.conv_seg:
        torch.nn.init.normal_(conv.weight, std=0.3)
    return cfg, model


def logits_of(model, image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) BGR → (classes, h, w) of a network that sees it in normalised RGB."""
    x = torch.from_numpy((image[..., ::-1].astype(np.float32) - MEAN) / STD).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        return model(x, mode='tensor')['decode'][0]


def upsampled(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(logits[None], size, mode='bilinear', align_corners=True)[0]


def test_predictions_have_the_ground_truths_full_size_by_one_upsampling_of_the_logits(demo):
    cfg, model = demo
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    built = METRICS.build(cfg.test_evaluator)
    built.dataset_meta = dataset.metainfo
    correct, twice = 0, 0
    for i in range(len(dataset)):
        with torch.no_grad():
            (sample,) = model.test_step(pseudo_collate([dataset[i]]))
        built.process({}, [sample.to_dict()])
        image = cv2.imread(sample.img_path)
        truth = cv2.imread(sample.seg_map_path, cv2.IMREAD_UNCHANGED)
        logits = logits_of(model, cv2.resize(image, (96, 48)))
        assert logits.shape[1:] == (7, 13)
        prediction = upsampled(logits, truth.shape).argmax(0)
        assert torch.equal(sample.pred_sem_seg.data[0], prediction)
        assert np.array_equal(sample.gt_sem_seg.data[0].numpy(), truth)
        twice += (upsampled(upsampled(logits, (48, 96)), truth.shape).argmax(0) != prediction).sum()
        correct += (prediction.numpy() == truth).sum()
    assert twice > 0  # MMSegmentation's two upsamplings would not do
    assert built.evaluate(2)['aAcc'] == pytest.approx(100 * correct / (2 * 96 * 192), abs=0.006)


def test_test_time_augmentation_averages_the_probabilities_of_scales_and_flips(demo):
    cfg, model = demo
    resize = cfg.tta_pipeline[1].transforms[0]
    cfg.tta_pipeline[1].transforms[0] = [
        dict(r, interpolation='bilinear') for r in resize if r.scale_factor in (1, 0.5)
    ]
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    tta = MODELS.build(dict(cfg.tta_model, module=model)).eval()
    with torch.no_grad():
        (sample,) = tta.test_step(pseudo_collate([dataset[0]]))
    image = cv2.imread(sample.img_path)
    mean = torch.zeros(8, 96, 192)
    for seen in (image, cv2.resize(image, (96, 48))):
        mean += upsampled(logits_of(model, seen), (96, 192)).softmax(0) / 4
        mirrored = logits_of(model, np.ascontiguousarray(seen[:, ::-1])).flip(2)
        mean += upsampled(mirrored, (96, 192)).softmax(0) / 4
    top = mean.topk(2, dim=0).values
    clear = top[0] - top[1] > 1e-4
    assert clear.float().mean() > 0.99
    assert torch.equal(sample.pred_sem_seg.data[0][clear], mean.argmax(0)[clear])
    assert (upsampled(logits_of(model, image), (96, 192)).argmax(0) != mean.argmax(0)).any()


def test_the_command_line_tests_with_augmentation_at_the_configs_scales(street_data, tmp_path, monkeypatch, capsys):
    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path / 'run')
    train(cfg)
    cfg.dump(tmp_path / 'tiny.py')
    show = tmp_path / 'show'
    run_tool(
        *('test.py', tmp_path / 'tiny.py', tmp_path / 'run/iter_2.pth', '--tta', '--show-dir', show),
        *('--cfg-options', 'experiment_name=tta'),
        monkeypatch=monkeypatch,
    )
    assert 'mIoU' in capsys.readouterr().out
    assert cv2.imread(str(show / '00000.png')).shape == (96, 3 * 192, 3)
    cfg.pop('tta_pipeline')
    cfg.dump(tmp_path / 'tiny.py')
    with pytest.raises(SystemExit):
        run_tool('test.py', tmp_path / 'tiny.py', tmp_path / 'run/iter_2.pth', '--tta', monkeypatch=monkeypatch)
    assert 'tiny.py: copy tta_pipeline from' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['gta2cs', 'synthia2cs', 'gta2bdd', 'cs2crosscity', 'carla2camvid'])
def test_the_first_augmentation_is_the_plain_test(name):
    cfg = Config.fromfile(CONFIGS / '_base_/datasets' / f'{name}.py')
    plain = cfg.val_dataloader.dataset.pipeline
    *before, augmented = cfg.tta_pipeline
    scales, flips, *after = augmented.transforms
    assert [*before, scales[0], *(step for (step,) in after)] == plain
    assert flips[0].prob == 0
    assert len({scale.scale for scale in scales}) == 6
