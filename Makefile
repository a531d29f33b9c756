# Entrepot. `make run` and `make test` need python3 (3.11 or newer, with venv) and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test test-all check format bench soak docs lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

$(VENV)/.run: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Entrepot needs Python 3.11 or newer: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps --progress-bar on -r requirements/run.lock
	@echo "$(CURDIR)/src" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/entrepot.pth"
	@printf '#!/bin/sh\nexec "%s/python" -m entrepot "$$@"\n' "$(CURDIR)/$(BIN)" > $(BIN)/entrepot && chmod +x $(BIN)/entrepot
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "installing the locked development tools into $(VENV)"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps --progress-bar on -r requirements/dev.lock
	@touch $@

run: $(VENV)/.run  ## install if needed and start the registry on 127.0.0.1:5000, data in ./data
	@$(BIN)/python -m entrepot serve

test: $(VENV)/.dev  ## the tests that need nothing but Python
	@$(BIN)/python -m pytest -n auto -m "not postgresql and not blackbox and not broad and not soak"

test-all: $(VENV)/.dev  ## the tests that need PostgreSQL, Docker Engine, helm, Go-built clients; installs them
	@tests/blackbox/run-all

check: $(VENV)/.dev  ## ruff, mypy, import-linter, generated docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m entrepot.cli.reference --check docs/reference

format: $(VENV)/.dev  ## let ruff format and mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev  ## ratios beside docker-registry and distribution, in one run
	@$(BIN)/python -m bench

soak: $(VENV)/.dev  ## 20 GiB layers, long fuzz, chaos
	@$(BIN)/python -m pytest -m soak -s --timeout 7200

docs: $(VENV)/.dev  ## write the generated reference pages
	@$(BIN)/python -m entrepot.cli.reference docs/reference

lock:  ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements/run.lock pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -c requirements/run.lock --group dev -o requirements/dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache
