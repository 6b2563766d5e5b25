# Each target installs what it needs; nothing has to be set up by hand.
#   make run ARGS="--portal-port 0"     make test ARGS="tests/control/ledger -x"

PYTHON3 := $(firstword $(foreach name,python3 python3.13 python3.12 python3.14,$(shell command -v $(name))))
BOOTSTRAP := $(or $(PYTHON3),$(error Python 3 was not found)) scripts/bootstrap.py
ARGS ?=

.PHONY: help run test check fix chaos bench fuzz native setup clean distclean

help:
	@echo "make run        start everything on this machine: database, model, gateway, portal, worker"
	@echo "make test       all tests"
	@echo "make check      style, types and the import contract; under a minute"
	@echo "make fix        let ruff put right what it can"
	@echo "make chaos      kill everything under load, and check every token and won; 100 cycles, about ten minutes"
	@echo "make bench      our gateway beside nginx, Envoy and others; about ten minutes, and needs the machine to itself"
	@echo "make fuzz       search for bytes that break a property of what reads them; a minute for each of six targets"
	@echo "make native     compile the gateway's busiest modules; a minute, needs a C compiler, and nothing needs it"
	@echo "make setup      only install, for running and developing"
	@echo "make clean      remove caches and built files"
	@echo "make distclean  and the installed packages; data in .dure stays"

# The command follows as the recipe's own process, so that Ctrl-C and signals reach it directly.
run:
	@$(BOOTSTRAP)
	@.venv/bin/dure up $(ARGS)

test:
	@$(BOOTSTRAP) --dev --browser
	@.venv/bin/pytest $(ARGS)

check:
	@$(BOOTSTRAP) --dev
	@.venv/bin/python scripts/check.py

fix:
	@$(BOOTSTRAP) --dev
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format --quiet .

# Which journals' disk may be filled and whether the clock can be stepped depends on the machine; it says so.
chaos:
	@$(BOOTSTRAP) --dev
	@.venv/bin/python bench/chaos.py $(ARGS)

# Needs wrk, and nginx for its part; Envoy and the other gateways are installed into build/bench.
bench:
	@$(BOOTSTRAP) --dev
	@.venv/bin/python bench/compare.py $(ARGS)

# Atheris is a group of its own, so that the tests, which replay the seeds, need none.
fuzz:
	@$(BOOTSTRAP) --dev
	@.uv/bin/uv sync --frozen --quiet --inexact --group fuzz
	@PYTHONPATH=src .venv/bin/python -m tests.fuzz.run $(ARGS)

# What runs without it runs slower and just the same. It is for Python 3's headers and `cc`, or what CC names.
native:
	@$(BOOTSTRAP)
	@.uv/bin/uv sync --frozen --quiet --inexact --group native
	@.venv/bin/python scripts/compile_gateway.py

setup:
	@$(BOOTSTRAP) --dev

clean:
	rm -rf build src/dure/gateway/_native .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find src tests tools scripts -name __pycache__ -prune -exec rm -rf {} +
	find src -name '*.mo' -delete

distclean: clean
	rm -rf .venv .uv node_modules tests/sdk_node/node_modules
