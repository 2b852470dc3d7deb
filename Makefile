# The plain commands behind the first targets are in README.md.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# To take torch from another index, such as a CPU-only one: make setup TORCH_INDEX=URL
TORCH_INDEX ?=

.PHONY: setup train test test-slow test-browser site pictures notebooks test-any check bench format

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and "This toolkit needs Python 3.11 or newer; %s is %d.%d. Name another with: make PYTHON=python3.11" % (sys.executable, v[0], v[1]))'
	$(PYTHON) -m venv --clear $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --index-url $(TORCH_INDEX) -c constraints.txt torch torchvision)
	$(BIN)/python -m pip install --progress-bar off -c constraints.txt -e '.[dev,albumentations,heif,notebooks,parquet,timm,track,ultralytics]'
	@touch $@

train: setup
	$(BIN)/python -m labs.classification train

# A process for each core, a file of tests at a time; torch's threads would be in their way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist loadfile

test: setup
	$(PYTEST)

test-slow: setup
	$(PYTEST) -m slow

# The tests of pages in a real browser; it needs Chromium: apt-get install chromium.
test-browser: setup
	$(BIN)/python -m pytest -m browser

# The pages as a site that reads from its folder: build/site/index.html.
site: setup
	$(BIN)/python -m sphinx -q -W -c docs/site docs build/site

# The pictures of the pages, by the commands beside their names: hours. It needs Chromium, too.
pictures: setup
	$(BIN)/python docs/site/pictures.py

# The notebooks of docs/notebooks as files for Jupyter: build/notebooks/*.ipynb.
notebooks: setup
	mkdir -p build/notebooks
	cd docs/notebooks && for page in *.md; do ../../$(BIN)/jupytext -q --to ipynb --output ../../build/notebooks/$${page%.md}.ipynb $$page || exit 1; done

# The fast tests as other machines would run them: another CPU, one core, locale, user, no network.
test-any: setup
	PYTHON=$(BIN)/python tests/any_machine.sh

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
