"""What the config of a pipeline says: its steps, which of them load labels, and the same steps without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LABEL_LOADERS = ('LoadAnnotations', 'LoadLabels')


def steps_of(node) -> Iterator[str]:
    """The types of all steps of a pipeline, of those within other steps too."""
    if isinstance(node, dict):
        yield from [node['type']] if 'type' in node else []
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from steps_of(child)


def unlabelled(pipeline: Sequence[dict]) -> list[dict]:
    """The same steps without labels: none are loaded, and no crop looks at the classes in it."""
    steps = [dict(step) for step in pipeline if step['type'] not in LABEL_LOADERS]
    for step in steps:
        if 'cat_max_ratio' in step:
            step['cat_max_ratio'] = 1.0
        if step['type'] == 'Cached':
            step['transforms'] = unlabelled(step['transforms'])
    return steps
