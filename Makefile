# The two commands are `make demo` and `make test`; both install what they need.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
# Pure folders: to collect their tests loads no torch, Ray or MLflow, but for two files of
# exactness, which is torch's own affair.
PURE   := $(addprefix tests/,measurements store published evidence selection evaluation report tasks labelling api cli cluster)
# Of these, what two cores run in about a minute.
FAST   := $(addprefix tests/,measurements evidence selection report labelling)
PYTEST  = $(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder
# Set before torch is imported: the small models of the suite lose more to threads than they win.
export OMP_NUM_THREADS ?= 1
export RAY_USAGE_STATS_ENABLED ?= 0
# Where the surroundings forbid bytecode, every process would compile torch anew: 8 s each.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check format bench bench-base bench-cluster chaos browser lock licences audit wheel clean

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -c 'import sys; sys.exit("vlmsel needs Python 3.11 or newer: make setup PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	@$(PY) -m pip install --quiet --disable-pip-version-check "uv>=0.8,<1"
	$(VENV)/bin/uv pip install --compile-bytecode --python $(PY) --require-hashes -r requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --editable .
	@touch $@

setup: $(STAMP) ## install everything into .venv (needs only Python >= 3.11 and make)

demo: $(STAMP) ## rank the embedded zoo for a task and write a report to open
	$(VENV)/bin/vlmsel demo

test: $(STAMP) ## run the whole test suite
	$(PYTEST)

test-fast: $(STAMP) ## run the quickest pure folders, in about a minute
	$(PYTEST) $(FAST)

check: $(STAMP) ## lint, types, import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright

format: $(STAMP) ## format and fix what can be fixed
	$(VENV)/bin/ruff check --fix-only --quiet .
	$(VENV)/bin/ruff format --quiet .

bench: $(STAMP) ## speed, as ratios measured in one run
	$(PY) bench/attribution.py
	$(PY) bench/divergence.py
	$(PY) bench/sweep.py
	$(PY) bench/passes.py
	$(PY) bench/ranking.py
	$(PY) bench/startup.py

bench-base: $(STAMP) ## measure what `make bench` compares ranking with: commit db16f25
	$(PY) bench/ranking.py --base

bench-cluster: $(STAMP) ## scaling, cost of a kill, planning at scale
	$(PY) bench/planning.py
	$(PY) bench/cluster.py

chaos: $(STAMP) ## kill, stop and cut off runs at random, count lost cells
	$(PY) bench/chaos.py

browser: ## a browser for the report's test (Debian, as root; elsewhere the test says why it skips)
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } || \
	  echo "no chromium: install it to run the browser test"

lock: $(STAMP) ## resolve the dependencies anew (names, versions and hashes only)
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --group dev --all-extras pyproject.toml --output-file requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header -c requirements.lock \
	  --all-extras pyproject.toml --output-file requirements-runtime.lock

licences: $(STAMP) ## list the licences of what runs
	$(PY) .ci/dependencies.py licences

audit: $(STAMP) ## ask a database for known vulnerabilities; says "not checked" where none answers
	PATH="$(VENV)/bin:$$PATH" $(PY) .ci/dependencies.py audit

wheel: $(STAMP) ## build the wheel that the cluster image installs
	$(VENV)/bin/uv build --quiet --wheel

clean: ## remove what was built; the store and .venv stay
	rm -rf dist build .pytest_cache .ruff_cache .hypothesis *.egg-info
