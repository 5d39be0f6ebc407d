# make setup   .venv with fitwell and everything it is built and tested with
# make cure    setup, then the main job on real data (ARGS="--budget 1min" to change it)
# make texts   setup, then new texts of stories and reports found, and their translations compiled
# make test    setup, then format, lint, layers, types and tests (ARGS="-m 'not slow'" for the quick ones)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TASK   ?= mnist-small
ARGS   ?=
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# One thread a process: on small networks more threads are slower, and the processes share the cores.
export OMP_NUM_THREADS := 1

.PHONY: setup cure test check texts clean

setup: $(STAMP)

LOCALE := src/fitwell/locale

# torch comes first, so that nothing else picks another build of it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fitwell needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[dev]'
	@touch $@

cure: setup
	$(BIN)/fitwell cure $(TASK) $(ARGS)

check: setup
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/lint-imports
	$(BIN)/mypy

test: check
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

# The compiler takes "95 % interval" for a C format: what it says of that is passed over.
texts: setup
	$(BIN)/pybabel -q extract --mapping-file $(LOCALE)/babel.cfg --no-default-keywords --keywords say --keywords say_many:1,2 --no-location --sort-output --no-wrap --output $(VENV)/fitwell.pot src/fitwell
	$(BIN)/pybabel -q update --domain fitwell --input-file $(VENV)/fitwell.pot --output-dir $(LOCALE) --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --no-wrap
	-$(BIN)/pybabel -q compile --domain fitwell --directory $(LOCALE)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
