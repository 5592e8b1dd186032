"""The documentation site: ``make docs`` writes build/docs. A warning is an error."""

import importlib
import os
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))
from mmcv.transforms.utils import cache_randomness  # noqa: E402

import mmseg_adapt  # noqa: E402

of_instance = cache_randomness.__get__  # fails when a class is asked for its method, as documentation does
cache_randomness.__get__ = lambda self, obj, cls=None: self if obj is None else of_instance(self, obj, cls)

project = 'mmseg_adapt'
author = copyright = 'mmseg_adapt contributors'
version = release = mmseg_adapt.__version__
html_theme = 'furo'
html_title = f'{project} {release}'
html_show_sphinx = False
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
nb_execution_mode = 'off'  # a slow test runs the notebook
myst_heading_anchors = 3
autodoc_member_order = 'bysource'
napoleon_use_rtype = False  # a sentence of ours may begin like a type
autodoc_inherit_docstrings = False  # those of MMSegmentation are not ours
autodoc_typehints = 'signature'
autodoc_default_options = {'members': True, 'show-inheritance': True}


INCLUDE = re.compile(r'^```\{include\} (.+)\n```$', re.M)
LINK = re.compile(r'\]\((?!\w+:|#)([^)#\s]+)')


def link(match: re.Match, home: Path, page: Path) -> str:
    """A link of a file in ``home`` as one of the page: READMEs of configs are part of the pages of their methods."""
    target = (home / match[1]).resolve()
    parts = target.relative_to(DOCS.parent).parts
    if parts == ('README.md',):
        target = DOCS / 'index.md'
    elif parts == ('configs', 'README.md'):
        target = DOCS / 'configs.md'
    elif parts[0] == 'configs' and parts[-1] == 'README.md':
        target = DOCS / 'methods' / f'{parts[1]}.md'
    return f']({os.path.relpath(target, page.parent)}'


def include(match: re.Match, page: Path) -> str:
    """The named file without its title, its headings one level lower, its links those of the page."""
    path = page.parent / match[1]
    _, text = path.read_text().split('\n', 1)
    return LINK.sub(lambda m: link(m, path.parent, page), re.sub(r'^#', '##', text, flags=re.M))


def whole(app: Sphinx, name: str, source: list[str]) -> None:
    page = DOCS / f'{name}.md'
    if page.is_file():
        text = LINK.sub(lambda m: link(m, page.parent, page), source[0])
        source[0] = INCLUDE.sub(lambda m: include(m, page), text)


def by_own_name(app: Sphinx, env, node: pending_xref, text: nodes.Element) -> nodes.Element | None:
    """``mmseg_adapt.methods.DACS``, as docstrings call it, is documented as ``mmseg_adapt.methods.dacs.DACS``."""
    room, _, name = node.get('reftarget', '').rpartition('.')
    if node.get('refdomain') != 'py' or not room.startswith('mmseg_adapt'):
        return None
    found = getattr(importlib.import_module(room), name, None)
    target = f'{getattr(found, "__module__", room)}.{name}'
    if target == node['reftarget']:
        return None
    domain = env.get_domain('py')
    return domain.resolve_xref(env, node['refdoc'], app.builder, node['reftype'], target, node, text)


def setup(app: Sphinx) -> None:
    app.connect('source-read', whole)
    app.connect('missing-reference', by_own_name)
