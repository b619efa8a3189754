# make demo    build a small dataset on the simulated sky, verify it, load it, draw it, report on it
# make test    style, types, layers, tests
# make docs    write generated pages, build docs/_build/html; NOTEBOOKS=cache or off runs fewer notebooks
# make linkcheck  ask every foreign link of the site, with a network
# PYTHON=...   interpreter for a new .venv (3.11 or newer)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   := demo
NOTEBOOKS ?= force
SPHINX = GALAXYDS_DOCS_NOTEBOOKS=$(NOTEBOOKS) $(BIN)/python -m sphinx -W --keep-going -q docs

.PHONY: demo test lint docs linkcheck clean help
.DEFAULT_GOAL := help

help:
	@grep '^# make' Makefile | sed 's/^# //'

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'galaxyds needs Python 3.11 or newer: make PYTHON=python3.11'; exit 1; }
	@echo 'Installing into $(VENV): about 3 GB, two minutes or more without a word'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[test]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/galaxyds build sdss-qso --archive simulated --limit 200 --root $(DEMO)
	$(BIN)/galaxyds verify sdss-qso --root $(DEMO)
	$(BIN)/python docs/examples/first_batch.py $(DEMO)
	$(BIN)/galaxyds preview sdss-qso --root $(DEMO) --output $(DEMO)/sdss_qso.png
	$(BIN)/galaxyds show sdss-qso --root $(DEMO) --output $(DEMO)/sdss_qso.html
	@echo 'Next: source $(BIN)/activate && galaxyds doctor'

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

docs: $(READY)
	$(BIN)/python -m galaxyds_cli.reference docs
	$(BIN)/python -m galaxyds.build.pages docs/datasets
	$(BIN)/python -m galaxyds_models.cards docs/models
	$(SPHINX) docs/_build/html
	@echo docs/_build/html/index.html

linkcheck: NOTEBOOKS := off
linkcheck: $(READY)
	$(SPHINX) -b linkcheck docs/_build/linkcheck

clean:
	rm -rf $(DEMO) docs/_build .pytest_cache .mypy_cache .ruff_cache
