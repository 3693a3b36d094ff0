# Two commands do all the set-up on a fresh machine that has python3, make and git: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Bytecode is made when a module is first imported: most of torch's never is, and installing takes a third less time.
INSTALL := -m pip install --quiet --no-compile
RUN := runs/demo

.PHONY: demo test check wheel clean

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python $(INSTALL) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python $(INSTALL) --editable '.[dev]'
	touch $@

# Train on the embedded digits, evaluate, draw attention rollouts.
demo: .venv/installed
	rm -rf $(RUN)
	$(BIN)/vitscope train --out $(RUN)
	$(BIN)/vitscope evaluate $(RUN)/best.pth --out $(RUN)/evaluation
	$(BIN)/vitscope attention --rollout --index 0-7 --checkpoint $(RUN)/best.pth --out $(RUN)/attention
	@echo
	@echo "Look at:"
	@echo "  $(RUN)/figures/history.png                how the training went"
	@echo "  $(RUN)/evaluation/figures/                accuracy a class, confusion, calibration, samples and errors"
	@echo "  $(RUN)/evaluation/metrics.json            the numbers"
	@echo "  $(RUN)/attention/                         what the model attended to, an image a figure"

# Bytecode is kept whatever the environment says: processes that the tests start would compile torch anew, each.
# The tests, all of them: `make test ARGS='-m "not slow"'` leaves the long ones out.
test: .venv/installed-dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

# Format, lint, types, import layers.
check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Build the wheel, install it in an environment of its own, import every module of it.
wheel: .venv/installed-dev
	rm -rf build dist .venv-wheel
	$(BIN)/python -m build --wheel --outdir dist .
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python $(INSTALL) dist/*.whl
	cd dist && ../.venv-wheel/bin/python ../.ci/import_everything.py
	rm -rf .venv-wheel

clean:
	rm -rf .venv .venv-wheel build dist *.egg-info
