"""AAN: where a render starts, the smoothness term, and that keeping L-BFGS's last gradient changes nothing."""

from functools import partial

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmseg_adapt.errors import UserError
from mmseg_adapt.style import FAST, QUICK, AppearanceAdapter, Objective, Recipe, RenderStore, style_of
from mmseg_adapt.style.colour import colour_gram, recoloured
from mmseg_adapt.style.job import RenderJob
from mmseg_adapt.style.objective import variation
from mmseg_adapt.style.solvers import lbfgs, value_and_gradient
from mmseg_adapt.style.store import START

from .test_style import images, vgg
from .tiny import CONFIGS, run_tool

STILL = dict(levels=((1, 1),))  # the paper's first step of one has length 0
BALANCED = Objective(1.0, 'balanced', content_weights=dict(colour=0.0))


@pytest.fixture(autouse=True, scope='module')
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def coloured():
    """An encoder with colours, a source, and a dark pool of one image: its style and the Gram matrix of its colours."""
    encoder, pool = vgg(['colour', 'relu1_1']), 0.3 * images(1, seed=1) + 20
    return encoder, images(1), style_of(encoder, [pool]), colour_gram(pool)[0]


def test_the_colour_start_is_the_closed_form_cut_off_at_black_and_white(coloured):
    encoder, source, style, pool = coloured
    started = AppearanceAdapter(encoder, BALANCED, start='colour', **STILL).render(source, style)
    expected = recoloured(source, pool).clamp(0, 255)
    torch.testing.assert_close(started.images, expected, rtol=1e-4, atol=1e-2)
    assert started.starts == ['colour']


def test_the_best_start_is_the_one_whose_objective_is_lower_for_every_image_of_a_batch(coloured):
    encoder, source, style, _ = coloured
    faithful = Objective(0.0)  # the content alone: nothing is better than the source itself
    for objective, name in ((BALANCED, 'colour'), (faithful, 'content')):
        starts = {
            start: AppearanceAdapter(encoder, objective, start=start, **STILL).render(source, style)
            for start in ('content', 'colour', 'best')
        }
        assert starts['best'].starts == [name]
        assert torch.equal(starts['best'].images, starts[name].images)
        assert starts['best'].objective == min(starts['content'].objective, starts['colour'].objective)
    # a pool of one image: the image is there already, and the map is no improvement on leaving it alone
    home = 0.3 * images(1, seed=1) + 20
    away = Objective(1e-6, 'balanced')
    both = AppearanceAdapter(encoder, away, start='best', **STILL).render(torch.cat([source, home]), style)
    assert both.starts == ['content', 'content']


@pytest.mark.parametrize('start', ['colour', 'best'])
def test_a_start_from_colours_that_the_encoder_does_not_know_is_refused_at_once(start):
    with pytest.raises(UserError, match=f"aan.recipe.start = '{start}' needs the target's colours.*add 'colour' to"):
        AppearanceAdapter(vgg(['relu1_1']), Objective(), start=start)
    with pytest.raises(UserError, match="aan.fast = 'quickly': set it to True, to 'quick', or to False"):
        AppearanceAdapter(vgg(['relu1_1']), Objective(), fast='quickly')


def test_grey_and_single_coloured_images_start_from_finite_colours(coloured):
    encoder, source, style, _ = coloured
    grey = source.mean(1, keepdim=True).expand(1, 3, -1, -1)
    for image in (grey, torch.full_like(source, 90.0)):
        rendered = AppearanceAdapter(encoder, BALANCED, fast='quick', levels=((1, 3),)).render(image, style)
        assert rendered.images.isfinite().all()
        assert rendered.objective.isfinite().all()


def test_quick_reaches_the_objective_of_fast_with_half_its_gradients_and_fast_is_what_it_was(coloured):
    encoder, source, style, _ = coloured
    fast, quick = (AppearanceAdapter(encoder, BALANCED, fast=f).render(source, style) for f in (True, 'quick'))
    assert quick.evaluations <= 0.55 * fast.evaluations  # which has one level here: 32 pixels cannot be halved
    assert quick.objective <= 1.05 * fast.objective
    assert Recipe('content', 'lbfgs', ((0.5, 50), (1.0, 40)), 2.0, 'mean', 0.01, 20, True) == FAST
    assert Recipe('colour', 'lbfgs', ((1.0, 16),), 2.0, amp=True) == QUICK


def test_the_quick_config_starts_from_colours_that_weigh_nothing():
    files = (CONFIGS / f'_base_/aan/{name}.py' for name in ('gta2cs_quick', 'gta2cs'))
    aan, fast = (Config.fromfile(file).aan.to_dict() for file in files)
    aan['encoder'].pop('init_cfg')
    job = RenderJob.from_config(aan, 'cpu')
    assert job.adapter.recipe == QUICK
    assert job.objective == Objective(1.0, 'balanced', dict(colour=0.0), dict(colour=0.0))
    assert 'smoothness' not in job.settings([])['objective']  # nor in the stores that were made before there was one
    assert {**aan, 'encoder': 0, 'objective': 0, 'fast': True} == {**fast, 'encoder': 0, 'objective': 0}


def test_the_cost_of_a_data_set_is_the_gradients_of_the_recipe_at_their_sizes(monkeypatch, capsys):
    argv = [CONFIGS / '_base_/aan/vgg16.py', '--size', 96, 64, '--images', 9000, '--tflops', 1]
    options = "aan.encoder.layers=['relu1_1']"
    run_tool('analysis/render_cost.py', *argv, '--cfg-options', options, monkeypatch=monkeypatch)
    rows = [[c.strip() for c in line.split('|')[1:-1]] for line in capsys.readouterr().out.splitlines()[3:]]
    # a multiplication and an addition: the convolution and its gradient, the Gram matrix and its gradient
    flops = 2 * 96 * 64 * (2 * 3 * 64 * 9 + 2 * 64 * 64)
    assert [row[:2] for row in rows] == [['paper', '1000'], ['fast', '90'], ['quick', '16']]
    assert float(rows[0][3]) == pytest.approx(1000 * flops * 9000 / 1e12 / 3600, abs=0.051)
    assert float(rows[1][3]) == pytest.approx((50 / 4 + 40) * flops * 9000 / 1e12 / 3600, abs=0.051)


def test_a_store_notes_where_a_render_started(tmp_path):
    source = tmp_path / 'source.png'
    Image.new('RGB', (48, 32)).save(source)
    store = RenderStore(tmp_path / 'store')
    store.add('1', images(1)[0].byte().permute(1, 2, 0).numpy(), source, 'colour')
    with Image.open(store.path('1')) as file:
        assert file.info[START] == 'colour'
    assert store.holds('1', source)


# ---- L-BFGS ----


def plain_lbfgs(evaluate, x, iterations, recipe):
    """Without a memory for the point at which a step of the optimiser ended."""
    unit = recipe.beta * x[0].numel() ** 0.5
    z = (x / unit).contiguous()
    options = dict(history_size=10, line_search_fn='strong_wolfe', tolerance_grad=0, tolerance_change=0)
    optimiser = torch.optim.LBFGS([z], lr=1, **options)

    def closure():
        values, gradient = evaluate(z * unit)
        z.grad = (gradient * unit).contiguous()
        return values.sum()

    for start in range(0, iterations, recipe.patience):
        steps = min(recipe.patience, iterations - start)
        optimiser.param_groups[0].update(max_iter=steps, max_eval=steps + steps // 4 + 1)
        optimiser.step(closure)
        x.copy_(z * unit)


def test_a_gradient_that_is_known_is_not_computed_again_and_the_render_stays_the_same_to_the_bit(coloured):
    encoder, source, style, _ = coloured
    recipe, counts, ends = Recipe(solver='lbfgs', patience=4, beta=2.0), [], []
    with torch.no_grad():
        content = encoder(source)
    for solver in (plain_lbfgs, lbfgs):
        calls, x = [], source.clone()

        def loss(image, calls=calls):
            calls.append(image)
            return BALANCED(encoder(image), content, style)

        list(solver(partial(value_and_gradient, loss), x, 16, recipe) or ())
        counts.append(len(calls))
        ends.append(x)
    assert torch.equal(*ends)
    assert counts[1] <= counts[0] - 2


# ---- smoothness ----


def test_smoothness_is_the_total_variation_as_a_share_of_the_sources(coloured):
    x, source = images(2, seed=3), images(2)

    def total_variation(image):
        steps = (image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1])
        return sum(((step**2 + 1).sqrt() - 1).mean() for step in steps)

    expected = [0.5 * total_variation(a) / (total_variation(b) + 1) for a, b in zip(x, source)]
    torch.testing.assert_close(Objective(smoothness=0.5).roughness(x, source), torch.stack(expected))
    assert Objective().smoothness == 0
    assert Objective(smoothness=1.0).roughness(images(1), torch.full_like(images(1), 7.0)).isfinite()


def test_smoothness_adds_to_the_objective_and_makes_renders_smoother():
    encoder, source = vgg(), images(1)
    noise = 255 * torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    style = style_of(encoder, [noise])
    off, on = (Objective(1.0, 'balanced', smoothness=s) for s in (0.0, 1.0))
    starts = [AppearanceAdapter(encoder, o, start='content', **STILL).render(source, style) for o in (off, on)]
    torch.testing.assert_close(starts[1].objective - starts[0].objective, on.roughness(source, source))
    rough, smooth = (AppearanceAdapter(encoder, o, fast=True).render(source, style).images for o in (off, on))
    assert variation(smooth) < 0.8 * variation(rough)
