PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.tfrecs-installed
KILLS ?= 100
FUZZ_PARTS ?=
export TF_CPP_MIN_LOG_LEVEL ?= 2
# Command line or environment: make fuzz FUZZ_SEED=1 FUZZ_SHARE=0.02
export FUZZ_SEED ?= 0
export FUZZ_SHARE ?= 1.0
export KILLS_SEED ?= 0

.PHONY: help install run test test-slow fuzz kills bench lint clean

help:
	@echo "make run        train AttRec on the embedded sample, evaluate it, print recommendations"
	@echo "make test       the tests and the docstring examples"
	@echo "make test-slow  the tests that take minutes or start several processes"
	@echo "make fuzz       damaged raw files, data, runs and requests; FUZZ_SEED=1 FUZZ_SHARE=0.02 make another, shorter run"
	@echo "make kills      KILLS=100 kills of preparing, training and exporting; KILLS_SEED chooses the moments"
	@echo "make bench      speed of training, evaluation, serving and preparation; RESULTS is the folder of the tables"
	@echo "make lint       ruff: rules and formatting; mypy: types"
	@echo "make install    only the environment in $(VENV); PYTHON and VENV may be given"
	@echo "make clean      remove the .venv made here, caches and build outputs"

install: $(STAMP)

$(STAMP): requirements.txt setup.py
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install Python 3.10 to 3.13, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' || { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), but TensorFlow 2.21 needs Python 3.10 to 3.13; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

run: $(STAMP)
	$(BIN)/python examples/run.py --model attrec --run_dir runs/quickstart --overwrite 1 --export_dir export/attrec-sample

# In four runs: a worker keeps what TensorFlow traced, and holds less of it. All run where one fails. What is freed goes
# back to the system at once.
MODELS = tests/models tests/importers tests/layers
DATA = tests/data tests/data_prep tests/evaluation tests/benchmarks data_prep
RUNS = tests/training
PYTEST = MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=65536 MALLOC_MMAP_THRESHOLD_=65536 $(BIN)/python -m pytest
TEST = $(PYTEST) -n auto --maxprocesses 4 --dist loadfile

test: $(STAMP)
	@code=0; for part in "$(MODELS)" "$(DATA)" "$(RUNS)" "$(addprefix --ignore=,$(MODELS) $(DATA) $(RUNS))"; do $(TEST) $$part || code=$$?; done; exit $$code

test-slow: $(STAMP)
	$(PYTEST) -m slow -n auto --maxprocesses 2 --dist loadfile --timeout 1800

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(FUZZ_PARTS)

kills: $(STAMP)
	$(BIN)/python -m tests.fuzz.kills $(KILLS)

RESULTS ?= benchmarks/results

bench: $(STAMP)
	for model in attrec atrank arerec; do $(BIN)/python benchmarks/run.py speed --model $$model --results $(RESULTS) || exit; done
	for model in dif_sr sasrec; do $(BIN)/python benchmarks/run.py speed --model $$model --over batch_tokens --values 1024 2048 8192 --results $(RESULTS) || exit; done
	for model in attrec dif_sr sasrec; do $(BIN)/python benchmarks/run.py serving --model $$model --results $(RESULTS) || exit; done
	$(BIN)/python benchmarks/data_prep_scale.py --results $(RESULTS)

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
