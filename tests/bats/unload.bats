#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# scull_unload: what it takes away, what it leaves and what it says.

load common

teardown_file() {
	as_found
}

setup() {
	needs_module
	tmp=$BATS_TEST_TMPDIR
	holder=
	needs_unload
	fresh
}

teardown() {
	exec 8>&-
	if [ -n "$holder" ]; then
		kill "$holder" 2>/dev/null || true
		wait "$holder" 2>/dev/null || true
	fi
}

@test "unloading takes the module, its nodes and its links away" {
	run -0 ./scull_unload
	same "" "$output"
	run ! is_loaded
	same "" "$(region scull)"
	same "" "$(find /dev -maxdepth 1 -name 'scull*')"
}

@test "unloading takes what the devices held with it" {
	echo secret >/dev/scull0
	./scull_unload
	./scull_load
	same 0 "$(size /dev/scull0)"
}

@test "a device in use: its user is named, and all stays as it is" {
	echo kept >/dev/scull2
	sh -c 'exec 8</dev/scull2 && echo ready && exec sleep 1000' >"$tmp/ready" 3>&- &
	holder=$!
	within 60 test -s "$tmp/ready"
	run -1 ./scull_unload
	output_has "in use"
	output_has "sleep (pid $holder)"
	is_loaded
	for i in 0 1 2 3; do
		[ -c "/dev/scull$i" ]
	done
	same scull0 "$(readlink /dev/scull)"
	same kept "$(cat /dev/scull2)"
	kill "$holder"
	wait "$holder" || true
	holder=
	./scull_unload
}

@test "a device in use through a node of another name: its user is named too" {
	mknod "$tmp/node" c "$(region scull)" 1
	exec 8<"$tmp/node"
	run -1 ./scull_unload
	output_has "(pid $BASHPID)"
	exec 8<&-
	./scull_unload
}

@test "what a shell had open when it became scull_unload is not in the way" {
	run -0 bash -c 'exec 5</dev/scull0 && exec ./scull_unload'
	same "" "$output"
	run ! is_loaded
}

@test "unloading twice is refused" {
	./scull_unload
	run -1 ./scull_unload
	output_has "is not loaded"
}

@test "an ordinary user is told that it takes root" {
	needs setpriv
	run -1 as_nobody sh -s <./scull_unload
	output_has "only root can unload a module"
	is_loaded
}

@test "arguments go on to rmmod" {
	rmmod=$(command -v rmmod)
	mkdir "$tmp/bin"
	printf '#!/bin/sh\necho "$*" >%s/arguments\nexec %s "$@"\n' "$tmp" "$rmmod" >"$tmp/bin/rmmod"
	chmod +x "$tmp/bin/rmmod"
	PATH=$tmp/bin:$PATH ./scull_unload --syslog
	same "--syslog $(module_name)" "$(cat "$tmp/arguments")"
	run ! is_loaded
}

@test "what rmmod says is passed on when it fails" {
	mkdir "$tmp/bin"
	printf '#!/bin/sh\necho "rmmod: ERROR: some reason" >&2\nexit 1\n' >"$tmp/bin/rmmod"
	chmod +x "$tmp/bin/rmmod"
	PATH=$tmp/bin:$PATH run -1 ./scull_unload
	output_has "some reason"
	[ -c /dev/scull0 ]
	same scull0 "$(readlink /dev/scull)"
}

@test "what is not scull's is left alone" {
	mknod /dev/scull99 c 1 3
	echo precious >/dev/scull98
	ln -sfn null /dev/scull
	./scull_unload
	left=$(cd /dev && echo scull*)
	contents=$(cat /dev/scull98)
	target=$(readlink /dev/scull)
	rm -f /dev/scull /dev/scull98 /dev/scull99
	same "scull scull98 scull99" "$left"
	same precious "$contents"
	same null "$target"
}

@test "nodes made by hand with scull's number go too" {
	mknod /dev/scull77 c "$(region scull)" 2
	./scull_unload
	[ ! -e /dev/scull77 ]
}

@test "a kernel that loads no modules is named as such" {
	run -1 in_private_mounts 'mount -t proc -o subset=pid proc /proc; ./scull_unload'
	output_has "loads no modules"
	is_loaded
}

@test "--help tells the arguments, the environment and the exit statuses" {
	for option in -h --help; do
		run -0 ./scull_unload "$option"
		output_has "Usage: scull_unload"
		output_has SCULL_MODULE
		output_has "Exit status"
		is_loaded
	done
}
