# `make demo` sets up an environment and runs the method on a sample chest CT; `make test` sets up and runs the tests;
# `make test-application LNHG_SLICER=PROGRAM` clicks through the module in Slicer, see docs/developing.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What a user gets: OpenVINO on the processor, without PyTorch.
LIGHT := .venv-light

.PHONY: demo test test-light test-application lint clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[host,train,batch,dev]'
	touch $@

$(LIGHT)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(LIGHT)
	$(LIGHT)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[host]'
	touch $@

demo: $(LIGHT)/ready
	$(LIGHT)/bin/lnhg sample --output demo/sample
	$(LIGHT)/bin/lnhg segment demo/sample/ct.nrrd --output demo/result
	$(LIGHT)/bin/lnhg evaluate demo/result/labels.nrrd demo/sample/labels.nrrd

# What needs no PyTorch, where there is none: the demo, and tests of what a run reads and tells.
test-light: demo
	$(LIGHT)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pytest hypothesis
	! $(LIGHT)/bin/python -c "import torch" 2> /dev/null
	$(LIGHT)/bin/python -m pytest Testing/categories Testing/core

test: $(VENV)/ready
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --max-worker-restart 0

test-application: $(VENV)/ready
	LNHG_SLICER="$(LNHG_SLICER)" $(BIN)/python Testing/application/run.py --output build/drives $(DRIVES)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=LNHGSlicer $(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(LIGHT) demo
