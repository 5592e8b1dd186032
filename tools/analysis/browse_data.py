"""Draw the training data of a config after the pipelines: images of every domain, and labels.

``python tools/analysis/browse_data.py CONFIG [--out contact_sheet.png] [--rows 6] [--cfg-options …]``

Ignored areas are hatched. A bar chart shows each class's share of the source pixels.
"""

from argparse import ArgumentParser
from pathlib import Path

import matplotlib
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from mmseg_adapt.datasets.streams import SOURCE, is_labelled
from mmseg_adapt.errors import one_sentence
from mmseg_adapt.files.config import config_of
from mmseg_adapt.pictures import printable

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

IGNORE = 255


def streams_of(cfg: Config) -> dict[str, Dataset]:
    """Name → data set; a config that does not adapt has only ``'source'``."""
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    return getattr(dataset, 'domains', {SOURCE: dataset})


def image_of(sample: dict) -> np.ndarray:
    """(H, W, 3) RGB, as the network sees it before normalisation."""
    return printable(sample['inputs'].permute(1, 2, 0).numpy())[..., ::-1]


def label_of(sample: dict) -> np.ndarray:
    """(H, W) class indices."""
    return sample['data_samples'].gt_sem_seg.data[0].numpy()


def draw_image(axis, image: np.ndarray, title: str, interpolation: str | None = None) -> None:
    axis.imshow(image, interpolation=interpolation)
    axis.set_axis_off()
    axis.set_title(title, fontsize=8)


def draw_label(axis, label: np.ndarray, palette: np.ndarray, title: str) -> None:
    colours = np.full((256, 3), 255, np.uint8)
    colours[: len(palette)] = palette
    draw_image(axis, colours[label], title, 'nearest')
    if (ignored := label == IGNORE).any():
        axis.contourf(ignored.astype(float), levels=[0.5, 1.5], colors='none', hatches=['////'])


def draw_shares(axis, labels: list[np.ndarray], classes: tuple[str, ...], palette: np.ndarray) -> None:
    counts = sum(np.bincount(label.ravel(), minlength=256) for label in labels)
    shares = 100 * np.append(counts[: len(classes)], counts[IGNORE]) / counts.sum()
    names = [*classes, 'ignored']
    bars = axis.bar(names, shares, color=[*(np.array(palette) / 255), (1, 1, 1)], edgecolor='grey')
    bars[-1].set_hatch('////')
    axis.bar_label(bars, fmt='%.1f', fontsize=7)
    axis.set_ylabel('% of the pixels')
    axis.set_title(f'source, {len(labels)} labels', fontsize=9)
    axis.tick_params(axis='x', rotation=45, labelsize=8)
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(handles=[Patch(facecolor='white', edgecolor='grey', hatch='////', label='ignored')], frameon=False)


def contact_sheet(domains: dict, rows: int, counted: int, seed: int = 0) -> plt.Figure:
    """One row per pair: images of each domain, and labels if they are used in training; below, the class shares of the
    source."""
    source = domains[SOURCE]
    classes, palette = source.metainfo['classes'], source.metainfo['palette']
    rng = np.random.default_rng(seed)
    chosen = {name: rng.permutation(len(dataset)) for name, dataset in domains.items()}
    columns = len(domains) + sum(map(is_labelled, domains))
    figure = plt.figure(figsize=(4.2 * columns, 2.4 * rows + 3.2), layout='constrained')
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[*[2.4] * rows, 2.6])
    labels = []
    for row in range(rows):
        cells = (figure.add_subplot(grid[row, column]) for column in range(columns))
        for name, dataset in domains.items():
            sample = dataset[chosen[name][row % len(dataset)]]
            image, path = image_of(sample), Path(sample['data_samples'].img_path)
            draw_image(next(cells), image, f'{name}: {path.name} {image.shape[1]}×{image.shape[0]}')
            if is_labelled(name):
                draw_label(next(cells), label_of(sample), palette, f'{name} labels')
            if name == SOURCE:
                labels.append(label_of(sample))
    labels += [label_of(source[i]) for i in chosen[SOURCE][rows : max(rows, counted)]]
    draw_shares(figure.add_subplot(grid[rows, :]), labels, classes, palette)
    return figure


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--out', type=Path, help='PNG to write (default: work_dirs/<name of the config>/data.png)')
    parser.add_argument('--rows', type=int, default=5, help='number of pairs to show')
    parser.add_argument('--counted', type=int, default=50, help='number of source labels in which to count classes')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides of the config')
    args = parser.parse_args()
    cfg = config_of(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    out = args.out or Path('work_dirs') / Path(args.config).stem / 'data.png'
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(streams_of(cfg), args.rows, args.counted).savefig(out, dpi=110)
    print(f'wrote {out}')


if __name__ == '__main__':
    with one_sentence():
        main()
