# `make help` lists what can be made. Every target installs or builds what it needs first.
#
# For GNU make 3.81 (macOS) and later, and for any POSIX shell: make 3.81 knows no `.SHELLFLAGS`, so a recipe of several
# commands says itself where it fails.

.DEFAULT_GOAL := help
.PHONY: help swift deps first-build build test test-slurm test-mpi lint data stress sanitize reproduce-ptb reproduce-cifar reproduce-mnist results results-check figures verify bench clean

PROFILE ?= quick
# How many faults `make stress` tries, of each kind.
CASES ?= 100000
KILLS ?= 200
# Who computes the runs of `make reproduce-…`: this machine, JOBS at a time, or with LAUNCHER=slurm a cluster.
REPRODUCE = --profile '$(PROFILE)' $(if $(SEEDS),--seeds '$(SEEDS)') $(if $(JOBS),--jobs '$(JOBS)') $(if $(LAUNCHER),--launcher '$(LAUNCHER)' \
    $(if $(PARTITION),--partition '$(PARTITION)') $(if $(TIME),--time '$(TIME)') $(if $(CORES),--cores '$(CORES)') \
    $(if $(MEMORY),--memory '$(MEMORY)') $(if $(ACCOUNT),--account '$(ACCOUNT)') $(addprefix --sbatch ,$(SBATCH)))
# The C code under both sanitizers, Swift under the one of addresses: the other is for C alone.
SANITIZED = --sanitize=address -Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=undefined \
    --scratch-path .build/sanitized $(SWIFT_FLAGS)
BIN := .build/release
# One build serves the programs and the tests: `-enable-testing` lets tests see what a module keeps to itself.
SWIFT_FLAGS := -c release -Xswiftc -enable-testing
# What a build needs besides Swift, by Debian's names. macOS brings zlib, and Accelerate for OpenBLAS.
ifneq ($(shell uname -s),Darwin)
NEEDED := libopenblas-dev zlib1g-dev pkg-config
endif
# Tasks of a cluster may be running the programs: with LAUNCHER those that are there are not built again.
PROGRAMS = $(if $(and $(LAUNCHER),$(wildcard $(BIN)/char-hyperlstm)),,build)
# $(call with-kernels,SETS,TESTS): tests of cells and models once with each set of vector kernels that this CPU has.
with-kernels = for simd in $(1); do \
    echo "-- the cells and models with the $$simd kernels"; \
    HYPERNETWORKS_SIMD=$$simd $(2) >.build/$$simd.log 2>&1 && tail -n 1 .build/$$simd.log \
        || if grep -q "expected one of .*found .*$$simd" .build/$$simd.log; then echo "   this CPU has no $$simd"; \
        else cat .build/$$simd.log; exit 1; fi; \
done

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "PROFILE=quick|paper         how much of an experiment to run: reduced models in minutes, or full settings (MNIST: 1½ hours;"
	@echo "                            elsewhere days a row); ptb also '1000 steps', steps-5000, steps-20000; cifar '10 epochs', epochs-100, epochs-400"
	@echo "SEEDS=0,1,2 JOBS=N          seeds in place of each configuration's own; N runs at a time"
	@echo "LAUNCHER=slurm              reproduce-… as a job array on a cluster: docs/cluster.md"
	@echo "  PARTITION= TIME= CORES= MEMORY= ACCOUNT= SBATCH='--qos=long …'   in place of what cluster/array.slurm says"
	@echo "HYPERNETWORKS_DATA=DIR      the data folder, if not data/"

swift: # says which Swift is needed, where there is none or an older one
	@said=$$(swift --version 2>&1); \
	version=$$(echo "$$said" | sed -nE 's/.*Swift version ([0-9]+\.[0-9]+).*/\1/p' | head -n 1); \
	echo "$${version:-0.0}" | awk -F . '{ exit !($$1 > 6 || $$1 == 6 && $$2 >= 2) }' || { \
	    [ -n "$$version" ] || ! command -v swift >/dev/null || echo "$$said" >&2; \
	    echo "error: Swift 6.2 or later is needed, found $${version:-none}: https://www.swift.org/install, or the container:" >&2; \
	    echo '  docker build -t hypernetworks .' >&2; \
	    echo '  docker run --rm -it -v "$$PWD/data:/hypernetworks/data" -v "$$PWD/runs:/hypernetworks/runs" hypernetworks' >&2; exit 1; }

# OpenBLAS is opened at run time: it may be a file that the user names, or a module of a cluster.
deps: ## installs the C libraries and tools that are missing (Debian, Ubuntu; elsewhere says which)
	@missing=""; \
	for package in $(NEEDED); do \
	    case $$package in \
	    libopenblas-dev) [ -n "$$HYPERNETWORKS_BLAS" ] || PATH="$$PATH:/sbin" ldconfig -p 2>/dev/null | grep -q 'libopenblas\.so' \
	        || { [ -n "$$LD_LIBRARY_PATH" ] && find -L $$(echo "$$LD_LIBRARY_PATH" | tr : ' ') -maxdepth 1 \
	            -name 'libopenblas.so*' 2>/dev/null | grep -q .; } \
	        || missing="$$missing $$package";; \
	    zlib1g-dev) pkg-config --exists zlib 2>/dev/null || [ -e /usr/include/zlib.h ] || missing="$$missing $$package";; \
	    pkg-config) command -v pkg-config >/dev/null || [ -e /usr/include/zlib.h ] || missing="$$missing $$package";; \
	    *) command -v $$package >/dev/null || missing="$$missing $$package";; \
	    esac; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	hint=""; \
	case $$missing in *openblas*) \
	    hint="  (OpenBLAS elsewhere: HYPERNETWORKS_BLAS=/path/to/libopenblas.so; without, slowly: HYPERNETWORKS_BLAS=none)";; \
	esac; \
	fail() { printf '%s\n' "error: $$1" $${hint:+"$$hint"} >&2; exit 1; }; \
	if command -v apt-get >/dev/null; then \
	    echo "installing:$$missing"; \
	    root=""; [ "$$(id -u)" = 0 ] || root=sudo; \
	    [ -z "$$root" ] || command -v sudo >/dev/null || fail "not root and no sudo; as root: apt-get install$$missing"; \
	    $$root apt-get update -qq || true; \
	    $$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null \
	        || fail "could not install$$missing"; \
	else \
	    fail "missing (by their Debian names):$$missing; please install them with this system's package manager"; \
	fi

first-build: # says how long it takes
	@[ -e $(BIN)/char-hyperlstm ] || echo "the first build takes 4 to 8 minutes on two cores"

build: swift deps first-build ## builds the programs, optimized
	@swift build $(SWIFT_FLAGS)

test: swift deps first-build ## runs every test; those of cells and models once with each instruction set
	@$(MAKE) --no-print-directory deps NEEDED=curl
	@swift build $(SWIFT_FLAGS) --build-tests
	@swift test $(SWIFT_FLAGS) --skip-build
	@$(call with-kernels,avx512 avx2 portable,swift test $(SWIFT_FLAGS) --skip-build --filter 'HyperNetworksTests')
	@echo "-- the programs in Python"
	@if python3 -c 'import torch, numpy, safetensors, yaml' 2>/dev/null; then python3 -m unittest discover -s python; \
	else echo "   skipped: python3 lacks torch, numpy, safetensors or PyYAML"; fi
	@echo "-- the portable kernels on arm64, in an emulator"
	@Tests/Arm64/run.sh .build/arm64
	@echo "-- a package of somebody else's that uses this one"
	@Tests/OutsidePackage/run.sh "$(CURDIR)/.build/outside"
	@echo "-- the format"
	@$(MAKE) --no-print-directory lint

test-slurm: build ## a job array on a Slurm cluster of this machine alone, interrupted and killed (2 minutes)
	@Tests/Cluster/slurm.sh

test-mpi: build ## one run on several processes of this machine, killed and resumed (1 minute; more kills: KILLS=50)
	@Tests/Cluster/mpi.sh

stress: swift deps first-build ## tries faults by the hundred thousand: damaged files of every kind, kills at random instants (half an hour)
	@swift build $(SWIFT_FLAGS) --build-tests
	@HYPERNETWORKS_STRESS_CASES=$(CASES) HYPERNETWORKS_STRESS_KILLS=$(KILLS) swift test $(SWIFT_FLAGS) --skip-build \
	    --filter 'Damaged[A-Za-z]*Tests|KillTests'
	@Tests/Fuzz/fuzz.sh 600

# Leaks are not looked for: the Swift runtime keeps what it makes once. Memory that there cannot be is refused as it is without them.
sanitize: export ASAN_OPTIONS = detect_leaks=0:allocator_may_return_null=1
# MachineCodeTests are left out: the sanitizers change the machine code of the kernels.
sanitize: swift deps ## kernels and readers under the address and undefined-behavior sanitizers (half an hour, most of it a build)
	@swift build $(SANITIZED) --build-tests
	@$(call with-kernels,amx avx512 avx2 portable,swift test $(SANITIZED) --skip-build \
	    --filter 'ComputeTests|NeuralNetworkTests|HyperNetworksTests' --skip MachineCodeTests)
	@swift test $(SANITIZED) --skip-build --filter 'DatasetsTests|SafetensorsTests'

lint: swift ## checks the format of all Swift files
	@swift format lint --strict --recursive Package.swift Plugins Sources Tests experiments

data: ## downloads the data sets, checks them and puts them into the data folder
	@$(MAKE) --no-print-directory deps NEEDED=curl
	@data/download.sh

reproduce-ptb: $(PROGRAMS) ## §4.3: characters of Penn Treebank (without the data: the generated sample)
	@$(BIN)/char-hyperlstm reproduce $(REPRODUCE)

reproduce-cifar: $(PROGRAMS) ## §4.2: CIFAR-10, Table 2 (without the data: generated images)
	@$(BIN)/static-hypernet reproduce --experiment cifar $(REPRODUCE)

reproduce-mnist: $(PROGRAMS) ## §4.1 and A.1: MNIST, Table 7 (without the data: generated images)
	@$(BIN)/static-hypernet reproduce --experiment mnist $(REPRODUCE)

results: build ## writes RESULTS.md, docs/, the README's table and the figures from the committed records
	@$(BIN)/char-hyperlstm results
	@$(BIN)/static-hypernet results
	@$(BIN)/benchmarks tables

results-check: build ## fails if one of them is not what the records give
	@$(BIN)/char-hyperlstm results --check
	@$(BIN)/static-hypernet results --check
	@$(BIN)/benchmarks tables --check
	@$(BIN)/char-hyperlstm figures --check
	@$(BIN)/static-hypernet figures --check

figures: build ## draws the paper's figures from the committed weights; then `results`, which draws the charts
	@$(BIN)/char-hyperlstm figures
	@$(BIN)/static-hypernet figures
	@$(MAKE) --no-print-directory results

verify: build ## reads the test splits with the committed weights, compares with the records (CHARACTERS=N cuts)
	@status=0; $(BIN)/static-hypernet verify || status=$$?; \
	$(BIN)/char-hyperlstm verify $(if $(CHARACTERS),--characters $(CHARACTERS)) || status=$$?; exit $$status

bench: build ## times training steps beside PyTorch's (without PyTorch only where this kind of machine has no file yet)
	@$(BIN)/benchmarks compare --output experiments/benchmarks/measured
	@$(BIN)/benchmarks tables

clean: ## removes what was built
	rm -rf .build
