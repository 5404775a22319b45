# Everything here lives in .venv and build/; the system is not touched (make test adds Chromium if there is none).
#
#   make demo      the quickstart from end to end, in the terminal
#   make lab       the quickstart in JupyterLab
#   make test      what CI runs: lint, then all tests but the long ones, against the built wheel
#   make test-all  the long ones too
#   make gallery   the pictures of docs/, drawn anew by a real JupyterLab
#   make bench     nbtasks beside its peers, about an hour on a quiet machine (ARGS="--peers nbtasks,celery --rounds 1");
#                  also: bench-quick (does it all work?), bench-check (against stored bounds), bench-kill9, bench-brokers,
#                  bench-notebook
#   make lint      format, style, types, import contract, shape, reference (also: make check); make format repairs what it can
#   make clean     remove .venv and everything built

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.NOTPARALLEL:
# Everything started from .venv would compile anew what it imports, which takes longer than most tests.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
# Tests wait a third of their time: five processes keep two cores busy. More cores take more: make test JOBS=8
JOBS   ?= 5
# Extra arguments for pytest: make test ARGS="-k card -x"
ARGS   ?=

ROOT   := $(CURDIR)
VENV   := $(ROOT)/.venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
WHEELS := $(ROOT)/build/wheel

# What the wheel is made of; the stamps below are rebuilt when one of these is newer.
SOURCES := $(shell find nbtasks -type f -not -name '*.pyc') LICENSE README.md pyproject.toml

.PHONY: help demo lab test test-all gallery bench bench-quick bench-check bench-kill9 bench-brokers bench-notebook lint check format wheel clean

help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

# --- the environment ----------------------------------------------------------

$(STAMPS)/venv:
	@.ci/python-suits "$(PYTHON)"
	.ci/environment make "$(PYTHON)"
	mkdir -p $(STAMPS)
	touch $@

$(STAMPS)/wheel: $(SOURCES) | $(STAMPS)/venv
	rm -rf "$(WHEELS)"
	.ci/environment wheel "$(ROOT)" "$(WHEELS)"
	touch $@

# Dependencies change with pyproject.toml only; the wheel on top of them is put in without looking at them again.
$(STAMPS)/deps-%: pyproject.toml | $(STAMPS)/wheel
	.ci/environment install --group "$(ROOT)/pyproject.toml:$*" "$$(ls $(WHEELS)/*.whl)[jupyter]"
	touch $@

$(STAMPS)/installed: $(STAMPS)/wheel
	.ci/environment install --no-deps --force-reinstall $(WHEELS)/*.whl
	touch $@

$(STAMPS)/chromium: .ci/chromium | $(STAMPS)/deps-test
	.ci/chromium "$(BIN)/python"
	touch $@

wheel: $(STAMPS)/wheel

# --- what a person types ------------------------------------------------------

demo: $(STAMPS)/deps-demo $(STAMPS)/installed
	$(BIN)/python notebooks/demo.py --out "$(ROOT)/build/demo"

lab: $(STAMPS)/deps-lab $(STAMPS)/installed
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/00_quickstart.ipynb

lint: $(STAMPS)/deps-lint $(STAMPS)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python .ci/shape.py
	$(BIN)/python .ci/reference.py --check
	@.ci/page-types

check: lint

format: $(STAMPS)/deps-lint $(STAMPS)/installed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/python .ci/reference.py

# The tests run from an empty folder, where the checkout's nbtasks/ cannot be imported: what is tested is the wheel.
PYTEST = mkdir -p build/cwd && cd build/cwd && NBTASKS_TEST_WHEEL=1 $(BIN)/pytest \
	-c "$(ROOT)/pyproject.toml" --rootdir "$(ROOT)" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(1) $(ARGS) "$(ROOT)/tests"

test: lint $(STAMPS)/deps-test $(STAMPS)/installed $(STAMPS)/chromium
	$(call PYTEST)

test-all: lint $(STAMPS)/deps-test $(STAMPS)/deps-executors $(STAMPS)/installed $(STAMPS)/chromium
	.ci/iproute2
	$(call PYTEST,-m "long or not long")

gallery: $(STAMPS)/deps-test $(STAMPS)/installed $(STAMPS)/chromium
	mkdir -p build/cwd && cd build/cwd && NBTASKS_TEST_WHEEL=1 NBTASKS_DOC_IMAGES=1 $(BIN)/pytest \
		-c "$(ROOT)/pyproject.toml" --rootdir "$(ROOT)" -m "long or not long" $(ARGS) \
		"$(ROOT)/tests/browser/test_gallery.py" "$(ROOT)/tests/browser/test_dashboard_gallery.py" \
		"$(ROOT)/tests/browser/test_quickstart.py"

# Each peer gets an environment of its own in build/bench-envs; this one only runs and reports.
BENCH = $(BIN)/python -m

bench: $(STAMPS)/deps-bench $(STAMPS)/installed
	$(BENCH) benchmarks $(ARGS)

bench-quick: $(STAMPS)/deps-bench $(STAMPS)/installed
	$(BENCH) benchmarks --quick $(ARGS)

bench-check: $(STAMPS)/deps-bench $(STAMPS)/installed
	$(BENCH) benchmarks --check --out build/bench/check $(ARGS)

bench-kill9: $(STAMPS)/deps-bench $(STAMPS)/installed
	$(BENCH) benchmarks.kill9 $(ARGS)

bench-brokers: $(STAMPS)/deps-bench $(STAMPS)/deps-test $(STAMPS)/installed
	$(BENCH) benchmarks.brokers $(ARGS)

bench-notebook: $(STAMPS)/deps-bench $(STAMPS)/deps-test $(STAMPS)/installed $(STAMPS)/chromium
	$(BENCH) benchmarks.notebook $(ARGS)

clean:
	rm -rf "$(VENV)" build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
