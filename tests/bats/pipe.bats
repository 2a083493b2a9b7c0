#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: alone
#
# The pipes from the command line: their parameters, what common programs do
# with them in the book's mode and in FIFO mode, and tests/atomicity.
# shellcheck disable=SC2154,SC2030,SC2031 # bats and common.bash set these; tests are subshells

load common

setup_file() {
	needs_module
	seq 1 200000 >"$BATS_FILE_TMPDIR/long"
}

teardown_file() {
	fresh
}

setup() {
	needs_module
	needs_ours
	if ! modinfo -p "$ko" | grep -q '^scull_p_fifo:'; then
		skip "this module has no pipes"
	fi
	long=$BATS_FILE_TMPDIR/long
	tmp=$BATS_TEST_TMPDIR
	dev=/dev/scullpipe0
}

# Whatever a failed test left behind would hold the module.
teardown() {
	for job in $(jobs -p); do
		kill "$job" 2>/dev/null || true
	done
}

# book [PARAM=VALUE ...], fifo [PARAM=VALUE ...]: the module, loaded for a test
book() {
	if ! is_loaded || [ "$(loaded_as)" != "$*" ]; then
		fresh "$@"
		echo "$*" >"$BATS_FILE_TMPDIR/loaded"
	fi
}

fifo() {
	book scull_p_fifo=1 "$@"
}

loaded_as() {
	cat "$BATS_FILE_TMPDIR/loaded" 2>/dev/null || echo "unknown"
}

# unloaded, and remembered as such
gone() {
	unloaded
	rm -f "$BATS_FILE_TMPDIR/loaded"
}

parameter() {
	cat "/sys/module/$(module_name)/parameters/$1"
}

# The numbers of read, write and openat here.
case $(uname -m) in
x86_64) declare -gA number=([read]=0 [write]=1 [openat]=257) ;;
aarch64) declare -gA number=([read]=63 [write]=64 [openat]=56) ;;
i?86) declare -gA number=([read]=3 [write]=4 [openat]=295) ;;
s390x) declare -gA number=([read]=3 [write]=4 [openat]=288) ;;
*) declare -gA number=() ;;
esac

# waits_in CALL PID: is the process asleep in this system call?
waits_in() {
	grep -q "^${number[$1]} " "/proc/$2/syscall"
}

needs_syscalls() {
	if [ "${#number[@]}" -eq 0 ] || [ ! -e /proc/self/syscall ]; then
		skip "what a process waits for cannot be seen here"
	fi
}

# --- parameters ---

# refused PARAM=VALUE RANGE: the load fails, the kernel log names all of it
refused() {
	log_mark
	run -1 insmod "$ko" "$1"
	log_since
	log_since | grep -w -e "${1%%=*}" | grep -e "[^0-9-]${1#*=}\b" | grep -q -e "$2"
	run ! is_loaded
}

@test "without parameters there are 4 pipes of 65536 bytes in the book's mode" {
	book
	same 4 "$(parameter scull_p_nr_devs)"
	same 65536 "$(parameter scull_p_buffer)"
	same 0 "$(parameter scull_p_fifo)"
	for i in 0 1 2 3; do
		same "$(printf '%x:%x' "$(region scull)" $((4 + i)))" "$(stat -c %t:%T "/dev/scullpipe$i")"
	done
	[ ! -e /dev/scullpipe4 ]
	same scullpipe0 "$(readlink /dev/scullpipe)"
}

@test "scull_p_nr_devs outside 0 to 256 fails the load and says so" {
	gone
	for value in -1 257; do
		refused "scull_p_nr_devs=$value" '0 to 256'
	done
}

@test "scull_p_buffer outside 1 to 16 MiB fails the load and says so" {
	gone
	for value in 0 16777217 -2147483648; do
		refused "scull_p_buffer=$value" '1 to 16777216'
	done
}

@test "scull_p_fifo outside 0 to 1 fails the load and says so" {
	gone
	for value in -1 2; do
		refused "scull_p_fifo=$value" '0 to 1'
	done
}

@test "a value that is no number fails the load" {
	gone
	for name in scull_p_nr_devs scull_p_buffer scull_p_fifo; do
		run -1 insmod "$ko" "$name=many"
		run ! is_loaded
	done
}

@test "without pipes there are no nodes and no link, and the rest works" {
	book scull_p_nr_devs=0
	same 0 "$(parameter scull_p_nr_devs)"
	[ ! -e /dev/scullpipe0 ]
	[ ! -L /dev/scullpipe ]
	echo works >/dev/scull0
	same works "$(cat /dev/scull0)"
}

@test "only pipes" {
	book scull_nr_devs=0 scull_p_nr_devs=2
	[ ! -e /dev/scull0 ]
	[ -c /dev/scullpipe1 ]
	[ ! -e /dev/scullpipe2 ]
	exec 8<>/dev/scullpipe1
	echo works >/dev/scullpipe1
	read -r line <&8
	exec 8>&-
	same works "$line"
}

@test "256 pipes, each by its own number" {
	book scull_p_nr_devs=256
	same "$(printf '%x:%x' "$(region scull)" 259)" "$(stat -c %t:%T /dev/scullpipe255)"
	exec 8<>/dev/scullpipe255 9<>/dev/scullpipe254
	echo last >&8
	echo before >&9
	read -r one <&8
	read -r two <&9
	exec 8>&- 9>&-
	same "last before" "$one $two"
}

# held: how many bytes a pipe takes
held() {
	exec 8<>"$dev"
	dd if=/dev/zero of="$dev" bs=1M count=20 oflag=nonblock 2>"$tmp/said" && return 1
	dd if=/dev/zero of="$dev" bs=1 oflag=nonblock 2>"$tmp/more" && return 1
	cat "$tmp/said" "$tmp/more" | awk '/bytes?.* copied/ { n += $1 } END { print n }'
	exec 8>&-
}

@test "scull_p_buffer is how many bytes a pipe holds" {
	for n in 1 4000 65537 16777216; do
		book "scull_p_buffer=$n"
		same "$n" "$(held)"
	done
}

@test "the size set by ioctl is that of pipes opened from then on" {
	book
	bin=$(program ioctltest)
	same 65536 "$(held)"
	"$bin" "$dev" SCULL_P_IOCTSIZE 5000
	run "$bin" "$dev" SCULL_P_IOCQSIZE
	output_has 5000
	same 5000 "$(held)"
	"$bin" "$dev" SCULL_IOCRESET
	same 65536 "$(held)"
}

@test "an ordinary user may read a pipe and not write to it" {
	needs setpriv
	book
	exec 8<>"$dev"
	echo public >"$dev"
	same public "$(as_nobody head -n 1 "$dev")"
	run as_nobody sh -c "echo intruder >$dev"
	[ "$status" -ne 0 ]
	exec 8>&-
}

# --- the book's mode ---

# of a writer's blocks and a reader's
odd_sizes='1 4999
13331 7
4096 4097
65537 65535
1M 1000'

@test "a reader waits for a writer, and for the next" {
	needs_syscalls
	book
	head -n 2 "$dev" >"$tmp/out" 3>&- &
	reader=$!
	within 60 waits_in read "$reader"
	echo one >"$dev"
	within 60 waits_in read "$reader"
	echo two >"$dev"
	wait "$reader"
	same "one two" "$(paste -s -d ' ' "$tmp/out")"
}

@test "bytes stay while somebody has the pipe open, and go with the last" {
	book
	exec 8<>"$dev"
	echo kept >"$dev"
	same kept "$(head -n 1 "$dev")"
	echo lost >"$dev"
	exec 8>&-
	run dd if="$dev" iflag=nonblock status=none
	[ "$status" -ne 0 ]
	output_has "Resource temporarily unavailable"
}

@test "a writer waits when the pipe is full" {
	needs_syscalls
	book scull_p_buffer=1000
	exec 8<>"$dev"
	cat "$long" >"$dev" 3>&- &
	writer=$!
	within 60 waits_in write "$writer"
	head -c "$(size "$long")" <&8 | cmp - "$long"
	wait "$writer"
	exec 8>&-
}

@test "dd with blocks of odd sizes on both sides" {
	book
	exec 8<>"$dev"
	while read -r out in; do
		head -c 20003 "$long" | dd of="$dev" obs="$out" status=none 3>&- &
		dd if="$dev" bs="$in" count=20003 iflag=count_bytes,fullblock status=none >"$tmp/out"
		wait $!
		head -c 20003 "$long" | cmp - "$tmp/out"
	done <<<"$odd_sizes"
	exec 8>&-
}

@test "lines of eight writers at once are not mixed" {
	book scull_p_buffer=5000
	exec 8<>"$dev"
	for i in 1 2 3 4 5 6 7 8; do
		for j in 1 2 3 4 5 6 7 8 9; do
			printf 'writer %d line %d %0900d\n' "$i" "$j" "$j"
		done >"$dev" 3>&- &
	done
	head -n 72 <&8 | sort >"$tmp/came"
	wait
	exec 8>&-
	for i in 1 2 3 4 5 6 7 8; do
		for j in 1 2 3 4 5 6 7 8 9; do
			printf 'writer %d line %d %0900d\n' "$i" "$j" "$j"
		done
	done | cmp - "$tmp/came"
}

@test "polltest sees data, room and neither" {
	book scull_p_buffer=4096
	bin=$(program polltest)
	exec 8<>"$dev"
	run "$bin" "$dev"
	same "$dev: POLLOUT POLLWRNORM" "$output"
	echo >&8
	run "$bin" "$dev"
	same "$dev: POLLIN POLLRDNORM" "$output"
	run -1 "$bin" -w "$dev"
	same "$dev: nothing" "$output"
	exec 8>&-
}

@test "the module stays while a pipe is open" {
	needs_unload
	book
	exec 8<>"$dev"
	run ./scull_unload
	[ "$status" -ne 0 ]
	is_loaded
	exec 8>&-
}

# --- FIFO mode ---

@test "FIFO: tar on both ends" {
	needs tar
	fifo
	mkdir "$tmp/in" "$tmp/out"
	cp "$long" tests/*.c "$tmp/in"
	tar -C "$tmp/in" -cf - . >"$dev" 3>&- &
	tar -C "$tmp/out" -xf - <"$dev"
	wait $!
	diff -r "$tmp/in" "$tmp/out"
}

@test "FIFO: tar opens it itself" {
	needs tar
	fifo scull_p_buffer=4000
	mkdir "$tmp/in" "$tmp/out"
	cp "$long" tests/*.c "$tmp/in"
	tar -C "$tmp/in" -cf "$dev" . 3>&- &
	# Reads need not be of whole blocks, as with every pipe.
	tar -C "$tmp/out" --read-full-records -xf "$dev"
	wait $!
	diff -r "$tmp/in" "$tmp/out"
}

@test "FIFO: dd with blocks of odd sizes, to the end of file" {
	fifo
	while read -r out in; do
		head -c 20003 "$long" | dd of="$dev" obs="$out" status=none 3>&- &
		dd if="$dev" bs="$in" status=none >"$tmp/out"
		wait $!
		head -c 20003 "$long" | cmp - "$tmp/out"
	done <<<"$odd_sizes"
}

@test "FIFO: cat, cmp, gzip and many small writes" {
	fifo
	cat "$long" >"$dev" 3>&- &
	cmp "$long" "$dev"
	gzip -c "$long" >"$dev" 3>&- &
	gzip -dc "$dev" | cmp - "$long"
	(
		for i in $(seq 200); do
			echo "line $i"
		done
	) >"$dev" 3>&- &
	seq -f 'line %g' 200 | cmp - "$dev"
	wait
}

@test "FIFO: socat on both ends" {
	needs socat
	fifo
	socat -u "FILE:$long" "OPEN:$dev,wronly" 3>&- &
	socat -u "OPEN:$dev,rdonly" "CREATE:$tmp/out"
	wait $!
	cmp "$long" "$tmp/out"
}

@test "FIFO: pv on both ends, by splice and by read and write" {
	needs pv
	fifo
	for how in "" --no-splice; do
		pv -q $how "$long" >"$dev" 3>&- &
		pv -q $how "$dev" >"$tmp/out"
		wait $!
		cmp "$long" "$tmp/out"
	done
}

@test "FIFO: a shell's loop reads line by line to the end" {
	fifo
	seq 100 >"$dev" 3>&- &
	sum=0
	while read -r n; do
		sum=$((sum + n))
	done <"$dev"
	same 5050 "$sum"
}

@test "FIFO: a reader that has enough ends the writer" {
	fifo
	(
		set +e
		yes >"$dev"
		echo $? >"$tmp/status"
	) 3>&- &
	same "y y y" "$(head -n 3 "$dev" | paste -s -d ' ')"
	wait $!
	# 128 + SIGPIPE
	same 141 "$(cat "$tmp/status")"
}

@test "FIFO: each side's open waits for the other" {
	needs_syscalls
	fifo
	echo hello >"$dev" 3>&- &
	within 60 waits_in openat $!
	same hello "$(cat "$dev")"
	wait $!
	cat "$dev" >"$tmp/out" 3>&- &
	within 60 waits_in openat $!
	echo world >"$dev"
	wait $!
	same world "$(cat "$tmp/out")"
}

@test "FIFO: the bytes are those of the model there too" {
	fifo
	if [ ! -x build/tests/test_pipe_model ]; then
		skip "test_pipe_model is not built"
	fi
	SCULL_PIPE_OPS=12000 run build/tests/test_pipe_model "one process"
	echo "$output"
	[ "$status" -eq 0 ]
}

# --- tests/atomicity ---

# The tool, built if need be.
tool() {
	local built=$root/build/tests/atomicity
	if [ ! -x "$built" ]; then
		built=$BATS_FILE_TMPDIR/atomicity
		[ -x "$built" ] || cc -O2 -o "$built" tests/atomicity.c
	fi
	echo "$built"
}

# smallest_torn: what the tool said, nothing for none
smallest_torn() {
	sed -n 's/^  smallest seen torn: \([0-9]*\) bytes$/\1/p' <<<"$output"
}

@test "atomicity: no record of at most PIPE_BUF bytes is torn on a pipe of ours" {
	book
	run "$(tool)" -n 20000 "$dev"
	echo "$output"
	[ "$status" -eq 0 ]
	output_has "20000 records"
	output_has "atomic up to 4096 bytes"
}

@test "atomicity: nor on one that holds less than PIPE_BUF, up to what it holds" {
	book scull_p_buffer=1000
	run "$(tool)" -n 10000 --most 2000 --promised 1000 "$dev"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "atomicity: finds torn records on pipe(2), above PIPE_BUF and not below" {
	bin=$(tool)
	torn=
	tries=0
	until [ -n "$torn" ] || [ "$tries" -eq 6 ]; do
		tries=$((tries + 1))
		run "$bin" -n 30000 pipe
		echo "$output"
		[ "$status" -eq 0 ]
		torn=$(smallest_torn)
	done
	[ "$torn" -gt 4096 ]
	# Whose bytes they are is seen in the first digit of each.
	output_has "was torn after byte"
	output_has "bytes of others"
}

@test "atomicity: a promise that is not kept fails" {
	bin=$(tool)
	tries=0
	status=0
	until [ "$status" -ne 0 ] || [ "$tries" -eq 6 ]; do
		tries=$((tries + 1))
		run "$bin" -n 30000 --promised 8192 pipe
	done
	echo "$output"
	[ "$status" -eq 1 ]
	output_has "NOT ATOMIC"
}

@test "atomicity: a FIFO, a socketpair, a pty and a file" {
	mkfifo "$tmp/fifo"
	: >"$tmp/file"
	run "$(tool)" -n 3000 "$tmp/fifo" socketpair pty "$tmp/file"
	echo "$output"
	[ "$status" -eq 0 ]
	same 4 "$(grep -c "atomic up to 4096 bytes" <<<"$output")"
}

@test "atomicity: the same seed writes the same records" {
	bin=$(tool)
	run "$bin" -n 2000 --seed 42 pipe
	one=$(grep -o '2000 records of .* bytes' <<<"$output")
	run "$bin" -n 2000 --seed 42 socketpair
	output_has "$one"
	output_has "seed 42"
}

# A stream that another process meddles with, byte by byte.
@test "atomicity: lost and foreign bytes are found" {
	book
	exec 8<>"$dev"
	dd if="$dev" of=/dev/null bs=1 status=none 3>&- 8>&- &
	thief=$!
	run "$(tool)" -n 2000000 -t 60 "$dev"
	kill "$thief"
	wait "$thief" || true
	echo "$output"
	[ "$status" -eq 1 ]
	output_has "BROKEN"
	output_has "NO ANSWER"
	exec 8>&-
}

@test "atomicity: the time limit ends it" {
	run "$(tool)" -n 1000000000 -t 2 pipe
	[ "$status" -eq 0 ]
}

@test "atomicity: a bad option or device is refused" {
	bin=$(tool)
	run -2 "$bin"
	output_has usage
	run -2 "$bin" --writers 1 pipe
	output_has "2 to 16"
	run -2 "$bin" --records none pipe
	run -2 "$bin" /nowhere/at/all
	output_has "No such file or directory"
	run -2 "$bin" --unknown pipe
	run -0 "$bin" --help
}
