# Every target works from a fresh clone: it sets up what it needs first.

VENV := .venv/bin
CORE := python/tensorwire/_core.abi3.so
MODELS := tests/models/built
RUST_SOURCES := $(shell find crates proto -type f) Cargo.toml Cargo.lock

# The crates' own build scripts and PyO3 must see the Python we build for.
export PYO3_PYTHON := $(CURDIR)/.venv/bin/python

# Where cargo's tests find TensorFlow and the models; lazily, .venv may not be there yet.
TENSORFLOW_DIR = $(shell $(VENV)/python -c 'import importlib.util as u; print(u.find_spec("tensorflow").submodule_search_locations[0])')
TEST_ENV = TENSORWIRE_TENSORFLOW_DIR=$(TENSORFLOW_DIR) TENSORWIRE_TEST_MODELS=$(CURDIR)/$(MODELS)

# Nothing here may hang for ever.
TIMEOUT := timeout --kill-after=10

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-python check bench bench-peers build models clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(CORE) ## Train a small network on real digits, serve it, and call it from another process
	@$(TIMEOUT) 900 $(VENV)/tensorwire demo

test: test-rust test-python ## Run all tests

test-rust: $(CORE) models
	$(TEST_ENV) $(TIMEOUT) 1500 cargo test --workspace --exclude python --exclude floor --locked --quiet

test-python: $(CORE) models
	$(TIMEOUT) 1500 $(VENV)/python -m pytest --quiet -m "not alone" --numprocesses 2 --dist loadfile
	$(TIMEOUT) 900 $(VENV)/python -m pytest --quiet -m alone

check: $(CORE) ## Check style, types and lints
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/python -m mypy.stubtest tensorwire._core
	cargo fmt --all --check
	$(TIMEOUT) 1500 cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings

bench: $(CORE) models ## Measure against the floor, the bare C API and the seed's server; writes benchmarks/RESULTS.md
	$(TIMEOUT) 3600 $(VENV)/python benchmarks/run.py

bench-peers: $(CORE) models ## Measure beside Triton, Ray Serve, BentoML, LitServe and MLServer; installs them first
	$(TIMEOUT) 7200 $(VENV)/python benchmarks/run_peers.py

build: $(CORE) ## Build the wheel into dist/
	$(VENV)/maturin build --release --locked --out dist

models: .make/setup ## Build the models that tests and benchmarks use
	@$(TIMEOUT) 600 $(VENV)/python tests/models/make_models.py

clean: ## Remove everything that was built
	rm -rf .venv .make target dist $(MODELS) $(MODELS)-large $(CORE)

# Dependencies and a first build, again when what is asked of them changes.
.make/setup: pyproject.toml tools/setup.sh tools/constraints.txt
	@tools/setup.sh
	@mkdir -p .make && touch $@ $(CORE)

$(CORE): .make/setup $(RUST_SOURCES)
	@$(VENV)/maturin develop --release --locked --skip-install --quiet
	@touch $@
