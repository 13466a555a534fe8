# The commands of development. Each target sets up what it needs: the virtual environment is created once, and
# again only when pyproject.toml changes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Each test process and each command that a test starts would compile all files anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-long crash simulate check docs site changelog lock bench bench-full release-check format clean help

help:            ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

demo: $(READY)   ## a tour of the program on the local sandbox, about a minute
	$(BIN)/astica-sync demo

# The unit tests alone reach every branch of the files in [tool.coverage.run], so that measuring slows nothing else. The
# tests that take seconds reach all of the code as well: what test-long adds is more settings, more cycles and longer
# days. More tests than cores run at a time where many of them wait for processes.
UNIT := tests/core tests/local tests/sync tests/training

test: $(READY) check  ## formatting, lint, types and all tests that take seconds, in under five minutes
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 3 --dist worksteal -m "not long" $(UNIT)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not long" --ignore tests/simulation $(addprefix --ignore ,$(UNIT))
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not long" tests/simulation

test-long: $(READY)  ## the tests that "make test" leaves out
	$(BIN)/python -m pytest -n 4 --dist worksteal -m long

crash: $(READY)  ## kill pushes (KIND=trainings: trainings) at random moments, N times, while answers are lost
	$(BIN)/python -m tests.crash $(or $(KIND),pushes) --cycles $(or $(N),200) --photos $(or $(PHOTOS),fixtures/store)

simulate: $(READY) ## play N random walks of the simulation on all cores, from SEED (make simulate N=100000)
	$(BIN)/python -m tests.simulation --walks $(or $(N),10000) $(if $(SEED),--seed $(SEED)) --jobs $(or $(JOBS),$(shell getconf _NPROCESSORS_ONLN))

check: $(READY)  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)   ## write the generated pages, the outputs that pages show, and the picture again
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/console_examples.py
	$(BIN)/python docs/picture.py

site: $(READY)   ## build the manual as a site in site/html
	$(BIN)/python docs/build_site.py

bench: $(READY)  ## run the small benchmarks, minutes
	$(BIN)/python -m benchmarks $(BENCH)

bench-full: $(READY)  ## the benchmarks with a million files, hours; writes bench-full.json, .md and .svg
	$(BIN)/python -m benchmarks --full --json bench-full.json --markdown bench-full.md --plot bench-full.svg $(BENCH)

release-check: $(READY)  ## build the packages, install them in every way in empty homes, and run the demo each time
	$(BIN)/python release/check.py

changelog: $(READY)  ## move the files in changes to CHANGELOG.md, for a release
	$(BIN)/towncrier build --yes --version "$$($(BIN)/python -c 'import astica_sync; print(astica_sync.__version__)')"

lock: $(READY)   ## write uv.lock again, after a change of the dependencies
	$(BIN)/uv lock

format: $(READY) ## format, and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:           ## remove what the targets created
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* site

# pip installs dependency groups since 25.1, newer than the one many Pythons bundle.
$(READY): pyproject.toml hatch_build.py page_assets/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "astica-sync needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[evaluate,page,sandbox]' --group dev --group docs
	@touch $(READY)
