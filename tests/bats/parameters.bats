#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# The module's parameters: their values, their ranges, and what a bad one says.
# shellcheck disable=SC2154 # common.bash sets it

load common

teardown_file() {
	as_found
}

setup() {
	needs_module
	unloaded
}

parameter() {
	cat "/sys/module/$(module_name)/parameters/$1"
}

# refused PARAM=VALUE LOWEST HIGHEST: the load fails with a message that names the
# parameter, the value and the range, and leaves nothing behind.
refused() {
	log_mark
	run -1 insmod "$ko" "$1"
	nothing_left
	log_has "${1%%=*}\b.*[^0-9-]${1#*=}\b.*\b$2\b.*\b$3\b"
}

nothing_left() {
	run ! is_loaded
	same "" "$(region scull)"
	[ ! -e /sys/class/scull ]
	[ ! -e /proc/scullmem ]
}

works() {
	echo works >/dev/scull0
	same works "$(cat /dev/scull0)"
}

@test "the defaults are quantum 4000, qset 1000, 4 devices from minor 0" {
	./scull_load
	same 4000 "$(parameter scull_quantum)"
	same 1000 "$(parameter scull_qset)"
	same 4 "$(parameter scull_nr_devs)"
	same 0 "$(parameter scull_minor)"
}

@test "every parameter can be read by everyone and written by nobody" {
	needs_ours
	./scull_load scull_quantum=512 scull_qset=16 scull_nr_devs=3 scull_minor=5
	for file in "/sys/module/$(module_name)/parameters"/*; do
		same 444 "$(stat -c %a "$file")"
	done
	same 512 "$(parameter scull_quantum)"
	same 16 "$(parameter scull_qset)"
	same 3 "$(parameter scull_nr_devs)"
	same 5 "$(parameter scull_minor)"
	[ -r "/sys/module/$(module_name)/parameters/scull_major" ]
}

@test "modinfo describes every parameter" {
	needs_ours
	for name in scull_major scull_minor scull_nr_devs scull_quantum scull_qset; do
		modinfo -p "$ko" | grep "^$name:..*(int)$"
	done
}

@test "scull_quantum outside 1 to KMALLOC_MAX_SIZE fails the load and says so" {
	needs_ours
	for value in 0 -1 2147483647 -2147483648 1073741824; do
		refused "scull_quantum=$value" 1 "[0-9]*"
	done
}

@test "scull_qset outside 1 to 65536 fails the load and says so" {
	needs_ours
	for value in 0 -1 65537 2147483647 -2147483648; do
		refused "scull_qset=$value" 1 65536
	done
}

@test "scull_nr_devs outside 0 to 256 fails the load and says so" {
	needs_ours
	for value in -1 257 2147483647 -2147483648; do
		refused "scull_nr_devs=$value" 0 256
	done
}

@test "scull_minor outside what fits a minor number fails the load and says so" {
	needs_ours
	for value in -1 1048577 2147483647 -2147483648; do
		refused "scull_minor=$value" 0 "[0-9]*"
	done
}

@test "devices that would run past the last minor number fail the load" {
	needs_ours
	log_mark
	run -1 insmod "$ko" scull_minor=1048575 scull_nr_devs=2
	nothing_left
	log_has '\bscull_minor\b'
}

@test "scull_major outside what fits a major number fails the load and says so" {
	needs_ours
	for value in -1 4096 2147483647 -2147483648; do
		refused "scull_major=$value" 0 "[0-9]*"
	done
}

@test "a value that is no number fails the load" {
	for value in many "" 1x 99999999999; do
		run -1 insmod "$ko" "scull_quantum=$value"
		nothing_left
	done
}

@test "a taken major number fails the load, and the kernel log says so" {
	needs_ours
	log_mark
	run -1 insmod "$ko" scull_major=1
	output_has "Device or resource busy"
	nothing_left
	log_has '\bscull_major\b.*\b1\b'
}

@test "the smallest quantum and qset work" {
	./scull_load scull_quantum=1 scull_qset=1
	works
	seq 1 1000 >/dev/scull1
	seq 1 1000 | cmp - /dev/scull1
}

@test "the largest quantum and qset work" {
	./scull_load scull_quantum=4194304 scull_qset=65536
	works
	seq 1 100000 >/dev/scull1
	seq 1 100000 | cmp - /dev/scull1
}

@test "scull_quantum and scull_qset shape the devices" {
	./scull_load scull_quantum=123 scull_qset=45
	works
	grep -q '^Device 0: qset 45, q 123, sz 6$' /proc/scullmem
}
