# `make demo` sets up an environment and runs the method on a sample chest CT; `make test` sets up and runs the tests;
# `make test-application LNHG_SLICER=PROGRAM` clicks through the module in Slicer, see docs/developing.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-application lint clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[host,train,batch,dev]'
	touch $@

demo: $(VENV)/ready
	$(BIN)/lnhg sample --output demo/sample
	$(BIN)/lnhg segment demo/sample/ct.nrrd --output demo/result
	$(BIN)/lnhg evaluate demo/result/labels.nrrd demo/sample/labels.nrrd

test: $(VENV)/ready
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-application: $(VENV)/ready
	LNHG_SLICER="$(LNHG_SLICER)" $(BIN)/python Testing/application/run.py --output build/drives $(DRIVES)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=LNHGSlicer $(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo
