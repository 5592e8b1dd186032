"""Write the table of docs/models.md: which models of MMSegmentation's zoo can be adapted.

    python tools/analysis/zoo.py docs/models.md

A model is built from the shortest-named config that MMSegmentation ships for its family, without memory (PyTorch's
``meta`` device), as the segmentor of AdaptSegNet and of DACS.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import mmseg
import torch
from markdown_table import put
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import mmseg_adapt  # noqa: F401  (registration)
from mmseg_adapt.errors import UserError
from mmseg_adapt.models.refusals import requirement, types

FOLDER = Path(mmseg.__file__).parent / '.mim/configs'
NO_MODELS = ('_base_', 'dsdl')  # dsdl is a format of data sets
OURS = dict(EncoderDecoder='MultiLevelSegmentor', CascadeEncoderDecoder='MultiLevelCascade')
SIZE = (128, 128)  # where a config names none
READS_VALUES = ('mask2former',)  # of its masks, which have none on the meta device


class Row(NamedTuple):
    family: str
    heads: str
    needs: str
    game: str  # '' where the model adapts, or why it does not
    self_training: str

    def line(self) -> str:
        cells = [f'`{self.family}`', self.heads, self.needs, said(self.game), said(self.self_training)]
        if self.game:
            cells[-1] = 'no'
        return '| ' + ' | '.join(cells) + ' |'


def said(refusal: str) -> str:
    """A cell of the table: yes, or no and the reason without the place and the cure."""
    reason = refusal.split('self-training needs: ')[-1].removeprefix('model.segmentor: ')
    return f'no: {reason.split(", so it")[0].split(", which is")[0]}' if refusal else 'yes'


def families() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name not in NO_MODELS)


def segmentor(family: str) -> ConfigDict:
    """The family's model as this package's segmentor, without weights to download."""
    file = min((FOLDER / family).glob('*.py'), key=lambda path: (len(path.name), path.name))
    model = Config.fromfile(file, import_custom_modules=False).model
    model.type = OURS.get(model.type, model.type)
    model.pop('pretrained', None)
    for key in ('mean', 'std'):  # of six bands, say, which the fork refuses
        model.data_preprocessor.pop(key, None)
    return model


@contextmanager
def without_memory() -> Iterator[None]:
    """Tensors without values; transformers read the depths of their drop path from a ``linspace`` that has some."""
    on_cpu = partial(torch.linspace, device='cpu')
    with torch.device('meta'), mock.patch.object(torch, 'linspace', on_cpu):
        yield


def row(family: str) -> Row:
    cfg = segmentor(family)
    heads = [cfg.decode_head] if isinstance(cfg.decode_head, dict) else cfg.decode_head
    needs = ', '.join(sorted({what for kind in types(cfg) if (what := requirement(kind))}))
    refusals = (refusal(cfg, method, family) for method in (_adaptsegnet, _dacs))
    return Row(family, ', '.join(f'`{head.type}`' for head in heads), needs, *refusals)


def refusal(cfg: ConfigDict, method: Callable[[dict], dict], family: str) -> str:
    """The sentence that refuses the segmentor; '' if it is built and yields a map of logits in training."""
    try:
        with without_memory():
            model = MODELS.build(method(cfg)).segmentor.train()
            if family not in READS_VALUES:
                images = torch.empty(2, cfg.backbone.get('in_channels', 3), *cfg.data_preprocessor.get('size', SIZE))
                assert model(images, mode='tensor')['decode'].shape[:2] == (2, model.out_channels)
    except UserError as error:
        return str(error)
    return ''


def _adaptsegnet(cfg: ConfigDict) -> dict:
    return dict(type='AdaptSegNet', segmentor=cfg, discriminator={}, lambda_adv={})


def _dacs(cfg: ConfigDict) -> dict:
    return dict(type='DACS', segmentor=cfg)


def table() -> str:
    head = ['| family | heads | needs | game (AdaptSegNet) | self-training (DACS) |', '|---|---|---|---|---|']
    return '\n'.join([*head, *(row(family).line() for family in families())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('page', type=Path, help='page whose table is replaced: docs/models.md')
    put(parser.parse_args().page, 'zoo', table())


if __name__ == '__main__':
    init_default_scope('mmseg')
    main()
