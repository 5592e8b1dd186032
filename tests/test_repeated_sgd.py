"""The released code's repeated update, against PyTorch's SGD of today and of 2018 with tensors listed several times."""

import numpy as np
import pytest
import torch
from torch import nn

from mmseg_adapt.errors import UserError
from mmseg_adapt.optim import RepeatedSGD


@pytest.mark.filterwarnings('ignore:optimizer contains a parameter group with duplicate parameters')
@pytest.mark.parametrize(
    'more', [{}, dict(foreach=True), dict(nesterov=True, weight_decay=0.0), dict(nesterov=True, foreach=True)], ids=str
)
def test_repeats_equal_a_tensor_listed_that_often(more):
    torch.manual_seed(0)
    listed = [nn.Parameter(torch.randn(3, dtype=torch.float64)) for _ in range(3)]
    stated = [nn.Parameter(p.detach().clone()) for p in listed]
    kwargs = {**dict(lr=0.1, momentum=0.9, weight_decay=0.01), **more}  # foreach is the default on a GPU
    groups = [dict(params=[p] * k) for p, k in zip(listed, (1, 3, 4))]
    theirs = torch.optim.SGD(groups, **{**kwargs, 'foreach': False})
    ours = RepeatedSGD([dict(params=[p], repeats=k) for p, k in zip(stated, (1, 3, 4))], **kwargs)
    for _ in range(5):
        for p, q in zip(listed, stated):
            p.grad = torch.randn(3, dtype=torch.float64)
            q.grad = p.grad.clone()
        theirs.step()
        ours.step()
        for p, q in zip(listed, stated):
            torch.testing.assert_close(q, p, rtol=1e-14, atol=0)


def test_without_repeats_it_is_sgd_and_its_state_can_be_restored():
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    sgd, ours = torch.optim.SGD([p], lr=0.1, momentum=0.9), RepeatedSGD([q], lr=0.1, momentum=0.9)
    for step in range(4):
        p.grad, q.grad = torch.full((2,), step + 1.0), torch.full((2,), step + 1.0)
        if step == 2:
            state = ours.state_dict()
            ours = RepeatedSGD([q], lr=0.5, momentum=0.9)
            ours.load_state_dict(state)
        sgd.step()
        ours.step()
        assert torch.equal(p, q)


def sgd_of_2018(weights, listings, gradients, lr, momentum, weight_decay) -> None:
    """PyTorch 0.4's step, tensor by tensor as they are listed: the decay goes into the gradient itself."""
    buffers: dict = {}
    for step in gradients:
        grads = [grad.copy() for grad in step]
        for i in listings:
            grads[i] += weight_decay * weights[i]
            buffers[i] = momentum * buffers.get(i, 0) + grads[i]
            weights[i] -= lr * buffers[i]


@pytest.mark.parametrize('foreach', [False, True])
@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_a_cumulative_decay_is_what_the_pytorch_of_2018_made_of_a_tensor_listed_several_times(momentum, foreach):
    random = np.random.default_rng(0)
    weights, gradients = random.normal(size=(3, 4)), random.normal(size=(5, 3, 4))
    parameters = [nn.Parameter(torch.tensor(w)) for w in weights]
    groups = [dict(params=[p], repeats=k) for p, k in zip(parameters, (1, 3, 4))]
    groups.append(dict(params=[nn.Parameter(torch.ones(1), requires_grad=False)]))  # frozen
    kwargs = dict(lr=0.1, momentum=momentum, weight_decay=0.3)
    ours = RepeatedSGD(groups, decay='cumulative', foreach=foreach, **kwargs)
    for step in gradients:
        for p, grad in zip(parameters, step):
            p.grad = torch.tensor(grad)
        ours.step()
        assert all(np.array_equal(p.grad.numpy(), grad) for p, grad in zip(parameters, step))
    sgd_of_2018(weights, (0, 1, 1, 1, 2, 2, 2, 2), gradients, **kwargs)
    for p, w in zip(parameters, weights):
        np.testing.assert_allclose(p.detach().numpy(), w, rtol=1e-13)
    assert [group['weight_decay'] for group in ours.param_groups] == [0.3] * 4


def test_k_listings_carry_one_to_k_times_the_decay():
    p = nn.Parameter(torch.ones(1, dtype=torch.float64))
    lr, decay = 1e-9, 0.5  # so small a step that p stays 1 within it
    ours = RepeatedSGD([dict(params=[p], repeats=3)], lr=lr, weight_decay=decay, decay='cumulative')
    p.grad = torch.zeros(1, dtype=torch.float64)
    ours.step()
    assert (1 - p.item()) / (lr * decay) == pytest.approx(1 + 2 + 3, rel=1e-6)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UserError, match="RepeatedSGD.decay = 'twice' must be one of 'once', 'cumulative'"):
        RepeatedSGD([nn.Parameter(torch.ones(2))], decay='twice')
    with pytest.raises(UserError, match='RepeatedSGD does not support fused=True'):
        RepeatedSGD([nn.Parameter(torch.ones(2))], fused=True)
