# Every target sets up what it needs; `make help` lists them. No root, no Docker, no running service.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PYTEST ?=

.DEFAULT_GOAL := help
.PHONY: help demo run test long check bench doctor clean-state

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## two phones talk through a real Asterisk: timeline, CDR, and how to do it by curl
	@$(BIN)/trunkline demo

run: $(READY) ## the stack in var/ (or TRUNKLINE_STATE) until ^C
	@exec $(BIN)/trunkline run

test: $(READY) ## every kind of test at a scale that fits ten minutes
	$(BIN)/python -m pytest tests -m "not long" -n 3 --dist loadfile $(PYTEST)

long: $(READY) ## the full sizes, with time limits
	$(BIN)/python -m pytest tests -m long $(PYTEST)

check: $(READY) ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY) ## the engine against a bare ARI client, and what menus, announcements and detection cost
	$(BIN)/python -m tests.bench

doctor: $(READY) ## what is wrong on this machine, and how to mend it
	@$(BIN)/trunkline doctor

clean-state: ## delete var/ (calls, CDRs, secrets); what runs there is to be stopped first
	@! test -e var/stack.json || { echo "a stack runs in var/ (or was killed): stop it, or delete var/stack.json"; exit 1; }
	rm -rf var

# The lock file has the hash of each package; ours is installed on top of it as it stands in this checkout.
$(READY): requirements.lock pyproject.toml
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV); \
	  uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	else \
	  test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "$(PYTHON) can't make a virtual environment: install the package python3-venv, or uv"; exit 1; }; \
	  $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null || { \
	    echo "$(VENV) has no pip: delete it and try again"; exit 1; }; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; \
	fi
	@touch $@
