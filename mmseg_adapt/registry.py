"""Children of MMSegmentation's registries for configs that are inherited as ``mmseg_adapt::…``.

Everything here is registered straight into ``mmseg.registry``. MMEngine builds what it reads from ``package::config``
in a scope named like the package and looks for ``package.registry``. These empty children pass the search on to
mmseg's registries. They also import the modules that fill those, since a child does not ask its parent to.
"""

from mmengine.registry import Registry
from mmseg import registry as mmseg_registry

for _name, _parent in vars(mmseg_registry).items():
    if isinstance(_parent, Registry):
        globals()[_name] = Registry(_parent.name, parent=_parent, scope='mmseg_adapt', locations=_parent._locations)
