# `make demo` and `make test` are all that a newcomer needs; both set everything up first.
PYTHON ?= python3
LAKE ?= lake
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Python keeps what it has compiled, even where an image forbids it: without that, every process compiles Prefect anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo quick test lint types imports docs unit alone thorough audit benchmark benchmark-training clean

setup: $(STAMP)

# First all pinned packages, by processes that need not resolve anything, from the end of the alphabet: PyTorch is the
# largest by far, and the others are installed beside it; then what the project says it requires, so that
# a package without a pin is installed, too. Modules are compiled as they are imported, which few of all that is
# installed ever are.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("musenet needs Python 3.11 or newer; set PYTHON=…") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV) (some minutes the first time)"
	@tac constraints.txt | xargs --max-procs=3 --max-args=30 $(PIP_INSTALL) --no-deps
	@$(PIP_INSTALL) -c constraints.txt --editable '.[demo,dev]'
	@touch $(STAMP)

demo: setup
	@$(BIN)/musenet demo

# For use while working: all tests but those marked slow, in two processes
quick: setup
	@$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

# What needs seconds comes first. Types and documentation, which take minutes of one processor, are checked beside the
# tests with little priority: mostly where these wait for servers, and while tests run alone.
test: setup
	@$(MAKE) --no-print-directory lint imports
	@$(MAKE) --no-print-directory --jobs 3 alone docs types BESIDE="nice -n 10"

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BESIDE) $(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports

# Into build/docs; a warning is an error
docs: setup
	@NO_MKDOCS_2_WARNING=1 $(BESIDE) $(BIN)/mkdocs build --quiet

# In the order in which two processes take them: while one compiles the reader of MIDI files, which most tests need, the
# other does not wait for it; then the files with the longest tests, so that at the end neither waits for the other.
TESTS := $(sort $(shell find tests -name 'test_*.py'))
ALONE := $(shell grep --recursive --files-with-matches --include='test_*.py' 'mark\.alone' tests)
READER := tests/tokenization/midi/test_reader.py
FIRST := $(READER) $(filter-out $(READER),$(foreach part,modeling tokenization docs flows,$(filter tests/$(part)/%,$(TESTS))))
unit: setup
	@$(BIN)/pytest -m "not alone and not thorough" -n 2 --dist loadfile --no-loadscope-reorder $(FIRST) $(filter-out $(FIRST),$(TESTS))

# Beside no other test
alone: unit
	@$(BIN)/pytest -m "alone and not thorough" $(ALONE)

# What takes longer than a change should wait for: the commands of README.md and all guides, clusters, long runs
thorough: setup
	@$(BIN)/pytest -m thorough

# What a package audit asks for, into build/audit: the bill of materials (CycloneDX), and the licences, which
# infra/licences.toml has to allow. Known vulnerabilities are looked up by tools that reach a database of them.
# The tool that writes the bill has a place of its own: it brings an extra of jsonschema that every process which loads
# Prefect would spend two seconds on.
CYCLONEDX := build/audit/cyclonedx
audit: setup
	@test -x $(CYCLONEDX)/bin/cyclonedx-py || { $(PYTHON) -m venv $(CYCLONEDX) && $(CYCLONEDX)/bin/pip install --quiet cyclonedx-bom==7.5.0; }
	@$(CYCLONEDX)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/audit/sbom.json $(BIN)/python
	@$(BIN)/pip-licenses --with-urls --format markdown --output-file build/audit/licences.md
	@$(BIN)/pytest -n 0 tests/infra/test_licences.py

# Each prints a table and fails when a bar is missed: make benchmark CORPUS=~/midi
benchmark: setup
	@test -d "$(CORPUS)" || { echo "name a folder of MIDI files: make benchmark CORPUS=~/midi"; exit 2; }
	$(BIN)/python tests/benchmarks/parse_encode.py --corpus "$(CORPUS)"
	$(BIN)/python tests/benchmarks/encodings.py --corpus "$(CORPUS)"
	$(BIN)/python tests/benchmarks/exactness.py --corpus "$(CORPUS)"
	$(BIN)/python tests/benchmarks/near_duplicates.py --corpus "$(CORPUS)"
	$(BIN)/python tests/benchmarks/million_fingerprints.py
	$(BIN)/python tests/benchmarks/ingest.py --corpus "$(CORPUS)"
	$(BIN)/python tests/benchmarks/interruptions.py --corpus "$(CORPUS)"
	$(BIN)/python tests/benchmarks/hostile.py --corpus "$(CORPUS)"

# The same of training, on a dataset that was ingested: make benchmark-training LAKE=lake DATASET=mine
benchmark-training: setup
	@test -n "$(DATASET)" || { echo "name a dataset: make benchmark-training LAKE=lake DATASET=mine"; exit 2; }
	$(BIN)/python tests/benchmarks/loader.py --lake "$(LAKE)" --dataset "$(DATASET)"
	$(BIN)/python tests/benchmarks/training.py --lake "$(LAKE)" --dataset "$(DATASET)"
	$(BIN)/python tests/benchmarks/sparse.py
	$(BIN)/python tests/benchmarks/gpu.py
	$(BIN)/python tests/benchmarks/survival.py
	$(BIN)/python tests/benchmarks/learning.py --lake "$(LAKE)" --dataset "$(DATASET)"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
