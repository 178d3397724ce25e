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
# Tests start twice as fast from byte code that was kept.
unexport PYTHONDONTWRITEBYTECODE

BRAIN := plugins/module_utils
SCENARIO ?= default
# What a change breaks first, and what says little more or takes long: that is left to `make test-long`.
SCENARIOS := default weight kill switchover
SCENARIOS_LONG := switchover monitoring upgrade clusters spread health balance together mycat
# Scenarios with the same hosts use them one after the other.
STEPS = trap '$(MAKE) hosts-down' EXIT; KEEP_HOSTS=yes tools/steps
RELEASES := bookworm trixie bullseye
CORE ?= 2.16
# Units run on all of them, the whole of the collection on the oldest, the newest, and the development environment's.
CORES := 2.16 2.17 2.18 2.20 2.21
CORES_WHOLE := 2.16 2.21
# Network namespaces want root.
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo env PATH="$(PATH)" PYTHONPATH="$(PYTHONPATH)")
DIFFERENTIAL = $(SUDO) python -m tests.differential
N ?= 1000
UNITS := not slow
# A file's tests one after the other: some want no other keepalived on the machine.
IN_PARALLEL := -q --numprocesses 2 --dist loadfile

# What is carried to managed hosts, whose Python may be older than the controller's; these are the controller's alone.
UNITS_OF_HOSTS := tests/unit/plugins/modules tests/unit/plugins/module_utils tests/unit/roles \
	$(addprefix --ignore tests/unit/plugins/module_utils/,cluster report)
# What imports nothing of Ansible: one ansible-core more says nothing of it.
UNITS_WITHOUT_CORE := $(addprefix tests/unit/,lab tools roles/mycat_status \
	$(addprefix plugins/module_utils/,haproxy host keepalived network report vrrp))

.PHONY: help venv lock demo demo-down check lint lint-ansible types units units-slow units-mutations units-cores units-host images build sanity sanity-cores \
	converge molecule hosts-down real-mycat differential differential-short bench test test-long clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# The stamp is written last, so an install that was cut off starts again.
venv: $(VENV)/.stamp
$(VENV)/.stamp: requirements-dev.txt
	@echo 'venv: installing the development tools into $(VENV) (about a minute)'
	tools/venv "$(PYTHON)" $(VENV)
	touch $@

lock: venv ## Pin the development tools of requirements-dev.in anew, each file by its hash
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --upgrade \
		--custom-compile-command 'make lock' --output-file requirements-dev.txt requirements-dev.in

demo: venv ## Start five hosts, set them up, kill HAProxy on the VIP's holder, measure
	@tools/demo/run

demo-down: venv ## Remove the hosts of the demo
	ansible-playbook -i tools/demo/inventory.yml tools/demo/down.yml

check: venv ## The fast part of the tests: lint, types, most unit tests
	$(MAKE) --jobs 2 --output-sync=target lint types units UNITS='not slow and not playbook and not thorough'

lint: venv
	ruff check .
	ruff format --check .
	shellcheck $$(grep -d skip -lE '^#!.*bash' tools/* tools/demo/*) .ci/run
	python tools/role_docs.py --check
	python tools/rules_doc.py --check
	python tools/election_doc.py --check

# Takes as long as most unit tests together.
lint-ansible: venv
	ansible-lint --offline --profile production

types: venv
	mypy $(BRAIN) roles/mycat_status/files

units: venv
	pytest $(IN_PARALLEL) -m '$(UNITS)'

units-slow: venv
	pytest $(IN_PARALLEL) -m slow

units-cores: $(CORES:%=units-%) ## Unit tests with each other ansible-core that is supported

units-%: venv
	tools/core $* pytest $(IN_PARALLEL) -m 'not slow' \
		$(if $(filter $*,$(CORES_WHOLE)),,$(UNITS_WITHOUT_CORE:%=--ignore %))

units-host: venv ## Unit tests of what runs on managed hosts, on the oldest Python there
	tools/core host pytest $(IN_PARALLEL) -m 'not slow' $(UNITS_OF_HOSTS)

sanity: venv ## ansible-test sanity
	tools/sanity

sanity-cores: $(CORES_WHOLE:%=sanity-%) ## ansible-test sanity of the oldest and the newest ansible-core

sanity-%: venv
	tools/core $* tools/sanity

converge: converge-$(CORE) ## Set a pair up with a certain ansible-core, twice (CORE=2.16)

converge-%: venv
	MYCAT_HA_CORE=$* tools/scenario cores

images: ## The images of the test hosts, as far as the engine lacks them
	tools/engine
	for release in $(RELEASES); do tools/image $$release; done

build: venv ## Build the collection, install it into an empty path, use it from there
	tools/build

molecule: molecule-$(SCENARIO) ## Run one Molecule scenario (SCENARIO=default)

molecule-%: venv
	tools/scenario $*

hosts-down: venv
	molecule destroy -s default

real-mycat: export MOLECULE_EPHEMERAL_DIRECTORY := $(CURDIR)/.cache/molecule/mycat
real-mycat: export MOLECULE_INVENTORY_FILE := $(CURDIR)/.cache/molecule/mycat/inventory/ansible_inventory.yml
real-mycat: venv ## Measure a real MyCat (ARCHIVE=, SHA256=, JAVA=, JAVA_SHA256=: archives of it and of a Java; PARTS=: some of it)
	mkdir -p $(MOLECULE_EPHEMERAL_DIRECTORY)
	molecule create -s mycat
	molecule prepare -s mycat
	python -m real_mycat $(PARTS)
	molecule destroy -s mycat

differential: venv ## The VRRP model against real keepalived, N random cases (N=1000) on each version
	$(DIFFERENTIAL) --release bookworm --cases $(N)
	$(DIFFERENTIAL) --release bookworm --texts --cases $(N)
	$(DIFFERENTIAL) --release trixie --texts --cases $(N)
	$(DIFFERENTIAL) --release trixie --cases $(N)

differential-short: venv
	$(DIFFERENTIAL) --release bookworm --budget 120
	$(DIFFERENTIAL) --release trixie --budget 60

bench: venv ## Figures: the search, the plan of many clusters, the health endpoint and failover against the source's (an hour and a quarter)
	python bench/explore.py
	python bench/plan.py
	tools/packages xinetd systemd util-linux
	$(SUDO) python bench/mycat_status.py
	$(SUDO) python bench/node_loss.py --megabytes 512
	python bench/failover.py

# The second list runs beside the first: nothing in it is measured. Tests of a scenario marked long are left to `make test-long`.
test: venv ## All that has to pass
	@export PYTEST_ADDOPTS='--durations 15 -m "not long"'; $(STEPS) units units-slow differential-short $(CORES_WHOLE:%=converge-%) $(SCENARIOS:%=molecule-%) \
		-- images lint lint-ansible types build sanity $(CORES_WHOLE:%=sanity-%) units-host $(CORES:%=units-%) molecule-attacker

test-long: venv ## What takes long and says little more, besides `make test`
	@$(STEPS) $(SCENARIOS_LONG:%=molecule-%) differential units-mutations

units-mutations: venv
	MUTATIONS=20000 pytest $(IN_PARALLEL) tests/unit/test_bad_input.py

clean: ## Remove what the commands above left in the checkout
	rm -rf $(VENV) .venv-cores .build .cache .demo .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis
