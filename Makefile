# The developer's commands. Every target does its own set-up: the virtual environment is made once
# and made again only when pyproject.toml changes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test check docs bench format clean help

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: $(READY)   ## the whole story on the local sandbox, about a minute
	$(BIN)/astica-sync demo

test: $(READY) check  ## lint, types, docs checks and the whole test-suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY)  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)   ## write the generated pages again
	$(BIN)/python docs/generate.py

bench: $(READY)  ## the small benchmarks, minutes
	$(BIN)/python -m benchmarks

format: $(READY) ## format and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:           ## remove what the targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# pip installs dependency groups since 25.1, newer than the one many Pythons bundle.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "astica-sync needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[sandbox]' --group dev
	@touch $(READY)
