"""Export a trained segmentor: ``python tools/export_segmentor.py CONFIG CHECKPOINT OUT`` writes the folder OUT.

OUT contains a plain MMSegmentation checkpoint (model.pth) and a self-contained config (config.py) for
``mmseg.apis.init_model`` and MMSegmentation's own ``tools/test.py``, the model as data (model.json) for
``mmseg_adapt.Predictor``, and a model card. ``--push USER/NAME`` uploads it to the Hugging Face Hub.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

from mmengine.config import DictAction

from ..export import export_segmentor, hub
from ..export.graph import OUTPUTS
from ..files.config import config_of
from ..weights.load import allow_unsafe


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument('config', help='the config of the training')
    parser.add_argument('checkpoint', help='a checkpoint written by tools/train.py or a converter')
    parser.add_argument('out', help='folder to write')
    parser.add_argument(
        '--onnx',
        nargs='?',
        const='probabilities',
        choices=OUTPUTS,
        help='also write model.onnx, checked in onnxruntime, and sliding.py if the model is tested in windows',
    )
    parser.add_argument('--safetensors', action='store_true', help='also write model.safetensors')
    parser.add_argument('--push', metavar='USER/NAME', help='also upload OUT to this repository on the Hub')
    parser.add_argument('--private', action='store_true', help='with --push: make a new repository private')
    parser.add_argument('--part', help="'teacher' exports the checkpoint's teacher instead of its segmentor")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides of the config')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier export in OUT')
    parser.add_argument('--unsafe', action='store_true', help='load a checkpoint that executes code when loaded')
    args = parser.parse_args()
    if args.unsafe:
        allow_unsafe()
    if args.push:
        hub.check_push(args.push)
    cfg = config_of(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    name = f'{hub.PREFIX}{args.push}' if args.push else None
    options = dict(onnx=args.onnx, safetensors=args.safetensors, part=args.part, name=name)
    out = export_segmentor(cfg, args.checkpoint, args.out, overwrite=args.overwrite, **options)
    print(f'wrote {out}: {", ".join(sorted(path.name for path in out.iterdir()))}')
    if args.push:
        print(f'pushed to {hub.push(out, args.push, args.private)}: Predictor({name!r}) uses it')
