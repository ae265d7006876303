# The two commands a newcomer needs are `make demo` and `make test`; each sets itself up.
# Everything is installed into .venv, once; delete that folder to begin anew.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
STAMP := .venv/.installed
DOCS_STAMP := .venv/.installed-docs
DEMO_DIR ?= bolus-demo
# One thread a process: the tests run in parallel, and results do not depend on the thread count.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1

.PHONY: setup demo test test-all check bench reliability docs clean
.DELETE_ON_ERROR:

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/make_venv
	@scripts/make_venv .venv "$(PYTHON)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@

demo: $(STAMP)  ## simulate a patient, run the whole main job, print where the report is
	$(BIN)/bolus demo --output $(DEMO_DIR)

test: $(STAMP)  ## every test but the slow ones
	@scripts/install_test_services
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist loadfile --doctest-modules src
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist loadfile -m "not slow" tests

test-all: $(STAMP)  ## every test
	@scripts/install_test_services
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist loadfile --doctest-modules src
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist loadfile tests

check: $(STAMP)  ## lint, types, layers, documentation blocks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(ONE_THREAD) $(BIN)/pytest -q tests/architecture

bench: $(STAMP)  ## CPU time of the kernels, one thread, with ratios to a peer where one is installed
	$(ONE_THREAD) $(BIN)/python benchmarks/report.py

reliability: $(STAMP)  ## bad input and faults at full counts; writes RELIABILITY.md
	$(ONE_THREAD) $(BIN)/python benchmarks/reliability.py

docs: $(DOCS_STAMP)  ## HTML documentation in docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf .venv build docs/_build .mypy_cache .ruff_cache .hypothesis $(DEMO_DIR)
