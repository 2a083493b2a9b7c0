#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# /proc/scullmem and /proc/scullseq: the book's map of the devices' memory.

load common

setup_file() {
	as_found
}

teardown_file() {
	as_found
}

setup() {
	needs_module
	tmp=$BATS_TEST_TMPDIR
}

# shape: a map with its addresses, which differ from load to load, as @
shape() {
	sed -E -e 's/(item|qset) at [0-9a-f]+/\1 at @/g' -e 's/^( +[0-9]+): +[0-9a-f]+$/\1: @/' "$@"
}

# device_0: the part of the map that is of the first device
device_0() {
	sed -n '/^Device 0:/,/^$/p' /proc/scullmem
}

@test "an empty device is an empty line and a line with its sizes" {
	fresh
	shape /proc/scullmem | head -n 8 >"$tmp/shape"
	for i in 0 1 2 3; do
		printf '\nDevice %d: qset 1000, q 4000, sz 0\n' "$i"
	done | diff - "$tmp/shape"
}

@test "a map shows every set, and the quanta of the last one" {
	fresh scull_quantum=10 scull_qset=12
	seq -f %09g 13 >/dev/scull1
	printf x | dd of=/dev/scull1 bs=1 seek=395 status=none
	shape /proc/scullmem | sed -n '3,11p' >"$tmp/shape"
	diff - "$tmp/shape" <<-'END'

		Device 1: qset 12, q 10, sz 396
		  item at @, qset at @
		  item at @, qset at @
		  item at @, qset at @
		       3: @

		Device 2: qset 12, q 10, sz 0

	END
}

@test "quanta are shown by number, those that exist" {
	fresh scull_quantum=10 scull_qset=2000
	for at in 0 70 10000; do
		printf x | dd of=/dev/scull0 bs=1 seek="$at" status=none
	done
	shape /proc/scullmem | sed -n '2,6p' >"$tmp/shape"
	diff - "$tmp/shape" <<-'END'
		Device 0: qset 2000, q 10, sz 10001
		  item at @, qset at @
		       0: @
		       7: @
		     1000: @
	END
}

@test "scullseq shows what scullmem shows" {
	fresh scull_quantum=10 scull_qset=12
	seq 1 500 >/dev/scull0
	seq 1 50 >/dev/scull3
	cmp /proc/scullmem /proc/scullseq
}

@test "a map is the same in small pieces as in one" {
	fresh scull_quantum=10 scull_qset=12
	seq 1 500 >/dev/scull0
	cat /proc/scullmem >"$tmp/whole"
	for bs in 1 7 4096; do
		dd if=/proc/scullmem bs="$bs" status=none | cmp "$tmp/whole" -
		dd if=/proc/scullseq bs="$bs" status=none | cmp "$tmp/whole" -
	done
}

@test "a map of a large device is not cut short" {
	fresh scull_quantum=1 scull_qset=1
	head -c 20000 /dev/zero >/dev/scull2
	echo end >/dev/scull3
	same 20004 "$(grep -c '^  item at' /proc/scullmem)"
	same 20004 "$(grep -c '^  item at' /proc/scullseq)"
	grep -q '^Device 3: qset 1, q 1, sz 4$' /proc/scullmem
	same 20000 "$(sed -n '/^Device 2/,/^$/p' /proc/scullmem | grep -c '^  item at')"
}

@test "emptying a device empties its map" {
	fresh
	cp README.md /dev/scull0
	grep -q "^Device 0: qset 1000, q 4000, sz $(stat -c %s README.md)$" /proc/scullmem
	: >/dev/scull0
	grep -q '^Device 0: qset 1000, q 4000, sz 0$' /proc/scullmem
	same 0 "$(device_0 | grep -c '^  item at')"
}

@test "a hole takes no memory: one set for a byte a gigabyte away" {
	fresh
	printf x | dd of=/dev/scull0 bs=1 seek=1G status=none
	same 1 "$(device_0 | grep -c '^  item at')"
	same 1 "$(device_0 | grep -c '^ *[0-9]*: ')"
}

@test "there is one heading for each device" {
	fresh scull_nr_devs=9
	same "0 1 2 3 4 5 6 7 8" "$(sed -n 's/^Device \([0-9]*\):.*/\1/p' /proc/scullmem | paste -s -d ' ')"
}

@test "the maps can be read by everyone and written by nobody" {
	needs setpriv
	fresh
	for map in /proc/scullmem /proc/scullseq; do
		same 444 "$(stat -c %a "$map")"
		as_nobody cat "$map" >/dev/null
		run ! as_nobody sh -c "echo >$map"
	done
}

@test "the maps go with the module" {
	needs_unload
	fresh
	[ -e /proc/scullmem ]
	[ -e /proc/scullseq ]
	./scull_unload
	[ ! -e /proc/scullmem ]
	[ ! -e /proc/scullseq ]
}
