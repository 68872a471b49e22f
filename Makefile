# The few commands of Face2Emoji; `make` alone lists them.
#
# Everything lives in .venv, at the exact versions of constraints.txt, each file checked by hashes.txt. Paths stay relative, so a folder with spaces works.

.DEFAULT_GOAL := help
.PHONY: help run install develop test check format train lock audit sbom image clean

VENV_PYTHON := .venv/bin/python
# PyTorch's own index of CPU builds: a small download, without CUDA.
CPU_INDEX := https://download.pytorch.org/whl/cpu
# Where `make train` finds fer2013.csv.gz and fer2013new.csv.
DATA ?= data
# What stands when the bot can run.
RUNS := .venv/.run $(if $(filter 1,$(GPU)),.venv/.gpu)
DOCKER ?= docker
PACKAGES := pyproject.toml constraints.txt hashes.txt hashes-cpu.txt
PIP_FLAGS := $(if $(filter 1,$(CPU)),--extra-index-url=$(CPU_INDEX))

help: ## List these commands
	@echo "Face2Emoji: send a selfie, get the emoji that matches your face."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Options: PYTHON=/path/to/python3.12 names the Python to use; training and tests want PyTorch, and CPU=1 takes"
	@echo "its small build without CUDA; GPU=1 has run and install add PyTorch for a graphics card. The first two count when"
	@echo ".venv is first made. ARGS=... goes on to run, test and train: make test ARGS='-k photo'."

run: $(RUNS) ## Start the bot and its web page; the first time, install what they need
	@exec $(VENV_PYTHON) -m bot $(ARGS)

install: $(RUNS) ## Only make .venv
	@echo ".venv is ready; make run starts the bot."

develop: .venv/.all ## Also install what trains and what develops
	@echo ".venv is ready for training and development."

test: .venv/.all ## Run every test
	$(VENV_PYTHON) -m tests.e2e.chromium
	$(VENV_PYTHON) -m tests.bot.slack_emulator
	$(VENV_PYTHON) -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/.all ## Check format, style, types and the one-way imports
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m mypy
	$(VENV_PYTHON) -m pytest --quiet tests/test_imports.py

format: .venv/.all ## Format the code and mend what ruff can mend
	$(VENV_PYTHON) -m ruff format .
	$(VENV_PYTHON) -m ruff check --fix .

train: .venv/.all ## Train the network from the files in DATA=folder, start to finish
	PYTHON=$(VENV_PYTHON) bash training/runs/full.sh "$(DATA)" $(ARGS)

lock: ## Write hashes.txt anew, after a change of constraints.txt
	@test -x $(VENV_PYTHON) || { echo "First: make develop." >&2; exit 1; }
	$(VENV_PYTHON) -m supply lock

audit: .venv/.all ## Look for known weaknesses of the packages
	@$(VENV_PYTHON) -m supply audit

sbom: .venv/.all ## Write sbom.json, the software bill of materials of .venv
	$(VENV_PYTHON) -m supply sbom sbom.json

image: ## Build the image, and list what is in it (DOCKER=podman works, too)
	$(DOCKER) build --tag face2emoji .
	$(DOCKER) run --rm face2emoji python -m supply contents --system

clean: ## Remove .venv and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# Finds a Python that fits, as $$python, or says in one sentence what is missing.
# Debian and Ubuntu ship ensurepip, which every environment needs, in a package of its own.
define find_python
problem="$(if $(PYTHON),$(PYTHON) is not one,none was found)"; package="$(if $(PYTHON),,python3-venv)"; found=; venvless=; \
for python in $(if $(PYTHON),"$(PYTHON)",python3.12 python3.11 python3); do \
	version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	case $$version in \
	3.11|3.12) \
		if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then found=yes; break; fi; \
		venvless=yes; problem="Python $$version lacks that module"; package=python$$version-venv ;; \
	?*) \
		test -n "$$venvless" || { problem="$$python is Python $$version"; package=; } ;; \
	esac; \
done; \
test -n "$$found" || { \
	echo "Face2Emoji needs Python 3.11 or 3.12 with its venv module, but $$problem; install it$${package:+ (Debian, Ubuntu:" \
		"sudo apt install $$package)} or name it with PYTHON=/path/to/python3.12." >&2; \
	exit 1; }
endef

# The browser driver of the tests links to it; asked for before anything big is downloaded.
define check_libraries
import ctypes, sys
try:
    "dev" in sys.argv and sys.platform == "linux" and ctypes.CDLL("libatomic.so.1")
except OSError:
    sys.exit("A system library is missing (Debian, Ubuntu: sudo apt install libatomic1).")
endef
export check_libraries

# .venv/.run and .venv/.all stand only while nothing is half done: `supply install` takes both away once it knows what to
# install, so one that was cut short begins with a fresh environment next time.
define install
	@test -e .venv/.run && test -x $(VENV_PYTHON) || { \
		$(find_python); \
		echo "Making .venv with Python $$version.$(if $(1), The first time takes minutes: PyTorch is a big download.)"; \
		"$$python" -m venv --clear .venv; }
	@$(VENV_PYTHON) -c "$$check_libraries" $(1)
	$(VENV_PYTHON) -m supply install $(1) $(PIP_FLAGS)
	@touch .venv/.run $@
endef

.venv/.run: $(PACKAGES)
	$(call install)

.venv/.gpu: $(PACKAGES) | .venv/.run
	$(call install,gpu)

.venv/.all: $(PACKAGES)
	$(call install,train dev)

ifeq ($(realpath $(VENV_PYTHON)),)
.PHONY: .venv/.run .venv/.gpu .venv/.all # the Python behind .venv is gone
endif
