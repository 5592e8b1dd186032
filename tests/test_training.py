"""Real runs through the tools on tiny data: train, resume, test, mixed precision, stock models, and every bad input."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmseg_adapt.errors import UserError
from mmseg_adapt.files.config import config_of

from .tiny import REPO, load, run_tool, tiny_config, train

DEMO = (
    'demo/streets_source_only.py',
    'demo/streets_target_bn.py',
    'demo/streets_singlelevel.py',
    'demo/streets_multilevel.py',
    'demo/streets_ran.py',
    'demo/streets_dacs.py',
    'demo/streets_mic.py',
)


@pytest.fixture
def config_file(tmp_path, street_data):
    """Writes a tiny demo config to disk, for the command line."""

    def write(name='demo/streets_multilevel.py', **kwargs) -> Path:
        cfg = tiny_config(name, street_data, tmp_path / 'run', **kwargs)
        path = tmp_path / 'tiny.py'
        cfg.dump(path)
        return path

    return write


def scalars(work_dir: Path) -> list[dict]:
    file = max(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize('name', DEMO)
def test_every_demo_config_trains_and_validates(name, street_data, tmp_path):
    runner = train(tiny_config(name, street_data, tmp_path))
    log = scalars(tmp_path)
    assert all(np.isfinite(v) for row in log[:-1] for v in row.values())
    assert 0 <= log[-1]['mIoU'] <= 100
    assert {f'IoU.{c}' for c in ('road', 'car')} <= log[-1].keys()
    state = load(tmp_path / 'iter_2.pth')['state_dict']
    if 'source_only' not in name:
        assert {k.split('.')[0] for k in state} - {'teacher'} == set(runner.model.players)
        assert any(k.startswith('teacher.') for k in state) == hasattr(runner.model, 'teacher')
    if 'multilevel' in name:
        assert {
            'decode.loss_ce',
            'aux.loss_ce',
            'decode.loss_adv',
            'aux.loss_adv',
            'discriminator.decode.loss_dis',
            'discriminator.aux.loss_dis',
        } == {k for k in log[0] if 'loss' in k}
        assert {'discriminator.decode', 'discriminator.aux'} <= {'.'.join(k.split('.')[:2]) for k in state}


def test_validation_equals_a_plain_count_of_pixels(street_data, tmp_path):
    runner = train(tiny_config('demo/streets_singlelevel.py', street_data, tmp_path))
    model = runner.model.eval()
    intersection, union = np.zeros(8), np.zeros(8)
    for file in sorted((street_data / 'target/val/images').iterdir()):
        image = cv2.imread(str(file))[..., ::-1].astype(np.float32)
        image = (image - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            logits = model(x, mode='tensor')['decode']
        up = torch.nn.functional.interpolate(logits, x.shape[2:], mode='bilinear', align_corners=True)
        predicted = up.argmax(1)[0].numpy()
        truth = cv2.imread(str(street_data / 'target/val/labels' / file.name), cv2.IMREAD_UNCHANGED)
        for c in range(8):
            intersection[c] += ((predicted == c) & (truth == c)).sum()
            union[c] += ((predicted == c) | (truth == c)).sum()
    iou = 100 * intersection[union > 0] / union[union > 0]
    log = scalars(tmp_path)[-1]
    assert log['mIoU'] == pytest.approx(iou.mean(), abs=0.02)
    assert log['IoU.road'] == pytest.approx(100 * intersection[0] / union[0], abs=0.02)


@pytest.mark.parametrize('name', ['adaptseg/gta2cs_deeplabv3plus_r50.py', 'adaptseg/gta2cs_segformer_b0.py'])
def test_a_stock_model_is_adapted_in_twelve_lines_and_trains(name, street_data, tmp_path):
    text = (REPO / 'configs' / name).read_text()
    code = [line for line in text.split(']\n', 1)[1].splitlines() if line and not line.startswith('#')]
    assert len(code) <= 12
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    stock = Config.fromfile(REPO / 'configs' / name)
    segmentor = stock.model.segmentor
    for part in (segmentor.backbone, segmentor):
        part.update({k: None for k in ('init_cfg', 'pretrained') if k in part})
    for head in (segmentor.decode_head, segmentor.get('auxiliary_head') or {}):
        head.update(num_classes=8) if head else None
    if segmentor.backbone.type == 'ResNetV1c':  # an eighth of the channels
        segmentor.backbone.update(stem_channels=8, base_channels=8)
        segmentor.decode_head.update(in_channels=256, c1_in_channels=32, c1_channels=6, channels=64)
        segmentor.auxiliary_head.update(in_channels=128, channels=32)
    stock.model.discriminator.decode.update(in_channels=8, base_channels=4)
    cfg.model = stock.model
    cfg.optim_wrapper = stock.optim_wrapper
    cfg.train_dataloader.batch_size = stock.train_dataloader.batch_size
    before = []

    @HOOKS.register_module(name='KeepFirstWeights', force=True)
    class KeepFirstWeights(Hook):
        def before_train(self, runner):
            before.append({n: p.clone() for n, p in runner.model.named_parameters()})

    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='KeepFirstWeights')]
    runner = train(cfg)
    moved = {n.split('.')[0] for n, p in runner.model.named_parameters() if not torch.equal(p, before[0][n])}
    assert moved == {'segmentor', 'discriminator'}
    assert 'mIoU' in scalars(tmp_path)[-1]


HEAD = dict(in_channels=64, in_index=2, channels=8, num_classes=8)


def test_a_head_that_refines_another_ones_map_is_refused_where_there_is_none(street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    cfg.model.segmentor.auxiliary_head = dict(HEAD, type='OCRHead', ocr_channels=8)
    with pytest.raises(UserError, match=r"level 'aux': OCRHead refines the map .* 'MultiLevelCascade'"):
        train(cfg)


def test_the_command_line_trains_resumes_tests_and_writes_pictures(config_file, tmp_path, monkeypatch, capsys):
    config = config_file()
    run_tool('train.py', config, '--amp', monkeypatch=monkeypatch)
    work_dir = tmp_path / 'run'
    first = load(work_dir / 'iter_2.pth')
    assert first['meta']['iter'] == 2
    run_tool(
        'train.py',
        config,
        '--resume',
        '--cfg-options',
        'train_cfg.max_iters=4',
        'experiment_name=b',
        monkeypatch=monkeypatch,
    )
    resumed = load(work_dir / 'iter_4.pth')
    assert resumed['meta']['iter'] == 4
    for player in ('segmentor', 'discriminator'):
        steps = resumed['optimizer'][player]['state']
        assert len(steps) == len(first['optimizer'][player]['state'])
        assert all(torch.as_tensor(s['step']) == 4 for s in steps.values() if 'step' in s)
    run_tool(
        *('test.py', config, work_dir / 'iter_4.pth', '--cfg-options', 'experiment_name=c'),
        *('--out', tmp_path / 'out', '--show-dir', tmp_path / 'show'),
        monkeypatch=monkeypatch,
    )
    assert 'mIoU' in capsys.readouterr().out
    predictions = sorted((tmp_path / 'out').iterdir())
    pictures = sorted((tmp_path / 'show').iterdir())
    assert [p.name for p in predictions] == [p.name for p in pictures] == ['00000.png', '00001.png']
    assert cv2.imread(str(predictions[0]), cv2.IMREAD_UNCHANGED).shape == (96, 192)
    assert cv2.imread(str(predictions[0]), cv2.IMREAD_UNCHANGED).max() < 8
    assert cv2.imread(str(pictures[0])).shape == (96, 3 * 192, 3)


def failure(tool, *arguments, monkeypatch, capsys) -> str:
    """Standard error of a tool that must exit with 1 and one sentence."""
    with pytest.raises(SystemExit) as stop:
        run_tool(tool, *arguments, monkeypatch=monkeypatch)
    assert stop.value.code == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1
    return lines[0]


def test_options_that_are_no_pairs_are_refused(config_file, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stop:
        run_tool('train.py', config_file(), '--cfg-options', 'model.lambda_adv', monkeypatch=monkeypatch)
    assert stop.value.code == 2
    assert "argument --cfg-options: expected key=value, got 'model.lambda_adv'" in capsys.readouterr().err


def break_image(data: Path) -> None:
    for file in (data / 'source/images').iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['train_dataloader.dataset.source.data_root=nowhere'], 'nowhere/source/images does not exist: set data_root'),
        (['train_dataloader.dataset.source.img_suffix=.jpg'], 'no image matches *.jpg in'),
        (['model.type=AdaptSegNett'], "type = 'AdaptSegNett' is not in the registry mmseg::model: correct it in the"),
        (['default_hooks.preemption.signals=SIGFOO'], "PreemptionHook.signals has ['SIGFOO']: use names such as"),
        (['val_dataloader.dataset.data_root=nowhere'], 'nowhere/target/val/images does not exist: set data_root'),
        (['model.lambda_adv.neck=1'], "model.lambda_adv has ['aux', 'decode', 'neck']: use the same levels in both"),
        (
            ['model.discriminator.aux.in_channels=19'],
            'model.discriminator.aux.in_channels = 19, but the segmentor predicts 8',
        ),
        (['model.objective=hinge'], "model.objective = 'hinge' must be one of"),
        (
            ['model.reversal=True', 'custom_hooks.0.every.segmentor=2'],
            'updates both players with one backward pass: remove begin and every',
        ),
        (
            ['optim_wrapper.discriminator.accumulative_counts=0'],
            'accumulative_counts = 0 must be an integer',
        ),
        (['custom_hooks.0.begin.critic=2'], "AlternatingUpdateHook has ['critic']"),
        (
            ['optim_wrapper.segmentor.optimizer.lr=1e30', 'default_hooks.finite_loss.interval=1'],
            'is not finite at iteration',
        ),
    ],
)
def test_bad_options_fail_in_one_sentence(options, message, config_file, monkeypatch, capsys):
    assert message in failure(
        'train.py', config_file(), '--cfg-options', *options, monkeypatch=monkeypatch, capsys=capsys
    )


@pytest.mark.parametrize('workers', [0, 1])
def test_a_truncated_image_fails_in_one_sentence_from_the_main_process_and_from_a_worker(
    workers, street_data, tmp_path, monkeypatch, capsys
):
    data = tmp_path / 'data'
    shutil.copytree(street_data, data)
    break_image(data)
    cfg = tiny_config('demo/streets_singlelevel.py', data, tmp_path / 'run')
    cfg.train_dataloader.num_workers = workers
    cfg.dump(tmp_path / 'tiny.py')
    message = failure('train.py', tmp_path / 'tiny.py', monkeypatch=monkeypatch, capsys=capsys)
    assert 'source/images/' in message
    assert 'cannot be read' in message
    assert message.endswith('restore the file or remove it')


def test_missing_files_of_stock_parts_fail_in_one_sentence(config_file, tmp_path, monkeypatch, capsys):
    config = config_file('demo/streets_singlelevel.py')
    cfg = Config.fromfile(config)
    cfg.val_dataloader.dataset = dict(
        type='CityscapesDataset', data_root=str(tmp_path / 'nowhere'), data_prefix=dict(img_path='a', seg_map_path='b')
    )
    cfg.dump(config)
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    assert f'{tmp_path}/nowhere/a does not exist: copy or link it there' in failure('train.py', config, **kwargs)
    weights = 'model.segmentor.backbone.init_cfg.checkpoint=nowhere.pth'
    options = ('model.segmentor.backbone.init_cfg.type=Pretrained', weights, 'experiment_name=weights')
    config = config_file('demo/streets_singlelevel.py')
    message = failure('train.py', config, '--overwrite', '--cfg-options', *options, **kwargs)
    assert 'nowhere.pth does not exist: copy or link the checkpoint to' in message


def test_mmsegs_own_inference_api_predicts_with_an_adapted_checkpoint(street_data, tmp_path):
    from mmseg.apis import inference_model, init_model

    cfg = tiny_config('demo/streets_multilevel.py', street_data, tmp_path)
    runner = train(cfg)
    model = init_model(cfg, str(tmp_path / 'iter_2.pth'), device='cpu')
    file = street_data / 'target/val/images/00000.png'
    expected = runner.model.eval().test_step(runner.test_dataloader.collate_fn([runner.test_dataloader.dataset[0]]))[0]
    for image in (str(file), cv2.imread(str(file))):
        assert torch.equal(inference_model(model, image).pred_sem_seg.data, expected.pred_sem_seg.data)


@pytest.mark.parametrize('rest', [None, {}])
def test_a_player_without_an_optimiser_stops_the_run_before_the_first_step(rest, street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    del cfg.optim_wrapper['discriminator']
    if rest is not None:  # as `_delete_` leaves it
        cfg.optim_wrapper.discriminator = rest
    with pytest.raises(UserError, match=r"optim_wrapper has \['segmentor'\]: its keys must be the players"):
        train(cfg)
    assert not list(tmp_path.glob('*.pth'))


def test_a_work_dir_is_never_overwritten_unasked(config_file, tmp_path, monkeypatch, capsys):
    config = config_file()
    run_tool('train.py', config, monkeypatch=monkeypatch)
    before = (tmp_path / 'run/iter_2.pth').read_bytes()
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    assert 'contains checkpoints of this config: pass --resume' in failure('train.py', config, **kwargs)
    changed = failure('train.py', config, '--cfg-options', 'model.lambda_adv.decode=0.5', **kwargs)
    assert 'contains the run of another config (model.lambda_adv.decode differs from tiny.py)' in changed
    assert (tmp_path / 'run/iter_2.pth').read_bytes() == before


def test_a_run_that_never_started_does_not_block_the_corrected_one_and_nothing_is_resumed_from_nothing(
    config_file, tmp_path, monkeypatch, capsys
):
    config = config_file()
    wrong = ('--cfg-options', 'val_dataloader.dataset.data_root=nowhere')
    failure('train.py', config, *wrong, monkeypatch=monkeypatch, capsys=capsys)
    message = failure('train.py', config, '--resume', monkeypatch=monkeypatch, capsys=capsys)
    assert 'contains no checkpoint to resume from: check --work-dir' in message
    run_tool('train.py', config, '--cfg-options', 'experiment_name=corrected', monkeypatch=monkeypatch)
    assert (tmp_path / 'run/iter_2.pth').exists()


def test_testing_leaves_the_training_runs_folder_as_it_was(config_file, tmp_path, monkeypatch):
    config = config_file('demo/streets_singlelevel.py')
    run_tool('train.py', config, monkeypatch=monkeypatch)
    before = (tmp_path / 'run/tiny.py').read_text()
    options = ('--cfg-options', 'experiment_name=test', 'test_dataloader.batch_size=2')
    run_tool('test.py', config, tmp_path / 'run/iter_2.pth', *options, monkeypatch=monkeypatch)
    assert (tmp_path / 'run/tiny.py').read_text() == before


def test_predictions_without_meta_data_have_the_size_of_the_input(street_data, tmp_path):
    model = train(tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)).model.eval()
    with torch.no_grad():
        prediction = model(torch.rand(2, 3, 96, 192), mode='predict')
    assert [p.pred_sem_seg.data.shape for p in prediction] == [(1, 96, 192)] * 2


def test_checkpoints_that_do_not_fit_are_refused_by_name(config_file, tmp_path, monkeypatch, capsys):
    config = config_file()
    run_tool('train.py', config, monkeypatch=monkeypatch)
    checkpoint = tmp_path / 'run/iter_2.pth'
    classes = load(checkpoint)
    for key, value in classes['state_dict'].items():
        if 'decode_head.conv_seg' in key:
            classes['state_dict'][key] = value[:5]
    torch.save(classes, tmp_path / 'five_classes.pth')
    torch.save(dict(state_dict=dict(weight=torch.ones(1))), tmp_path / 'other.pth')
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    options = ('--cfg-options', 'experiment_name=')
    message = failure('test.py', config, tmp_path / 'five_classes.pth', options[0], options[1] + 'five', **kwargs)
    assert 'five_classes.pth: decode_head.conv_seg.0.bias has shape (5,), but this config needs (8,)' in message
    message = failure('test.py', config, tmp_path / 'other.pth', options[0], options[1] + 'other', **kwargs)
    assert 'other.pth belongs to another network' in message
    message = failure('test.py', config, tmp_path / 'none.pth', **kwargs)
    assert 'none.pth does not exist: pass a checkpoint' in message
    assert 'no_config.py does not exist: pass a config' in failure('train.py', 'no_config.py', **kwargs)


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('a.pth', 'PK', 'Only py/yml/yaml/json type are supported'),
        ('a.py', 'x = ConfigDict', "name 'ConfigDict' is not defined"),
        ('a.py', 'raise KeyError', 'KeyError'),
    ],
)
def test_a_file_that_is_no_config_is_named_with_the_reason(name, content, reason, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=rf'{name} cannot be read as a config: {reason}'):
        config_of(str(tmp_path / name))


def test_weights_that_are_not_finite_are_never_saved(street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path, iterations=4)
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=2)  # the oldest goes before the newest is written
    cfg.default_hooks.finite_loss.interval = 100  # only the look at the weights is left

    @HOOKS.register_module(name='PoisonWeights', force=True)
    class PoisonWeights(Hook):
        priority = 'VERY_HIGH'  # as an update would: before any hook looks

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 2:
                runner.model.discriminator['decode'].layers[0].bias.data[0] = float('nan')

    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='PoisonWeights')]
    with pytest.raises(UserError, match=r'discriminator.decode.layers.0.bias is not finite at iteration 3'):
        train(cfg)
    assert sorted(p.name for p in tmp_path.glob('*.pth')) == ['iter_1.pth', 'iter_2.pth']
