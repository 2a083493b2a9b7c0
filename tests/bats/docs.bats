#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: alone
#
# The commands of the pages, run as they stand there (tests/doc --help).

load common

setup() {
	needs_module
	needs perl
	as_found
}

teardown_file() {
	as_found
}

page() {
	run tests/doc "$1"
	# shellcheck disable=SC2154 # bats sets it
	case $status in
	0) ;;
	3) skip "$(tail -n 1 <<<"$output")" ;;
	*)
		echo "$output"
		return 1
		;;
	esac
}

@test "README.md" {
	page README.md
}

@test "Documentation/debugging.md" {
	page Documentation/debugging.md
}

@test "Documentation/faults.md" {
	[ -e /sys/class/scull/scull0/faults ] || skip "this module knows no faults"
	page Documentation/faults.md
}

@test "every page with a command is typed by some test" {
	local file
	for file in Documentation/*.md; do
		grep -q "$file" tests/bats/*.bats || run ! grep -n -P '^\t# ' "$file"
	done
}
