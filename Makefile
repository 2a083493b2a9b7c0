# SPDX-License-Identifier: GPL-2.0
#
# What a person types; `make help` lists it. The module itself is built by
# kbuild, whose view of this directory is in Kbuild and Kconfig.

KDIR ?= /lib/modules/$(shell uname -r)/build

# What kbuild makes here beside the sources is for one kernel only.
sources := Kbuild $(filter-out %.mod.c,$(wildcard *.c *.h))
tests/kunit := tests/kunit/Kbuild $(wildcard tests/kunit/*_test.c)
tests/bench_limit := $(addprefix tests/bench_limit/,Kbuild limit.c limit.h room.c)

.PHONY: all module tools kunit bench-limit tree deb lint install uninstall clean help
.PHONY: demo vm gdb check check-all check-package matrix coverage mutants soak trinity
.PHONY: bench bench-count bench-compare bench-baseline profile faults-table

# scullctl is built along where it is (DKMS has just the module), and where there is
# a libc to build programs with, which building the module does not take.
all: module
	@if test ! -e tools/Makefile; then \
		:; \
	elif echo '#include <stdio.h>' | $(CC) -E - >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory tools; \
	else \
		echo "scullctl is not built: there are no headers of libc (libc6-dev)"; \
	fi

# OUT does not matter here: a program runs on every kernel.
tools:
	+$(MAKE) -C tools BUILD="$(CURDIR)/build/tools" DATADIR="$(DATADIR)"

# OUT=dir builds in that directory, through links to the sources, so that one
# checkout holds builds for several kernels side by side.
ifdef OUT
module kunit install: KMOD := $(abspath $(OUT))
module kunit: links
else
module kunit install: KMOD := $(CURDIR)
endif

# A module has to be of the compiler that its kernel is of.
compiler = $(if $(shell grep -s '^CONFIG_CC_IS_CLANG=y' "$(KDIR)/.config"),CC=clang)

module kunit: headers
	+$(MAKE) -C $(KDIR) M="$(KMOD)" $(compiler) CONFIG_SCULL=m $(debug) $(tests) modules

# DEBUG=1: pr_debug() prints from the start.
debug = $(if $(filter-out 0,$(DEBUG)),CONFIG_SCULL_DEBUG=y)

# What kunit builds beside it is a module, also for a kernel that has KUnit
# built in, and nothing for a kernel without; kbuild knows which it is.
kunit: tests := 'CONFIG_SCULL_KUNIT_TEST=$$(CONFIG_KUNIT:y=m)'

.PHONY: links headers
links:
	mkdir -p "$(OUT)/tests/kunit"
	ln -sf $(foreach file,$(sources),"$(CURDIR)/$(file)") "$(OUT)"
	ln -sf $(foreach file,$(tests/kunit),"$(CURDIR)/$(file)") "$(OUT)/tests/kunit"

headers:
	@test -e "$(KDIR)/Makefile" || { \
		echo "No kernel to build against: $(KDIR) does not exist." >&2; \
		echo "On Debian and Ubuntu the headers of the running kernel are in" >&2; \
		echo "the package linux-headers-$$(uname -r); make KDIR=dir takes others." >&2; \
		exit 1; }

# The device that `make bench` holds the others against is a module of its own,
# in a directory of its own, so that nothing else is built along with it.
bench-limit: OUT ?= build/limit
bench-limit: KLIMIT = $(abspath $(OUT))
bench-limit: headers
	mkdir -p "$(KLIMIT)"
	ln -sf $(foreach file,$(tests/bench_limit),"$(CURDIR)/$(file)") "$(KLIMIT)"
	+$(MAKE) -C $(KDIR) M="$(KLIMIT)" $(compiler) modules

# The driver as a part of the kernel whose source is in KDIR: a copy of what
# kbuild reads, and a line in two files of that tree. What is there already is
# not touched, so that nothing is compiled again for it.
tree: char := $(KDIR)/drivers/char
tree:
	@test -e "$(char)/mem.c" || { \
		echo "$(KDIR) is no kernel source tree: it has no drivers/char/mem.c." >&2; \
		echo "Headers are not enough; make tree KDIR=dir takes a whole source." >&2; \
		exit 1; }
ifneq ($(filter-out 0,$(UNDO)),)
	rm -rf "$(char)/scull"
	sed -i '\,drivers/char/scull/,d' "$(char)/Kconfig"
	sed -i '/+= scull\//d' "$(char)/Makefile"
else
	mkdir -p "$(char)/scull/tests/kunit"
	for file in Kconfig $(sources) $(tests/kunit); do \
		cmp -s "$$file" "$(char)/scull/$$file" || cp "$$file" "$(char)/scull/$$file" || exit; \
	done
	grep -q 'drivers/char/scull/' "$(char)/Kconfig" || \
		sed -i '/^endmenu/i source "drivers/char/scull/Kconfig"' "$(char)/Kconfig"
	grep -q '+= scull/' "$(char)/Makefile" || \
		echo 'obj-y				+= scull/' >>"$(char)/Makefile"
endif

# In a copy, for dpkg-buildpackage leaves its traces in what it builds.
deb:
	tests/need build-essential dpkg-dev:dpkg-buildpackage debhelper dh-dkms
	rm -rf build/deb build/scull-dkms_*.deb
	mkdir -p build/deb/scull
	cp -R Makefile README.md dkms.conf scull_load scull_unload $(sources) system debian build/deb/scull
	cd build/deb/scull && dpkg-buildpackage -b -us -uc
	mv build/deb/scull-dkms_*.deb build

# Where things go on a system; DESTDIR is put before all of it, for who makes a
# package. /usr/local is the place for what is not the distribution's; the rules of
# udev and the modules have places of their own.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/scull
INCLUDEDIR ?= $(PREFIX)/include
COMPLETIONDIR ?= $(DATADIR)/bash-completion/completions
UDEVRULESDIR ?= $(if $(filter /usr,$(PREFIX)),/usr/lib,/etc)/udev/rules.d
MODULEDIR ?= /lib/modules

where = DESTDIR="$(DESTDIR)" $(foreach dir,PREFIX BINDIR SBINDIR DATADIR MANDIR \
	DOCDIR INCLUDEDIR COMPLETIONDIR UDEVRULESDIR MODULEDIR,$(dir)="$($(dir))")

install: module tools
	+@$(where) KDIR="$(KDIR)" KMOD="$(KMOD)" MAKE="$(MAKE)" system/install install

uninstall:
	+@$(where) system/install uninstall

# The VM takes a kernel by name, see tests/vm/run --help.
KERNEL ?= stock
export KERNEL TESTS MODULE HOST JOBS MUTANTS MINUTES SEED STAGES CASES QUICK LOADS ROUNDS CPUS PORT
export RUN BREAK BATCH ROWS NEXT

demo:
	tests/vm/run -k $(KERNEL) --no-load -- tests/demo

vm: tools
	tests/vm/run -k $(KERNEL)

gdb:
	tests/gdb

check:
	tests/check

check-all:
	tests/check-all

matrix:
	tests/matrix

check-package: KERNEL := $(if $(filter file,$(origin KERNEL)),,$(KERNEL))
check-package:
	tests/package

coverage:
	tests/coverage

soak: KERNEL := $(if $(filter file,$(origin KERNEL)),debug,$(KERNEL))
soak:
	tests/soak

trinity: KERNEL := $(if $(filter file,$(origin KERNEL)),debug,$(KERNEL))
trinity:
	tests/trinity

# Each mutant names its kernel; KERNEL picks those of some.
mutants: KERNEL := $(if $(filter file,$(origin KERNEL)),,$(KERNEL))
mutants:
	tests/mutate

# What is quick on the smallest kernel says most.
bench bench-% profile: KERNEL := $(if $(filter file,$(origin KERNEL)),lean,$(KERNEL))
bench:
	tests/bench

bench-count bench-compare bench-baseline: bench-%:
	tests/bench --$*

profile:
	tests/profile

faults-table:
	tests/faults-table

lint:
	tests/lint

clean: products := *.o *.ko *.mod *.mod.c .*.cmd *.a modules.order Module.symvers .module-common.o
clean:
	rm -rf build
	rm -f $(foreach dir,. tests/kunit,$(addprefix $(dir)/,$(products)))

help:
	@echo 'make               build scull.ko against the running kernel, and scullctl'
	@echo 'make KDIR=dir      build it against the kernel (or its headers) in dir'
	@echo '  ARCH= CROSS_COMPILE=  for another architecture, as kbuild has them'
	@echo 'make DEBUG=1       build it with its debug messages on'
	@echo 'make tools         build scullctl alone, in build/tools; make builds it too'
	@echo 'make kunit         build the KUnit tests too, for a kernel that has KUnit'
	@echo 'make tree KDIR=dir put the driver into the kernel source in dir (UNDO=1: out of it)'
	@echo 'make deb           build the Debian package scull-dkms into build/'
	@echo 'make demo          show scull at work, in a virtual machine'
	@echo 'make vm            open a shell in that machine, scull loaded'
	@echo 'make gdb           gdb on the kernel of that machine, which stops where scull reads'
	@echo '  BATCH=1            print where, and go on; tests/gdb --help tells more'
	@echo 'make check         run all tests in it'
	@echo '  TESTS=name         only this one, or several'
	@echo '  KERNEL="a b"       on each of these kernels: stock stock-6.1 lean ...'
	@echo '                     of another architecture: stock@arm64 @i386 @s390x'
	@echo '  MODULE=path.ko     judge this module in place of ours'
	@echo '  HOST=1             on this machine itself'
	@echo '  JOBS=N             with so many processors emulated at a time'
	@echo '  CPUS=N             as many in each machine whose tests do not say'
	@echo 'make check-package install and remove that package beside two kernels, in a chroot'
	@echo 'make check-all     the same, and on kernels with debugging aids'
	@echo 'make matrix        on every kernel and architecture; tests/matrix --help tells more'
	@echo '  QUICK=1            what CI runs of it'
	@echo '  NEXT=dir           on the kernel built there too'
	@echo 'make soak          fuzzers and stress, MINUTES=30, on KERNEL=debug'
	@echo 'make trinity       a fuzzer of all system calls, MINUTES=5, on KERNEL=debug'
	@echo 'make coverage      which lines of the module the tests reach'
	@echo 'make mutants       see the tests find bugs that are planted for that'
	@echo '  MUTANTS=name       only this one, or several, of tests/mutants'
	@echo 'make bench         measure scull against its peers, on the kernel lean'
	@echo '  CASES="bare pipe"  only these; tests/bench --help tells more'
	@echo '  PORT=path.ko       compare with this module too'
	@echo 'make bench-count   count instructions in place of time'
	@echo 'make bench-compare say what takes more or fewer than in the baseline'
	@echo 'make profile       whose the instructions of a read and a write are'
	@echo 'make faults-table  run programs against faults, print what each of them did'
	@echo 'make lint          checkpatch, sparse, compiler warnings, shellcheck'
	@echo 'make install       put module, scullctl, man pages and udev rule in place'
	@echo '  DESTDIR=dir        below dir, to make a package; PREFIX=/usr/local'
	@echo 'make uninstall     take them away again'
	@echo 'make clean         remove everything built'
