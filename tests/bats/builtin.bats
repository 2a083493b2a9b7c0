#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: builtin
# vm: append=scull.scull_nr_devs=8 scull.scull_p_fifo=1 scull.scull_qset=0
#
# A driver that is a part of the kernel: its parameters, and what scull_load and
# scull_unload do about it.
# shellcheck disable=SC2154 # bats sets output

load common

setup() {
	is_builtin || skip "the driver is a module"
	needs_module
	./scull_load 2>/dev/null
}

teardown_file() {
	if is_builtin; then
		as_found
	fi
}

parameter() {
	cat "/sys/module/scull/parameters/$1"
}

# at_boot PARAM=VALUE: skips what needs that on the kernel's command line
at_boot() {
	grep -qw "scull\.$1" /proc/cmdline || skip "the kernel was not booted with scull.$1"
}

@test "the kernel's command line has the parameters: 8 devices" {
	at_boot scull_nr_devs=8
	same 8 "$(parameter scull_nr_devs)"
	echo last >/dev/scull7
	same last "$(cat /dev/scull7)"
	[ ! -e /dev/scull8 ]
}

@test "a parameter out of range there leaves the default, and the log says so" {
	at_boot scull_qset=0
	same 1000 "$(parameter scull_qset)"
	dmesg | grep "scull: parameter scull\.scull_qset: '0' is not a number from 1 to 65536"
}

@test "with scull_p_fifo=1 there, the pipes keep fifo(7)'s rules" {
	at_boot scull_p_fifo=1
	[ -x build/tests/test_pipe_fifo ] || skip "test_pipe_fifo is not built here"
	run -0 build/tests/test_pipe_fifo
	run ! grep -q '# SKIP' <<<"$output"
}

@test "scull_load has nothing to load: it says so and gives the nodes group and mode" {
	chmod 0600 /dev/scull0 /dev/scullpipe0
	chgrp 0 /dev/scull0
	rm -f /dev/scull /dev/scullpipe
	SCULL_GROUP=daemon run -0 ./scull_load
	output_has "scull is built into this kernel"
	same "daemon 664" "$(stat -c '%G %a' /dev/scull0)"
	same 664 "$(stat -c %a /dev/scullpipe0)"
	same scull0 "$(readlink /dev/scull)"
	same scullpipe0 "$(readlink /dev/scullpipe)"
}

@test "scull_load does not touch what the devices hold" {
	echo kept >/dev/scull0
	./scull_load
	same kept "$(cat /dev/scull0)"
}

@test "scull_load takes no parameters, and says where they belong" {
	run -2 ./scull_load scull_nr_devs=5
	output_has "boot it with scull.scull_nr_devs=5"
}

@test "a module beside it is refused" {
	SCULL_MODULE=./README.md run -1 ./scull_load
	output_has "there are scull devices already"
	output_has "built into the kernel"
}

@test "scull_unload takes the links away, and nothing else" {
	echo kept >/dev/scull0
	run -1 ./scull_unload
	output_has "scull is built into this kernel and cannot be unloaded"
	[ ! -e /dev/scull ]
	[ ! -e /dev/scullpipe ]
	same kept "$(cat /dev/scull0)"
	[ -c /dev/scullpipe0 ]
}
