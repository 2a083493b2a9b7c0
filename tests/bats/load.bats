#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: alone
#
# scull_load: what it makes, what it refuses and what it says.
# shellcheck disable=SC2016,SC2154 # sh expands those; common.bash sets these

load common

teardown_file() {
	as_found
}

setup() {
	needs_module
	tmp=$BATS_TEST_TMPDIR
	unloaded
}

# node_is PATH MINOR: a character device with scull's major number
node_is() {
	[ -c "$1" ]
	same "$(printf '%x:%x' "$(region scull)" "$2")" "$(stat -c %t:%T "$1")"
}

no_trace() {
	if is_loaded; then
		echo "the module is still loaded"
		return 1
	fi
	if [ -n "$(region scull)" ]; then
		echo "the region is still in /proc/devices"
		return 1
	fi
	for node in /dev/scull*; do
		if [ -c "$node" ] || [ -L "$node" ]; then
			echo "$node is still there"
			return 1
		fi
	done
}

# policy_group: the group that nodes get where nobody says otherwise
policy_group() {
	for group in scull staff wheel; do
		if getent group "$group" >/dev/null; then
			echo "$group"
			return
		fi
	done
	echo root
}

# free_major: a major number for local use that nobody has
free_major() {
	for major in {254..240} {511..384}; do
		if ! awk -v major="$major" '/^Block/ { exit } $1 == major { yes = 1 } END { exit !yes }' /proc/devices; then
			echo "$major"
			return
		fi
	done
}

# fake TOOL SCRIPT: SCRIPT stands in for TOOL in what this test runs
fake() {
	mkdir -p "$tmp/bin"
	printf '#!/bin/sh\n%s\n' "$2" >"$tmp/bin/$1"
	chmod +x "$tmp/bin/$1"
	PATH=$tmp/bin:$PATH
}

@test "loading makes scull0 to scull3 on minors 0 to 3" {
	./scull_load
	is_loaded
	for i in 0 1 2 3; do
		node_is "/dev/scull$i" "$i"
	done
	[ ! -e /dev/scull4 ]
}

@test "loading prints nothing" {
	run ./scull_load
	[ "$status" -eq 0 ]
	same "" "$output"
}

@test "the link /dev/scull leads to scull0" {
	./scull_load
	same scull0 "$(readlink /dev/scull)"
}

@test "the link /dev/scullpipe leads to scullpipe0, and is there only with it" {
	./scull_load
	if [ -c /dev/scullpipe0 ]; then
		same scullpipe0 "$(readlink /dev/scullpipe)"
	else
		[ ! -L /dev/scullpipe ]
	fi
}

@test "every device of the module has its node" {
	needs_ours
	./scull_load
	for file in /sys/class/scull/*/dev; do
		node_is "/dev/$(basename "$(dirname "$file")")" "$(cut -d : -f 2 "$file")"
	done
}

@test "nodes have mode 0664 and the first group there is of scull, staff and wheel" {
	./scull_load
	for i in 0 1 2 3; do
		same "root:$(policy_group) 664" "$(stat -c '%U:%G %a' "/dev/scull$i")"
	done
}

@test "the group scull comes first where it exists" {
	in_private_mounts '
		cp /etc/group "$1/group"
		sed -i /^scull:/d "$1/group"
		printf "wheel:x:4443:\nstaff:x:4442:\nscull:x:4441:\n" >>"$1/group"
		mount --bind "$1/group" /etc/group
		./scull_load' sh "$tmp"
	same 4441 "$(stat -c %g /dev/scull0)"
}

@test "without any of the groups the nodes stay root's, and nothing is said" {
	run in_private_mounts '
		grep -v -e ^scull: -e ^staff: -e ^wheel: /etc/group >"$1/group"
		mount --bind "$1/group" /etc/group
		./scull_load' sh "$tmp"
	same "" "$output"
	[ "$status" -eq 0 ]
	same "0:0 664" "$(stat -c '%u:%g %a' /dev/scull0)"
}

@test "SCULL_GROUP overrides the group, by name or number" {
	SCULL_GROUP=daemon ./scull_load
	same daemon "$(stat -c %G /dev/scull0)"
	./scull_unload
	SCULL_GROUP=12345 ./scull_load
	same 12345 "$(stat -c %g /dev/scull3)"
}

@test "a SCULL_GROUP that does not exist is refused before anything is loaded" {
	SCULL_GROUP=nosuchgroup run -2 ./scull_load
	output_has "SCULL_GROUP=nosuchgroup: there is no such group"
	no_trace
}

@test "SCULL_MODE overrides the mode" {
	SCULL_MODE=0600 ./scull_load
	same 600 "$(stat -c %a /dev/scull0)"
	./scull_unload
	SCULL_MODE=666 ./scull_load
	same 666 "$(stat -c %a /dev/scull3)"
}

@test "the umask does not change the nodes' mode" {
	(umask 077 && ./scull_load)
	same 664 "$(stat -c %a /dev/scull0)"
}

@test "a SCULL_MODE that is none is refused before anything is loaded" {
	for mode in rw 888 66 06644 4755 -1; do
		SCULL_MODE=$mode run -2 ./scull_load
		output_has "SCULL_MODE=$mode: a mode is"
		no_trace
	done
}

@test "arguments reach the module: scull_nr_devs=7 makes seven devices" {
	./scull_load scull_nr_devs=7
	for i in 0 1 2 3 4 5 6; do
		node_is "/dev/scull$i" "$i"
	done
	[ ! -e /dev/scull7 ]
}

@test "256 devices each have a working node" {
	./scull_load scull_nr_devs=256
	node_is /dev/scull255 255
	echo last >/dev/scull255
	same last "$(cat /dev/scull255)"
	same 256 "$(find /dev -maxdepth 1 -name 'scull[0-9]*' -type c | wc -l)"
	./scull_unload
	no_trace
}

@test "scull_major=N is the major number of the nodes" {
	major=$(free_major)
	[ -n "$major" ] || skip "no major number for such a device is free"
	./scull_load scull_major="$major"
	same "$major" "$(region scull)"
	node_is /dev/scull0 0
}

@test "scull_minor=N is the minor number of the first node" {
	./scull_load scull_minor=32
	node_is /dev/scull0 32
	node_is /dev/scull3 35
	echo works >/dev/scull3
	same works "$(cat /dev/scull3)"
}

@test "minor numbers above 255 work" {
	./scull_load scull_minor=70000
	node_is /dev/scull3 70003
	echo works >/dev/scull3
	same works "$(cat /dev/scull3)"
}

@test "a major number that is taken is refused, and its holder named" {
	run -1 ./scull_load scull_major=1
	output_has "major number 1 is taken"
	output_has "mem"
	no_trace
}

@test "a parameter that does not exist is refused, and those that do are named" {
	run -2 ./scull_load scull_nrdevs=4
	output_has "no parameter 'scull_nrdevs'"
	output_has "scull_nr_devs"
	output_has "scull_major"
	no_trace
}

@test "a bad value is refused in the kernel's words" {
	run -1 ./scull_load scull_quantum=many
	output_has "refuses a parameter's value: scull_quantum=many"
	no_trace
	dmesg >/dev/null 2>&1 || skip "the kernel log cannot be used"
	output_has "kernel log: "
	output_has "'many'"
}

@test "loading twice is refused, and the devices stay as they are" {
	./scull_load
	echo kept >/dev/scull0
	run -1 ./scull_load
	output_has "already loaded"
	output_has "scull_unload"
	same kept "$(cat /dev/scull0)"
}

@test "an ordinary user is told that it takes root" {
	needs setpriv
	run -1 as_nobody sh -s <./scull_load
	output_has "only root can load a module"
	no_trace
}

@test "where there is no scull.ko, make is what to run" {
	fake modprobe 'exit 1'
	cd "$tmp"
	run -1 env -u SCULL_MODULE "$root/scull_load"
	output_has "no ./scull.ko yet"
	output_has "make"
	cd "$root"
	no_trace
}

@test "a SCULL_MODULE that is not there is named" {
	SCULL_MODULE=$tmp/none.ko run -1 ./scull_load
	output_has "SCULL_MODULE=$tmp/none.ko: there is no such file"
	no_trace
}

@test "without ./scull.ko an installed scull is loaded by modprobe" {
	needs modprobe depmod
	if [ "$(module_name)" != scull ]; then
		skip "the module's name is not scull"
	fi
	dir=$tmp/lib/modules/$(uname -r)
	mkdir -p "$dir"
	cp "$ko" "$dir/scull.ko"
	: >"$dir/modules.order"
	: >"$dir/modules.builtin"
	depmod -b "$tmp"
	cd "$tmp"
	env -u SCULL_MODULE MODPROBE_OPTIONS="-d $tmp" "$root/scull_load" scull_nr_devs=5
	cd "$root"
	is_loaded
	node_is /dev/scull4 4
	run -1 ./scull_load
	output_has "already loaded"
}

@test "a module whose file has another name works like scull.ko" {
	cp "$ko" "$tmp/renamed-build.ko"
	export SCULL_MODULE=$tmp/renamed-build.ko
	./scull_load
	node_is /dev/scull0 0
	run -1 ./scull_load
	output_has "already loaded"
	./scull_unload
	no_trace
}

@test "a module built for another kernel is refused with both kernels' names" {
	LC_ALL=C sed -e 's/vermagic=[0-9]\.[0-9]/vermagic=9.9/' -e 's/mod_unload/mod_unloat/' "$ko" >"$tmp/scull.ko"
	SCULL_MODULE=$tmp/scull.ko run -1 ./scull_load
	output_has "is built for Linux 9.9"
	output_has "this is Linux $(uname -r)"
	no_trace
}

@test "a file that is no module is refused" {
	echo "not a module" >"$tmp/scull.ko"
	SCULL_MODULE=$tmp/scull.ko run -1 ./scull_load
	output_has "$tmp/scull.ko is not a module"
	no_trace
}

@test "a refused signature is explained" {
	for words in "Key was rejected by service" "Required key not available"; do
		fake insmod "echo 'insmod: ERROR: could not insert module: $words' >&2; exit 1"
		SCULL_MODULE=$ko run -1 ./scull_load
		output_has "signed"
		output_has "Secure Boot"
		output_has "$words"
	done
}

@test "a locked-down kernel is explained" {
	fake insmod 'echo "insmod: ERROR: could not insert module: Operation not permitted" >&2; exit 1'
	SCULL_MODULE=$ko run -1 ./scull_load
	output_has "locked down"
	no_trace
}

@test "a kernel that loads no modules is named as such" {
	run -1 in_private_mounts 'mount -t proc -o subset=pid proc /proc; ./scull_load'
	output_has "this kernel loads no modules"
	no_trace
}

@test "a kernel that loads no more modules is named as such" {
	[ -e /proc/sys/kernel/modules_disabled ] || skip "this kernel has no kernel.modules_disabled"
	run -1 in_private_mounts '
		echo 1 >"$1/one"
		mount --bind "$1/one" /proc/sys/kernel/modules_disabled
		./scull_load' sh "$tmp"
	output_has "modules_disabled"
	no_trace
}

@test "nodes are made where neither devtmpfs nor udev makes any" {
	in_private_mounts '
		mknod "$1/null" c 1 3
		mount -t tmpfs -o mode=0755 tmpfs /dev
		cp -R "$1/null" /dev/null
		./scull_load scull_nr_devs=6 scull_minor=8
		stat -c "%n %F %t:%T %a %G" /dev/scull[0-9] >"$1/nodes"
		readlink /dev/scull >"$1/link"
		echo here >/dev/scull5
		cat /dev/scull5 >"$1/read"
		./scull_unload
		find /dev -name "scull*" >"$1/left"' sh "$tmp"
	major=$(awk '{ print $5 }' "$tmp/nodes" | cut -d : -f 1 | sort -u)
	group=$(policy_group)
	for i in 0 1 2 3 4 5; do
		printf '/dev/scull%d character special file %s:%x 664 %s\n' "$i" "$major" $((i + 8)) "$group"
	done | diff - "$tmp/nodes"
	same scull0 "$(cat "$tmp/link")"
	same here "$(cat "$tmp/read")"
	same "" "$(cat "$tmp/left")"
}

@test "a node left over with a wrong number is replaced" {
	mknod /dev/scull1 c 1 3
	./scull_load
	node_is /dev/scull1 1
	same "root:$(policy_group) 664" "$(stat -c '%U:%G %a' /dev/scull1)"
	./scull_unload
	no_trace
}

@test "a link left over is set right" {
	ln -s nowhere /dev/scull
	./scull_load
	same scull0 "$(readlink /dev/scull)"
}

@test "a file in the way of a node is kept, and nothing stays loaded" {
	echo precious >/dev/scull1
	run -1 ./scull_load
	contents=$(cat /dev/scull1)
	rm -f /dev/scull1
	same precious "$contents"
	output_has "/dev/scull1 is in the way"
	no_trace
}

@test "a link in the way of a node is kept, and nothing stays loaded" {
	ln -s null /dev/scull1
	run -1 ./scull_load
	target=$(readlink /dev/scull1)
	rm -f /dev/scull1
	same null "$target"
	output_has "/dev/scull1 is in the way"
	no_trace
}

@test "a file in the way of the link is kept, and nothing stays loaded" {
	echo precious >/dev/scull
	run -1 ./scull_load
	contents=$(cat /dev/scull)
	rm -f /dev/scull
	same precious "$contents"
	output_has "/dev/scull is in the way"
	no_trace
}

@test "a failure after the load takes the module out again" {
	fake chgrp 'exit 1'
	SCULL_GROUP=daemon run -1 ./scull_load
	output_has "the nodes could not be given the group daemon"
	no_trace
}

# A module in the book's layout has no class: several regions on one major
# number, and nodes only if somebody makes them. One is played here by an insmod
# that only fills in /proc/devices, read from a file in its place.
@test "a module in the book's layout gets all its nodes, and loses them" {
	echo book >"$tmp/book.ko"
	fake insmod 'printf "Character devices:\n  1 mem\n199 scull\n199 scullp\n199 sculla\n\nBlock devices:\n" >/proc/devices
		echo "insmod $*" >>'"$tmp"'/calls'
	in_private_mounts '
		printf "Character devices:\n  1 mem\n\nBlock devices:\n" >"$1/devices"
		mount --bind "$1/devices" /proc/devices
		mknod "$1/null" c 1 3
		mount -t tmpfs -o mode=0755 tmpfs /dev
		cp -R "$1/null" /dev/null
		SCULL_MODULE=$1/book.ko ./scull_load scull_nr_devs=3 scull_p_nr_devs=2 scull_minor=4
		stat -c "%n %t:%T" /dev/scull* >"$1/nodes"' sh "$tmp"
	same "insmod $tmp/book.ko scull_nr_devs=3 scull_p_nr_devs=2 scull_minor=4" "$(cat "$tmp/calls")"
	sort >"$tmp/expected" <<-END
		/dev/scull 0:0
		/dev/scull0 c7:4
		/dev/scull1 c7:5
		/dev/scull2 c7:6
		/dev/scullpipe 0:0
		/dev/scullpipe0 c7:7
		/dev/scullpipe1 c7:8
		/dev/scullpriv c7:c
		/dev/scullsingle c7:9
		/dev/sculluid c7:a
		/dev/scullwuid c7:b
	END
	sort "$tmp/nodes" | diff "$tmp/expected" -
}

@test "a module that registers no devices named scull is taken out again" {
	echo other >"$tmp/other.ko"
	fake insmod 'exit 0'
	fake rmmod 'echo "$*" >>'"$tmp"'/removed'
	SCULL_MODULE=$tmp/other.ko run -1 ./scull_load
	output_has "no devices with the name scull"
	same other "$(cat "$tmp/removed")"
}

@test "scull devices of a module with another name are noticed" {
	./scull_load
	echo other >"$tmp/other.ko"
	SCULL_MODULE=$tmp/other.ko run -1 ./scull_load
	output_has "there are scull devices already"
	is_loaded
	SCULL_MODULE=$tmp/other.ko run -1 ./scull_unload
	output_has "other is not loaded"
	output_has "SCULL_MODULE"
	is_loaded
}

@test "--help tells the arguments, the environment and the exit statuses" {
	for option in -h --help; do
		run -0 ./scull_load "$option"
		output_has "Usage: scull_load"
		output_has SCULL_MODULE
		output_has SCULL_GROUP
		output_has SCULL_MODE
		output_has "Exit status"
		no_trace
	done
}

@test "one line in the kernel log for a load, and none for ordinary use" {
	needs_ours
	# The first load since boot may add the kernel's own word on foreign code.
	./scull_load
	./scull_unload
	log_mark
	./scull_load
	cp README.md /dev/scull0
	cat /dev/scull0 /proc/scullmem >/dev/null
	./scull_unload
	log_since
	same 1 "$(log_since | wc -l)"
}

@test "100 loads and unloads, each with a working device and no trace left" {
	name=$(module_name)
	for i in $(seq 100); do
		insmod "$ko" scull_nr_devs=$((i % 7 + 1))
		node=/dev/scull0
		if [ ! -c "$node" ]; then
			node=$tmp/node
			rm -f "$node"
			mknod "$node" c "$(region scull)" 0
		fi
		echo "round $i" >"$node"
		read -r line <"$node"
		same "round $i" "$line"
		rmmod "$name"
	done
	no_trace
}

@test "scull_nr_devs=0 makes no bare device, no link to one, and no trouble after" {
	needs_ours
	./scull_load scull_nr_devs=0
	is_loaded
	[ ! -e /dev/scull0 ]
	[ ! -L /dev/scull ]
	./scull_unload
	no_trace
	./scull_load
	node_is /dev/scull0 0
}
