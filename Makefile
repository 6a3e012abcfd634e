# Each target does all of its own set-up. The work is in `python -m cli` and `python -m toolchain`; this file only gives it short names.
PYTHON ?= python3
STACK  ?= embedded
COLOR  ?= blue
PORT   ?= 0
PROJECT ?= .
RUN    := $(PYTHON) -m toolchain run --
CLI    := $(RUN) python -m cli --project $(PROJECT) --stack $(STACK)
# With the settings of toolchain/gomodules.py the packages that it compiled are used again.
GO     := $(RUN) env -C embedded/node CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS="-mod=readonly -buildvcs=false -trimpath -gcflags=all=-dwarf=false" go

.DEFAULT_GOAL := help
.PHONY: help tools test-tools up down forget env status fail heal watch console drill metrics test test-unit test-kind coverage bench check format

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

tools: ## install every tool (the other targets do it by themselves)
	@$(PYTHON) -m toolchain install

test-tools:
	@$(PYTHON) -m toolchain install --all-for-tests

up: tools ## two clusters, and blue that fails over to green
	@$(CLI) up

# These two end things: they do with what is there, and install nothing.
down: ## destroy the stack; nothing of it is left
	@$(PYTHON) -m cli --project $(PROJECT) --stack $(STACK) down

forget: ## give up the state of a stack in existing clusters, and leave what is in them
	@$(PYTHON) -m cli --project $(PROJECT) --stack $(STACK) forget

env: tools ## eval "$(make -s env)" puts pulumi, kubectl and the stack's settings into a shell
	@$(CLI) env

status: tools ## what runs, and the failover resources with their state
	@$(CLI) status

fail: tools ## the blue app reports itself unhealthy (COLOR=green for the other)
	@$(CLI) fail --color $(COLOR)

heal: tools ## the blue app is healthy again
	@$(CLI) heal --color $(COLOR)

metrics: tools ## a configuration for a Prometheus on this machine: make -s metrics > prometheus.yml (kind, existing: with port-forwards, until Ctrl-C)
	@$(CLI) metrics

watch: tools ## who answers, live
	@$(CLI) watch

console: tools ## who serves, clusters and events as a page on this machine, until Ctrl-C (PORT=9980 for a fixed port)
	@$(CLI) console --port $(PORT)

drill: tools ## break the stack on purpose, and judge what clients noticed (SCENARIO="app-killed pod-deleted", SCENARIO=--list; docs/drill.md)
	@$(RUN) python -m drill --project $(PROJECT) --stack $(STACK) $(SCENARIO)

test: test-tools test-unit coverage ## every test: units first, then properties, loops and commands, Pulumi's engine, Envoy, embedded clusters, the whole stack
	@$(RUN) python -m pytest -q -n auto -m "property or process or loopback"
	@$(RUN) python -m pytest -q -m "engine or envoy or prometheus or browser"
	@$(RUN) python -m pytest -q -m cluster
	@$(RUN) python -m pytest -q -m e2e
	@$(GO) test ./...

test-unit: test-tools ## the tests that start no process
	@$(RUN) env -u PYTHONDONTWRITEBYTECODE sh tests/units.sh

coverage: test-tools ## that the components' own tests cover at least 95 % of their branches
	@$(RUN) env -u PYTHONDONTWRITEBYTECODE python -m pytest -q -n auto --dist loadgroup -m "unit or process" tests/components tests/monitoring --cov --cov-report=term

test-kind: test-tools ## the whole stack on real kind clusters; needs docker and kind on PATH (docs/kind.md)
	@$(RUN) python -m pytest -q -m kind tests/kind

bench: test-tools ## measure the probe, failover, pushes, scale and `pulumi up` (half an hour; docs/benchmarks.md); best on an idle machine
	@$(RUN) sh -c 'missed=0; for each in probe failover push scale up; do python -m bench $$each || missed=1; done; exit $$missed'

check: test-tools ## format, lint, types, layers
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) mypy plugin/__main__.py
	@$(RUN) mypy examples/python/__main__.py
	@$(RUN) lint-imports --no-cache
	@$(RUN) sh -c 'unformatted=$$(gofmt -l embedded toolchain/modules); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }'
	@$(GO) vet ./...

format: test-tools ## put the formatting right
	@$(RUN) ruff format .
	@$(RUN) ruff check --fix .
	@$(RUN) gofmt -w embedded toolchain/modules
