"""The released code's repeated update, against PyTorch's own SGD with the tensor listed several times."""

import pytest
import torch
from torch import nn

from mmseg_adapt.engine import RepeatedSGD
from mmseg_adapt.errors import UserError


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


def test_the_fused_form_is_refused():
    with pytest.raises(UserError, match='RepeatedSGD has no fused form: remove fused=True'):
        RepeatedSGD([nn.Parameter(torch.ones(2))], fused=True)
