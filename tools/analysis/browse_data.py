"""See what a config trains on: source images with their labels beside target images, after the pipelines.

``python tools/analysis/browse_data.py CONFIG [--out contact_sheet.png] [--rows 6] [--cfg-options …]``

Ignored areas are hatched; a bar chart shows how much of the source's pixels each class has.
"""

from argparse import ArgumentParser
from pathlib import Path

import matplotlib
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmseg_adapt.engine.launch import one_sentence
from mmseg_adapt.errors import UserError

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.patches import Patch  # noqa: E402

IGNORE = 255


def domains_of(cfg: Config) -> dict[str, torch.utils.data.Dataset]:
    """``'source'`` and, where the config adapts, ``'target'``."""
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    pair = {name: getattr(dataset, name) for name in ('source', 'target') if hasattr(dataset, name)}
    return pair or {'source': dataset}


def image_of(sample: dict) -> np.ndarray:
    """(H, W, 3) RGB, as the network sees it before normalisation."""
    return sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1]


def label_of(sample: dict) -> np.ndarray:
    """(H, W) class indices."""
    return sample['data_samples'].gt_sem_seg.data[0].numpy()


def draw_label(axis, label: np.ndarray, palette: np.ndarray) -> None:
    colours = np.full((256, 3), 255, np.uint8)
    colours[: len(palette)] = palette
    axis.imshow(colours[label], interpolation='nearest')
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
    """One row per pair: source image, source labels, target image; below them the shares."""
    source = domains['source']
    classes, palette = source.metainfo['classes'], source.metainfo['palette']
    rng = np.random.default_rng(seed)
    chosen = {name: rng.permutation(len(dataset)) for name, dataset in domains.items()}
    titles = ['source', 'source labels', *(['target'] if 'target' in domains else [])]
    figure = plt.figure(figsize=(4.2 * len(titles), 2.4 * rows + 3.2), layout='constrained')
    grid = figure.add_gridspec(rows + 1, len(titles), height_ratios=[*[2.4] * rows, 2.6])
    labels = []
    for row in range(rows):
        sample = source[chosen['source'][row % len(source)]]
        labels.append(label_of(sample))
        cells = [figure.add_subplot(grid[row, column]) for column in range(len(titles))]
        cells[0].imshow(image_of(sample))
        draw_label(cells[1], labels[-1], palette)
        shown = [sample['data_samples'].img_path, '']
        if 'target' in domains:
            target = domains['target']
            seen = target[chosen['target'][row % len(target)]]
            cells[2].imshow(image_of(seen))
            shown.append(seen['data_samples'].img_path)
        for cell, path, title in zip(cells, shown, titles):
            height, width = cell.images[0].get_array().shape[:2]
            cell.set_axis_off()
            cell.set_title(f'{title}: {Path(path).name} {width}×{height}' if path else title, fontsize=8)
    labels += [label_of(source[i]) for i in chosen['source'][rows : max(rows, counted)]]
    draw_shares(figure.add_subplot(grid[rows, :]), labels, classes, palette)
    return figure


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config')
    parser.add_argument('--out', type=Path, help='PNG to write (default: work_dirs/<name of the config>/data.png)')
    parser.add_argument('--rows', type=int, default=5, help='pairs to show')
    parser.add_argument('--counted', type=int, default=50, help='source labels to count classes in')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides of the config')
    args = parser.parse_args()
    if not Path(args.config).is_file():
        raise UserError(f'{args.config} does not exist: name a config, e.g. configs/demo/streets_singlelevel.py')
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    out = args.out or Path('work_dirs') / Path(args.config).stem / 'data.png'
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(domains_of(cfg), args.rows, args.counted).savefig(out, dpi=110)
    print(f'wrote {out}')


if __name__ == '__main__':
    with one_sentence():
        main()
