"""Pack the data and the weights of Cityscapes → IDD-Lite: ``python tools/gpu/pack.py OUT.tar [--mib 40]``.

It reads data/ and weights/ as described in docs/real_images.md. Images are re-encoded as JPEG, at the highest quality
with which everything fits. Labels and weights do not change.
"""

import io
import sys
import tarfile
from argparse import ArgumentParser
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    'data/cityscapes_small/{}/train',
    'data/idd_lite/{}/train',
    'data/idd_lite/{}/val',
)
WEIGHTS = 'weights/mobilenetv2_imagenet.pth'


def members(quality: int | None) -> dict[str, bytes]:
    """Name in the archive → content. ``quality``: for images that it makes smaller; None keeps all images unchanged."""
    found = {}
    for part in PARTS:
        for kind in ('images', 'labels'):
            folder = ROOT / part.format(kind)
            if not folder.is_dir():
                sys.exit(f'error: {folder} does not exist: link the data as docs/real_images.md describes')
            for file in sorted(folder.iterdir()):
                data = file.read_bytes()
                if kind == 'images' and quality:
                    data = min(data, encoded(data, quality), key=len)
                found[str(file.relative_to(ROOT))] = data
    if not (ROOT / WEIGHTS).exists():
        sys.exit(f'error: {ROOT / WEIGHTS} does not exist: link it as docs/real_images.md describes')
    return found


def encoded(data: bytes, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert('RGB').save(buffer, 'JPEG', quality=quality, optimize=True)
    return buffer.getvalue()


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('out', type=Path)
    parser.add_argument('--mib', type=float, default=40, help='size limit of images and labels together (default: 40)')
    args = parser.parse_args()
    for quality in (None, 92, 88, 84, 80, 75, 70):
        found = members(quality)
        size = sum(-(-len(data) // 512) * 512 + 512 for data in found.values())
        print(f'JPEG quality {quality or "unchanged"}: {size / 2**20:.1f} MiB')
        if size <= args.mib * 2**20:
            break
    else:
        sys.exit(f'error: images and labels take more than {args.mib} MiB: raise --mib')
    found[WEIGHTS] = (ROOT / WEIGHTS).read_bytes()
    with tarfile.open(args.out, 'w') as archive:
        for name, data in found.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


if __name__ == '__main__':
    main()
