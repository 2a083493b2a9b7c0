#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# The access-controlled devices as the command line sees them.

load common

setup_file() {
	is_loaded 2>/dev/null || as_found
}

teardown_file() {
	is_loaded 2>/dev/null || as_found
}

setup() {
	needs_module
	[ -c /dev/scullsingle ] || skip "this module has no access-controlled devices"
	tmp=$BATS_TEST_TMPDIR
	chmod 755 "$tmp"
	jobs=()
}

teardown() {
	exec 8>&-
	for job in "${jobs[@]}"; do
		kill "$job" 2>/dev/null || true
		wait "$job" 2>/dev/null || true
	done
}

# as UID COMMAND...: as that user, with no rights of root's
as() {
	local uid=$1
	shift
	setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$@"
}

# background COMMAND...: a job that ends with the test at the latest; its
# process is $job
background() {
	"$@" 3>&- &
	job=$!
	jobs+=("$job")
}

# holder UID DEVICE: that user opens DEVICE and keeps it open
holder() {
	background setpriv --reuid="$1" --regid="$1" --clear-groups -- \
		"$hold" "$2" >"$tmp/held.$1" 2>&1
}

# holding UID: does it have it?
holding() {
	grep -q 'is open' "$tmp/held.$1"
}

# Asleep, that is: not on its way into the wait any more, and not yet let in.
asleep() {
	[ "$(ps -o state= -p "$1")" = S ]
}

# The programs of tests/progs where every user can run them.
prepare_hold() {
	needs setpriv ps
	hold=$tmp/hold
	cp "$(program hold)" "$hold"
	chmod 755 "$hold"
}

# on_terminal COMMAND: in a session of its own on a new pty
on_terminal() {
	script -qec "$1" /dev/null </dev/null
}

@test "the four follow the pipes, in the book's order" {
	local name minor=
	for name in scullsingle sculluid scullwuid scullpriv; do
		[ -c "/dev/$name" ]
		same "$(region scull)" "$((16#$(stat -c %t "/dev/$name")))"
		[ -z "$minor" ] || same $((minor + 1)) "$((16#$(stat -c %T "/dev/$name")))"
		minor=$((16#$(stat -c %T "/dev/$name")))
	done
}

@test "scullsingle: what opens it while it is open is told that it is busy" {
	echo first >/dev/scullsingle
	exec 8</dev/scullsingle
	run -1 cat /dev/scullsingle
	output_has "Device or resource busy"
	run ! sh -c 'echo second >/dev/scullsingle'
	run -1 cp Makefile /dev/scullsingle
	output_has "Device or resource busy"
	same first "$(cat <&8)"
	exec 8<&-
	same first "$(cat /dev/scullsingle)"
	# Twice in one command is a second open too.
	run ! sh -c 'cat </dev/scullsingle >>/dev/scullsingle'
	same first "$(cat /dev/scullsingle)"
}

@test "sculluid: one user has it, another is refused, root is not" {
	prepare_hold
	holder 1001 /dev/sculluid
	within 60 holding 1001
	run -1 as 1002 cat /dev/sculluid
	output_has "Device or resource busy"
	as 1001 cat /dev/sculluid
	cat /dev/sculluid
	# It is the capability that lets root in, not the name.
	run -1 setpriv --bounding-set=-dac_override cat /dev/sculluid
	output_has "Device or resource busy"
	kill "$job"
	wait "$job" || true
	as 1002 cat /dev/sculluid
}

@test "scullwuid: another user waits until the first lets go" {
	prepare_hold
	holder 1001 /dev/scullwuid
	local first=$job
	within 60 holding 1001
	run -1 as 1002 "$hold" -n /dev/scullwuid
	output_has "Resource temporarily unavailable"
	holder 1002 /dev/scullwuid
	within 60 asleep "$job"
	run ! holding 1002
	as 1001 cat /dev/scullwuid
	run -1 ./scull_unload
	is_builtin || output_has "in use"
	run ! holding 1002
	kill "$first"
	within 60 holding 1002
	run -1 as 1001 "$hold" -n /dev/scullwuid
	output_has "Resource temporarily unavailable"
}

@test "scullpriv: a process without a terminal is told that it is invalid" {
	needs setsid
	run -1 setsid -w cat /dev/scullpriv
	output_has "Invalid argument"
	run ! setsid -w sh -c 'echo x >/dev/scullpriv'
}

@test "scullpriv: a session sees what it wrote, and the next one does not" {
	needs script
	run -0 on_terminal 'echo secret >/dev/scullpriv; echo more >>/dev/scullpriv; cat /dev/scullpriv'
	output_has secret
	output_has more
	run -0 on_terminal 'wc -c </dev/scullpriv'
	same 0 "$(tr -d '\r\n' <<<"$output")"
	# Nor one that begins inside it.
	run -0 on_terminal 'echo outer >/dev/scullpriv
		script -qec "echo inner >/dev/scullpriv; cat /dev/scullpriv" /dev/null
		cat /dev/scullpriv'
	same "inner outer" "$(tr -cd 'a-z\n' <<<"$output" | paste -s -d ' ')"
}

@test "the maps in /proc list the four after the bare devices, by name" {
	needs script
	local file
	for file in /proc/scullmem /proc/scullseq; do
		same "0 1 2 3 scullsingle sculluid scullwuid scullpriv" \
			"$(sed -n 's/^Device \(.*\): qset .*/\1/p' "$file" | paste -s -d ' ')"
	done
	printf 12345 >/dev/sculluid
	grep -q '^Device sculluid: qset 1000, q 4000, sz 5$' /proc/scullmem
	run -0 on_terminal 'printf 1234567 >/dev/scullpriv
		cat /proc/scullmem'
	output_has "Device scullpriv: qset 1000, q 4000, sz 7"
}

@test "unloading frees the devices of sessions that are still there" {
	needs_unload
	needs script
	slab() {
		awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo
	}
	local before
	before=$(slab)
	run -0 on_terminal "head -c 64M /dev/zero >/dev/scullpriv &&
		grep 'Device scullpriv' /proc/scullmem && ./scull_unload"
	output_has "sz 67108864"
	run ! is_loaded
	freed() {
		[ "$(slab)" -lt $((before + 16384)) ]
	}
	within 30 freed
}
