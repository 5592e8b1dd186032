"""Named shims for the OpenMMLab stacks, each with its reason and the version that makes it obsolete.

Only :mod:`.stack` is imported here: it must run before ``mmseg`` is imported.
"""

from .stack import (
    allow_mmengine_checkpoints,
    has_compiled_ops,
    is_installed,
    let_lists_mix_files_and_arrays,
    name_the_fork,
    name_this_package,
    require_stack,
    stub_missing_ops,
    use_gloo_without_gpu,
    version_of,
)

__all__ = [
    'allow_mmengine_checkpoints',
    'has_compiled_ops',
    'is_installed',
    'let_lists_mix_files_and_arrays',
    'name_the_fork',
    'name_this_package',
    'require_stack',
    'stub_missing_ops',
    'use_gloo_without_gpu',
    'version_of',
]
