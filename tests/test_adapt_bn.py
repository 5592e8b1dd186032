"""Target BN statistics: one pass, recomputed in NumPy; nothing else moves; the tool and the hook."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor
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


def numpy_pass(net) -> dict[str, np.ndarray]:
    """Statistics of both layers, averaged over batches, every batch normalised by its own."""

    def conv(x, layer):
        weight, bias = layer.weight.detach().double().numpy()[:, :, 0, 0], layer.bias.detach().double().numpy()
        return np.einsum('oc,nchw->nohw', weight, x) + bias[:, None, None]

    sums = {}
    for batch in batches():
        x = torch.stack(batch['inputs']).double().numpy()
        for name in ('1', '2'):
            x = conv(x, getattr(net, f'conv{name}'))
            mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
            n = x[:, 0].size
            for key, value in ((f'bn{name}.running_mean', mean), (f'bn{name}.running_var', var * n / (n - 1))):
                sums[key] = sums.get(key, 0) + value / len(batches())
            bn = getattr(net, f'bn{name}')
            scale = bn.weight.detach().double().numpy() / np.sqrt(var + bn.eps)
            x = (x - mean[:, None, None]) * scale[:, None, None] + bn.bias.detach().double().numpy()[:, None, None]
            x = np.maximum(x, 0)
    return sums


def test_the_statistics_equal_one_pass_in_numpy_and_every_other_tensor_is_bit_equal():
    net = Net().train()
    net.bn1.eval()  # as with norm_eval=True
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    expected = numpy_pass(net)
    assert adapt_bn(net, batches()) == 6
    after = net.state_dict()
    for name, value in expected.items():
        np.testing.assert_allclose(after[name].numpy(), value, rtol=1e-5, err_msg=name)
    assert all(torch.equal(after[name], before[name]) for name in before.keys() - expected.keys())
    assert [m.training for m in net.modules()] == modes
    assert (net.bn1.momentum, net.bn2.momentum) == (0.1, 0.01)


@pytest.mark.parametrize(
    ('net', 'data', 'message'),
    [
        (nn.Conv2d(3, 1, 1), batches(), 'no BN layer whose statistics could be adapted'),
        (Net(), [], 'no batch of target images to adapt BN statistics to'),
        (
            Net(),
            batches(1) + [dict(inputs=[torch.zeros(3, 5, 6), torch.zeros(3, 5, 7)])],
            'differ in size: add a Resize',
        ),
        (Net(), batches(1) + batches(1, images=1, size=(1, 1)), 'by 1 image alone .* use a larger batch size'),
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
    arguments = ('adapt_bn.py', trained / 'tiny.py', checkpoint, '--target', target, '--batch-size', 2)
    run_tool(*arguments, '--cfg-options', 'experiment_name=abn', monkeypatch=monkeypatch)
    assert f'BN statistics of 4 target images: wrote {trained}/run/iter_2_abn.pth' in capsys.readouterr().out
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
        ([], 'names no target: say where its images are, --target FOLDER'),
        (['--target', 'nowhere'], 'nowhere does not exist: name a folder of target images'),
        (['--target', 'tests'], 'tests holds no image (.png, .jpg'),
        (['--target', '{images}', '--batch-size', '9'], 'fewer target images than a batch of 9'),
    ],
)
def test_bad_targets_fail_in_one_sentence(arguments, message, trained, street_data, monkeypatch, capsys, tmp_path):
    arguments = [a.format(images=street_data / 'target/train/images') for a in arguments]
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
