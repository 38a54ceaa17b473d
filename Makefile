# `make repro` (set-up + pipeline) and `make test` (set-up + tests) need nothing but Python 3.11+, git and make.
PY ?= python3
VENV ?= .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY = true
STAMP := $(VENV)/.installed
PORT ?= 5000
REMOTE ?= ../$(shell basename "$(CURDIR)")-dvc

EXTRAS ?= tune s3 servers

.PHONY: help setup extras repro test test-slow coverage lint ui deps docs ablation claims differences paintings bench lock remote

help:          ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(STAMP): pyproject.toml requirements.lock
	test -d $(VENV) || $(PY) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q 'uv>=0.8,<1'
	UV_EXTRA_INDEX_URL="$$($(VENV)/bin/python -m pip config get global.extra-index-url 2>/dev/null)" \
	  $(VENV)/bin/uv pip install -q --python $(VENV) --index-strategy unsafe-best-match --compile-bytecode \
	  -r requirements.lock -e .
	touch $@

setup: $(STAMP)    ## make the virtual environment

extras: $(STAMP)   ## add Ray and Optuna, S3, servers for tests; test-slow skips what it lacks
	UV_EXTRA_INDEX_URL="$$($(VENV)/bin/python -m pip config get global.extra-index-url 2>/dev/null)" \
	  $(VENV)/bin/uv pip install -q --python $(VENV) --index-strategy unsafe-best-match --compile-bytecode \
	  -r requirements-extras.lock -e .

repro: $(STAMP)    ## run the whole pipeline; what is up to date is not run again
	dvc repro

test: $(STAMP)     ## unit tests
	pytest -q -m "not slow" -n 2

test-slow: $(STAMP)    ## tests that need a browser, a server or minutes
	pytest -q -m slow

coverage: $(STAMP)     ## unit tests with line coverage
	pytest -q -m "not slow" -n 2 --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

lint: $(STAMP)     ## style, types, and dvc.yaml against the imports
	ruff check . && ruff format --check . && mypy && python tests/closure.py

ui: $(STAMP)       ## MLflow on localhost
	impasto track record
	@echo "http://127.0.0.1:$(PORT)/#/experiments/1/runs"
	mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT) --workers 1

remote: $(STAMP)   ## name this clone's DVC remote, REMOTE=FOLDER or URL; the default is a folder beside the repository
	dvc remote add --local --force --default team '$(REMOTE)'
	@case '$(REMOTE)' in s3://*) python -c 'import dvc_s3' 2>/dev/null || echo "S3 needs the extra s3: see docs/team.md";; esac
	@echo "Every clone names it so: it stands in .dvc/config.local, which is not committed. Then:"
	@echo "  impasto share            send what was computed here"
	@echo "  dvc pull --run-cache     fetch what is committed; then dvc repro --pull runs only what nobody has run"
	@echo "Images that must not be passed on: impasto private before the first push (docs/team.md)."

deps: $(STAMP)     ## bring the code dependencies in dvc.yaml up to date
	python tests/closure.py --write

docs: $(STAMP)     ## generated documentation
	impasto schema --out docs/parameters.md
	python docs/readme.py

ablation: $(STAMP) ## the arms of the ablation as DVC experiments, five seeds each
	python benchmarks/ablation.py

claims: $(STAMP)   ## the arms that the paper's claims need, and what they say
	python benchmarks/claims.py
	impasto claims

differences: $(STAMP) ## the arms that tell the paper's text from its code
	python benchmarks/differences.py

paintings: $(STAMP) ## the experiments on stylised copies, on pictures in data/official/paintings, and what they say
	python benchmarks/paintings.py

bench: $(STAMP)    ## all benchmarks
	python benchmarks/run.py

lock: $(STAMP)     ## resolve requirements.lock anew, and the pins of the extras upon it
	env -u UV_EXTRA_INDEX_URL $(VENV)/bin/uv pip compile pyproject.toml --extra dev --universal --no-emit-index-url \
	  --no-header --no-annotate -q -o requirements.lock
	env -u UV_EXTRA_INDEX_URL $(VENV)/bin/uv pip compile pyproject.toml --extra dev $(EXTRAS:%=--extra %) --universal \
	  --no-emit-index-url --no-header --no-annotate -q -c requirements.lock -o requirements-extras.lock
