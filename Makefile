# make demo    the whole method in minutes on a CPU        make test       the test suite
# make lint    ruff and codespell                          test-slow  its long tests
# make formats reads pre-labels back with the libraries    test-slow  its long tests
#              of the annotation tools
# STACK=onedl with any of them: the same on the maintained fork of OpenMMLab
# Each target makes its own virtual environment; a second call reuses it.
PYTHON ?= python3
STACK ?= upstream
SEED ?= 0
VENV := $(if $(filter onedl,$(STACK)),.venv-onedl,.venv)
REQUIREMENTS := $(if $(filter onedl,$(STACK)),requirements-onedl.txt,requirements.txt)
PY := $(VENV)/bin/python

.PHONY: demo test test-slow formats lint clean

demo: $(VENV)/ready
	$(PY) -W ignore tools/demo.py --seed $(SEED)

test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 8 --dist worksteal -m 'not slow'

test-slow: $(VENV)/ready
	OMP_NUM_THREADS=1 $(PY) -m pytest -m slow

# The libraries with which annotation tools read pre-labels: they need versions of NumPy and OpenCV of their own
formats: .venv-formats/ready $(VENV)/ready
	$(PY) -m pytest -m slow tests/test_prelabels.py

.venv-formats/ready:
	$(PYTHON) -m venv .venv-formats
	.venv-formats/bin/python -m pip install -q datumaro==1.13.12 label-studio-sdk==2.1.2
	touch $@

lint: $(VENV)/ready
	$(PY) -m pip install -q -e '.[lint]'
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib

# opencv-python needs libGL, which a bare server or container lacks: the headless build of the same version then replaces it
$(VENV)/ready: $(REQUIREMENTS) setup.py pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'run: apt install python3-venv'; exit 1; }
	$(PY) -m pip install -q -r $(REQUIREMENTS) -e '.[test]'
	$(PY) -c 'import cv2' 2>/dev/null || $(PY) -m pip install -q --force-reinstall --no-deps \
	    opencv-python-headless==$$($(PY) -c 'from importlib.metadata import version; print(version("opencv-python"))')
	touch $@

clean:
	rm -rf .venv .venv-onedl .venv-formats build *.egg-info
