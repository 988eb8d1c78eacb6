# Two commands do everything, set-up included: `make tutorial` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb reproductions/*.ipynb))
# Tools we start must use this environment's kernel and nothing of the user's own.
RUN := PATH="$(abspath $(BIN)):$$PATH" PYTHONNOUSERSITE=1

.DEFAULT_GOAL := help
.PHONY: help tutorial test bench lab lint notebooks clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

tutorial: $(BIN)/.ready ## train SimCLR in the first notebook
	@mkdir -p runs
	$(RUN) $(BIN)/papermill --cwd notebooks notebooks/00_start_here.ipynb runs/00_start_here.ipynb
	@echo
	@echo "The executed notebook: runs/00_start_here.ipynb (open it with: make lab)"
	@echo "Its figures:           runs/figures/"
	@echo "Its records:           runs/records/"

test: $(BIN)/.ready ## run all tests: lint, library, notebooks (about half an hour after set-up)
	$(MAKE) --no-print-directory lint
	$(RUN) $(BIN)/python -m pytest
	$(RUN) $(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=1200 \
	    -W default notebooks/03_nt_xent.ipynb

bench: $(BIN)/.ready ## measure speed against peers (installs them; about 35 minutes, nothing beside)
	$(BIN)/python -m pip install --quiet --editable ".[tested,bench]"
	$(RUN) $(BIN)/python -m benchmarks

lab: $(BIN)/.ready ## open JupyterLab
	$(RUN) $(BIN)/jupyter lab notebooks

lint: $(BIN)/.ready ## check style, format and types of code and notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy simclr_lib

notebooks: $(BIN)/.ready ## execute every notebook afresh and save its outputs
	for notebook in $(NOTEBOOKS); do \
	    $(RUN) $(BIN)/jupyter execute --inplace --NotebookClient.record_timing=False $$notebook || exit 1; \
	done

clean: ## remove the environment (runs and data stay)
	rm -rf $(VENV)

# The environment is made once, and again when the list of packages changes.
$(BIN)/.ready: pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))" || \
	    { echo "Python 3.10 to 3.13 is needed; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[tested]"
	@touch $@
