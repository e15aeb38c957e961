# The front door. `make help` lists what there is; every target sets up what it needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(CURDIR)/$(VENV)/bin
TIME   ?= 60
export PATH := $(BIN):$(PATH)
# Ninja would look there for the jobs of this make, which it cannot reach.
unexport MAKEFLAGS

ENGINE  := $(shell find include src bindings client/src tools -type f 2>/dev/null) \
           client/build.mjs client/package.json meson.build meson.options \
           $(wildcard src/meson.build bindings/python/meson.build client/meson.build)
PACKAGE := $(shell find python -type f -not -name '*.pyc' 2>/dev/null) pyproject.toml README.md
C_FILES := $(shell find include src bindings tests/c fuzz examples/*.c -name '*.[ch]' 2>/dev/null)

.PHONY: help setup demo test ready suites test-c test-c-plain test-c-asan test-c-tsan \
        test-python test-python-newest test-python-oldest test-client test-browser test-docs \
        test-matrix test-wheel matrix coverage mutation analyse soak picture bench lint fmt fuzz \
        wheel cross clean
.DELETE_ON_ERROR:

help:
	@echo 'make setup   install what is needed, build the package into $(VENV)'
	@echo 'make demo    serve the example on http://127.0.0.1:8000'
	@echo 'make test    run every suite: C (plain, ASan+UBSan, TSan), Python, client, browsers,'
	@echo '             documents, servers, wheel; make test-python and the like run one'
	@echo 'make matrix  run every framework, server and loop on every Python there is'
	@echo 'make coverage, make mutation   say what the tests run, and what they notice'
	@echo 'make analyse look for mistakes with GCC -fanalyzer, clang-tidy, cppcheck and valgrind'
	@echo 'make soak    kill, load and leak for a quarter of an hour'
	@echo 'make bench   measure against what else one would use; PARTS names some of the parts'
	@echo 'make lint    check formats, types and warnings of both compilers'
	@echo 'make fmt     format the sources'
	@echo 'make fuzz    fuzz each target for TIME seconds (default $(TIME))'
	@echo 'make wheel   build the wheel and the sdist into dist/; make test-wheel also tries them'
	@echo 'make picture film the moving picture of the README'
	@echo 'make cross   build and test for aarch64 on another machine'
	@echo 'make clean   remove everything that was built'

# Set-up. Steps may run beside each other, but not two that install into the same place.

# A venv whose pip knows dependency groups.
VENV_IN = (test -x $(1)/bin/python || $(PYTHON) -m venv $(1)) && \
          $(1)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'

PIP := flock $(VENV) $(BIN)/python -m pip install --quiet

.make/system-%: tools/need
	@mkdir -p .make
	flock .make tools/need $*
	@touch $@

.make/venv: pyproject.toml | .make/system-build
	$(PYTHON) tools/check_python.py
	$(call VENV_IN,$(VENV))
	$(PIP) --group build --group demo 'starlette>=0.35'
	@touch $@

.make/venv-%: .make/venv pyproject.toml
	$(PIP) --group $*
	@touch $@

.make/client: client/package.json client/package-lock.json | .make/system-build
	cd client && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.make/browser: tests/browser/package.json tests/browser/package-lock.json | .make/system-test
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.make/bench-pixels: bench/pixels/package.json bench/pixels/package-lock.json | .make/system-build
	cd bench/pixels && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.make/package: .make/venv .make/client $(ENGINE) $(PACKAGE)
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --no-build-isolation --no-deps \
	    -Cbuild-dir=build/python -w build/wheel .
	$(PIP) --no-deps --force-reinstall build/wheel/*.whl
	@touch $@

# The oldest Starlette that pyproject.toml admits.
OLDEST := build/oldest/bin/python
.make/oldest: .make/package
	$(call VENV_IN,build/oldest)
	$(OLDEST) -m pip install --quiet --group test 'starlette==0.35.0'
	$(OLDEST) -m pip install --quiet --no-deps --force-reinstall build/wheel/*.whl
	@touch $@

setup: .make/package

demo: .make/package
	cd examples/site && $(BIN)/python -m uvicorn main:app --reload --host 127.0.0.1 --port 8000

# Tests. The suites run beside each other, since they wait as much as they work, the longest first;
# what two of them use is there before. Each prints all that it says when it is over.

BESIDE = $(MAKE) --no-print-directory --jobs=4 $(MAKEOVERRIDES)
SUITES  := test-browser test-c-asan test-c-plain test-python-newest test-python-oldest test-c-tsan \
           test-matrix test-docs test-wheel test-client

test:
	@$(BESIDE) ready
	@echo 'beside each other: $(SUITES)'
	@$(BESIDE) --keep-going --output-sync=target suites

ready: .make/package .make/venv-test .make/venv-frameworks .make/venv-wheel .make/browser \
       .make/oldest .make/system-test .make/system-matrix .make/c

suites: $(SUITES)

MESON_TEST := meson test --print-errorlogs --num-processes 4

build/c/build.ninja: .make/venv .make/client | .make/system-test
	meson setup build/c --wipe 2>/dev/null || meson setup build/c

build/asan/build.ninja: .make/venv .make/client | .make/system-test
	meson setup build/asan --wipe -Db_sanitize=address,undefined -Db_lundef=false 2>/dev/null || \
	meson setup build/asan -Db_sanitize=address,undefined -Db_lundef=false

build/tsan/build.ninja: .make/venv .make/client | .make/system-test
	meson setup build/tsan --wipe -Db_sanitize=thread -Db_lundef=false 2>/dev/null || \
	meson setup build/tsan -Db_sanitize=thread -Db_lundef=false

# Four suites use it, and two ninjas must not be in one directory.
.make/c: build/c/build.ninja $(ENGINE) $(wildcard tests/c/* fuzz/*.[ch] examples/*.c examples/meson.build)
	ninja -C build/c --quiet
	@touch $@

test-c: test-c-plain test-c-asan test-c-tsan

test-c-plain: .make/c
	$(MESON_TEST) -C build/c --no-rebuild

test-c-asan: build/asan/build.ninja
	$(MESON_TEST) -C build/asan

test-c-tsan: build/tsan/build.ninja
	$(MESON_TEST) -C build/tsan --suite threads

test-python: test-python-newest test-python-oldest

test-python-newest: .make/package .make/venv-test .make/venv-frameworks .make/c
	$(BIN)/python -m pytest

test-python-oldest: .make/oldest .make/c
	$(OLDEST) -m pytest --ignore=tests/python/frameworks

# What README and docs show.
test-docs: .make/package .make/venv-test .make/venv-frameworks .make/system-test .make/system-matrix
	$(BIN)/python -m pytest tests/docs

test-client: .make/client
	cd client && npm test && npm run check

test-browser: .make/package .make/venv-test .make/browser .make/c
	cd tests/browser && npm test

# Real servers with other loops and frameworks.
test-matrix: .make/package .make/system-matrix
	$(BIN)/python tests/matrix/run.py --quick build/wheel/*.whl

test-wheel: wheel
	$(BIN)/python -m pytest -v tests/packaging

# The rest.

coverage: .make/client .make/c | .make/system-test
	PYTHON=$(PYTHON) tools/coverage build/coverage

analyse: .make/venv .make/client | .make/system-test .make/system-analyse
	tools/analyse build/analyse

mutation: .make/venv | .make/system-test
	$(BIN)/python tools/mutate.py

# The long forms of tests/python/test_faults.py and isolated/leaks.py, then the extension under ASan.
ASAN_PYTHON := build/asan-python/bin/python
ASAN_TESTS  := engine layer bytes coding hooks stream setup isolated

soak: .make/package .make/venv-test
	$(BIN)/python tests/soak/kills.py 1000
	$(BIN)/python tests/soak/load.py
	$(BIN)/python -W error tests/python/isolated/leaks.py 1000000 100000
	$(call VENV_IN,build/asan-python)
	$(ASAN_PYTHON) -m pip install --quiet --group build --group test 'starlette>=0.35'
	PATH=$(CURDIR)/build/asan-python/bin:$$PATH $(ASAN_PYTHON) -m pip install --quiet \
	    --no-build-isolation --no-deps --force-reinstall -Cbuild-dir=build/asan-extension \
	    -Csetup-args=-Db_sanitize=address -Csetup-args=-Db_lundef=false .
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so) PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1 \
	    $(ASAN_PYTHON) -m pytest -q $(ASAN_TESTS:%=tests/python/test_%.py)

# The moving picture of the README; films a real browser.
picture: .make/package .make/browser .make/venv-picture
	rm -rf build/picture
	node tools/picture.mjs build/picture $(BIN)/python
	$(BIN)/python tools/picture.py build/picture docs/hot-reload.webp

# All of the matrix, on every Python there is; writes the tables of docs/servers.md.
matrix: wheel .make/system-matrix
	$(BIN)/python tests/matrix/run.py dist/*.whl

bench: .make/package .make/system-bench .make/bench-pixels
	$(call VENV_IN,.venv-bench)
	.venv-bench/bin/python -m pip install --quiet --group bench
	.venv-bench/bin/python -m pip install --quiet --no-deps --force-reinstall build/wheel/*.whl
	.venv-bench/bin/python bench/run.py --document $(PARTS)

build/clang/build.ninja: .make/venv .make/client | .make/system-test .make/system-lint
	CC=clang meson setup build/clang --wipe --werror 2>/dev/null || \
	CC=clang meson setup build/clang --werror

build/gcc/build.ninja: .make/venv .make/client | .make/system-test
	CC=gcc meson setup build/gcc --wipe --werror 2>/dev/null || \
	CC=gcc meson setup build/gcc --werror

lint: .make/package .make/venv-test .make/venv-frameworks .make/venv-lint .make/system-lint build/clang/build.ninja build/gcc/build.ninja
	clang-format --dry-run --Werror $(C_FILES)
	ruff check
	ruff format --check
	mypy
	mypy --config-file= --strict --python-version 3.10 tests/packaging tests/typing
	MYPYPATH=python:tests/docs mypy --config-file= --strict --python-version 3.10 tests/docs/*.py
	stubtest --allowlist tests/typing/stubtest.txt starlette_hot_reload._core
	pyright
	pyright --verifytypes starlette_hot_reload --ignoreexternal
	cd client && npm run check
	ninja -C build/clang --quiet
	ninja -C build/gcc --quiet

fmt: .make/venv-lint .make/system-lint
	clang-format -i $(C_FILES)
	ruff check --fix --quiet || true
	ruff format

build/fuzz/build.ninja: .make/venv .make/client | .make/system-lint
	CC=clang meson setup build/fuzz -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined -Db_lundef=false

fuzz: build/fuzz/build.ninja
	ninja -C build/fuzz
	tools/fuzz build/fuzz/fuzz $(TIME)

# The tag names the Python that builds; abi3audit proves that 3.10 has all that the extension uses.
# auditwheel names the oldest glibc that has: a build on an older system runs on more of them.
wheel: .make/venv-wheel .make/client
	rm -rf build/dist dist
	$(BIN)/python -m build --no-isolation --skip-dependency-check --outdir build/dist .
	$(BIN)/wheel tags --remove --python-tag cp310 build/dist/*.whl
	$(BIN)/abi3audit --strict --summary build/dist/*.whl
	$(BIN)/auditwheel repair --wheel-dir dist build/dist/*.whl
	mv build/dist/*.tar.gz dist

# Another machine. What asks the kernel about itself cannot be asked through qemu.
CROSS := $(CURDIR)/build/cross
IN_QEMU := test_bytes test_coding test_engine test_layer test_setup test_stream

.make/sysroot: tools/cross/sysroot | .make/system-cross
	rm -rf build/sysroot/aarch64
	tools/cross/sysroot arm64 build/sysroot/aarch64
	@touch $@

build/cross/build.ninja: .make/venv .make/client .make/sysroot tools/cross/aarch64-linux-gnu.ini
	rm -rf build/cross
	meson setup build/cross --cross-file tools/cross/aarch64-linux-gnu.ini -Dpython=true \
	    -Dpython.purelibdir=/package -Dpython.platlibdir=/package

cross: build/cross/build.ninja .make/venv-test
	ninja -C build/cross
	readelf --file-header build/cross/bindings/python/_core.abi3.so | grep AArch64
	$(MESON_TEST) -C build/cross --no-suite native --no-suite filesystems
	DESTDIR=$(CROSS) meson install -C build/cross --quiet
	PYTHONPATH=$(CROSS)/package:$$($(BIN)/python -c 'import pytest; print(pytest.__path__[0])')/.. \
	    qemu-aarch64 -L build/sysroot/aarch64 build/sysroot/aarch64/usr/bin/python3 \
	    -m pytest $(IN_QEMU:%=tests/python/%.py) -k 'not dropped_stops'

clean:
	rm -rf build dist .make .venv .venv-bench client/dist client/node_modules tests/browser/node_modules \
	    bench/pixels/node_modules
