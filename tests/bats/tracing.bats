#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# The commands of Documentation/tracing.md, as they stand there: each section is
# typed into one shell. What scull has to say in what they print, events and
# messages, has to be what the page shows of it, but for the numbers.
# shellcheck disable=SC2154 # common.bash sets these

load common

page=Documentation/tracing.md

teardown_file() {
	as_found
}

setup() {
	needs_module
	fresh
	needs_ours
	tmp=$BATS_TEST_TMPDIR
	headers=/lib/modules/$(uname -r)/build
	if [ ! -d /sys/kernel/tracing/events/scull ]; then
		skip "this kernel has no tracing"
	fi
}

teardown() {
	if [ -L "$headers.away" ]; then
		mv "$headers.away" "$headers"
	fi
	if [ -d /sys/kernel/tracing/events/scull ]; then
		echo 0 >/sys/kernel/tracing/events/scull/enable
		echo >/sys/kernel/tracing/trace
	fi
}

# commands SECTION: what is typed there
commands() {
	sed -n "/^## $1\$/,/^## /s/^\t# //p" "$root/$page"
}

# shown SECTION: what they print, as it stands there
shown() {
	sed -n "/^## $1\$/,/^## /{/^\t# /d;s/^\t//p}" "$root/$page"
}

# events: the standard input without other lines, without who and when, which each
# tool tells in its own manner, and without what numbers they are
events() {
	grep -oE 'scull(:|_[a-z_]+[:(]).*' |
		sed -E 's/0x[0-9a-f]+|[0-9]+/N/g; s/[[:space:]]+/ /g'
}

# typed SECTION: types all of it; $output is what it prints
typed() {
	commands "$1" >"$tmp/commands"
	[ -s "$tmp/commands" ]
	run timeout 300 bash -e "$tmp/commands"
	echo "$output"
	[ "$status" -eq 0 ]
	same "$(shown "$1" | events)" "$(events <<<"$output")"
}

@test "by hand" {
	typed "By hand"
	output_has "hello"
	output_has "scull_set_alloc: index=0 quanta=1000"
	output_has "scull_write: device=scull0 pos=0 count=6 ret=6"
	output_has "ret < 0"
}

@test "trace-cmd" {
	needs trace-cmd
	typed "trace-cmd"
	output_has "device=scull1 pos=6000 count=3000 ret=3000"
}

@test "perf trace" {
	needs perf
	head -c 9000 /dev/zero >/dev/scull1
	typed "perf trace"
	output_has "ret: 9000)"
}

@test "bpftrace" {
	needs bpftrace
	if [ ! -e /sys/kernel/btf/vmlinux ]; then
		skip "this kernel does not describe its types (BTF)"
	fi
	# The machine has the headers in another order than Debian's package. Where
	# there are none bpftrace asks the kernel, as it does on most systems.
	if [ -n "${SCULL_VM:-}" ]; then
		mv "$headers" "$headers.away"
	fi
	typed "bpftrace"
	output_has "@wait[scullpipe0]"
	output_has "|@"
}

@test "debug messages" {
	if [ ! -e /proc/dynamic_debug/control ]; then
		skip "this kernel has no dynamic debug"
	fi
	needs_unload
	typed "Debug messages"
	output_has "scull: trim of scull0: 0 bytes freed"
	output_has "scull: a set for 1000 quanta, at index 0"
}

@test "every section with commands is typed" {
	same "$(sed -n 's/^## //p' "$root/$page")" \
		"$(sed -n 's/^	typed "\(.*\)"$/\1/p' "$BATS_TEST_FILENAME")"
}
