# The whole platform on this machine. `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

# The first Python that fits; the environment is made from it.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo "$$name"; break; }; done)

export UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE := 1
# Trust what this machine trusts: a company's proxy, for instance.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)
# The environment is always the project's own, whichever the caller's shell is in.
unexport VIRTUAL_ENV

BIN := .venv/bin
# Once the development tools are there, every sync keeps them.
DEV := $(if $(wildcard .venv/.synced-dev),--group dev)

define sync
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found (Debian: apt install python3)" >&2; exit 1; }
	@uv="$$($(PYTHON) -I services/local/bootstrap_uv.py)" && \
		"$$uv" sync --locked --quiet --python "$(PYTHON)" $(1)
	@touch $@
endef

.venv/.synced: uv.lock pyproject.toml
	@echo "installing packages"
	$(call sync,$(DEV))

.venv/.synced-dev: uv.lock pyproject.toml
	@echo "installing packages and development tools"
	$(call sync,--group dev)
	@touch .venv/.synced

evidently: .venv-evidently/.synced ## install Evidently in an environment of its own, for its reports of drift

.venv-evidently/.synced: export UV_PROJECT_ENVIRONMENT := .venv-evidently
.venv-evidently/.synced: uv.lock pyproject.toml
	@echo "installing Evidently"
	$(call sync,--no-default-groups --group evidently)

# Optional: where it cannot be built, runners score with another engine. No option that lets a compiler round differently.
WALKER := bentos/serving/native/walker.so

$(WALKER): $(wildcard bentos/serving/native/*.[ch])
	@rm -f $@
	@if command -v $(CC) >/dev/null; then \
		$(CC) -O3 -std=c11 -ffp-contract=off -shared -fPIC -o $@.$$$$ $(filter %.c,$^) -lm && mv $@.$$$$ $@ || \
		{ rm -f $@.$$$$; echo "the native tree walker could not be built; runners work without it, slower" >&2; }; fi

.PHONY: help up down status logs test lint bench format clean images kind kind-down e2e evidently

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

up: .venv/.synced $(WALKER) ## start everything, train what was never trained, say how to use it
	@$(BIN)/modelyard up

down: .venv/.synced ## stop everything
	@$(BIN)/modelyard down

status: .venv/.synced ## show the processes
	@$(BIN)/modelyard status

logs: .venv/.synced ## show what the processes write, as it comes
	@$(BIN)/modelyard logs --follow

# MODELS="gateway my_model": some only. VERSION=3 with one model bakes that version in. TAG, BASE: see `modelyard images --help`.
images: .venv/.synced ## build the container images (MODELS= some, TAG=, VERSION= bakes one in)
	@$(BIN)/modelyard images $(MODELS) --tag $(or $(TAG),dev) $(if $(BASE),--base $(BASE)) $(if $(VERSION),--version $(VERSION))

kind: .venv/.synced ## bring the whole platform up on a local Kubernetes cluster (VALUES= further files of values)
	@$(BIN)/modelyard kind $(VALUES:%=--values %)

kind-down: ## remove that cluster and all that it holds
	@kind delete cluster --name modelyard

test: lint $(WALKER) ## check the code, then run every test but those of `make e2e`
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --ignore tests/e2e

# MODELYARD_E2E=cluster: the platform of the current KUBECONFIG, whichever that is; laptop: one that is brought up for it.
e2e: .venv/.synced-dev ## try everything against the platform of `make kind`, or one that this machine brings up
	@$(BIN)/pytest -rP tests/e2e

lint: .venv/.synced-dev ## check style, types and boundaries
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# BENCH="--quick" for a first look; --help tells the rest.
bench: .venv/.synced-dev $(WALKER) ## measure ours and the peers in turn (half an hour; BENCH="--quick": five minutes)
	@$(BIN)/python -m tests.bench $(BENCH)

format: .venv/.synced-dev ## put the code into its form
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

clean: ## stop everything and delete all that was installed or stored, data included
	@if [ -x $(BIN)/modelyard ]; then $(BIN)/modelyard down --erase; fi
	@rm -rf .venv .venv-evidently .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
