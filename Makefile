.PHONY: install test slow lint docs format bench

install:  ## everything a contributor needs, in the active environment
	python -m pip install -e '.[dev]' -c constraints.txt

test:  ## the default suite
	python -m pytest -n 2

slow:  ## the long tests
	python -m pytest -m slow

lint:  ## style, types, import contracts
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

docs:  ## the site, into site/; a broken link or reference fails
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

format:
	ruff check --fix .
	ruff format .

bench:  ## every claim about speed, one after another
	for file in benchmarks/*.py; do echo "== $$file"; python $$file || exit 1; done
