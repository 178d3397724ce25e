# Commands of the checkout; each installs what it needs. Start with: make demo
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# A checkout's own settings, whatever the caller's environment holds.
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONPATH := $(CURDIR)/tests:$(CURDIR)/tools

BRAIN := plugins/module_utils
SCENARIO ?= default
SCENARIOS := default weight kill spread health balance
# Network namespaces want root.
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo env PATH="$(PATH)" PYTHONPATH="$(PYTHONPATH)")
DIFFERENTIAL = $(SUDO) python -m tests.differential
N ?= 1000
# A file's tests one after the other: some want no other keepalived on the machine.
IN_PARALLEL := -q --numprocesses 2 --dist loadfile

.PHONY: help venv demo demo-down check lint types units units-slow sanity build molecule differential differential-short bench test clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# The stamp is written last, so an install that was cut off starts again.
venv: $(VENV)/.stamp
$(VENV)/.stamp: requirements-dev.txt
	@echo 'venv: installing the development tools into $(VENV) (about a minute)'
	tools/venv "$(PYTHON)" $(VENV)
	touch $@

demo: venv ## Start five hosts, set them up, kill HAProxy on the VIP's holder, measure
	@tools/demo/run

demo-down: venv ## Remove the hosts of the demo
	ansible-playbook -i tools/demo/inventory.yml tools/demo/down.yml

check: venv ## The fast part of the tests: lint, types, most unit tests
	$(MAKE) --jobs 2 --output-sync=target lint types units

lint: venv
	ruff check .
	ruff format --check .
	shellcheck tools/build tools/demo/run tools/engine tools/image tools/packages tools/sanity tools/scenario tools/venv .ci/run
	python tools/role_docs.py --check
	python tools/rules_doc.py --check
	python tools/election_doc.py --check
	ansible-lint --offline --profile production

types: venv
	mypy $(BRAIN)

units: venv
	pytest $(IN_PARALLEL) -m 'not slow'

units-slow: venv
	pytest $(IN_PARALLEL) -m slow

sanity: build ## ansible-test sanity
	tools/sanity

build: venv ## Build the collection, install it into an empty path, use it from there
	tools/build

molecule: venv ## Run one Molecule scenario (SCENARIO=default)
	tools/scenario $(SCENARIO)

differential: venv ## The VRRP model against real keepalived, N random cases (N=1000) on each version
	$(DIFFERENTIAL) --release bookworm --cases $(N)
	$(DIFFERENTIAL) --release trixie --cases $(N)

differential-short: venv
	$(DIFFERENTIAL) --release bookworm --budget 120
	$(DIFFERENTIAL) --release trixie --budget 60

bench: venv ## Figures: the search, the health endpoint and failover against the source's (an hour)
	python bench/explore.py
	tools/packages xinetd systemd util-linux
	$(SUDO) python bench/mycat_status.py
	python bench/failover.py

test: check units-slow sanity ## Everything
	$(MAKE) differential-short
	for scenario in $(SCENARIOS); do $(MAKE) molecule SCENARIO=$$scenario; done

clean: ## Remove what the commands above left in the checkout
	rm -rf $(VENV) .build .cache .demo .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis
