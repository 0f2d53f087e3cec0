# make help lists the targets. Everything runs in .venv, with the versions of constraints.txt.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

OUT ?= mav-out
TRAIN ?= mav-train
ARGS ?=
export SRC OUT TRAIN  # recipes take them from the environment, whatever characters they have

.PHONY: help needs setup build-mav train resume test check docs bench bench-length bench-scale bench-model bench-gpu ablations clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version); set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e .
	@touch $@

# What the chosen source, backend, runtime and places need beside the core, each set of it once.
needs: .venv/.core
	@extras=$$($(BIN)/python -m scripts.extras "output.root=$$OUT" $${SRC:+"source.root=$$SRC"} $(ARGS)) && \
	  { test -z "$$extras" || test -e ".venv/.extras-$$extras" || \
	    { $(PIP) -e ".[$$extras]" && touch ".venv/.extras-$$extras"; }; }

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -e '.[ray,s3,train,videomama,dev]'
	@touch .venv/.core $@

.venv/.compiled: .venv/.dev
	$(BIN)/python -c 'import pymatting'  # compiles once, a minute; tests would each wait for that
	@touch $@

setup: .venv/.compiled ## make .venv with everything that tests and development need

build-mav: needs ## build SRC=folder or s3:// (default: a sample) into OUT=folder or s3://; ARGS="key=value ..."
ifdef SRC
	$(BIN)/mav build "source.root=$$SRC" "output.root=$$OUT" $(ARGS)
else
	$(BIN)/mav sample sample.root=mav-sample
	$(BIN)/mav build source.root=mav-sample/sav_train "output.root=$$OUT" $(ARGS)
endif
	$(BIN)/mav verify "output.root=$$OUT" verify.deep=true
	$(BIN)/mav report "output.root=$$OUT"

train: .venv/.core ## train SAM2-Matte on the set in OUT, into TRAIN; ARGS="train=tiny"
	test -e .venv/.extras-train || { $(PIP) -e '.[train]' && touch .venv/.extras-train; }
	$(BIN)/mav train train.data="$$OUT" train.root="$$TRAIN" $(ARGS)

resume: needs ## go on with the build in OUT, with the configuration that began it
	$(BIN)/mav build "output.root=$$OUT" $(ARGS)

test: .venv/.compiled ## run the tests on two cores; ARGS="tests/unit -k name" for some
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)  # one more: some wait

check: .venv/.dev ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2

docs: .venv/.dev ## write what the docs say of configuration and columns anew
	$(BIN)/python -m scripts.reference

bench: .venv/.dev ## measure speed and memory, write docs/benchmarks.md
	$(BIN)/python -m benchmarks $(ARGS)

bench-length: .venv/.dev ## measure memory by a clip's length, ARGS="folder build minutes ..."
	$(BIN)/python -m benchmarks.length $(ARGS)

bench-scale: .venv/.dev ## measure plans of 50,541 clips, resumes, S3; simulate 512 GPUs
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-model: .venv/.dev ## VideoMaMa at full size on any machine: memory and work counted, ways compared
	$(BIN)/python -m benchmarks.model_full $(ARGS)

bench-gpu: .venv/.dev ## measure VideoMaMa at full size on a GPU, into docs/benchmarks.md
	$(BIN)/python -m benchmarks.gpu $(ARGS)

ablations: .venv/.dev ## sweep backends, masks and sizes on the sample, write docs/ablations.md
	for sweep in backend masks size; do \
	  $(BIN)/python -m benchmarks.ablations ablation=$$sweep ablate.root=mav-ablations $(ARGS) || exit; done
	$(BIN)/python -m benchmarks.ablations.page mav-ablations

clean: ## remove .venv, caches and the sample with its build
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis mav-sample mav-out mav-ablations
