# Everything a fresh machine needs is Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CORE   := .venv-core
TOOLS  := .venv-tools
STAMP  := $(VENV)/.installed
# Tests wait for brokers half of their time: one process more than there are processors.
TESTERS = $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')

.DEFAULT_GOAL := help
.PHONY: help warm demo phone test test-core retest retest-core check format chaos soak healthy faults bench bench-peers docs lock wheel sbom audit fuzz clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "streamer needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[docs,local,mqtt,onnx,otel,parquet,phone,registry,train,dev]'
	$(BIN)/streamer broker --fetch-only
	@touch $@

# Compiles what is not compiled yet; where nothing has changed it takes two seconds.
warm: $(STAMP)
	$(BIN)/python -m streamer.process.warm_up

demo: warm ## A broker, an endpoint, a worker and simulated devices, then the live table; Ctrl-C stops all
	$(BIN)/streamer demo

phone: warm ## The same for your own phone: a gateway in the local network, and a QR code; Ctrl-C stops all
	$(BIN)/streamer demo --phone

test: check warm ## Lint, types and every test, on a real Kafka of its own
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --durations 30

# The pure rooms import no optional package (tests/test_layout.py), so their tests pass alike in both.
SKIPPED_IN_CORE := --ignore tests/test_cost.py --ignore tests/features --ignore tests/stream

test-core: $(CORE)/.installed ## The tests that need no broker, with no optional package installed
	$(CORE)/bin/python -m pytest -n logical --dist loadfile -m 'not slow and not kafka' $(SKIPPED_IN_CORE)

# --last-failed runs all tests where the last run did not come as far as a test.
retest: check warm ## The tests that failed in the last `make test`, one at a time
	$(BIN)/python -m pytest --last-failed

retest-core: $(CORE)/.installed ## The tests that failed in the last `make test-core`, one at a time
	$(CORE)/bin/python -m pytest -m 'not slow and not kafka' $(SKIPPED_IN_CORE) --last-failed

$(CORE)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(CORE)
	PIP_CONSTRAINT=constraints.txt $(CORE)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[local,dev]'
	@touch $@

check: $(STAMP) ## Lint, formatting and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Rewrite the code the way `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: warm ## Kill workers and brokers for half an hour, then run the slow tests for an hour or more; every byte must still be right
	$(BIN)/python benchmarks/chaos.py
	$(BIN)/python benchmarks/chaos.py --kills 60 --minutes 5 --store-features
	$(BIN)/python benchmarks/chaos.py --kills 60 --minutes 5 --models
	$(BIN)/python -m pytest -m slow

soak: warm ## Ten minutes of load with a worker killed every minute; memory must stay flat
	$(BIN)/python benchmarks/soak.py

healthy: warm ## An hour in which all is well, with a real Prometheus; no alert may become pending
	$(BIN)/python benchmarks/healthy.py

faults: warm ## Two minutes of every fault of a prediction endpoint; nothing may be lost
	$(BIN)/python benchmarks/faults.py

bench: warm ## Throughput, latency, features, predictors, recovery: a JSON line for each figure, and tables
	$(BIN)/python benchmarks/throughput.py --workers 1 --workers 2
	$(BIN)/python benchmarks/throughput.py --pinned --workers 1 --workers 2
	$(BIN)/python benchmarks/throughput.py --pinned --workers 1 --workers 2 --batch 50 --samples 20000000
	$(BIN)/python benchmarks/throughput.py --batch 50 --samples 20000000 --devices 10 --devices 200 --devices 2000 --devices 20000
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/predictors.py
	$(BIN)/python benchmarks/recovery.py

bench-peers: warm ## The same job in other programs, and in ours; draws docs/peers.png
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements.txt --editable .
	$(BIN)/python benchmarks/peers/run.py --peers-python .venv-peers/bin/python --chart docs/peers.png

docs: $(STAMP) ## Rewrite the tables in docs/ that are made from the code, and build the site; links are checked
	sed -i.old '/^| setting /,$$d' docs/configuration.md
	$(BIN)/python -m streamer.settings.views >> docs/configuration.md
	sed -i.old '/^| metric /,$$d' docs/metrics.md
	$(BIN)/python -m streamer.metrics >> docs/metrics.md
	$(BIN)/python deploy/grafana/dashboard.py > deploy/grafana/dashboards/streamer.json
	rm docs/*.old
	$(BIN)/python docs/build_site.py

# Tools of releases, in an environment of their own.
$(TOOLS)/.installed: deploy/release-tools.txt
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

COMPILE := $(TOOLS)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 \
	  --no-header --no-annotate --no-emit-index-url --quiet

lock: $(TOOLS)/.installed ## Refresh constraints.txt from pyproject.toml, and deploy/requirements.txt with hashes
	$(COMPILE) --all-extras --upgrade --output-file constraints.txt
	$(COMPILE) --constraint constraints.txt --generate-hashes --output-file deploy/requirements.txt

wheel: $(TOOLS)/.installed ## Build dist/*.whl; the same commit gives the same bytes
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(TOOLS)/bin/python -m build --wheel --no-isolation

sbom: $(TOOLS)/.installed ## Write the bill of materials of a worker to dist/sbom.json (CycloneDX)
	mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements deploy/requirements.txt --pyproject pyproject.toml \
	  --output-reproducible --output-file dist/sbom.json

# Without --strict a package that the index knows nothing about counts as free of vulnerabilities.
audit: $(TOOLS)/.installed ## Look for known vulnerabilities of what a worker needs; asks the Internet
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement deploy/requirements.txt

fuzz: warm ## Ten minutes of broken bytes for all decoders
	-$(BIN)/python -m pip install --quiet atheris
	$(BIN)/python benchmarks/fuzz.py --seconds 600

clean: ## Remove the environment and all caches of this folder
	rm -rf $(VENV) $(CORE) $(TOOLS) dist streamer/__pycache__/kernels .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
