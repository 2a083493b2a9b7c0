#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# What scull tells while it works: tracepoints and debug messages; and what sysfs
# and debugfs do when the module goes.
# shellcheck disable=SC2154 # common.bash sets these

load common

# O_LARGEFILE, with which each 64-bit program and each of today's others opens.
case $(uname -m) in
aarch64) largefile=0x20000 ;;
*) largefile=0x8000 ;;
esac

teardown_file() {
	as_found
}

setup() {
	needs_module
	fresh
	needs_ours
	tmp=$BATS_TEST_TMPDIR
}

teardown() {
	# Who looks in a loop stops also when the test has failed.
	touch "$BATS_TEST_TMPDIR/stop"
	if [ -n "${trace:-}" ]; then
		echo 0 >"$trace/events/enable"
		rmdir "$trace"
	fi
}

# tracing: $trace is a place to trace in that nobody else uses
tracing() {
	local dir
	for dir in /sys/kernel/tracing /sys/kernel/debug/tracing; do
		if [ -d "$dir/events/scull" ]; then
			trace=$dir/instances/scull-$BATS_TEST_NUMBER
			mkdir "$trace"
			return
		fi
	done
	skip "this kernel has no tracing"
}

# traced EVENT COMMAND...: what the event said while COMMAND ran
traced() {
	local event=$1
	shift
	echo >"$trace/trace"
	echo 1 >"$trace/events/scull/$event/enable"
	"$@"
	echo 0 >"$trace/events/scull/$event/enable"
	sed -n 's/^.*: scull_[a-z_]*: //p' "$trace/trace"
}

# quietly COMMAND...: whatever it prints, and however it ends
quietly() {
	"$@" >/dev/null 2>&1 || :
}

put() {
	printf %s "$1" >"$2"
}

get() {
	dd bs="$1" count=1 if="$2" of=/dev/null status=none
}

@test "all events are there" {
	tracing
	same "scull_open scull_pipe_sleep scull_pipe_wake scull_read scull_set_alloc scull_trim scull_write" \
		"$(cd "$trace/events/scull" && echo scull_*)"
}

@test "scull_open: one that succeeds, one that is refused" {
	tracing
	same "device=scull0 flags=$largefile ret=0" "$(traced scull_open quietly cat /dev/scull0)"
	exec 7<>/dev/scullsingle
	same "device=scullsingle flags=$largefile ret=-16" \
		"$(traced scull_open quietly cat /dev/scullsingle)"
	exec 7<&-
}

@test "scull_read: where, how many, how many it was" {
	tracing
	put 0123456789 /dev/scull1
	same "device=scull1 pos=0 count=7 ret=7" "$(traced scull_read get 7 /dev/scull1)"
	same "device=scull1 pos=0 count=70 ret=10" "$(traced scull_read get 70 /dev/scull1)"
	exec 7<>/dev/scullpipe2
	put 0123456789 /dev/scullpipe2
	same "device=scullpipe2 pos=0 count=70 ret=10" "$(traced scull_read get 70 /dev/scullpipe2)"
	exec 7<&-
}

@test "scull_write: where, how many, how many it was" {
	tracing
	same "device=scull1 pos=0 count=10 ret=10" "$(traced scull_write put 0123456789 /dev/scull1)"
	append() {
		printf abc >>/dev/scull1
	}
	same "device=scull1 pos=10 count=3 ret=3" "$(traced scull_write append)"
	exec 7<>/dev/scullpipe2
	same "device=scullpipe2 pos=0 count=3 ret=3" "$(traced scull_write put abc /dev/scullpipe2)"
	exec 7<&-
}

@test "scull_trim: the bytes of the quanta that were freed" {
	tracing
	put 0123456789 /dev/scull3
	empty() {
		: >/dev/scull3
	}
	same "device=scull3 freed=4000" "$(traced scull_trim empty)"
	same "device=scull3 freed=0" "$(traced scull_trim empty)"
}

@test "scull_set_alloc: once for each set" {
	tracing
	fresh scull_quantum=10 scull_qset=3
	far() {
		printf 0123456789ABCDEF | dd of=/dev/scull0 bs=16 seek=4 status=none
	}
	same "index=2 quanta=3" "$(traced scull_set_alloc far)"
}

is_asleep() {
	grep -q '^State:.S' "/proc/$1/status"
}

@test "scull_pipe_sleep and scull_pipe_wake: one task, both ends" {
	tracing
	reader() {
		head -c 3 /dev/scullpipe0 >/dev/null &
		within 30 has_slept "$!"
		put abc /dev/scullpipe0
		wait "$!"
	}
	# has_slept PID: does the trace have its sleep?
	has_slept() {
		grep -q -- "-$1 .*scull_pipe_sleep" "$trace/trace" && is_asleep "$1"
	}
	exec 7<>/dev/scullpipe0
	echo 1 >"$trace/events/scull/scull_pipe_wake/enable"
	same "device=scullpipe0 end=read need=1
device=scullpipe0 end=read" "$(traced scull_pipe_sleep reader)"

	writer() {
		put 0123456789 /dev/scullpipe0 &
		within 30 has_slept "$!"
		get 9 /dev/scullpipe0
		wait "$!"
	}
	head -c 65530 /dev/zero >&7
	same "device=scullpipe0 end=write need=10
device=scullpipe0 end=write" "$(traced scull_pipe_sleep writer)"
	exec 7<&-
}

@test "an event can be filtered by device" {
	tracing
	echo 'device == "scull2"' >"$trace/events/scull/scull_write/filter"
	both() {
		put a /dev/scull1
		put bb /dev/scull2
	}
	same "device=scull2 pos=0 count=2 ret=2" "$(traced scull_write both)"
}

@test "scull_load dyndbg=+p says what the driver does" {
	if [ ! -e /proc/dynamic_debug/control ] && [ ! -e /sys/kernel/debug/dynamic_debug/control ]; then
		skip "this kernel has no dynamic debug"
	fi
	log_mark
	fresh
	put 0123456789 /dev/scull0
	run ! log_has 'a set for'
	log_mark
	fresh dyndbg=+p
	put 0123456789 /dev/scull0
	put 0123456789 /dev/scull0
	log_has 'scull: a set for 1000 quanta, at index 0$'
	log_has 'scull: trim of scull0: 4000 bytes freed$'
	exec 7<>/dev/scullsingle
	run ! cat /dev/scullsingle
	exec 7<&-
	log_has "scull: open of scullsingle, flags $largefile: -16\$"
	exec 7<>/dev/scullpipe1
	log_has 'scull: scullpipe1: a buffer of 65536 bytes$'
	cat /dev/scullpipe1 >/dev/null 7<&- &
	within 30 log_has 'scull: scullpipe1: a reader sleeps, it needs 1 bytes$'
	kill "$!"
	exec 7<&-
}

@test "an attribute that is open does not keep the module, and fails after it" {
	needs_unload
	exec 7</sys/class/scull/scull0/size 8</sys/class/scull/quantum
	same 0 "$(cat <&7)"
	./scull_unload
	run ! cat <&7
	output_has "No such device"
	run ! cat <&8
	exec 7<&- 8<&-
	[ ! -e /sys/class/scull ]
}

@test "attributes read in a loop while the module comes and goes" {
	needs_unload
	look() {
		while [ ! -e "$tmp/stop" ]; do
			cat /sys/class/scull/*/{size,used,owner,stats/reads} /sys/class/scull/q* \
				/sys/kernel/debug/scull/* /proc/scullmem >/dev/null 2>&1 || :
		done
	}
	look &
	looker=$!
	for _ in 1 2 3 4 5; do
		# A map that is open holds the module for a moment.
		within 30 ./scull_unload
		./scull_load
	done
	touch "$tmp/stop"
	wait "$looker"
}

@test "the files in debugfs go with the module" {
	if [ ! -d /sys/kernel/debug/scull ]; then
		skip "there is no debugfs"
	fi
	same 400 "$(stat -c %a /sys/kernel/debug/scull/scull0)"
	needs_unload
	./scull_unload
	[ ! -e /sys/kernel/debug/scull ]
}
