"""Every config builds, is documented, and gives each parameter to one optimiser."""

import re
from functools import cache, partial

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS

from .tiny import CONFIGS

PATHS = sorted(p for p in CONFIGS.rglob('*.py') if not {'_base_', 'own'} & set(p.parts))  # own: a user's
STOCK = 'cs2bdd_deeplabv3plus_r50.py'  # MMSegmentation's own schedule


def name(path) -> str:
    return str(path.relative_to(CONFIGS))


def built(path):
    """The config and its model, on the meta device."""
    cfg = Config.fromfile(path)
    with pytest.MonkeyPatch.context() as patch, torch.device('meta'):
        patch.setattr(torch, 'linspace', partial(torch.linspace, device='cpu'))  # MiT reads its drop path's rates
        return cfg, MODELS.build(cfg.model)


@pytest.mark.parametrize('path', PATHS, ids=name)
def test_a_config_builds_and_no_parameter_has_two_optimisers_or_none(path):
    cfg, model = built(path)
    if 'constructor' in cfg.optim_wrapper:
        wrapper_cfg = dict(cfg.optim_wrapper)
        kind = wrapper_cfg.pop('constructor')
        wrappers = OPTIM_WRAPPER_CONSTRUCTORS.build(dict(type=kind, optim_wrapper_cfg=wrapper_cfg))(model)
        groups = [g for w in wrappers.values() for g in w.param_groups]
    else:
        groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    optimised = [id(p) for group in groups for p in group['params'] if p.requires_grad]
    trained = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(optimised) == sorted(trained)
    assert cfg.default_hooks.checkpoint.get('max_keep_ckpts') != 1  # refused by CheckpointGuardHook
    if path.name != STOCK:
        assert cfg.train_cfg.type == 'ResumableTrainLoop'


@cache
def rates(schedules: str, iterations: int) -> torch.Tensor:
    """The learning rate of each iteration, as a share of the highest, by mmengine's own schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedulers = [
        PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=optimizer))
        for schedule in Config.fromstring(schedules, '.py').schedules
    ]
    optimizer.step()
    found = []
    for _ in range(iterations):
        found.append(optimizer.param_groups[0]['lr'])
        for scheduler in schedulers:
            scheduler.step()
    return torch.tensor(found, dtype=torch.float64)


def decay_of(path) -> int:
    """Over how many iterations the paper, or the demo, lets the learning rate decay."""
    if path.parent.name in ('demo', 'real'):
        return Config.fromfile(path).train_cfg.max_iters
    if path.parent.name == 'fcan' and path.stem != 'gta2cs_ran_deeplabv2':
        return 30_000 if path.stem.endswith(('_fcn', '_abn')) else 10_000
    return 250_000  # AdaptSegNet's, which is stopped before, and DACS's


def papers_rates(path, t: torch.Tensor) -> torch.Tensor:
    of_teachers = ('dacs', 'daformer', 'hrda', 'mic', 'vfm')
    if path.parent.name in of_teachers and path.stem not in ('gta2cs_released', 'gta2cs_adaptsegnet_vitb'):
        warm_up = 1 - (1 - t / 1500).clamp(min=0) * (1 - 1e-6)
        return (1 - t / 40_000) * warm_up
    return (1 - t / decay_of(path)) ** 0.9


@pytest.mark.parametrize('path', [p for p in PATHS if p.name != STOCK], ids=name)
def test_the_learning_rates_are_the_papers_list_and_the_last_iteration_still_learns(path):
    cfg = Config.fromfile(path)
    schedules = [schedule.to_dict() for schedule in cfg.param_scheduler]
    ours = rates(f'schedules = {schedules}', cfg.train_cfg.max_iters)
    paper = papers_rates(path, torch.arange(len(ours), dtype=torch.float64))
    assert ours[-1] > 0
    torch.testing.assert_close(ours, paper, rtol=1e-9, atol=0)  # mmengine multiplies its way along the list


@pytest.mark.parametrize('path', PATHS, ids=name)
def test_a_configs_header_says_what_it_is_what_it_reaches_and_how_it_is_run(path):
    header = re.match(r'(#.*\n)+', path.read_text())[0]
    assert f'python tools/train.py configs/{name(path)}' in header
    if path.parent.name not in ('demo', 'real'):
        assert 'Published' in header
        assert 'Ours: ' in header


def test_the_released_codes_repeats_stand_in_the_optimiser():
    cfg, model = built(CONFIGS / 'adaptseg/gta2cs_multilevel.py')
    wrapper_cfg = dict(cfg.optim_wrapper)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type=wrapper_cfg.pop('constructor'), optim_wrapper_cfg=wrapper_cfg)
    )
    groups = constructor(model)['segmentor'].param_groups
    trained = [g for g in groups for p in g['params'] if p.requires_grad]  # one for each parameter
    backbone = [g for g in trained if g['lr'] == 2.5e-4]
    heads = [g for g in trained if g['lr'] == 2.5e-3]
    assert len(backbone) == 104
    assert sum(g['repeats'] for g in backbone) == 314
    assert sorted({g['repeats'] for g in backbone}) == [1, 3, 4]
    assert sum(g['repeats'] == 4 for g in backbone) == 4
    assert [g['repeats'] for g in heads] == [1] * len(heads)
    assert len(backbone) + len(heads) == len(trained)


def test_source_only_never_sees_a_target_image_and_single_level_has_no_auxiliary_branch():
    for folder, config in (('source_only', 'gta2cs.py'), ('real', 'carla2camvid_source_only.py')):
        text = str(Config.fromfile(CONFIGS / folder / config).train_dataloader)
        assert 'target' not in text
        assert 'leftImg8bit' not in text
        assert 'camvid' not in text
    cfg = Config.fromfile(CONFIGS / 'adaptseg/gta2cs_singlelevel.py')
    assert cfg.model.segmentor.get('auxiliary_head') is None


@pytest.mark.parametrize('path', PATHS, ids=name)
def test_training_reads_no_target_label(path):
    target = Config.fromfile(path).train_dataloader.dataset.get('target')
    if target is not None:
        assert 'seg_map_path' not in target.get('data_prefix', {})
        assert target.get('split', 'train').lower() == 'train'
        assert not [step for step in target.get('pipeline', ()) if step.type in ('LoadLabels', 'LoadAnnotations')]


LISTED = ('adaptseg', 'source_only', 'oracle', 'dacs', 'daformer', 'hrda', 'mic', 'vfm')  # one by one in the table


@pytest.mark.parametrize('path', [p for p in PATHS if p.parent.name in LISTED], ids=name)
def test_the_table_of_configs_has_a_line_with_the_published_number_of_each_benchmark(path):
    table = (CONFIGS / 'README.md').read_text()
    (published,) = re.findall(rf'^\| `{name(path)[:-3]}` \| (\S+) \|', table, flags=re.M)
    found = re.search(
        r'Published mIoU(?:, 1[36] classes,)? ([\d.]+)(?! \(of)', re.match(r'(#.*\n)+', path.read_text())[0]
    )
    by_the_text = 'of the released code' in path.read_text()
    assert published == (found[1].rstrip('.') if found and not by_the_text else '–')
