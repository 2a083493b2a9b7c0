#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# What programs do when a device fails, as Documentation/faults.md has it
# (tests/faults-table --help).
# shellcheck disable=SC2154 # bats sets status and output

load common

setup() {
	needs_module
	needs_ours
	fresh
	if [ ! -e /sys/class/scull/scull0/faults/rules ]; then
		skip "this module knows no faults"
	fi
}

teardown_file() {
	as_found
}

@test "the table of programs in Documentation/faults.md" {
	run tests/faults-table --here --check
	echo "$output"
	if [ "$status" -eq 3 ]; then
		skip "$(tail -n 1 <<<"$output")"
	fi
	[ "$status" -eq 0 ]
	if grep -q '^not compared' <<<"$output"; then
		skip "$(grep '^not compared' <<<"$output")"
	fi
}
