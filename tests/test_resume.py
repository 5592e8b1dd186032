"""An interrupted and resumed run is the run that was never interrupted."""

import multiprocessing
import os
import re
import signal
import struct
import time
import zipfile
from itertools import islice, product
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmseg_adapt.datasets import DomainPairSampler
from mmseg_adapt.errors import UserError
from mmseg_adapt.runs import preemption_hook
from mmseg_adapt.runs.checkpoint_files import damage, newest_sound
from mmseg_adapt.runs.preemption_hook import PreemptionHook, end_workers, ignore_signals
from mmseg_adapt.runs.resumable_train_loop import Preempted, ResumableTrainLoop, SampleStream, SeededSamples
from mmseg_adapt.runs.work_dir import resume_from

from . import forked
from .tiny import load, run_tool, tiny_config, train

STATE = ('state_dict', 'optimizer', 'param_schedulers', 'exact_resume')
FULL = [f'{kind}-{k}-{w}-{r}' for r, w, kind, k in product((1, 2), (0, 2), ('clean', 'sigterm', 'kill9'), (1, 7, 13))]
FULL.append('sigterm-10v-0-1')
# A signal with workers, and a death with none, at an iteration that lies within an accumulation, within a pass over the
# data and between two validations: a clean stop takes the path of the first, and 1 and 13 are other offsets of the same
# arithmetic. Two ranks need their own: in the full set.
DEFAULT = ['sigterm-7-2-1', 'kill9-7-0-1', 'sigterm-7-2-1-mic']
FULL += [f'{case}-mic' for case in ('clean-1-0-1', 'sigterm-13-0-1', 'kill9-7-0-1', 'sigterm-7-2-2', 'kill9-7-0-2')]
CONFIGS = dict(game='demo/streets_multilevel.py', mic='demo/streets_mic.py')


def small(name: str, data: Path, folder: Path):
    """A run of seconds in which everything that can be forgotten matters: dropout, augmentation, BN, momentum, Adam,
    accumulation, a schedule, a validation in between, a teacher, a mask that grows."""
    cfg = tiny_config(name, data, folder, iterations=20)
    segmentor = cfg.model.segmentor
    segmentor.backbone.update(stem_channels=4, base_channels=4)
    segmentor.decode_head.update(in_channels=32, dilations=(1,), dropout_ratio=0.2)
    if 'auxiliary_head' in segmentor:
        segmentor.auxiliary_head.update(in_channels=16, dilations=(1,))
    for part in cfg.model.get('discriminator', {}).values():
        part.base_channels = 2
    if 'discriminator' not in cfg.model:
        cfg.model.pseudo_threshold = 0.2  # a network that knows nothing is not confident
    if 'mask' in cfg.model:
        cfg.model.mask.update(begin=3, ramp=10)
    for domain in ('source', 'target'):
        pipeline = cfg.train_dataloader.dataset[domain].pipeline
        pipeline.insert(-1, dict(type='PhotoMetricDistortion'))
        pipeline.insert(-1, dict(type='Resize', scale=(96, 48)))
    cfg.optim_wrapper['discriminator' if 'discriminator' in cfg.model else 'segmentor'].accumulative_counts = 3
    cfg.param_scheduler[0].end = 25
    cfg.train_cfg.val_interval = 10
    cfg.val_dataloader.dataset.indices = 1
    cfg.default_hooks.checkpoint.interval = 100
    return cfg


def parts_of(case: str) -> tuple[str, str, int, int, str]:
    """A case is <kind>-<iteration>-<workers>-<ranks>[-<method>]; 10v is the validation after iteration 10."""
    kind, iteration, workers, ranks, *method = case.split('-')
    return kind, iteration, int(workers), int(ranks), method[0] if method else 'game'


def saving_of(case: str) -> int:
    """How often all runs of a case save: 0 is only at the end.

    Within an accumulation, saving takes the mean over the ranks early, which rounds differently. So on two ranks the
    uninterrupted run saves where the interrupted one does.
    """
    kind, iteration, _, ranks, _ = parts_of(case)
    return 0 if ranks == 1 else 1 if kind == 'kill9' else int(iteration)


def uninterrupted(case: str) -> str:
    *_, ranks, method = parts_of(case)
    return f'none-{saving_of(case)}-0-{ranks}-{method}'


def jobs_of(case: str, folder: Path) -> list[dict]:
    kind, iteration, workers, ranks, method = parts_of(case)
    config, work_dir = folder / f'{method}.py', folder / case
    k = int(iteration.removesuffix('v'))
    options = [f'train_dataloader.num_workers={workers}', f'train_dataloader.persistent_workers={workers > 0}']
    options.append('default_hooks.preemption.every=1')  # to stop at the very iteration
    saving = [f'default_hooks.checkpoint.interval={saving_of(case)}'] if saving_of(case) else []

    def job(*more, resume: bool = False, **kwargs) -> dict:
        arguments = [config, '--work-dir', work_dir, *(['--resume'] if resume else [])]
        arguments += ['--cfg-options', *options, *more]
        return dict(tool='train.py', arguments=list(map(str, arguments)), ranks=ranks, log=f'{work_dir}.log', **kwargs)

    if kind == 'none':
        return [job(*saving)]
    if kind == 'kill9':  # while the next checkpoint is written
        killed = job('default_hooks.checkpoint.interval=1', kill=f'iter_{k + 1}.pth')
        return [killed, job(*saving, resume=True)]
    hook = dict(kind=kind, iteration=k, rank=ranks - 1, during_validation=iteration.endswith('v'))
    interrupt = [f'custom_hooks.1.{key}={value}' for key, value in hook.items()]
    clean = [f'default_hooks.checkpoint.interval={k}'] if kind == 'clean' else []
    return [job(*interrupt, *clean), job(*saving, resume=True)]


@pytest.fixture(scope='module')
def finished(street_data, tmp_path_factory):
    """Runs cases and their uninterrupted counterparts, each once, in one subprocess; returns the folder."""
    folder = tmp_path_factory.mktemp('resume')
    for method, name in CONFIGS.items():
        cfg = small(name, street_data, folder)
        cfg.custom_imports.imports.append('tests.forked')
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='Interrupt')]
        cfg.dump(folder / f'{method}.py')

    def finish(cases: list[str]) -> Path:
        wanted = [*sorted({uninterrupted(case) for case in cases}), *cases]
        missing = [case for case in wanted if not (folder / case).exists()]
        if missing:
            forked.run([job for case in missing for job in jobs_of(case, folder)], folder)
        return folder

    return finish


def assert_equal(a, b, tolerance: float, path: str = '') -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_equal(a[key], b[key], tolerance, f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b)):
            assert_equal(x, y, tolerance, f'{path}[{i}]')
    elif isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda m: f'{path}: {m}')
    else:
        assert a == b, path


def check(case: str, folder: Path) -> None:
    """The interrupted run stopped where it should, and ends with the checkpoint of the uninterrupted one."""
    _, iteration, *_, method = parts_of(case)
    iteration = iteration.removesuffix('v')
    assert (folder / case / f'iter_{iteration}.pth').exists()
    log = (folder / f'{case}.log').read_text()
    assert f'iterations   20, {iteration} done' in log
    assert 'Advance dataloader' not in log  # no replay
    expected, ours = (load(folder / name / 'iter_20.pth') for name in (uninterrupted(case), case))
    for part in STATE:
        assert_equal(ours[part], expected[part], 0, part)
    assert (method == 'mic') == any(key.startswith('teacher.') for key in ours['state_dict'])
    if case.startswith('sigterm'):
        assert f'saved after iteration {iteration}; continue with --resume' in log


@pytest.mark.parametrize('case', DEFAULT)
def test_an_interrupted_run_ends_with_the_checkpoint_of_the_uninterrupted_one(case, finished):
    check(case, finished(DEFAULT))


@pytest.mark.slow
@pytest.mark.parametrize('case', FULL)
def test_every_interruption_at_every_place_with_and_without_workers_on_one_and_two_ranks(case, finished):
    check(case, finished(FULL))


@pytest.mark.slow
def test_a_validation_that_was_cut_off_is_made_up_for(finished):
    logs = [(finished(FULL) / f'{case}.log').read_text() for case in ('none-0-0-1-game', 'sigterm-10v-0-1')]
    first, second = (re.findall(r' mIoU: ([0-9.]+)', log) for log in logs)
    assert first == second
    assert len(first) == 2


class Sizes(list):
    """A pair of domains of which only the sizes matter."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__(range(max(source, target)))
        self.domains, self.dataset = dict(source=range(source), target=range(target)), self


@pytest.mark.parametrize('kind', ['DomainPairSampler', 'InfiniteSampler', 'DefaultSampler'])
def test_a_stream_that_starts_late_is_the_tail_of_the_one_that_started_first(kind):
    def stream(start: int, count: int, seed: int = 3) -> list:
        samples = SampleStream(Sizes(7, 5), dict(type=kind), seed=seed)
        samples.begin(start, 3)
        return list(islice(samples, count))

    whole = stream(0, 40)
    assert stream(23, 17) == whole[23:]
    assert stream(23, 17, seed=99) == whole[23:]  # the checkpoint's seed, not the new process's
    assert len({seed for seed, _ in whole}) == 40


def test_finding_the_place_in_the_data_costs_nothing_however_late_it_is(monkeypatch):
    orders = []
    draw = torch.randperm
    monkeypatch.setattr(torch, 'randperm', lambda *args, **kwargs: orders.append(1) or draw(*args, **kwargs))
    sampler = DomainPairSampler(Sizes(24966, 2975), seed=0)
    sampler.start = 10**12
    next(iter(sampler))
    assert len(orders) == 2  # one pass of each domain


def test_an_augmentation_depends_on_the_sample_and_neither_on_the_worker_nor_on_what_came_before():
    class Noise(list):
        def __getitem__(self, index):
            return torch.rand(2).tolist(), __import__('random').random(), __import__('numpy').random.rand()

    samples = SeededSamples(Noise())
    state = torch.get_rng_state()
    first = samples[5, 0]
    torch.rand(3)
    assert samples[5, 0] == first != samples[6, 0]
    torch.set_rng_state(state)
    samples[7, 0]
    assert torch.equal(torch.get_rng_state(), state)  # the process's own numbers go on as if nothing had been drawn


def test_a_run_without_a_seed_is_resumed_with_the_seed_that_it_drew(street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    cfg.randomness = dict(seed=None)
    cfg.train_cfg.update(max_iters=2, val_interval=10)
    drawn = train(cfg.copy()).train_loop.stream
    cfg.train_cfg.max_iters = 3
    cfg.resume, cfg.load_from = True, str(tmp_path / 'iter_2.pth')
    resumed = train(cfg).train_loop.stream
    assert (resumed.seed, resumed.start) == (drawn.seed, 2)


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        (
            'param_scheduler.0.end',
            30,
            r'param_scheduler.0.end is 25 in the checkpoint and 30 in the config: resume with',
        ),
        (
            'optim_wrapper.segmentor.optimizer.lr',
            0.5,
            r'optim_wrapper.segmentor.optimizer.lr is 0.02, 0.2 in the check',
        ),
        (
            'optim_wrapper.discriminator.optimizer.weight_decay',
            0.5,
            r'discriminator.optimizer.weight_decay is 0 in the',
        ),
        ('param_scheduler', [], r'param_scheduler.length is 1 in the checkpoint and 0 in the config'),
    ],
)
def test_a_number_of_a_schedule_or_an_optimiser_that_changed_is_refused_on_resume(
    key, value, message, street_data, tmp_path
):
    def run(iterations: int, resume: bool = False, **changed):
        cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
        cfg.train_cfg.update(max_iters=iterations, val_interval=20)
        cfg.optim_wrapper.segmentor.paramwise_cfg = dict(custom_keys={'decode_head': dict(lr_mult=10.0)})  # groups
        if resume:
            cfg.resume, cfg.load_from = True, str(tmp_path / 'iter_2.pth')
        cfg.merge_from_dict(changed)
        return train(cfg)

    run(2)
    with pytest.raises(UserError, match=message):
        run(3, True, **{key: value})
    (rate,) = {group['lr'] for group in run(3, True).optim_wrapper['discriminator'].param_groups}
    assert rate == pytest.approx(1e-4 * (1 - 3 / 24) ** 0.9)  # a longer run alone goes on


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('config', CONFIGS.values())
def test_a_resumed_run_is_the_uninterrupted_one_on_a_gpu(config, street_data, tmp_path):
    def run(name: str, iterations: int, resume: str = '') -> dict:
        cfg = small(config, street_data, tmp_path / name)
        cfg.randomness = dict(seed=0, deterministic=True)
        cfg.env_cfg.cudnn_benchmark = False
        cfg.train_cfg.update(max_iters=iterations, val_interval=20)
        cfg.default_hooks.checkpoint.interval = 6
        cfg.resume, cfg.load_from = bool(resume), resume or None
        train(cfg)
        return load(tmp_path / name / f'iter_{iterations}.pth')

    whole = run('whole', 12)
    run('half', 6)
    resumed = run('half', 12, str(tmp_path / 'half/iter_6.pth'))
    for part in STATE:
        assert_equal(resumed[part], whole[part], 1e-6, part)


def deaf_worker(ready) -> None:
    ignore_signals(0, (signal.SIGTERM,))
    ready.set()
    time.sleep(600)


def test_a_rank_that_validates_one_image_more_than_the_others_does_not_wait_for_them(monkeypatch):
    hook, asked = PreemptionHook(), []
    monkeypatch.setattr(hook, '_agree', lambda runner, number: bool(asked.append(number) or hook.received))
    hook.training = True
    loader = SimpleNamespace(dataset=range(5), batch_size=1)  # two ranks: 3 and 2 images
    loops = dict(train_loop=object.__new__(ResumableTrainLoop), val_loop=SimpleNamespace(dataloader=loader))
    runner = SimpleNamespace(distributed=True, world_size=2, iter=0, **loops)
    for image in range(3):
        runner.iter = image
        hook.after_val_iter(runner, image)
    assert asked == [0, 1]
    hook.received = 'SIGTERM'
    with pytest.raises(Preempted):
        hook.after_val_iter(runner, 1)
    runner.distributed, runner.world_size = False, 1
    with pytest.raises(Preempted):
        hook.after_val_iter(runner, 4)


@pytest.mark.parametrize('reached', [0, 1])
def test_ranks_ask_each_other_every_few_iterations_in_the_group_that_there_is_and_stop_together(reached, monkeypatch):
    hooks = [PreemptionHook(every=4), PreemptionHook(every=4)]
    hooks[reached].received = 'SIGTERM'
    monkeypatch.setattr('torch.distributed.new_group', lambda *args, **kwargs: pytest.fail('a second group'))
    asked: list = []
    monkeypatch.setattr(preemption_hook, 'all_reduce', lambda flag, op: asked.append(flag) or flag.fill_(1.0))
    stopped = []
    for hook in hooks:
        loop = SimpleNamespace(stop_training=False)
        runner = SimpleNamespace(distributed=True, train_loop=loop, iter=0)
        while not loop.stop_training:
            hook.after_train_iter(runner, 0)
            runner.iter += 1
        stopped.append(runner.iter)
    assert stopped == [4, 4]
    assert len(asked) == 2


@pytest.mark.parametrize('place', ['an epoch', 'a validation'])
def test_sigterm_ends_mmengines_own_loops_too_and_an_epoch_that_has_no_end(place, street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path)
    if place == 'an epoch':  # the pairs of the two domains never end
        cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
        cfg.default_hooks.checkpoint.update(by_epoch=True, interval=1)
    else:
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=9, val_interval=3)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type='EndHere', iteration=3, during_validation=place != 'an epoch')]
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        train(cfg)
    assert not stop.value.code
    assert signal.getsignal(signal.SIGTERM) == handler
    assert newest_sound(tmp_path) == tmp_path / 'iter_3.pth'
    saved = load(tmp_path / 'iter_3.pth')
    assert saved['meta']['iter'] == 3
    assert saved['param_schedulers']['segmentor'][0]['last_step'] == 3  # the iteration was finished


@HOOKS.register_module()
class EndHere(Hook):
    """SIGTERM in an iteration, or in the first image of the validation after it."""

    def __init__(self, iteration: int, during_validation: bool) -> None:
        self.iteration, self.during_validation = iteration, during_validation

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if not self.during_validation and runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.during_validation:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_worker_that_ignores_signals_does_not_keep_a_failed_run_from_ending():
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    worker = context.Process(target=deaf_worker, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(60)
    worker.terminate()  # what multiprocessing does at exit, before it waits without end
    worker.join(0.5)
    assert worker.is_alive()
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        end_workers()
        worker.join(60)
    finally:
        signal.signal(signal.SIGCHLD, handler)
    assert worker.exitcode == -signal.SIGKILL


# ------------------------------------------------------------------------------------------------ checkpoint files


@pytest.fixture
def run_with_two_checkpoints(street_data, tmp_path):
    cfg = small('demo/streets_multilevel.py', street_data, tmp_path / 'run')
    cfg.train_cfg.update(max_iters=2, val_interval=10)
    cfg.default_hooks.checkpoint.interval = 1
    cfg.dump(tmp_path / 'game.py')
    train(cfg)
    return tmp_path / 'game.py', tmp_path / 'run'


def flip_a_bit(path: Path) -> None:
    """In the middle of the largest record; between records there is padding, where a bit means nothing."""
    with zipfile.ZipFile(path) as archive:
        record = max(archive.infolist(), key=lambda info: info.file_size)
    content = bytearray(path.read_bytes())
    name, extra = struct.unpack_from('<HH', content, record.header_offset + 26)
    content[record.header_offset + 30 + name + extra + record.file_size // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    written = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[:-1000])
    os.utime(path, ns=(written, written))


@pytest.mark.parametrize('spoil', [flip_a_bit, truncate, lambda path: path.write_bytes(b'')])
def test_resuming_passes_over_a_damaged_newest_checkpoint_with_a_warning(spoil, run_with_two_checkpoints, monkeypatch):
    config, folder = run_with_two_checkpoints
    spoil(folder / 'iter_2.pth')
    options = ('--cfg-options', 'train_cfg.max_iters=3', f'experiment_name=resumed{time.time_ns()}')
    run_tool('train.py', config, '--resume', 'auto', *options, monkeypatch=monkeypatch)
    words = ''.join(path.read_text() for path in folder.rglob('*.log'))
    assert 'iter_2.pth is damaged (' in words
    assert 'resumed epoch: 0, iter: 1' in words
    assert load(folder / 'iter_3.pth')['meta']['iter'] == 3


def test_what_cannot_be_resumed_from_is_refused_in_a_sentence(run_with_two_checkpoints, monkeypatch, capsys):
    config, folder = run_with_two_checkpoints

    def message(*arguments) -> str:
        with pytest.raises(SystemExit) as stop:
            run_tool('train.py', config, *arguments, monkeypatch=monkeypatch)
        assert stop.value.code == 1
        return capsys.readouterr().err

    truncate(folder / 'iter_2.pth')
    assert 'iter_2.pth is damaged (' in message('--resume', folder / 'iter_2.pth')
    assert 'iter_9.pth does not exist: pass a checkpoint' in message('--resume', folder / 'iter_9.pth')
    truncate(folder / 'iter_1.pth')
    assert 'contains no checkpoint to resume from' in message('--resume')
    assert 'contains no checkpoint to resume from' in message('--resume', 'auto')  # there are some, all damaged


def test_auto_begins_a_run_that_has_no_checkpoint_yet(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path)))
    resume_from(cfg, 'auto')
    assert not cfg.get('resume')
    with pytest.raises(UserError, match='contains no checkpoint to resume from'):
        resume_from(cfg, 'newest')


def test_a_half_written_or_older_file_is_never_the_newest_sound_one(tmp_path):
    for number in (50, 10, 20):  # 50: of an older run in the same folder
        torch.save(dict(weight=torch.ones(1000)), tmp_path / f'iter_{number}.pth')
        time.sleep(0.01)
    assert newest_sound(tmp_path).name == 'iter_20.pth'
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_10.pth'))
    assert newest_sound(tmp_path).name == 'iter_10.pth'
    truncate(tmp_path / 'iter_10.pth')
    assert newest_sound(tmp_path).name == 'iter_50.pth'
    (tmp_path / 'last_checkpoint').write_text('')  # killed while it was written
    assert newest_sound(tmp_path).name == 'iter_20.pth'
    assert damage(tmp_path / 'iter_20.pth') is None


def test_keeping_a_single_checkpoint_is_refused(street_data, tmp_path):
    cfg = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path)
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    with pytest.raises(UserError, match='deletes the only checkpoint .*: set it to at least 2'):
        train(cfg)
