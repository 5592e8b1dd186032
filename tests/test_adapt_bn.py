"""Target BN statistics: those of all images, recomputed in NumPy; nothing else moves; the tool and the hook."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from torch import nn

from mmseg_adapt.datasets.even_batches import EvenBatches
from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor
from mmseg_adapt.methods import target_bn
from mmseg_adapt.methods.target_bn import adapt_bn
from mmseg_adapt.weights.load import UNSAFE, read_checkpoint

from .test_training import failure, scalars
from .tiny import load, run_tool, tiny_config, train


class Net(nn.Module):
    """Convolution, BN, ReLU, dropout, convolution, BN; and a BN that no forward reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.conv2, self.bn2 = nn.Conv2d(4, 2, 1), nn.BatchNorm2d(2, momentum=0.01)
        self.idle = nn.BatchNorm2d(2)
        for buffer in (self.bn1.running_mean, self.bn2.running_var, self.idle.running_mean):
            buffer.fill_(7.0)
        for bn in (self.bn1, self.bn2):
            nn.init.uniform_(bn.weight)
            nn.init.uniform_(bn.bias)
            bn.num_batches_tracked.fill_(100)

    def data_preprocessor(self, batch, training):
        return dict(inputs=torch.stack(batch['inputs']))

    def forward(self, x, mode):
        return self.bn2(self.conv2(self.dropout(self.bn1(self.conv1(x)).relu())))


def batches(count=3, images=2, size=(5, 6)):
    torch.manual_seed(1)
    return [dict(inputs=list(3 + 2 * torch.randn(images, 3, *size))) for _ in range(count)]


def numpy_pass(net, data) -> dict[str, np.ndarray]:
    """Statistics of both layers' inputs over all images; meanwhile every batch is normalised by its own."""

    def conv(x, layer):
        weight, bias = layer.weight.detach().double().numpy()[:, :, 0, 0], layer.bias.detach().double().numpy()
        return np.einsum('oc,nchw->nohw', weight, x) + bias[:, None, None]

    seen = dict(bn1=[], bn2=[])
    for batch in data:
        x = torch.stack(batch['inputs']).double().numpy()
        for name in ('1', '2'):
            x = conv(x, getattr(net, f'conv{name}'))
            seen[f'bn{name}'].append(x)
            mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            bn = getattr(net, f'bn{name}')
            scale = bn.weight.detach().double().numpy() / np.sqrt(var + bn.eps)
            x = (x - mean[:, None, None]) * scale[:, None, None] + bn.bias.detach().double().numpy()[:, None, None]
            x = np.maximum(x, 0)
    expected = {}
    for name, parts in seen.items():
        values = np.concatenate(parts).transpose(1, 0, 2, 3).reshape(parts[0].shape[1], -1)
        expected[f'{name}.running_mean'] = values.mean(axis=1)
        expected[f'{name}.running_var'] = values.var(axis=1, ddof=1)
    return expected


def uneven() -> list[dict]:
    """Batches of 2, 2 and 1 images that differ from each other: the variance between them counts."""
    data = batches(2) + batches(1, images=1)
    data[1]['inputs'] = [5 + image for image in data[1]['inputs']]
    return data


def test_the_statistics_are_those_of_all_images_in_numpy_and_every_other_tensor_is_bit_equal():
    net = Net().train().double()
    net.bn1.eval()  # as with norm_eval=True
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    data = [dict(inputs=[image.double() for image in batch['inputs']]) for batch in uneven()]
    expected = numpy_pass(net, data)
    assert adapt_bn(net, data) == 5
    after = net.state_dict()
    for name, value in expected.items():
        np.testing.assert_allclose(after[name].numpy(), value, rtol=1e-12, err_msg=name)
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - expected.keys())
    assert [m.training for m in net.modules()] == modes
    assert (net.bn1.momentum, net.bn2.momentum) == (0.1, 0.01)


def test_the_first_layers_statistics_do_not_depend_on_the_batches():
    one, many = Net().double(), Net().double()
    images = [image.double() for batch in uneven() for image in batch['inputs']]
    adapt_bn(one, [dict(inputs=images)])
    adapt_bn(many, [dict(inputs=images[:3]), dict(inputs=images[3:4]), dict(inputs=images[4:])])
    for name in ('running_mean', 'running_var'):
        torch.testing.assert_close(getattr(many.bn1, name), getattr(one.bn1, name), rtol=1e-12, atol=0)
    pytorch = nn.BatchNorm2d(4, momentum=None).double()
    pytorch(one.conv1(torch.stack(images)))
    torch.testing.assert_close(one.bn1.running_var, pytorch.running_var, rtol=1e-12, atol=0)


@pytest.mark.parametrize(('images', 'most', 'sizes'), [(5, 4, [3, 2]), (4, 4, [4]), (9, 4, [3, 3, 3]), (3, 4, [3])])
def test_every_image_is_seen_once_in_batches_of_nearly_equal_size(images, most, sizes):
    found = list(EvenBatches(DefaultSampler(range(images), seed=0, round_up=False), most))
    assert [len(batch) for batch in found] == sizes
    assert sorted(sum(found, [])) == list(range(images))


def test_ranks_of_unequal_shares_have_equally_many_batches(monkeypatch):
    counts = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        batches = list(EvenBatches(DefaultSampler(range(9), seed=0, round_up=False), 4))
        counts.append([len(batch) for batch in batches])
    assert counts == [[3, 2], [2, 2]]


def test_the_ranks_statistics_are_merged_exactly(monkeypatch):
    images = [image.double() for batch in uneven() for image in batch['inputs']]
    shares, parts = (images[:2], images[2:]), []
    for share in shares:
        monkeypatch.setattr(target_bn, 'all_gather_object', lambda part: parts.append(part) or [part])
        adapt_bn(Net().double(), [dict(inputs=share)])
    monkeypatch.setattr(target_bn, 'all_gather_object', lambda part: parts)
    merged, whole = Net().double(), Net().double()
    assert adapt_bn(merged, [dict(inputs=shares[0])]) == 5
    monkeypatch.undo()
    adapt_bn(whole, [dict(inputs=images)])
    torch.testing.assert_close(merged.bn1.running_var, whole.bn1.running_var, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ('net', 'data', 'message'),
    [
        (nn.Conv2d(3, 1, 1), batches(), 'no BN statistics to adapt'),
        (Net(), [], 'no target images'),
        (
            Net(),
            batches(1) + [dict(inputs=[torch.zeros(3, 5, 6), torch.zeros(3, 5, 7)])],
            'differ in size: add Resize',
        ),
        (Net(), batches(1) + batches(1, images=1, size=(1, 1)), 'over 1 image .* use a larger batch size'),
    ],
)
def test_images_that_cannot_be_normalised_by_leave_the_model_as_it_was(net, data, message):
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(UserError, match=message):
        adapt_bn(net, data)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.fixture(scope='module')
def trained(street_data, tmp_path_factory):
    """Two iterations on the source alone: work dir and config file."""
    folder = tmp_path_factory.mktemp('source_only')
    cfg = tiny_config('demo/streets_source_only.py', street_data, folder / 'run')
    train(cfg)
    cfg.dump(folder / 'tiny.py')
    return folder


def statistics(checkpoint) -> dict:
    return {k: v for k, v in load(checkpoint)['state_dict'].items() if k.endswith(('running_mean', 'running_var'))}


def test_the_tool_rewrites_statistics_alone_and_never_overwrites(trained, street_data, monkeypatch, capsys):
    checkpoint = trained / 'run/iter_2.pth'
    target = street_data / 'target/train/images'
    arguments = ('adapt_bn.py', trained / 'tiny.py', checkpoint, '--target', target, '--batch-size', 3)
    run_tool(*arguments, '--cfg-options', 'experiment_name=abn', monkeypatch=monkeypatch)
    assert f'wrote {trained}/run/iter_2_abn.pth with the BN statistics of 4 target images' in capsys.readouterr().out
    before, after = load(checkpoint), load(trained / 'run/iter_2_abn.pth')
    moved = {k for k, v in after['state_dict'].items() if not torch.equal(v, before['state_dict'][k])}
    assert moved == statistics(checkpoint).keys()
    assert before.keys() == after.keys()
    cards = {}
    for name in ('iter_2', 'iter_2_abn'):
        cfg = Config.fromfile(trained / 'tiny.py')
        out = export_segmentor(cfg, str(trained / f'run/{name}.pth'), trained / f'exported_{name}')
        cards[name] = (out / 'README.md').read_text()
    assert 'on the validation images of the config at iteration 2' in cards['iter_2']
    assert 'Not measured: BN statistics were adapted to 4 target images' in cards['iter_2_abn']
    assert 'mIoU' not in cards['iter_2_abn']
    kwargs = dict(monkeypatch=monkeypatch, capsys=capsys)
    assert 'iter_2_abn.pth exists: choose another name, or pass --overwrite' in failure(*arguments, **kwargs)


def test_unsafe_holds_for_reading_and_for_rewriting(trained, street_data, tmp_path, monkeypatch):
    monkeypatch.setenv(UNSAFE, '0')  # the tool sets it; afterwards it is as before
    checkpoint = load(trained / 'run/iter_2.pth')
    checkpoint['meta']['code'] = np.array([print], dtype=object)
    torch.save(checkpoint, tmp_path / 'code.pth')
    command = ('adapt_bn.py', trained / 'tiny.py', tmp_path / 'code.pth', '--target', street_data, '--batch-size', 2)
    run_tool(*command, '--unsafe', '--cfg-options', 'experiment_name=unsafe', monkeypatch=monkeypatch)
    assert read_checkpoint(tmp_path / 'code_abn.pth')['meta']['code'][0] is print


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'has no target: pass the folder of target images with --target'),
        (['--target', 'nowhere'], 'nowhere does not exist: pass a folder of target images'),
        (['--target', 'tests'], 'tests contains no images (.png, .jpg'),
    ],
)
def test_bad_targets_fail_in_one_sentence(arguments, message, trained, monkeypatch, capsys, tmp_path):
    out = tmp_path / 'out.pth'
    command = ('adapt_bn.py', trained / 'tiny.py', trained / 'run/iter_2.pth', '--out', out, *arguments)
    command += ('--cfg-options', f'experiment_name={tmp_path.name}')
    assert message in failure(*command, monkeypatch=monkeypatch, capsys=capsys)
    assert not list(tmp_path.iterdir())


def test_the_hook_adapts_the_last_checkpoint_and_what_is_validated(trained, street_data, tmp_path, monkeypatch):
    cfg = Config.fromfile(trained / 'tiny.py')
    cfg.work_dir = str(tmp_path / 'run')
    target = tiny_config('demo/streets_singlelevel.py', street_data, tmp_path).train_dataloader.dataset.target
    target.pipeline = [dict(type='LoadImage'), dict(type='PackSegInputs')]
    cfg.custom_hooks = [dict(type='AdaptBNHook', dataset=target, batch_size=2)]
    runner = train(cfg)
    hooked, plain = load(tmp_path / 'run/iter_2.pth')['state_dict'], load(trained / 'run/iter_2.pth')['state_dict']
    assert {k for k, v in hooked.items() if not torch.equal(v, plain[k])} == statistics(
        trained / 'run/iter_2.pth'
    ).keys()
    validated = scalars(tmp_path / 'run')[-1]['mIoU']
    runner.model.load_state_dict(hooked)
    assert runner.val_loop.run()['mIoU'] == pytest.approx(validated)
    cfg.custom_hooks[0].dataset.pipeline.insert(1, dict(type='LoadLabels'))
    with pytest.raises(UserError, match="LoadLabels is in the pipeline of the target's images: remove it"):
        train(cfg)
