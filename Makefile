# Everything that one does with this repository. Each command sets up what it needs, once.

VENV := .venv/bin
PYTHON ?=
NAME ?=

# Quiet and quick where nothing is to do; the first run on a machine compiles the engine.
define set_up
@python=$$(PYTHON="$(PYTHON)" scripts/find-python) && "$$python" -m scripts.setup
endef

.DEFAULT_GOAL := help
.PHONY: help demo demo-unplug up test test-long lint bench protos requirements

help:  ## this list
	@echo "make COMMAND, with COMMAND one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo:  ## a coordinator and a node on this machine find each other and answer; then it ends
	$(set_up) node
	@$(VENV)/deskmesh demo

demo-unplug:  ## three nodes; the one that answers is killed mid-sentence, and the sentence ends
	$(set_up) dev
	@$(VENV)/python -m scripts.unplug

up:  ## the same, kept running: this machine becomes a mesh
	$(set_up) node
	@$(VENV)/deskmesh up

test: lint  ## lint, and the tests that take no minutes; what CI runs
	@$(VENV)/python -m scripts.test

test-long: lint  ## lint, and every test
	@$(VENV)/python -m scripts.test -m "long or not long"

lint:  ## style and types
	$(set_up) dev
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/mypy

bench:  ## one benchmark: make bench NAME=relay
	$(set_up) dev
	@$(VENV)/python -m bench $(NAME)

protos:  ## write mesh/v1 again from protos/
	$(set_up) dev
	@$(VENV)/python -m scripts.protos

requirements:  ## pin what pyproject.toml asks for; make requirements UPGRADE=1 takes the newest
	$(set_up) dev
	@$(VENV)/python -m scripts.requirements $(if $(UPGRADE),--upgrade)
