"""The steps in a pipeline's config, which of them load labels, and the same steps without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

LABEL_LOADERS = ('LoadAnnotations', 'LoadLabels')


def steps_of(node) -> Iterator[str]:
    """The types of all steps of a pipeline, including nested steps."""
    if isinstance(node, dict):
        yield from [node['type']] if 'type' in node else []
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from steps_of(child)


def unlabelled(pipeline: Sequence[dict]) -> list[dict]:
    """The same steps without labels: no label is loaded, and no crop depends on classes."""
    steps = [dict(step) for step in pipeline if step['type'] not in LABEL_LOADERS]
    for step in steps:
        if 'cat_max_ratio' in step:
            step['cat_max_ratio'] = 1.0
        if step['type'] == 'Cached':
            step['transforms'] = unlabelled(step['transforms'])
    return steps
