#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# What common tools do to a bare device. README.md tells its readers what this
# file holds it to.
# shellcheck disable=SC2129 # each redirection is an open of its own, on purpose

load common

setup_file() {
	as_found
	seq 1 400000 >"$BATS_FILE_TMPDIR/long"
	seq 7 777 >"$BATS_FILE_TMPDIR/short"
}

teardown_file() {
	as_found
}

setup() {
	needs_module
	long=$BATS_FILE_TMPDIR/long
	short=$BATS_FILE_TMPDIR/short
	tmp=$BATS_TEST_TMPDIR
	dev=/dev/scull0
	: >"$dev"
	follower=
}

teardown() {
	if [ -n "$follower" ]; then
		kill "$follower" 2>/dev/null || true
	fi
}

@test "a device that was just emptied reads as nothing" {
	same 0 "$(size "$dev")"
}

@test "cp: a file copied in and out again is the same byte for byte" {
	cp "$long" "$dev"
	cmp "$long" "$dev"
	cp "$dev" "$tmp/back"
	cmp "$long" "$tmp/back"
}

@test "cp: a short file over a long one leaves nothing of the long one" {
	cp "$long" "$dev"
	cp "$short" "$dev"
	cmp "$short" "$dev"
}

@test "cp: a sparse file arrives with its zeros, whatever --sparse says" {
	printf begin >"$tmp/sparse"
	printf end | dd of="$tmp/sparse" bs=1M seek=3 conv=notrunc status=none
	for how in auto always never; do
		cp --sparse="$how" "$tmp/sparse" "$dev"
		cmp "$tmp/sparse" "$dev"
	done
}

@test "cp --sparse=always: a device's holes come back as zeros" {
	dd if="$short" of="$dev" bs=1M seek=3 status=none
	cp --sparse=always "$dev" "$tmp/back"
	cmp "$dev" "$tmp/back"
	same $((3 * 1024 * 1024 + $(size "$short"))) "$(stat -c %s "$tmp/back")"
}

@test "cp -R copies the node, not what the device holds" {
	cp "$short" "$dev"
	cp -R "$dev" "$tmp/node"
	[ -c "$tmp/node" ]
	same "$(stat -c %t:%T "$dev")" "$(stat -c %t:%T "$tmp/node")"
}

@test "cat: two files written together follow each other" {
	cat "$short" "$long" >"$dev"
	cat "$short" "$long" | cmp - "$dev"
}

@test "cat: from one device into another" {
	cp "$long" "$dev"
	cat "$dev" >/dev/scull1
	cmp "$long" /dev/scull1
	: >/dev/scull1
}

@test "what is written to one device does not show in the others" {
	for i in 0 1 2 3; do
		echo "this is $i" >"/dev/scull$i"
	done
	for i in 0 1 2 3; do
		same "this is $i" "$(cat "/dev/scull$i")"
		: >"/dev/scull$i"
	done
}

@test "> empties a device, even if nothing is written" {
	cp "$long" "$dev"
	: >"$dev"
	same 0 "$(size "$dev")"
}

@test ">> appends" {
	printf one >>"$dev"
	printf two >>"$dev"
	printf three >>"$dev"
	same onetwothree "$(cat "$dev")"
}

@test ">> after > appends to what > left" {
	cp "$long" "$dev"
	echo new >"$dev"
	echo more >>"$dev"
	same "new more" "$(paste -s -d ' ' "$dev")"
}

@test ">> by eight writers at once loses nothing" {
	for i in 1 2 3 4 5 6 7 8; do
		(
			for j in $(seq 50); do
				echo "writer $i line $j" >>"$dev"
			done
		) &
	done
	wait
	for i in 1 2 3 4 5 6 7 8; do
		seq -f "writer $i line %g" 50
	done | sort >"$tmp/expected"
	sort "$dev" | cmp "$tmp/expected" -
}

@test "tee replaces, tee -a appends" {
	cp "$long" "$dev"
	echo first | tee "$dev" >/dev/null
	echo second | tee -a "$dev" >/dev/null
	same "first second" "$(paste -s -d ' ' "$dev")"
}

@test "1<> overwrites in place and keeps the rest" {
	printf 0123456789 >"$dev"
	printf ab 1<>"$dev"
	same ab23456789 "$(cat "$dev")"
}

@test "exec 3<> reads and writes on at one position" {
	printf 'line one\nline two\n' >"$dev"
	exec 8<>"$dev"
	read -r line <&8
	printf 'LINE' >&8
	exec 8>&-
	same "line one" "$line"
	same "line one LINE two" "$(paste -s -d ' ' "$dev")"
}

@test "dd of= empties the device first" {
	cp "$long" "$dev"
	dd if="$short" of="$dev" status=none
	cmp "$short" "$dev"
}

@test "dd of= conv=notrunc empties it too: dd opens it for writing only" {
	cp "$long" "$dev"
	printf abc | dd of="$dev" conv=notrunc status=none
	same abc "$(cat "$dev")"
}

@test "dd of= seek=N keeps what is there: dd opens it for reading and writing" {
	printf 0123456789 >"$dev"
	printf ab | dd of="$dev" bs=1 seek=4 status=none
	same 0123ab6789 "$(cat "$dev")"
	printf cd | dd of="$dev" bs=1 seek=6 conv=notrunc status=none
	same 0123abcd89 "$(cat "$dev")"
}

@test "dd of= oflag=append conv=notrunc appends" {
	printf 0123456789 >"$dev"
	printf ab | dd of="$dev" oflag=append conv=notrunc status=none
	same 0123456789ab "$(cat "$dev")"
}

@test "dd conv=notrunc 1<> overwrites in place" {
	printf 0123456789 >"$dev"
	printf ab | dd conv=notrunc status=none 1<>"$dev"
	same ab23456789 "$(cat "$dev")"
}

@test "dd seek= past the end leaves zeros in between" {
	printf x | dd of="$dev" bs=1 seek=60000 status=none
	same 60001 "$(size "$dev")"
	head -c 60000 "$dev" | cmp -n 60000 - /dev/zero
	same x "$(tail -c 1 "$dev")"
}

@test "dd skip= reads from the middle" {
	cp "$long" "$dev"
	dd if="$dev" bs=1000 skip=123 count=45 status=none >"$tmp/piece"
	dd if="$long" bs=1000 skip=123 count=45 status=none | cmp - "$tmp/piece"
	same 45000 "$(stat -c %s "$tmp/piece")"
}

@test "dd bs=1M reads a MiB in one call" {
	cp "$long" "$dev"
	run dd if="$dev" of=/dev/null bs=1M count=1
	[ "$status" -eq 0 ]
	output_has "1+0 records in"
}

@test "dd bs=1M writes a MiB in one call" {
	run dd if=/dev/zero of="$dev" bs=1M count=1
	[ "$status" -eq 0 ]
	output_has "1+0 records out"
	same 1048576 "$(size "$dev")"
}

@test "dd with blocks of odd sizes copies in and out unchanged" {
	dd if="$long" of="$dev" bs=4999 status=none
	dd if="$dev" bs=13331 status=none | cmp "$long" -
}

@test "dd conv=fsync and sync(1) work" {
	dd if="$short" of="$dev" conv=fsync status=none
	sync "$dev"
	cmp "$short" "$dev"
}

@test "truncate fails, and has emptied the device by then" {
	for how in 0 5 +5; do
		cp "$long" "$dev"
		run truncate -s "$how" "$dev"
		[ "$status" -ne 0 ]
		same 0 "$(size "$dev")"
	done
}

@test "truncate -c changes no size either" {
	cp "$short" "$dev"
	run truncate -c -s 100 "$dev"
	[ "$status" -ne 0 ]
	same 0 "$(size "$dev")"
}

@test "head and tail find both ends" {
	cp "$long" "$dev"
	same "$(head -n 3 "$long")" "$(head -n 3 "$dev")"
	same "$(tail -n 3 "$long")" "$(tail -n 3 "$dev")"
	same "$(head -c 5000 "$long" | md5sum)" "$(head -c 5000 "$dev" | md5sum)"
	same "$(tail -c 5000 "$long" | md5sum)" "$(tail -c 5000 "$dev" | md5sum)"
}

last_line_is() {
	[ "$(tail -n 1 "$2")" = "$1" ]
}

@test "tail -f prints what others append" {
	echo one >"$dev"
	tail -f "$dev" >"$tmp/followed" 3>&- &
	follower=$!
	within 60 last_line_is one "$tmp/followed"
	echo two >>"$dev"
	within 60 last_line_is two "$tmp/followed"
	cat "$short" >>"$dev"
	within 60 last_line_is 777 "$tmp/followed"
	cmp "$tmp/followed" "$dev"
}

@test "tail -f goes on where it was when a device is emptied and grows again" {
	echo 123456789 >"$dev"
	tail -f "$dev" >"$tmp/followed" 3>&- &
	follower=$!
	within 60 last_line_is 123456789 "$tmp/followed"
	echo abc >"$dev"
	echo defghijklmn >>"$dev"
	within 60 last_line_is jklmn "$tmp/followed"
	same "123456789 jklmn" "$(paste -s -d ' ' "$tmp/followed")"
}

@test "stat and ls know no size: the node has none" {
	cp "$long" "$dev"
	same 0 "$(stat -c %s "$dev")"
	same "$(stat -c %s "$long")" "$(size "$dev")"
}

@test "tar: a directory through a device and back" {
	needs tar
	mkdir "$tmp/in" "$tmp/out"
	cp "$long" "$short" "$tmp/in"
	tar -C "$tmp/in" -cf "$dev" .
	tar -C "$tmp/out" -xf "$dev"
	diff -r "$tmp/in" "$tmp/out"
}

@test "an ordinary user may read and not write" {
	needs setpriv
	cp "$short" "$dev"
	as_nobody cat "$dev" | cmp "$short" -
	run as_nobody sh -c "echo intruder >>$dev"
	[ "$status" -ne 0 ]
	run as_nobody sh -c ": >$dev"
	[ "$status" -ne 0 ]
	cmp "$short" "$dev"
}

@test "a member of the device's group may write" {
	needs setpriv
	gid=$(stat -c %g "$dev")
	if [ "$gid" -eq 0 ]; then
		skip "none of the groups scull, staff and wheel exists here"
	fi
	setpriv --reuid=65534 --regid=65534 --groups="$gid" -- sh -c "echo welcome >$dev"
	same welcome "$(cat "$dev")"
}

@test "the link /dev/scull is the same device as /dev/scull0" {
	cp "$short" /dev/scull
	cmp "$short" /dev/scull0
}

@test "a device is not locked by who has it open" {
	exec 8<>"$dev"
	cp "$short" "$dev"
	cat <&8 | cmp "$short" -
	exec 8>&-
}

@test "holes: what was never written is found as a hole" {
	bin=$(program holes)
	printf x | dd of="$dev" bs=1 seek=1000000000 status=none
	run "$bin" "$dev"
	[ "$status" -eq 0 ]
	same "hole 0 to 1000000000" "${lines[0]}"
	same "data 1000000000 to 1000000001" "${lines[1]}"
	same 2 "${#lines[@]}"
}
