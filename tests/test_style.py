"""AAN: objective, gradient and update rule against the paper's formulas in plain PyTorch; encoders, style, recipes."""

import doctest
import weakref

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from mmseg_adapt.errors import UserError
from mmseg_adapt.style import (
    FAST,
    AppearanceAdapter,
    Objective,
    Recipe,
    ResNetStyleEncoder,
    VGGStyleEncoder,
    build_encoder,
    gram,
    gram_matrix,
    style_of,
)
from mmseg_adapt.style.solvers import SOLVERS, value_and_gradient

from .tiny import REPO

LAYERS = ('relu1_1', 'relu1_2', 'relu2_1')


@pytest.fixture(autouse=True, scope='module')
def _one_thread():
    """Maps this small are slower on two, many times so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def vgg(layers=LAYERS, seed=0) -> VGGStyleEncoder:
    torch.manual_seed(seed)
    return VGGStyleEncoder(layers).requires_grad_(False)


def images(n, size=(32, 48), seed=0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = 255 * torch.rand(n, 3, size[0] // 4, size[1] // 4, generator=generator)
    return F.interpolate(coarse, size, mode='bilinear')


# ---- the paper, transcribed: Zhang et al., CVPR 2018, "Appearance Adaptation Networks" ----


def paper_features(convs, x):
    """relu1_1, relu1_2, relu2_1 of a VGG on RGB (x − mean) / std; x is BGR 0–255 (3, H, W)."""
    x = x[[2, 1, 0]]
    x = (x - x.new_tensor([123.675, 116.28, 103.53])[:, None, None]) / x.new_tensor([58.395, 57.12, 57.375])[
        :, None, None
    ]
    a = F.relu(F.conv2d(x[None], *convs[0], padding=1))
    b = F.relu(F.conv2d(a, *convs[1], padding=1))
    c = F.relu(F.conv2d(F.max_pool2d(b, 2), *convs[2], padding=1))
    return [m[0] for m in (a, b, c)]


def paper_gram(m):
    return torch.einsum('ihw,jhw->ij', m, m)


def paper_mean_gram(convs, pool):
    return [sum(paper_gram(m) for m in ms) / len(pool) for ms in zip(*(paper_features(convs, t) for t in pool))]


def paper_loss(convs, x, source, mean_gram, alpha):
    m_o, m_s = paper_features(convs, x), paper_features(convs, source)
    content = sum(((o - s) ** 2).sum() for o, s in zip(m_o, m_s))
    return content + alpha * sum(((paper_gram(o) - g) ** 2).sum() for o, g in zip(m_o, mean_gram))


def paper_render(convs, x, source, mean_gram, alpha, iterations, beta=10.0, norm='mean'):
    for i in range(1, iterations + 1):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad(paper_loss(convs, x, source, mean_gram, alpha), x)
        size = g.abs().sum() if norm == 'sum' else g.abs().mean()
        x = x.detach() - beta * (iterations - i) / iterations * g / size
    return x


@pytest.fixture
def setting():
    """An encoder, two sources, a pool of three, in double precision; α makes both terms count."""
    encoder = vgg().double()
    convs = [(m.weight, m.bias) for m in encoder.features if isinstance(m, nn.Conv2d)]
    source, pool = images(2).double(), images(3, seed=1).double()
    return encoder, convs, source, pool, style_of(encoder, pool[:, None]), 1e-2


def test_objective_and_gradient_equal_the_papers(setting):
    encoder, convs, source, pool, style, alpha = setting
    x = images(2, seed=2).double()
    objective = Objective(alpha)
    values, gradient = value_and_gradient(lambda x: objective(encoder(x), encoder(source), style), x)
    mean_gram = paper_mean_gram(convs, pool)
    for n in range(2):
        leaf = x[n].clone().requires_grad_()
        expected = paper_loss(convs, leaf, source[n], mean_gram, alpha)
        torch.testing.assert_close(values[n], expected, rtol=1e-6, atol=0)
        (g,) = torch.autograd.grad(expected, leaf)
        torch.testing.assert_close(gradient[n], g, rtol=1e-6, atol=1e-6 * g.abs().max().item())
        parts = objective.content(encoder(x), encoder(source), style)[n], alpha * objective.style(encoder(x), style)[n]
        assert 0.05 < parts[0] / parts[1] < 20


@pytest.mark.parametrize('norm', ['mean', 'sum'])
def test_ten_steps_of_the_update_rule_equal_the_papers(norm, setting):
    encoder, convs, source, pool, style, alpha = setting
    adapter = AppearanceAdapter(encoder, Objective(alpha), levels=((1, 10),), norm=norm)
    rendered = adapter.render(source, style, seeds=[5, 6])
    mean_gram = paper_mean_gram(convs, pool)
    for n, seed in enumerate((5, 6)):
        noise = 255 * torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(seed)).double()
        x = paper_render(convs, noise, source[n], mean_gram, alpha, 10, norm=norm)
        torch.testing.assert_close(rendered.images[n], x.clamp(0, 255), rtol=1e-5, atol=1e-5 * 255)
        moved = (x - noise).abs().max()
        assert moved > 20 if norm == 'mean' else moved < 1
    assert rendered.evaluations == 10


def test_the_content_term_is_zero_at_the_source_and_the_style_term_for_a_pool_of_the_image_itself():
    encoder, x = vgg(), images(1)
    features, style = encoder(x), style_of(encoder, [x])
    for squared in (True, False):
        objective = Objective(1.0, squared=squared)
        other = style_of(encoder, [images(1, seed=3)])
        assert objective.content(features, features, other) == 0
        assert objective.style(features, style) < 1e-6 * objective.style(features, other)
    loss = Objective(0.0, squared=False)
    assert (value_and_gradient(lambda x: loss(encoder(x), features, style), x)[1] == 0).all()  # no NaN at the kink


def test_the_gram_matrix_is_the_sum_over_positions_of_products():
    features = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(gram_matrix(features), torch.einsum('nihw,njhw->nij', features, features))
    assert torch.autograd.gradcheck(gram_matrix, features.double().requires_grad_())
    assert doctest.testmod(gram, extraglobs={'torch': torch}).attempted == 1
    big = torch.full((1, 2, 400, 400), 300.0, dtype=torch.float16)
    assert gram_matrix(big)[0, 0, 0] == pytest.approx(400 * 400 * 300.0**2, rel=1e-3)  # beyond float16's range


def test_the_style_is_a_mean_over_the_pool_and_keeps_one_batch_at_a_time():
    encoder, pool = vgg(), images(5, seed=1)
    alive = []

    def stream():
        for sizes in (pool[:2], pool[2:3], pool[3:]):
            assert len([r for r in alive if r() is not None]) <= 1  # the one in the caller's hand
            batch = sizes.clone()
            alive.append(weakref.ref(batch))
            yield batch
            del batch

    style = style_of(encoder, stream())
    single = [gram_matrix(encoder(image[None])['relu2_1'])[0] for image in pool]
    torch.testing.assert_close(style.grams['relu2_1'] * 16 * 24, sum(single) / 5)
    assert style.about == dict(images=5)
    with pytest.raises(UserError, match='there are no target images'):
        style_of(encoder, [])


def test_the_target_gram_matrix_of_another_size_grows_with_the_number_of_positions():
    encoder = vgg(['relu1_1'])
    flat = torch.full((1, 3, 64, 96), 90.0)
    small, large = (style_of(encoder, [flat[..., :h, :w]]) for h, w in ((32, 48), (64, 96)))
    inner = {k: v[..., 1:-1, 1:-1] for k, v in encoder(flat).items()}  # without the padded border
    torch.testing.assert_close(small.grams['relu1_1'], large.grams['relu1_1'], rtol=0.1, atol=0.1)
    style = gram.Style({'relu1_1': gram_matrix(inner['relu1_1'])[0] / inner['relu1_1'][0, 0].numel()})
    assert Objective().style(inner, style) < 1e-6 * gram_matrix(inner['relu1_1']).square().sum()


def test_balanced_layers_count_alike_whatever_the_scale_of_their_features():
    encoder, x = vgg(), images(1)
    style, features, content = style_of(encoder, [images(1, seed=1)]), encoder(x), encoder(images(1, seed=2))
    objective = Objective(3.0, weights='balanced')
    expected = objective(features, content, style)
    scales = dict(relu1_1=100.0, relu1_2=1e-2, relu2_1=7.0)
    features, content = ({k: scales[k] * v for k, v in f.items()} for f in (features, content))
    style.grams = {k: scales[k] ** 2 * v for k, v in style.grams.items()}
    torch.testing.assert_close(objective(features, content, style), expected)


def test_factors_weigh_single_layers_and_zero_leaves_one_out():
    encoder, x = vgg(), images(1)
    style, features, content = style_of(encoder, [images(1, seed=1)]), encoder(x), encoder(images(1, seed=2))
    only = [
        Objective(
            2.0,
            content_weights={k: float(k == name) for k in LAYERS},
            style_weights={k: float(k == name) for k in LAYERS},
        )(features, content, style)
        for name in LAYERS
    ]
    torch.testing.assert_close(sum(only), Objective(2.0)(features, content, style))


# ---- recipes ----


@pytest.mark.parametrize('solver', ['normalised', 'adam', 'lbfgs'])
def test_an_image_of_a_batch_is_rendered_as_if_it_were_alone(solver):
    encoder = vgg().double()
    source, style = images(2).double(), style_of(encoder, images(2, seed=1).double()[:, None])
    adapter = AppearanceAdapter(
        encoder, Objective(1.0, 'balanced'), solver=solver, levels=((1, 8),), plateau=0.01, patience=2
    )
    together = adapter.render(source, style, [3, 4])
    alone = adapter.render(source[1:], style, [4])
    torch.testing.assert_close(together.images[1:], alone.images, rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(together.objective[1:], alone.objective)
    assert not torch.equal(alone.images, adapter.render(source[1:], style, [5]).images)


def test_fast_reaches_what_the_papers_recipe_reaches_with_a_tenth_of_the_gradients():
    encoder, objective = vgg(), Objective(1.0, 'balanced')
    source, style = images(1), style_of(encoder, [images(1, seed=1)])
    paper = AppearanceAdapter(encoder, objective, levels=((1, 300),)).render(source, style)
    fast = AppearanceAdapter(encoder, objective, fast=True, levels=((1, 24),)).render(source, style)
    assert paper.evaluations == 300
    assert fast.evaluations <= 30
    assert fast.objective <= 1.02 * paper.objective


def test_every_start_is_what_it_says():
    encoder, source = vgg(), images(1)
    style = style_of(encoder, [source])
    still = dict(levels=((1, 1),))  # the first step of one has length 0
    starts = {
        s: AppearanceAdapter(encoder, Objective(), start=s, **still).render(source, style).images
        for s in ('noise', 'content', 'noise+content')
    }
    assert torch.equal(starts['content'], source)
    torch.testing.assert_close(starts['noise+content'], (starts['noise'] + source) / 2)
    assert starts['noise'].min() < 5 < 250 < starts['noise'].max()


def test_a_plateau_ends_a_level_early_and_a_coarse_level_helps_the_next():
    encoder, objective = vgg(), Objective(1.0, 'balanced')
    source, style = images(1, (64, 64)), style_of(encoder, [0.4 * images(1, (64, 64), seed=1)])

    def run(*levels, **recipe):
        return AppearanceAdapter(encoder, objective, fast=True, levels=levels, **recipe).render(source, style)

    stopped = run((1, 60), plateau=0.2, patience=5)
    assert stopped.evaluations < 40
    gained_little = run((1, 40), plateau=0.99, patience=20)  # fast=True's last level: two times twenty
    assert gained_little.evaluations <= 26 < run((1, 40), plateau=0, patience=20).evaluations
    direct, coarse = run((1, 5), plateau=0), run((0.5, 20), (1, 5), plateau=0)
    assert coarse.objective < direct.objective


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_mixed_precision_reaches_the_objective_of_single_precision():
    encoder = vgg().cuda()
    source, pool = images(1, (64, 96)).cuda(), images(2, (64, 96), seed=1).cuda()
    style, objective = style_of(encoder, pool[:, None]), Objective(1.0, 'balanced')
    amp, single = (AppearanceAdapter(encoder, objective, fast=True, amp=a).render(source, style) for a in (True, False))
    torch.testing.assert_close(amp.objective, single.objective, rtol=0.05, atol=0)


# ---- encoders ----


def test_vgg_features_are_torchvisions_and_nothing_behind_the_deepest_layer_is_built():
    reference = torchvision.models.vgg16(weights=None).eval()
    encoder = VGGStyleEncoder(['relu3_1', 'relu1_2'])
    encoder.features.load_state_dict(
        {k: v for k, v in reference.features.state_dict().items() if int(k[:2].strip('.')) <= 10}
    )
    x = images(1)
    normed = (x.flip(1) - encoder.mean) / encoder.std
    features = encoder(x)
    assert list(features) == ['relu1_2', 'relu3_1']
    torch.testing.assert_close(features['relu1_2'], reference.features[:4](normed))
    torch.testing.assert_close(features['relu3_1'], reference.features[:12](normed))
    assert len(encoder.features) == 12


def test_resnet_features_are_torchvisions_with_its_key_names():
    torch.manual_seed(0)
    reference = torchvision.models.resnet50(weights=None).eval()
    encoder = ResNetStyleEncoder(
        ['conv1', 'res2c', 'res3a', 'res3d'], style='pytorch', mean=(0, 0, 0), std=(255, 255, 255), bgr_to_rgb=True
    )
    missing = encoder.backbone.load_state_dict(reference.state_dict(), strict=False).missing_keys
    assert not missing
    assert not hasattr(encoder.backbone, 'layer3')
    with torch.no_grad():
        x = images(1)
        y = reference.relu(reference.bn1(reference.conv1(x.flip(1) / 255)))
        features = encoder.train()(x)  # stays in evaluation mode
        torch.testing.assert_close(features['conv1'], y)
        y = reference.layer1(reference.maxpool(y))
        torch.testing.assert_close(features['res2c'], y)
        torch.testing.assert_close(features['res3a'], reference.layer2[0](y))
        torch.testing.assert_close(features['res3d'], reference.layer2(y))


def test_folding_batch_norm_changes_neither_the_features_nor_the_fingerprint():
    encoder = ResNetStyleEncoder(['colour', 'conv1', 'res2c', 'res3d'], base_channels=8, stem_channels=8).double()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    x = images(1).double()
    before, fingerprint = encoder(x), encoder.fingerprint()
    encoder.fold()
    torch.testing.assert_close(encoder(x), before, rtol=1e-10, atol=1e-10)
    assert encoder.fingerprint() == fingerprint
    built = build_encoder(dict(type='ResNetStyleEncoder', layers=['res2c'], base_channels=8, stem_channels=8))
    assert not any(isinstance(m, nn.BatchNorm2d) for e in (encoder, built) for m in e.modules())
    assert not any(p.requires_grad for p in built.parameters())


def test_the_papers_layers_are_the_default_at_strides_2_4_8_16_32():
    encoder = ResNetStyleEncoder(base_channels=4, stem_channels=8)
    features = encoder(images(1, (64, 96)))
    assert list(features) == ['conv1', 'res2c', 'res3d', 'res4f', 'res5c']
    assert [64 // f.shape[2] for f in features.values()] == [2, 4, 8, 16, 32]
    assert [f.shape[1] for f in features.values()] == [8, 16, 32, 64, 128]


def test_the_colour_layer_holds_mean_and_second_moments_of_the_pixels():
    x = images(1)
    matrix = style_of(vgg(['colour', 'relu1_1']), [x]).grams['colour'] / 255
    torch.testing.assert_close(matrix[:3, 3], x.mean((0, 2, 3)))
    pixels = x[0].flatten(1)
    torch.testing.assert_close(255 * matrix[:3, :3], pixels @ pixels.T / pixels.shape[1])


def test_weights_must_fill_the_encoder(tmp_path):
    file = tmp_path / 'vgg.pth'
    torch.save({f'features.{k}': v for k, v in vgg().features.state_dict().items()}, file)
    cfg = dict(type='VGGStyleEncoder', layers=LAYERS, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    with pytest.raises(UserError, match=r'belongs to another network: none of its keys \(prefix: None\)'):
        build_encoder(cfg)
    cfg['init_cfg']['prefix'] = 'features.'
    torch.save({f'features.{k}': v for k, v in vgg().features.state_dict().items() if k != '0.weight'}, file)
    with pytest.raises(UserError, match=r'has no 0.weight of the right shape \(and 0 more'):
        build_encoder(cfg)
    torch.save({f'features.{k}': v for k, v in vgg().features.state_dict().items()}, file)
    encoder = build_encoder(cfg)
    assert encoder.fingerprint() == vgg().fingerprint() != vgg(seed=1).fingerprint()
    assert not any(p.requires_grad for p in encoder.parameters())
    with pytest.raises(UserError, match='VGGStyleEncoder has colour, relu1_1, … relu5_3'):
        build_encoder(dict(type='VGGStyleEncoder', layers=['conv1']))


@pytest.mark.skipif(not (REPO / 'weights/thin_resnet50_caffe.pth').exists(), reason='weights/thin_resnet50_caffe.pth')
def test_the_thin_caffe_resnet_fills_its_encoder():
    checkpoint = str(REPO / 'weights/thin_resnet50_caffe.pth')
    cfg = dict(type='ResNetStyleEncoder', base_channels=32, init_cfg=dict(type='Pretrained', checkpoint=checkpoint))
    assert all(f.std() > 0 for f in build_encoder(cfg)(images(1, (64, 96))).values())


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: Objective(weights='equal'), "aan.objective.weights = 'equal' must be 'unit' or 'balanced'"),
        (lambda: Objective(alpha=-1), 'aan.objective.alpha = -1 must be at least 0'),
        (lambda: Objective(smoothness=-1), 'aan.objective.smoothness = -1 must be at least 0'),
        (lambda: Recipe(start='black'), "aan.recipe.start = 'black' must be one of"),
        (lambda: Recipe(patience=0), 'aan.recipe.patience = 0 must be at least 1'),
        (lambda: Recipe(levels=[(1.0,)]), r'aan.recipe.levels = \[\(1.0,\)\]: '),
        (lambda: Recipe(levels=[(0.5, 10)]), 'with last scale 1'),
        (lambda: Recipe(levels=((0.5, 10),)), 'with last scale 1'),
        (lambda: AppearanceAdapter(vgg(), Objective(), speed=2), 'aan.recipe: '),
        (lambda: AppearanceAdapter(vgg(), Objective()).render(images(1), gram.Style({})), 'the style has the layers'),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_recipe_names_every_solver_and_no_other():
    assert [Recipe(solver=name).solver for name in SOLVERS] == ['normalised', 'adam', 'lbfgs']
    with pytest.raises(UserError, match="aan.recipe.solver = 'sgd' must be one of"):
        Recipe(solver='sgd')


def test_fast_and_the_paper_differ_in_the_recipe_only():
    assert FAST.start == 'content'
    assert Recipe() == Recipe('noise', 'normalised', ((1.0, 1000),), 10.0, 'mean', 0.0)
    assert AppearanceAdapter(vgg(), Objective(), fast=True).objective == AppearanceAdapter(vgg(), Objective()).objective
    assert Objective() == Objective(1e-14, 'unit', None, None, True)
