# Everything a developer types. `make help` lists it; nothing needs to be run before anything else.
# Needs: git, make, and Python 3.11 or newer with venv (Debian: python3-venv).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# More for the command behind a target: make test ARGS="-k rollback", make demo ARGS="--story slow".
ARGS ?=
# What `make image` builds; the overlays in deploy/ name the same.
IMAGE ?= responder:0.1.0

COMPILE := build/lock/bin/uv --quiet pip compile pyproject.toml build/lock/requirements.in --universal \
  --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests and figures start many processes: compiling every module anew took most of each one's start.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help venv binaries demo test test-slow test-crash bench lint check image lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Install exactly what requirements.lock says into .venv

# The project itself is built with the locked setuptools, so nothing is fetched that the lock does not name.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

binaries: ## Fetch Debian's Prometheus and Alertmanager into build/real
	@.ci/fetch-binaries || { \
	  if [ "$${RESPONDER_REQUIRE_REAL:-}" = 1 ]; then exit 1; fi; \
	  echo "make: going on without the real Prometheus and Alertmanager; what needs them is left out and says so."; }

demo: venv binaries ## Watch the responder roll a bad release back (about two and a half minutes)
	$(BIN)/responder demo $(ARGS)

test: venv binaries ## Run all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal $(ARGS)

# 5 is pytest's word for "no test of that kind".
test-slow: venv binaries ## Run the slow tests
	$(BIN)/python -m pytest -m "slow and not crash" -n auto --dist worksteal $(ARGS) || [ $$? -eq 5 ]

test-crash: venv ## Kill the responder at every step of every story
	$(BIN)/python -m pytest -m crash tests/crash $(ARGS)

bench: venv ## Measure from webhook to undo, take-overs, a storm (about 20 minutes; ARGS=storm: one part)
	$(BIN)/python -m responder.sandbox.bench $(ARGS)

lint: venv ## Check format, style, types and the layers of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## Everything to run before a commit

image: ## Build the container image with podman or docker (IMAGE=name:tag)
	@engine=$$(command -v podman || command -v docker) || { \
	  echo "make: neither podman nor docker is here; install one, or build Containerfile elsewhere" >&2; exit 1; }; \
	"$$engine" build --file Containerfile --tag "$(IMAGE)" $(ARGS) .

# The image's libraries are those of requirements.lock that serving needs.
lock: ## Write both lock files anew (UPGRADE=--upgrade takes newer versions)
	@test -x build/lock/bin/uv || { $(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv; }
	@echo "setuptools>=70.1  # builds editable packages without further help" > build/lock/requirements.in
	$(COMPILE) --output-file requirements.lock --all-extras $(UPGRADE)
	$(COMPILE) --output-file requirements-image.lock --constraint requirements.lock $(UPGRADE)

clean: ## Remove all that was built or installed here
	rm -rf build $(VENV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find responder tests -name __pycache__ -type d -prune -exec rm -rf {} +
