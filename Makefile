# make demo    the whole method in minutes on a CPU        make test       the test suite        test-slow  its long tests
# make lint    ruff and codespell    make types  mypy      make coverage   lines that no fast test runs
# make formats   pre-labels, read back with the annotation tools' own libraries
# make docs    the site, in build/docs                     make wheel-check    the wheel, installed where no clone is
# make release-check   lint, types, wheel, one version and date everywhere
# STACK=onedl with any of them: the same on the maintained fork of OpenMMLab. STACK=lowest PYTHON=python3.10: on torch 2.6.
# Each target makes its own virtual environment; a second call reuses it.
PYTHON ?= python3
STACK ?= upstream
SEED ?= 0
SUFFIX := $(if $(filter-out upstream,$(STACK)),-$(STACK))
VENV := .venv$(SUFFIX)
REQUIREMENTS := requirements$(SUFFIX).txt
PY := $(VENV)/bin/python
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest
FAST := -n auto --maxprocesses 8 --dist worksteal -m 'not slow'

.PHONY: demo test test-slow formats coverage lint types docs wheel-check release-check newest clean

demo: $(VENV)/ready
	$(PY) -W ignore tools/demo.py --seed $(SEED)

test: $(VENV)/ready
	$(PYTEST) $(FAST)

test-slow: $(VENV)/ready
	$(PYTEST) -m slow

# The libraries with which annotation tools read pre-labels: they need versions of NumPy and OpenCV of their own
formats: .venv-formats/ready $(VENV)/ready
	$(PY) -m pytest -m slow tests/test_prelabels.py

.venv-formats/ready:
	$(PYTHON) -m venv .venv-formats
	.venv-formats/bin/python -m pip install -q datumaro==1.13.12 label-studio-sdk==2.1.2
	touch $@

coverage: $(VENV)/ready
	$(PY) -m pip install -q pytest-cov
	$(PYTEST) $(FAST) --cov=mmseg_adapt --cov-report=term-missing:skip-covered

lint: $(VENV)/linters
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib

types: $(VENV)/linters
	$(PY) -m mypy

docs: $(VENV)/ready
	$(PY) -m pip install -q -e '.[docs]'
	$(PY) -W ignore -m sphinx -b html -W --keep-going -q docs build/docs

wheel-check: $(VENV)/ready
	.ci/wheel.sh $(PY)

release-check: lint types wheel-check
	$(PY) .ci/versions.py --release

newest: $(VENV)/ready
	$(PY) -m pip install -q --upgrade --upgrade-strategy eager -e '.[$(STACK),test]'

# opencv-python needs libGL, which a bare server or container lacks: the headless build of the same version then replaces it
$(VENV)/ready: $(REQUIREMENTS) setup.py pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'run: apt install python3-venv'; exit 1; }
	$(PY) -m pip install -q -r $(REQUIREMENTS) -e '.[test]'
	$(PY) -c 'import cv2' 2>/dev/null || $(PY) -m pip install -q --force-reinstall --no-deps \
	    opencv-python-headless==$$($(PY) -c 'from importlib.metadata import version; print(version("opencv-python"))')
	touch $@

$(VENV)/linters: $(VENV)/ready
	$(PY) -m pip install -q -e '.[lint]'
	touch $@

clean:
	rm -rf .venv .venv-onedl .venv-lowest .venv-formats build *.egg-info
