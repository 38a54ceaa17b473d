# Two commands do everything: `make repro` (set-up + pipeline) and `make test` (set-up + tests).
PY ?= python3
VENV ?= .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true
STAMP := $(VENV)/.installed

.PHONY: setup repro test test-slow lint
$(STAMP): pyproject.toml requirements.lock
	test -d $(VENV) || $(PY) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q uv
	UV_EXTRA_INDEX_URL="$$($(VENV)/bin/python -m pip config get global.extra-index-url 2>/dev/null)" \
	  $(VENV)/bin/uv pip install -q --python $(VENV) --index-strategy unsafe-best-match --compile-bytecode \
	  -r requirements.lock -e .
	touch $@
setup: $(STAMP)
