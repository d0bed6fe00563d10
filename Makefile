# SPDX-License-Identifier: GPL-2.0-only
#
# Three commands for people: make demo, make check, make bench. Everything is done by
# scripts/ and test/; here is only what to call it. What needs packages that are missing
# says so and installs them (scripts/deps), but for make without a target.

MAKEFLAGS += --no-print-directory
KERNEL ?= 7.3
SECONDS ?= 300
FLAVOR ?= debug

.PHONY: all demo demo-services check check-all vm-long test-runs bench faults rounds fuzz kasan kcsan soak lint unit patches kunit vm zdtm rig kernel kernel-patch criu deb deb-check deb-guest deb-kernel dist deps clean distclean help

all:
	@scripts/deps --check build
	@scripts/build

demo: deps
	@test/demo/run

demo-services: deps
	@test/demo/run-services

check: deps
	@scripts/check

check-all: deps
	@scripts/deps deb
	@scripts/check --record all

test-runs:
	@scripts/test-runs

bench: deps
	@test/bench/run

lint unit patches kunit vm vm-long: deps
	@scripts/check $@

fuzz: deps
	@test/fuzz/run --seconds $(SECONDS) $(ARGS)

faults: deps
	@test/vm/faults $(ARGS)

rounds: deps
	@test/vm/rounds $(ARGS)

kasan kcsan: deps
	@test/vm/flavor --kernel $(KERNEL) $@ $(ARGS)

soak: SECONDS = 1800
soak: deps
	@test/vm/run --kernel $(KERNEL) --name soak --timeout $$(($(SECONDS) * 2 + 900)) \
		--set STRESS_SECONDS=$(SECONDS) --set FUZZ_SEED=$$(date +%s) $(ARGS) test/vm/tests/pram-stress

zdtm: deps
	@test/zdtm/run $(ARGS)

rig: deps
	@test/vm/run $(if $(filter file,$(origin KERNEL)),,--kernel $(KERNEL)) $(ARGS) $(SCRIPT)

kernel: deps
	@scripts/kernel-build $(KERNEL) $(FLAVOR)

kernel-patch: deps
	@scripts/kernel-patch $(KERNEL)

criu: deps
	@scripts/criu-build

deb:
	@scripts/deps deb
	@scripts/deb

deb-check:
	@scripts/deps deb
	@test/deb/run

deb-guest: deps
	@scripts/deps deb
	@test/deb/guest

deb-kernel:
	@scripts/deps deb
	@scripts/deb-kernel $(KERNEL) $(CONFIG)

dist: deps
	@scripts/dist
	@scripts/kernel-patch 7.3
	@scripts/kernel-patch 7.2
	@scripts/criu-patch

deps:
	@scripts/deps

clean:
	rm -rf build

# The cache is shared by all checkouts of this user.
distclean: clean
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/pram"

help:
	@echo 'make demo          a redis-server with its data survives a kexec, in a virtual machine'
	@echo 'make demo-services the same for five services of a Debian with systemd, under remote clients; needs root and a Debian mirror'
	@echo 'make check         the tests for each change; make lint, unit, patches, kunit or vm: one tier of them (docs/testing.md)'
	@echo 'make check-all     all tests (hours), writes docs/test-runs.md; scripts/check TIER...: some of them; vm-long: what "make check" leaves out'
	@echo 'make test-runs     docs/test-runs.md, from the results of scripts/check in build/'
	@echo 'make faults        dumps and restores that fail at each of their steps; docs/faults.md; ARGS=--quick for most of them, once'
	@echo 'make rounds        1000 tasks in a checkpoint; 200 dumps and restores in one kernel, 20 kexecs; ARGS="ROUNDS KEXECS TASKS" for others'
	@echo 'make zdtm          CRIU'"'"'s test suite across a kexec; hours; ARGS=options (test/zdtm/README.md)'
	@echo 'make fuzz          every parser with libFuzzer; SECONDS=300 for each, ARGS=TARGET (test/fuzz/README.md)'
	@echo 'make kasan         a kernel with KASAN and kmemleak, and a selection of tests with it; make kcsan: with KCSAN; ARGS=tests'
	@echo 'make soak          dumps, restores and everything that may race with them; SECONDS=1800, ARGS="--kernel 7.3-kasan", say'
	@echo 'make bench         what it costs, in instructions: PRAM compared with fork(), tmpfs, LUO and cp; build/bench.json'
	@echo 'make               the library, the CRIU plugin and pramctl, in build/; installs no packages'
	@echo 'make deps          installs missing packages (scripts/packages.list); the targets above do this first, except plain make'
	@echo 'make rig           test/vm/run; SCRIPT=file, ARGS=options (test/vm/README.md)'
	@echo 'make kernel        the test kernel; KERNEL=7.3 or 7.2, FLAVOR=one of kernel/config/flavors.list'
	@echo 'make kernel-patch  build/pram-VERSION.patch, PRAM as one patch for git am; KERNEL='
	@echo 'make criu          CRIU with the patches of criu-hooks/'
	@echo 'make deb           Debian packages of CRIU, the plugin, pramctl and units, in build/deb/; make deb-check: installs them into a Debian 12 and removes them; make deb-guest: boots one with them and kernels of make deb-kernel, and a service survives a kexec from one to the other'
	@echo 'make deb-kernel    a kernel with PRAM as a Debian package; KERNEL=, CONFIG=debian (hours), cloud, local (the modules loaded now), guest (of deb-guest) or a file; LOCALVERSION=, LSMOD='
	@echo 'make dist          build/pram-VERSION.tar.xz, which builds without git; the series for Linux 7.3 and 7.2 and for CRIU as mailboxes for git am'
	@echo 'make clean         removes build/; distclean: the cache as well'
