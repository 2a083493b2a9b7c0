#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# The model fuzzers and the stress program in a short form; and that the fuzzers
# see a difference, cut it down and replay it, with a model that is spoiled on
# purpose.
# shellcheck disable=SC2030,SC2031,SC2154 # bats sets output, and tests are subshells

load common

setup_file() {
	needs_module
	fresh
}

teardown_file() {
	as_found
}

setup() {
	needs_module
	needs_ours
	bin=$root/build/tests
	for name in fuzz_store fuzz_pipe fuzz_inject stress; do
		if [ ! -x "$bin/$name" ]; then
			skip "$name is not built here"
		fi
	done
	[ -c /dev/scullpipe0 ] || skip "this module has no pipes"
	export TMPDIR=$BATS_TEST_TMPDIR
}

# total WORD: the number before WORD in the last line of the output
total() {
	tail -n 1 <<<"$output" | grep -oE "[0-9]+ $1" | head -n 1 | cut -d ' ' -f 1
}

# agrees OPERATIONS FUZZER OPTION...: no difference, and a third over the edge
agrees() {
	local least=$1 ops crossed
	shift
	run -0 "$@"
	tail -n 1 <<<"$output" | sed 's/^/# /' >&3
	same 0 "$(total differences)"
	ops=$(total operations)
	crossed=$(tail -n 1 <<<"$output" | grep -oE '[0-9]+ \([0-9]+ %\) across' | cut -d ' ' -f 1)
	[ "$ops" -ge "$least" ]
	[ $((3 * crossed)) -ge "$ops" ]
}

# spoiled FUZZER: a lie is found, the script is short, and says it again
spoiled() {
	local fuzzer=$1 script
	run -1 "$bin/$fuzzer" -n 20000 -s 4 --lie 9000
	output_has 'DIFFERENCE'
	output_has 'expected'
	same 1 "$(total differences)"
	script=$(sed -n "s/^$fuzzer: script: //p" <<<"$output")
	[ -s "$script" ]
	# Something to spoil, the lie, and a look at it.
	[ "$(grep -cv '^#' "$script")" -le 5 ]
	grep -q '^lie' "$script"
	output_has "replay: build/tests/$fuzzer -d "
	run -1 "$bin/$fuzzer" -r "$script"
	output_has 'DIFFERENCE'
	grep -v '^lie' "$script" >"$script.true"
	run -0 "$bin/$fuzzer" -r "$script.true"
}

@test "fuzz_store: one process" {
	agrees 20000 "$bin/fuzz_store" -n 20000
}

@test "fuzz_store: four processes, each on a device" {
	agrees 20000 "$bin/fuzz_store" -n 20000 -j 4
}

@test "fuzz_store: three processes on one device" {
	agrees 12000 "$bin/fuzz_store" -n 12000 -j 3 -d /dev/scull1
}

@test "fuzz_pipe: one process" {
	agrees 20000 "$bin/fuzz_pipe" -n 20000
}

@test "fuzz_pipe: four processes, each on a pipe" {
	agrees 20000 "$bin/fuzz_pipe" -n 20000 -j 4
}

# as_before: no fault is left
as_before() {
	run -0 cat /sys/class/scull/*/faults/rules
	same '' "$output"
	run ! grep -qvx none /sys/class/scull/*/faults/limit
}

@test "fuzz_inject: one process" {
	agrees 20000 "$bin/fuzz_inject" -n 20000
	as_before
}

@test "fuzz_inject: four processes, each on a bare device and a pipe" {
	agrees 20000 "$bin/fuzz_inject" -n 20000 -j 4
	as_before
}

@test "fuzz_store finds a difference, cuts it down and replays it" {
	spoiled fuzz_store
}

@test "fuzz_pipe finds a difference, cuts it down and replays it" {
	spoiled fuzz_pipe
}

@test "fuzz_inject finds a difference, cuts it down and replays it" {
	spoiled fuzz_inject
	as_before
}

@test "the same seed makes up the same operations, and a script is replayed" {
	for fuzzer in fuzz_store fuzz_pipe fuzz_inject; do
		"$bin/$fuzzer" -s 7 -n 2000 -w "$TMPDIR/one"
		"$bin/$fuzzer" -s 7 -n 2000 -w "$TMPDIR/two"
		"$bin/$fuzzer" -s 8 -n 2000 -w "$TMPDIR/three"
		cmp "$TMPDIR/one" "$TMPDIR/two"
		run ! cmp -s "$TMPDIR/one" "$TMPDIR/three"
		run -0 "$bin/$fuzzer" -r "$TMPDIR/one"
		same 2000 "$(total operations)"
	done
}

# refuses TEXT COMMAND...: says so, with status 2
refuses() {
	local text=$1
	shift
	run -2 "$@"
	output_has "$text"
}

@test "what the fuzzers and stress cannot do they refuse" {
	for fuzzer in fuzz_store fuzz_pipe fuzz_inject; do
		refuses 'a number from 1' "$bin/$fuzzer" -n 0
		refuses 'a number is wanted' "$bin/$fuzzer" -s one
		refuses 'a number from 1' "$bin/$fuzzer" -j 1000
		refuses 'no such argument' "$bin/$fuzzer" more
		refuses 'goes with neither' "$bin/$fuzzer" -w x -j 2
		refuses 'only -d goes with it' "$bin/$fuzzer" -r x -n 3
		refuses '/dev/scull-none' "$bin/$fuzzer" -d /dev/scull-none
		refuses 'No such file' "$bin/$fuzzer" -r "$TMPDIR/none"
		echo 'fresh some' >"$TMPDIR/bad"
		refuses "bad:1: fresh wants" "$bin/$fuzzer" -r "$TMPDIR/bad"
		echo 'dance 1' >"$TMPDIR/bad"
		refuses 'there is no operation "dance"' "$bin/$fuzzer" -r "$TMPDIR/bad"
		: >"$TMPDIR/bad"
		refuses 'no operations' "$bin/$fuzzer" -r "$TMPDIR/bad"
	done
	refuses 'a number from 1' "$bin/stress" -t 0
	refuses 'no such argument' "$bin/stress" more
}

@test "the fuzzers end when their time is over" {
	for fuzzer in fuzz_store fuzz_pipe fuzz_inject; do
		run -0 timeout 60 "$bin/$fuzzer" -t 1 -j 2
		same 0 "$(total differences)"
	done
}

@test "stress: all devices at once, and the module comes and goes" {
	run -0 "$bin/stress" -n 20000
	tail -n 1 <<<"$output" | sed 's/^/# /' >&3
	output_has '0 wrong; module '
	[ "$(total operations)" -ge 20000 ]
	is_builtin || output_has 'module unloaded and loaded again'
}

@test "stress: in a memory cgroup that runs out" {
	if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
		skip "no cgroup2 at /sys/fs/cgroup"
	fi
	# When the group is full, and whose call that meets, is a matter of chance.
	for operations in 40000 80000 160000; do
		run "$bin/stress" -n "$operations" --memcg
		if [[ $status == 2 && $output == *--memcg:* ]]; then
			skip "no memory cgroup can be made"
		fi
		if ((status != 0)) || [ "$(total 'without memory')" -gt 0 ]; then
			break
		fi
	done
	same 0 "$status"
	tail -n 1 <<<"$output" | sed 's/^/# /' >&3
	output_has ', 0 wrong'
	[ "$(total 'without memory')" -gt 0 ]
}
