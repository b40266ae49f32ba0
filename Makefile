# Two commands: `make demo` and `make test`. Both set everything up in .venv; nothing else of the machine is touched.
# Options: PYTHON=python3.13  FAULT=name (demo, lab)  ARGS="…" (demo, test, bench)  EXAMPLES=n (fuzz)

VENV := .venv
BIN := $(VENV)/bin
# What the tests have to run of each of these packages, in % of its lines (not where ARGS chooses among the tests).
COVERED := layers config engine
COVERED_LEAST := 95
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL := help
.PHONY: help demo lab test check fuzz bench lock clean setup setup-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## the service against the embedded lab, until Ctrl-C
	@$(BIN)/prober demo $(if $(FAULT),--fault $(FAULT)) $(ARGS)

lab: setup-dev ## a shell in a Kubernetes-shaped network out of namespaces (Linux): make lab FAULT=mtu-blackhole
	@$(BIN)/python -P -m tests.network.lab $(if $(FAULT),--fault $(FAULT)) $(ARGS)

test: setup-dev ## all tests, with coverage
	@$(if $(ARGS),$(BIN)/python -m pytest --cov=prober --cov-report=term:skip-covered $(ARGS),$(call test-all))
	@$(if $(ARGS),:,set -e; for part in $(COVERED); do printf "coverage of prober/$$part, in %%: "; \
	  $(BIN)/python -m coverage report --include="prober/$$part/*" --format=total --fail-under=$(COVERED_LEAST); done)

check: setup-dev ## format, lint, types, import rules, lock files: what CI runs
	@echo "format"  && $(BIN)/ruff format --check --quiet .
	@echo "lint"    && $(BIN)/ruff check --quiet .
	@echo "types"   && $(BIN)/mypy --no-error-summary
	@echo "imports" && $(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@if command -v uv >/dev/null; then echo "lock" && uv lock --check --quiet; else echo "lock: skipped, no uv"; fi
	@echo "all good"

fuzz: setup-dev ## the parsers on as many random inputs as you like: make fuzz EXAMPLES=100000
	@PROBER_FUZZ=$(or $(EXAMPLES),20000) $(BIN)/python -m pytest --timeout 0 tests/fuzz tests/wire/test_http_fuzz.py \
	  tests/wire/test_http_plain.py tests/wire/test_http_plain2.py tests/wire/test_http_block.py tests/wire/test_dnsplain.py $(ARGS)

bench: setup-dev ## the benchmarks
	@set -e; for file in $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)); do \
	  echo "== $$file"; $(BIN)/python $$file $(ARGS); done

lock: ## resolve the newest versions that pyproject.toml allows, and write them down (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv/"; exit 1; }
	uv lock --upgrade
	uv export --quiet --frozen --no-dev --no-emit-project --no-annotate -o requirements.txt
	uv export --quiet --frozen --no-emit-project --no-annotate -o requirements-dev.txt

clean: ## remove .venv and every cache
	@rm -rf $(VENV) build dist .coverage .coverage.* .network.log .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: # what `prober` needs
	$(call install,requirements.txt)

setup-dev: # what the tests and checks need beside it
	$(call install,requirements-dev.txt)

# The network of namespaces mostly waits: its tests run beside all others, and what they said is shown after those. They are
# not measured for coverage, which would cost each of their thousand short runs of the command line a part of its time.
define test-all
status=0; $(BIN)/python -m pytest tests/network > .network.log 2>&1 & \
	  network=$$!; trap 'kill $$network 2>/dev/null' EXIT; \
	  $(BIN)/python -m pytest --ignore=tests/network --cov=prober --cov-report=term:skip-covered || status=$$?; \
	  wait $$network || status=$$?; trap - EXIT; cat .network.log; exit $$status
endef

# Installs what one lock file names, every file by its hash, and nothing else: the lock is complete, and an older pip that
# resolves would take a newer release of a package that another one names with an extra. Done once for each content of that
# file: the stamp's name carries its checksum. The project itself is put on the path as it stands; there is nothing to build.
define install
	@set -e; stamp="$(VENV)/.$(1)-$$(cksum < $(1) | tr ' ' -)"; \
	if [ -x $(BIN)/python ] && [ -f "$$stamp" ]; then exit 0; fi; \
	if ! [ -x $(BIN)/python ]; then \
	  for python in $(or $(PYTHON),$(CANDIDATES)); do \
	    if "$$python" -c '$(NEW_ENOUGH)' 2>/dev/null; then found="$$python"; break; fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then \
	    echo "prober needs Python 3.11 or newer with its venv module, and found none" \
	      "(tried: $(or $(PYTHON),$(CANDIDATES)))." >&2; \
	    echo "On Debian and Ubuntu: apt install python3-venv. Another interpreter: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$found" --version)"; "$$found" -m venv --clear $(VENV); \
	fi; \
	echo "Installing $(1)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r $(1); \
	$(BIN)/python -c 'import sys, sysconfig; open(sysconfig.get_path("purelib") + "/prober-here.pth", "w").write(sys.argv[1] + "\n")' "$(CURDIR)"; \
	printf '#!/bin/sh\nexec "%s/$(BIN)/python" -P -m prober "$$@"\n' "$(CURDIR)" > $(BIN)/prober; \
	chmod +x $(BIN)/prober; touch "$$stamp"
endef
