# One command runs what CI runs, and prints how long each stage took.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Tests run in so many processes; 0 is one, which a debugger can follow. Three on two cores, since
# some wait for disks, deadlines and programs that they have started.
WORKERS ?= 3
export WORKERS
ROOMS  := actors api beadflow cli storage supervision benchmarks tests

QUESTION := Which SQLite client library should this project use?

.PHONY: setup setup313 run test tracer redis compiled collected lint unit py313 bench soak clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "beadflow needs Python 3.11 or newer: make PYTHON=/path/to/python3")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The main job, on this very repository: a system in one process, one workflow, its report.
run: setup
	@$(BIN)/beadflow workflow start research "$(QUESTION)" \
	  --var question="$(QUESTION)" --var candidates=aiosqlite,apsw,sqlalchemy --watch

test:
	@scripts/stages setup+setup313 lint+collected unit py313

# Power cuts and I/O faults are traced; without strace those tests are skipped, and say so.
tracer:
	@test "$${CI:-}" != true || command -v strace >/dev/null || test "$$(id -u)" != 0 \
	  || (timeout 60 apt-get update -qq && timeout 120 apt-get install -y -qq --no-install-recommends strace) >/dev/null 2>&1 \
	  || echo "strace could not be installed: power cuts and I/O faults are not tested"

# The second level of the cache is tested with a real Redis; without it those tests are skipped.
redis:
	@test "$${CI:-}" != true || command -v redis-server >/dev/null || test "$$(id -u)" != 0 \
	  || (timeout 60 apt-get update -qq && timeout 120 apt-get install -y -qq --no-install-recommends redis-server) >/dev/null 2>&1 \
	  || echo "redis-server could not be installed: the cache is not tested with it"

lint: setup
	$(BIN)/ruff format --check $(ROOMS)
	$(BIN)/ruff check $(ROOMS)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell $(ROOMS) docs README.md CHANGELOG.md

# Hundreds of tests start beadflow as a program, and some machines keep nothing that was compiled.
compiled: setup
	@$(BIN)/python -m compileall -q $(ROOMS)

# Each process that runs tests rewrites all of them for their asserts, unless that has been kept.
collected: compiled
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --collect-only -q --no-cov >$(VENV)/collected \
	  || { cat $(VENV)/collected; exit 1; }

# A file's tests stay in one process: what they share is made once, and their order is the seed's.
unit: setup tracer redis compiled
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile \
	  --cov --cov-report=term:skip-covered --cov-fail-under=90

# Quart differs from Python 3.13 on: the API's tests run there too, where it is present.
py313: setup
	@scripts/smoke-313

setup313:
	@scripts/smoke-313 setup

bench: setup
	$(BIN)/python -m benchmarks.baseline --json

# The long settings of storms, faults, fuzz runs and simulations; SUITES="kills power" is only these.
soak: setup
	@scripts/soak $(SUITES)

clean:
	rm -rf $(VENV) .venv313 .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
