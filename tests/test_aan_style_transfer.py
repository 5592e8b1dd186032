"""AANStyleTransfer in a pipeline and in training, and late fusion of what was trained."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from mmseg_adapt.errors import UserError
from mmseg_adapt.style import FAST, RenderStore, VGGStyleEncoder, aan_style_transfer
from mmseg_adapt.style import store as store_module
from mmseg_adapt.style.job import RenderJob

from .tiny import REPO, run_tool, tiny_config, train


@pytest.fixture(autouse=True, scope='module')
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def root(tmp_path_factory, street_data) -> Path:
    """``aan.py`` and the stores ``source`` (all four source images in the target's style) and ``exchanged`` (val)."""
    root = tmp_path_factory.mktemp('transfer')
    torch.manual_seed(0)
    torch.save(VGGStyleEncoder(['relu1_1']).features.state_dict(), root / 'vgg.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(root / 'vgg.pth'))
    aan = dict(
        encoder=dict(type='VGGStyleEncoder', layers=['relu1_1'], init_cfg=init_cfg),
        objective=dict(weights='balanced', alpha=1.0),
        recipe=dict(levels=[(1.0, 2)]),
    )
    Config(dict(aan=aan)).dump(root / 'aan.py')
    with pytest.MonkeyPatch.context() as monkeypatch:
        source, target, val = (
            street_data / part for part in ('source/images', 'target/train/images', 'target/val/images')
        )
        for name, content, style in (('source', source, target), ('exchanged', val, source)):
            argv = [root / 'aan.py', '--source', content, '--target', style, '--out', root / name]
            run_tool('render_aan.py', *argv, monkeypatch=monkeypatch)
    return root


def pipeline(*steps) -> Compose:
    return Compose([TRANSFORMS.build(dict(step)) for step in steps])


def aan(renders, **kwargs) -> dict:
    return dict(type='AANStyleTransfer', renders=str(renders), **kwargs)


LOAD, LABELS, RESIZE = dict(type='LoadImage'), dict(type='LoadLabels'), dict(type='Resize', scale=(96, 48))


def sample(street_data, number=0) -> dict:
    path = street_data / 'source' / 'images' / f'{number:05d}.png'
    return dict(img_path=str(path), seg_map_path=str(path).replace('images', 'labels'), seg_fields=[])


def test_the_render_takes_the_place_of_the_image_and_the_label_stays(root, street_data):
    render = cv2.imread(str(root / 'source/00001.png'))
    results = pipeline(LOAD, aan(root / 'source'), LABELS)(sample(street_data, 1))
    plain = pipeline(LOAD, LABELS)(sample(street_data, 1))
    assert np.array_equal(results['img'], render)
    assert not np.array_equal(results['img'], plain['img'])
    assert np.array_equal(results['gt_seg_map'], plain['gt_seg_map'])
    crop = dict(type='CropBox', top=10, bottom=80)
    cropped = pipeline(LOAD, aan(root / 'source'), LABELS, crop, RESIZE)(sample(street_data, 1))
    expected = cv2.resize(render[10:80], (96, 48), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(cropped['img'].astype(int), expected.astype(int), atol=1)


def test_prob_is_the_share_of_renders(root, street_data):
    render = cv2.imread(str(root / 'source/00000.png'))
    steps = pipeline(LOAD, aan(root / 'source', prob=0.3))
    np.random.seed(0)
    taken = [np.array_equal(steps(sample(street_data))['img'], render) for _ in range(200)]
    assert 0.2 < np.mean(taken) < 0.4


def copy_without(root, tmp_path, name='00002') -> Path:
    """The store ``source`` without one render."""
    store = tmp_path / 'store'
    store.mkdir()
    for file in (root / 'source').iterdir():
        if file.stem != name:
            (store / file.name).write_bytes(file.read_bytes())
    return store


def test_an_image_without_a_render_stops_with_the_command_or_is_kept_or_is_rendered(root, street_data, tmp_path):
    store = copy_without(root, tmp_path)
    command = (
        rf'python tools/render_aan.py {root}/aan.py --source {street_data}/source/images --target \S+ --out {store}'
    )
    with pytest.raises(UserError, match=f'00002.png has no render in {store}. Create it with: {command}'):
        pipeline(LOAD, aan(store))(sample(street_data, 2))
    kept = pipeline(LOAD, aan(store, missing='keep'))(sample(street_data, 2))
    assert np.array_equal(kept['img'], cv2.imread(kept['img_path']))
    rendered = pipeline(LOAD, aan(store, missing='render'))(sample(street_data, 2))
    assert (store / '00002.png').read_bytes() == (root / 'source/00002.png').read_bytes()
    assert np.array_equal(rendered['img'], cv2.imread(str(root / 'source/00002.png')))


def test_an_image_that_is_not_drawn_is_not_looked_for_and_every_image_draws_one_number(root, street_data, tmp_path):
    store = copy_without(root, tmp_path)
    for missing, prob, number in (('error', 0.0, 2), ('keep', 1.0, 2), ('keep', 1.0, 1), ('error', 0.0, 1)):
        steps = pipeline(LOAD, aan(store, missing=missing, prob=prob))
        np.random.seed(5)
        steps(sample(street_data, number))
        drawn = np.random.get_state()[2]
        np.random.seed(5)
        np.random.rand()
        assert np.random.get_state()[2] == drawn


def test_a_source_file_is_read_once_until_it_changes(root, street_data, tmp_path, monkeypatch):
    read = []
    checksum = store_module.checksum_of
    monkeypatch.setattr(store_module, 'checksum_of', lambda file: read.append(file) or checksum(file))
    copy = tmp_path / 'images/00001.png'
    copy.parent.mkdir()
    copy.write_bytes(Path(sample(street_data, 1)['img_path']).read_bytes())
    steps = pipeline(LOAD, aan(root / 'source'))
    for _ in range(3):
        steps(dict(img_path=str(copy), seg_fields=[]))
    assert len(read) == 1
    changed = cv2.imread(str(copy))
    changed[0, 0] ^= 255
    assert cv2.imwrite(str(copy), changed)
    with pytest.raises(UserError, match='has no render'):
        steps(dict(img_path=str(copy), seg_fields=[]))


def test_rendering_leaves_the_trainings_random_numbers_alone(root, street_data, tmp_path):
    store = copy_without(root, tmp_path)
    seeds = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, 'manual_seed_all', seeds.append)
        torch.manual_seed(7)
        before = torch.get_rng_state()
        seeds.clear()
        pipeline(LOAD, aan(store, missing='render'))(sample(street_data, 2))
    assert seeds == []  # of a GPU
    assert torch.equal(torch.get_rng_state(), before)


def test_only_files_of_the_folder_that_the_store_renders_are_rendered(root, street_data, tmp_path, monkeypatch):
    store = copy_without(root, tmp_path)
    steps = pipeline(LOAD, aan(store, missing='render'))
    outside = tmp_path / 'town1/00002.png'
    outside.parent.mkdir()
    outside.write_bytes(Path(sample(street_data, 2)['img_path']).read_bytes())
    message = f'town1/00002.png is not in {street_data}/source/images, but {store} contains'
    with pytest.raises(UserError, match=message):
        steps(dict(img_path=str(outside), seg_fields=[]))
    monkeypatch.chdir(street_data)  # a path relative to another folder than the tool's
    steps(dict(img_path='source/images/00002.png', seg_fields=[]))
    (tmp_path / 'link').symlink_to(street_data / 'source/images')
    steps(dict(img_path=str(tmp_path / 'link/00001.png'), seg_fields=[]))
    assert sorted(f.name for f in store.rglob('*.png')) == [f'{i:05d}.png' for i in range(4)]


def test_rendering_on_a_gpu_inside_a_worker_is_refused_with_the_cure(root, street_data, tmp_path, monkeypatch):
    steps = pipeline(LOAD, aan(copy_without(root, tmp_path), missing='render'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(aan_style_transfer, 'get_worker_info', lambda: object())
    with pytest.raises(
        UserError, match='in a worker of the data loader: set num_workers=0, or render beforehand: python'
    ):
        steps(sample(street_data, 2))
    assert steps(sample(street_data, 1))['img'].shape == (96, 192, 3)  # a render that exists is only read


@pytest.mark.parametrize('before', [RESIZE, dict(type='CropBox', top=10), dict(type='RandomFlip', prob=1.0)])
def test_it_stands_right_behind_the_loading(before, root, street_data):
    with pytest.raises(UserError, match='must directly follow the step that loads the image'):
        pipeline(LOAD, before, aan(root / 'source'))(sample(street_data))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(missing='skip'), "missing = 'skip' must be one of"),
        (dict(prob=2), 'prob = 2 must be between 0 and 1'),
        (
            dict(renders='nowhere'),
            'nowhere does not contain renders. Create them with: python tools/render_aan.py CONFIG --source',
        ),
    ],
)
def test_wrong_arguments_are_named(kwargs, message, root):
    with pytest.raises(UserError, match=message):
        TRANSFORMS.build(dict(aan(root / 'source'), **kwargs))


@pytest.fixture(scope='module')
def trained(root, street_data) -> list[tuple[Path, Path]]:
    """Two runs, one on originals, one on renders: (config, checkpoint)."""
    runs = []
    for name in ('plain', 'renders'):
        cfg = tiny_config('demo/streets_singlelevel.py', street_data, root / name)
        if name == 'renders':
            cfg.train_dataloader.dataset.source.pipeline.insert(1, aan(root / 'source', prob=0.5))
        train(cfg)
        cfg.dump(root / f'{name}.py')
        runs.append((root / f'{name}.py', root / name / 'iter_2.pth'))
    return runs


def test_fusion_averages_the_probabilities_of_models_and_inputs(trained, root, street_data, monkeypatch, capsys):
    runs = [(*run, *store) for run in trained for store in ((), (root / 'exchanged',))]
    argv = [part for run in runs for part in ('--run', *run)]
    run_tool('analysis/fuse.py', *argv, monkeypatch=monkeypatch)
    rows = [line.split('|') for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
    table = {row[1].strip(): float(row[2]) for row in rows[2:]}
    assert list(table) == ['1: plain', '2: plain on exchanged', '3: renders', '4: renders on exchanged', 'fused']

    from mmseg.apis import inference_model, init_model

    models = [init_model(str(config), str(checkpoint), device='cpu') for config, checkpoint in trained]
    intersection, union, single = np.zeros(8), np.zeros(8), np.zeros((2, 8))
    for file in sorted((street_data / 'target/val/images').iterdir()):
        mean = 0
        for model in models:
            for image in (file, root / 'exchanged' / file.name):
                mean = mean + inference_model(model, str(image)).seg_logits.data.softmax(0) / 4
        label = cv2.imread(str(street_data / 'target/val/labels' / file.name), cv2.IMREAD_UNCHANGED)
        own = inference_model(models[0], str(file)).pred_sem_seg.data[0].numpy()
        for c in range(8):
            predicted = mean.argmax(0).numpy() == c
            intersection[c] += (predicted & (label == c)).sum()
            union[c] += (predicted | (label == c)).sum()
            single[:, c] += ((own == c) & (label == c)).sum(), ((own == c) | (label == c)).sum()
    assert table['fused'] == pytest.approx(100 * np.mean(intersection / union), abs=0.06)
    assert table['1: plain'] == pytest.approx(100 * np.mean(single[0] / single[1]), abs=0.06)


def test_fusion_refuses_what_cannot_be_fused(trained, root, monkeypatch, capsys):
    (config, checkpoint), _ = trained
    for argv, message in (
        (('--run', config), 'pass a config, a checkpoint and, optionally, a store of renders'),
        (('--run', config, 'nowhere.pth'), 'nowhere.pth does not exist'),
        (('--run', config, checkpoint, root / 'source'), '00000.png has no render in'),
    ):
        with pytest.raises(SystemExit):
            run_tool('analysis/fuse.py', *argv, monkeypatch=monkeypatch)
        assert message in capsys.readouterr().err
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.data_prefix.update(img_path='source/images', seg_map_path='source/labels')
    cfg.test_dataloader.dataset.indices = [2, 3]
    cfg.dump(root / 'elsewhere.py')
    run, wrong = ('--run', config, checkpoint), root / 'wrong.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(1))), wrong)
    for argv, message in (
        ((*run, '--run', root / 'elsewhere.py', checkpoint, *run), 'elsewhere is tested on other images than plain'),
        ((*run, '--run', config, wrong), 'wrong.pth belongs to another network'),
    ):
        with pytest.raises(SystemExit):
            run_tool('analysis/fuse.py', *argv, monkeypatch=monkeypatch)
        assert message in capsys.readouterr().err
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.metainfo.classes = ('a', *cfg.test_dataloader.dataset.metainfo.classes[1:])
    cfg.dump(root / 'other.py')
    with pytest.raises(SystemExit):
        run_tool(
            'analysis/fuse.py',
            *('--run', config, checkpoint, '--run', root / 'other.py', checkpoint),
            monkeypatch=monkeypatch,
        )
    assert 'other has other classes than plain: fuse models with the same classes' in capsys.readouterr().err


def test_a_store_keeps_what_it_needs_to_go_on(root):
    store = RenderStore(root / 'source')
    assert store.manifest()['made_with']['config'] == str(root / 'aan.py')
    assert sorted(p.name for p in (root / 'source').iterdir()) == [
        *(f'{i:05d}.png' for i in range(4)),
        'aan.json',
        'style.pth',
    ]


def test_the_configs_in_the_documentation_are_complete(root, street_data):
    snippets = re.findall(r'```python\n(.*?)```', (REPO / 'docs/aan.md').read_text(), flags=re.S)
    names: dict = {}
    for snippet in snippets:
        exec(snippet, names)
    names['source_pipeline'][1]['renders'] = str(root / 'source')
    pipeline(*names['source_pipeline'])
    for key, pool in (('colour_pipeline', 'target/train'), ('test_pipeline', 'source')):
        names[key][1].update(target=str(street_data / pool / 'images'), prob=1.0)
        assert pipeline(*names[key])(sample(street_data))['inputs'].shape == (3, 96, 192)
    del names['aan']['encoder']['init_cfg']
    assert RenderJob.from_config(names['aan'], 'cpu').adapter.recipe == FAST


@pytest.mark.parametrize('step', ['CropBox', 'RandomCrop', 'RandomFlip'])
def test_a_render_stands_for_a_whole_image(step):
    with pytest.raises(UserError, match=f'aan.content has {step}, but renders replace whole images'):
        RenderJob(dict(type='VGGStyleEncoder', layers=['relu1_1']), content=[dict(type='LoadImage'), dict(type=step)])
