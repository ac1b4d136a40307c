# What one types here. `make demo` and `make test` set everything up by themselves in .venv: all they need is
# Python 3.11 or newer, make, and the network the first time.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
APT := DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable

.PHONY: help demo test lint types tests browser paper lock format screenshots clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## a simulated session, live in the browser: DEMO="--movies 30 --every 4"
	$(BIN)/cryowidgets demo $(DEMO)

test: lint types tests ## style, types, import contracts and all tests

lint: $(READY) ## style
	$(BIN)/ruff check

types: $(READY) ## types of model, kernels and store
	$(BIN)/mypy

tests: $(READY) browser paper ## the tests: TESTS="tests/kernels -k dose" for some of them
ifdef TESTS
	$(BIN)/pytest $(TESTS)
else
	$(BIN)/pytest -n 2 --dist loadfile
endif

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix

screenshots: $(READY) browser ## take the pictures anew: session, wizard, workflow, library
	$(BIN)/python notebooks/images/session.py
	$(BIN)/python notebooks/images/workflow.py

# The lock is one for all Pythons and systems, with hashes and without any address.
lock: ## resolve requirements.lock anew
	@test -x $(BIN)/uv || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--extra test --group build --output-file requirements.lock pyproject.toml

clean: ## remove .venv and what the tools leave behind
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Bytecode is compiled here since many machines forbid Python to write it later, and then every kernel and worker that
# starts pays for it: 16 s instead of 7 s of import. The loops of the kernels are compiled as well, lest the first movie
# wait for them.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11 or missing: install Python 3.11, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || \
			{ echo "$(PYTHON) cannot make virtual environments: ask for the package python3-venv." >&2; exit 1; }; \
		$(APT) update && $(APT) install -y --no-install-recommends python3-venv; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@echo "Setting up .venv from requirements.lock: a minute or two, this once."
	@awk '/^[a-z]/ { wanted = /^uv==/ } wanted' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q cryowidgets
	@$(BIN)/cryowidgets compile
	@touch $@

# A browser, and what the driver that playwright brings needs besides.
browser: $(READY)
	@found=$${CRYOWIDGETS_CHROMIUM:-}; \
	for name in $(BROWSERS); do found=$${found:-$$(command -v $$name || true)}; done; \
	if [ -n "$$found" ] && .venv/lib/python3*/site-packages/playwright/driver/node --version >/dev/null 2>&1; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		$(APT) update && $(APT) install -y --no-install-recommends chromium fonts-liberation libatomic1; \
	else \
		echo "The tests of the page need a browser: ask for the packages chromium and libatomic1, or name one:" \
			"make test CRYOWIDGETS_CHROMIUM=/path/to/chrome" >&2; exit 1; \
	fi

# What WeasyPrint draws reports with, and letters.
paper: $(READY)
	@if $(BIN)/python -c 'import weasyprint' 2>/dev/null && [ -n "$$(find /usr/share/fonts -name '*.ttf' -print -quit 2>/dev/null)" ]; then exit 0; fi; \
	packages="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		$(APT) update && $(APT) install -y --no-install-recommends $$packages; \
	else \
		echo "The tests of reports on paper need libraries: ask for the packages $$packages" >&2; exit 1; \
	fi
