"""What surrounds the code: one version everywhere, forms and workflows that call what exists, pinned linters."""

import re
import sys

import yaml

from .tiny import REPO

sys.path.insert(0, str(REPO / '.ci'))
import versions  # noqa: E402

TARGETS = re.findall(r'^([\w-]+):', (REPO / 'Makefile').read_text(), re.M)


def test_every_file_that_names_the_version_names_the_same():
    assert versions.problems(REPO, release=False) == []


def test_a_version_or_a_date_that_differs_is_named(tmp_path):
    (tmp_path / 'mmseg_adapt').mkdir()
    (tmp_path / 'mmseg_adapt/__init__.py').write_text("__version__ = '1.1'\n")
    (tmp_path / 'CITATION.cff').write_text('cff-version: 1.2.0\nversion: 1.1\ndate-released: 2030-01-02\n')
    changes = tmp_path / 'CHANGELOG.md'
    changes.write_text('# Changelog\n\n## 1.1 (2030-01-02)\n\n## 1.0 (2029-01-02)\n')
    assert versions.problems(tmp_path, release=True) == []
    changes.write_text('# Changelog\n\n## 1.2 (unreleased)\n\n## 1.1 (2030-01-02)\n')
    (differ,) = versions.problems(tmp_path, release=False)
    assert 'CHANGELOG.md says 1.2' in differ
    assert 'CHANGELOG.md must name the date' in versions.problems(tmp_path, release=True)[1]


def test_workflows_and_contributing_call_targets_that_exist():
    assert {'test', 'lint', 'types', 'docs', 'coverage', 'wheel-check', 'release-check'} <= {*TARGETS}
    files = [
        *REPO.glob('.github/workflows/*.yml'),
        REPO / '.ci/run',
        REPO / 'CONTRIBUTING.md',
        REPO / '.pre-commit-config.yaml',
    ]
    for file in files:
        called = re.findall(r'(?:^|run: |`|entry: )make ((?:[\w-]+ ?)+)', file.read_text(), re.M)
        assert called, file
        assert {target for text in called for target in text.split()} - {'STACK', 'PYTHON'} <= {*TARGETS}, file


def test_every_workflow_has_jobs_that_run_something():
    for file in REPO.glob('.github/workflows/*.yml'):
        workflow = yaml.safe_load(file.read_text())
        assert workflow[True]  # "on", as YAML 1.1 reads it
        for job in workflow['jobs'].values():
            assert any('run' in step for step in job['steps'])


def test_issue_forms_have_what_github_asks_for():
    forms = [file for file in REPO.glob('.github/ISSUE_TEMPLATE/*.yml') if file.name != 'config.yml']
    assert len(forms) == 3
    for file in forms:
        form = yaml.safe_load(file.read_text())
        assert form['name'] and form['description']
        fields = [part for part in form['body'] if part['type'] != 'markdown']
        assert len({field['id'] for field in fields}) == len(fields)
        assert all(field['attributes']['label'] for field in fields)


def test_the_image_installs_the_pytorch_that_the_requirements_name():
    image = re.findall(r'(torch(?:vision)?==[\d.]+)', (REPO / 'Dockerfile').read_text())
    for name in ('requirements.txt', 'requirements-onedl.txt'):
        assert re.findall(r'^torch.*$', (REPO / name).read_text(), re.M) == image


def test_what_the_image_copies_exists():
    kept = re.findall(r'^!(.+)$', (REPO / '.dockerignore').read_text(), re.M)
    assert all(list(REPO.glob(name)) for name in kept)
    for name in re.findall(r'^(?:include|graft) (.+)$', (REPO / 'MANIFEST.in').read_text(), re.M):
        assert all(any(path.match(k) for k in kept) for path in map(REPO.joinpath, name.split()))


def test_linters_are_pinned():
    (lint,) = re.findall(r'^lint = \[(.*?)\]', (REPO / 'pyproject.toml').read_text(), re.M)
    assert {'ruff', 'codespell', 'mypy'} <= {*re.findall(r'"([\w-]+)==', lint)}
