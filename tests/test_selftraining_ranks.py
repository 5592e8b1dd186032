"""Self-training on two gloo ranks on the CPU."""

import pytest
import torch

from mmseg_adapt.demo import streets

from . import forked
from .test_resume import small
from .tiny import load


@pytest.fixture(scope='module')
def two_ranks(tmp_path_factory):
    """Four iterations of MIC on two ranks, with BN in evaluation mode and in training mode; eight on one process that
    accumulates two. The draws are the same for every image; the share q of a batch is that of one image everywhere."""
    folder = tmp_path_factory.mktemp('ranks')
    data = streets.write(tmp_path_factory.mktemp('four'), source=4, target=4, val=1)
    cfg = small('demo/streets_mic.py', data, folder)
    cfg.model.segmentor.decode_head.dropout_ratio = 0.0  # would differ between two ranks and one
    cfg.model.mask.update(begin=0, ramp=0)
    cfg.optim_wrapper.segmentor.accumulative_counts = 1
    cfg.param_scheduler = [dict(type='ConstantLR', factor=1.0, by_epoch=False)]
    cfg.train_cfg.update(max_iters=4, val_interval=100)
    cfg.custom_imports.imports += ['tests.forked', 'tests.lesson_draws']
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SameDraws')]
    cfg.dump(folder / 'one.py')
    cfg.custom_imports.imports.append('tests.distributed_hook')
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='SaveRank', out_dir='')]
    cfg.dump(folder / 'ranks.py')

    def job(name: str, config: str, *options, ranks: int = 1) -> dict:
        (folder / name).mkdir()
        options = [*options, *([f'custom_hooks.2.out_dir={folder / name}'] if ranks > 1 else [])]
        arguments = [folder / config, '--work-dir', folder / name, '--cfg-options', *options]
        return dict(tool='train.py', arguments=list(map(str, arguments)), ranks=ranks, log=str(folder / f'{name}.log'))

    frozen, both = 'model.segmentor.backbone.norm_eval=True', 'optim_wrapper.segmentor.accumulative_counts=2'
    jobs = [job('two_eval', 'ranks.py', frozen, ranks=2), job('two_train', 'ranks.py', both, ranks=2)]
    forked.run([*jobs, job('one_eval', 'one.py', frozen, both, 'train_cfg.max_iters=8')], folder)
    return folder


def test_two_ranks_equal_one_process_that_accumulates_teacher_included(two_ranks):
    two, one = (load(two_ranks / name)['state_dict'] for name in ('two_eval/iter_4.pth', 'one_eval/iter_8.pth'))
    assert two.keys() == one.keys()
    for name, value in two.items():
        torch.testing.assert_close(value, one[name], rtol=1e-6, atol=1e-6, msg=name)
    student, teacher = (two[f'{part}.decode_head.conv_seg.0.weight'] for part in ('segmentor', 'teacher'))
    assert not torch.allclose(student, teacher, rtol=1e-3)


@pytest.mark.parametrize(('run', 'steps'), [('two_eval', 4), ('two_train', 2)])
def test_the_teacher_is_one_on_all_ranks_which_see_different_images(run, steps, two_ranks):
    first, second = (load(two_ranks / run / f'rank{r}.pth') for r in range(2))
    assert not {tuple(pair) for pair in first['seen'][:2]} & {tuple(pair) for pair in second['seen'][:2]}
    assert {name.split('.')[0] for name in first['state']} == {'segmentor', 'teacher'}
    for name, weight in first['state'].items():
        assert torch.equal(weight, second['state'][name]), name
    assert first['reduced'] == second['reduced'] == dict(segmentor=steps)  # once per step, of four backward passes
