"""docs/models.md says of every model family of MMSegmentation whether it adapts."""

import runpy
import sys

import pytest

from mmseg_adapt.errors import UserError, is_expected, sentence
from mmseg_adapt.models.refusals import needed, types

from .tiny import REPO

pytestmark = pytest.mark.filterwarnings('ignore')  # what other people's models say when they are built
sys.path.append(str(REPO / 'tools/analysis'))
ZOO = runpy.run_path(str(REPO / 'tools/analysis/zoo.py'), run_name='zoo')
TABLE = (REPO / 'docs/models.md').read_text(encoding='utf-8').split('<!-- zoo: ')[1]
LINES = {line.split('`')[1]: line for line in TABLE.splitlines() if line.startswith('| `')}


def check(family: str) -> None:
    found = ZOO['row'](family)
    if missing := [kind for kind in types(ZOO['segmentor'](family)) if needed(kind)]:
        assert f'{missing[0]} needs' in found.game
        assert found.needs in LINES[family]
    else:
        assert LINES[family] == found.line()


def test_the_table_names_every_family_that_mmsegmentation_ships():
    assert list(LINES) == ZOO['families']()


def test_at_least_26_families_adapt_and_every_other_says_why_not():
    games = [line.split(' | ')[3] for line in LINES.values()]
    assert games.count('yes') >= 26
    assert all(game.startswith('no: ') for game in games if game != 'yes')


@pytest.mark.parametrize('family', ['danet', 'ocrnet', 'mobilenet_v3', 'san', 'mask2former'])
def test_the_table_is_right_about(family):
    check(family)


@pytest.mark.slow
@pytest.mark.parametrize('family', ZOO['families']())
def test_every_family_adapts_as_the_table_says(family):
    check(family)


def test_a_config_whose_imports_are_missing_is_refused_in_one_sentence(tmp_path):
    from mmengine.config import Config

    config = tmp_path / 'config.py'
    config.write_text("custom_imports = dict(imports='mmseg_adapt_missing.models', allow_failed_imports=False)")
    with pytest.raises(ImportError) as failed:
        Config.fromfile(config)
    assert is_expected(failed.value)
    assert sentence(failed.value) == (
        "custom_imports in the config lists 'mmseg_adapt_missing.models', which cannot be imported: install it, or "
        'remove it'
    )
    assert not isinstance(failed.value, UserError)
    assert not is_expected(ImportError('numpy'))
