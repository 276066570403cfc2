# make demo    the whole main job on the built-in models; what it makes lies in demo/
# make test    installs what the tests need and runs all of them, with ruff and mypy
# make check   ruff and mypy alone
# make clean   removes what the others made, environments included
#
# Each environment is made once (the stamp `.installed` in it) and again when pyproject.toml changes.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP = -m pip install --disable-pip-version-check --quiet
RUN = .venv/bin
SOURCES = $(shell find addon protocol backend stylegan2 -name '*.py' -o -name '*.md' -o -name '*.json' -o -name '*.safetensors')

.PHONY: demo test check clean

demo: .venv/.installed dist/.built
	@$(MAKE) --no-print-directory .env-bpy45/.installed
	@zip=$$(ls -t dist/*.zip 2>/dev/null | head -n 1); set --; \
	if [ -n "$$zip" ] && [ -x .env-bpy45/bin/python ]; then set -- --blender .env-bpy45/bin/python --addon-zip "$$zip"; fi; \
	$(RUN)/latent-loom demo --out demo "$$@" $(DEMO_OPTIONS)

test: check
	@$(MAKE) --no-print-directory .env-bpy45/.installed .env-bpy50/.installed
	$(RUN)/python -m pytest $(TESTS)

check: .venv/.installed
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

.venv/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Latent Loom needs Python 3.11 or newer; install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing Latent Loom and PyTorch in .venv; this takes minutes the first time ..."
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -e '.[dev]'
	@touch $@

# Optional outside CI: the zip needs wheels of other platforms, so a network.
dist/.built: .venv/.installed build_addon.py $(SOURCES)
	@if $(RUN)/python build_addon.py; then touch $@; \
	elif [ "$$CI" = true ]; then exit 1; \
	else echo "The add-on's zip could not be built; going on without it, and what needs it is skipped."; fi

.env-bpy45/.installed:
	@scripts/bpy-environment 4.5 .env-bpy45

.env-bpy50/.installed:
	@scripts/bpy-environment 5.0 .env-bpy50

clean:
	rm -rf .venv .env-bpy45 .env-bpy50 dist build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
