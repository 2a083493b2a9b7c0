#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: alone
#
# scullctl: what it says of the devices is so, what it changes is changed, and its
# errors say what to do.
# shellcheck disable=SC2016,SC2154 # scripts for others to expand; bats sets those

load common

setup_file() {
	[ -d /sys/class/scull ] || as_found
}

teardown_file() {
	as_found
}

setup() {
	needs_scullctl
	tmp=$BATS_TEST_TMPDIR
	jobs=()
	empty_all
}

teardown() {
	local job
	exec 8>&- 9>&-
	for job in "${jobs[@]}"; do
		kill "$job" 2>/dev/null || true
		wait "$job" 2>/dev/null || true
	done
	[ ! -d /sys/class/scull ] || scullctl reset
}

# empty_all: the devices that keep what others wrote are as after a load
empty_all() {
	local device
	for device in scull0 scull1 scull2 scull3 scullsingle sculluid; do
		: >"/dev/$device"
	done
}

# holder UID COMMAND...: in the background, as that user
holder() {
	local uid=$1
	shift
	[ -e "$tmp/hold" ] || install -m 755 "$(program hold)" "$tmp/hold"
	chmod 755 "$tmp"
	setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$tmp/hold" "$@" >"$tmp/held" 2>&1 3>&- &
	jobs+=($!)
}

# column DEVICE NAME: a cell of the table that scullctl list prints
column() {
	scullctl list | awk -v device="$1" -v name="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i }
		$1 == device { print $column }'
}

# shown DEVICE NAME: a number that scullctl show prints
shown() {
	scullctl show "$1" | awk -v name="$2" '$1 == name { print $2 }'
}

on_terminal() {
	script -qec "$1" /dev/null </dev/null
}

# --- list and show ---

@test "list has every device, in the order of the minor numbers" {
	same "scull0 scull1 scull2 scull3 scullpipe0 scullpipe1 scullpipe2 scullpipe3 scullsingle sculluid scullwuid scullpriv" \
		"$(scullctl list | awk 'NR > 1 { print $1 }' | paste -s -d ' ')"
	same "bare pipe single uid wuid priv" \
		"$(scullctl list | awk 'NR > 1 { print $2 }' | uniq | paste -s -d ' ')"
}

@test "list says what a device holds and who has it open" {
	printf %010000d 0 >/dev/scull1
	exec 8</dev/scull1 9<>/dev/scullpipe2
	printf 12345 >&9
	same 10000 "$(column scull1 SIZE)"
	same 3 "$(column scull1 QUANTA)"
	same 1 "$(column scull1 OPENS)"
	same 0 "$(column scull0 OPENS)"
	same 5 "$(column scullpipe2 SIZE)"
	same 65536 "$(column scullpipe2 CAPACITY)"
	same 1 "$(column scullpipe2 RD)"
	same 1 "$(column scullpipe2 WR)"
	same - "$(column scullpipe2 QUANTA)"
	same - "$(column scull1 RD)"
}

@test "list and show say whose a device is, and who waits" {
	needs setpriv
	owned() {
		[ "$(column scullwuid OWNER)" != - ]
	}
	waits() {
		[ "$(column scullwuid WAITERS)" = 1 ]
	}
	same - "$(column scullwuid OWNER)"
	holder 1901 /dev/scullwuid
	within 60 owned
	same 1901 "$(shown scullwuid owner)"
	same 0 "$(column scullwuid WAITERS)"
	holder 1902 /dev/scullwuid
	within 60 waits
	same 1 "$(shown scullwuid waiters)"
}

@test "list names the owner where the system knows him" {
	exec 8</dev/sculluid
	same root "$(column sculluid OWNER)"
	same 0 "$(shown sculluid owner)"
	exec 8<&-
	same - "$(shown sculluid owner)"
}

@test "show says what is in force in a device, not what will be" {
	: >/dev/scull2
	scullctl set quantum 512
	same 4000 "$(shown scull2 quantum)"
	scullctl trim scull2
	same 512 "$(shown scull2 quantum)"
	same 1000 "$(shown scull2 qset)"
}

@test "show has the counters" {
	local reads bytes trims
	reads=$(shown scull3 reads) bytes=$(shown scull3 write_bytes) trims=$(shown scull3 trims)
	printf 1234567 >/dev/scull3
	dd if=/dev/scull3 bs=7 count=1 status=none
	same $((reads + 1)) "$(shown scull3 reads)"
	same $((bytes + 7)) "$(shown scull3 write_bytes)"
	same $((trims + 1)) "$(shown scull3 trims)"
}

@test "a device may be called by the path of a node or of a link to it" {
	same "$(scullctl show scull0)" "$(scullctl show /dev/scull0)"
	same "$(scullctl show scull0)" "$(scullctl show /dev/scull)"
	mknod "$tmp/node" c "$(region scull)" 1
	same "$(scullctl show scull1)" "$(scullctl show "$tmp/node")"
}

@test "list, show, map and watch open no device" {
	local before
	exec 8</dev/scullsingle
	opens() {
		cat /sys/class/scull/*/stats/refused /sys/class/scull/*/opens | paste -s -d ' '
	}
	before=$(opens)
	scullctl list
	scullctl show scullsingle
	scullctl map scullsingle
	scullctl map scullpriv
	scullctl watch --interval=0.1 --count=1
	same "$before" "$(opens)"
	needs strace
	strace -f -e trace=open,openat -o "$tmp/calls" sh -c 'scullctl list; scullctl map scullsingle'
	run ! grep /dev/scull "$tmp/calls"
}

# --- JSON ---

@test "list --json is a list of the devices with what sysfs says of them" {
	printf 12345 >/dev/scull0
	exec 8</dev/sculluid
	same 12 "$(json 'scalar @$j' scullctl list --json)"
	same "scull0 bare 5 1 4000 1000" \
		"$(json 'join " ", @{$j->[0]}{qw(name type size quanta quantum qset)}' scullctl list --json)"
	same 0 "$(json '$j->[9]{owner}' scullctl list --json)"
	exec 8<&-
	same "free" "$(json 'exists $j->[9]{owner} && !defined $j->[9]{owner} ? "free" : "not"' scullctl list --json)"
	same 65536 "$(json '$j->[4]{capacity}' scullctl list --json)"
}

@test "what each command prints with --json is JSON" {
	local device
	scullctl list --json | python3 -m json.tool >/dev/null
	scullctl get --json | python3 -m json.tool >/dev/null
	scullctl watch --json --count=1 --interval=0.1 | python3 -m json.tool >/dev/null
	for device in scull0 scullpipe0 scullsingle scullwuid scullpriv; do
		scullctl show --json "$device" | python3 -m json.tool >/dev/null
	done
	for device in scull0 scullsingle scullpriv; do
		scullctl map --json "$device" | python3 -m json.tool >/dev/null
	done
	same 4000 "$(json '$j->{quantum}' scullctl get --json quantum)"
	same "$(cat /sys/class/scull/scull0/stats/trims)" "$(json '$j->{stats}{trims}' scullctl show --json scull0)"
}

# --- get, set, reset ---

@test "get and set by sysfs: what sysfs and every device then say" {
	local name
	for name in quantum:777 qset:77 p_buffer:7777; do
		scullctl set "${name%:*}" "${name#*:}"
		same "${name#*:}" "$(cat "/sys/class/scull/${name%:*}")"
		same "${name#*:}" "$(scullctl get "${name%:*}")"
		same "${name#*:}" "$(scullctl get --ioctl "${name%:*}")"
	done
	same "quantum 777 qset 77 p_buffer 7777" "$(scullctl get | xargs)"
	scullctl set quantum 0x10
	same 16 "$(scullctl get quantum)"
}

@test "get and set by ioctl: of any device, and not by sysfs" {
	scullctl set --ioctl quantum 888
	same 888 "$(cat /sys/class/scull/quantum)"
	scullctl set --ioctl=scullpipe1 qset 88
	scullctl set --ioctl=/dev/sculluid p_buffer 8888
	same "quantum 888 qset 88 p_buffer 8888" "$(scullctl get --ioctl | xargs)"
	needs strace
	strace -o "$tmp/calls" scullctl get --ioctl=scull1 quantum
	grep -q 'openat.*"/dev/scull1"' "$tmp/calls"
	run ! grep /sys/class/scull "$tmp/calls"
	strace -o "$tmp/calls" scullctl get quantum
	run ! grep '"/dev/scull' "$tmp/calls"
}

@test "get by ioctl empties no device" {
	echo kept >/dev/scull0
	scullctl get --ioctl
	scullctl set --ioctl quantum 512
	scullctl reset
	same kept "$(cat /dev/scull0)"
}

@test "where sysfs has no values, they go by ioctl" {
	mkdir -p "$tmp/below"/{proc,sys}
	ln -s /dev "$tmp/below/dev"
	cp /proc/devices "$tmp/below/proc"
	scullctl --root="$tmp/below" set quantum 1234
	same 1234 "$(scullctl --root="$tmp/below" get quantum)"
	same 1234 "$(scullctl get quantum)"
}

@test "reset brings back what was compiled in" {
	scullctl set quantum 1
	scullctl set qset 1
	scullctl set p_buffer 1
	scullctl reset
	same "quantum 4000 qset 1000 p_buffer 65536" "$(scullctl get | xargs)"
}

@test "a value out of range is refused with the range, in both ways" {
	local way value
	for way in '' --ioctl; do
		for value in 0 -1 4194305 2147483648 99999999999; do
			run -1 scullctl set $way -- quantum "$value"
			same "scullctl: quantum: $value is out of range: 1 to 4194304" "$output"
		done
		run -1 scullctl set $way qset 65537
		same "scullctl: qset: 65537 is out of range: 1 to 65536" "$output"
		run -1 scullctl set $way p_buffer 16777217
		same "scullctl: p_buffer: 16777217 is out of range: 1 to 16777216" "$output"
		# The ends of the ranges are in them.
		scullctl set $way quantum 4194304
		scullctl set $way qset 65536
		scullctl set $way p_buffer 16777216
		scullctl reset
	done
	same "quantum 4000 qset 1000 p_buffer 65536" "$(scullctl get | xargs)"
}

@test "an ordinary user may get and not set, and is told" {
	needs setpriv
	same 4000 "$(as_user scullctl get quantum)"
	same 4000 "$(as_user scullctl get --ioctl quantum)"
	run -1 as_user scullctl set quantum 512
	same "scullctl: set needs CAP_SYS_ADMIN: run it as root" "$output"
	run -1 as_user scullctl set --ioctl quantum 512
	same "scullctl: set needs CAP_SYS_ADMIN: run it as root" "$output"
	run -1 as_user scullctl reset
	same "scullctl: reset needs CAP_SYS_ADMIN: run it as root" "$output"
	as_user scullctl list
	same 4000 "$(scullctl get quantum)"
}

# --- map ---

# In quanta of 100 bytes: 2 and 3, 10 to 19, 1000 and the last one.
make_holes() {
	scullctl set quantum 100
	scullctl set qset 10
	scullctl trim scull1
	printf %0200d 0 | dd of=/dev/scull1 bs=200 seek=1 conv=notrunc status=none
	printf %01000d 0 | dd of=/dev/scull1 bs=1000 seek=1 conv=notrunc status=none
	printf x | dd of=/dev/scull1 bs=1 seek=100050 conv=notrunc status=none
	printf x | dd of=/dev/scull1 bs=1 seek=123456 conv=notrunc status=none
}

@test "map --json has the runs that were written, and nothing else" {
	make_holes
	same "2+2 10+10 1000+1 1234+1" \
		"$(json 'join " ", map { join "+", @$_ } @{$j->{stores}[0]{runs}}' scullctl map --json scull1)"
	same "0 123457 100 10" "$(json 'join " ", @{$j->{stores}[0]}{qw(id size quantum qset)}' scullctl map --json scull1)"
	same 14 "$(column scull1 QUANTA)"
}

@test "map draws them: dots for holes, a mark for each quantum" {
	scullctl set quantum 100
	scullctl trim scull1
	printf %0200d 0 | dd of=/dev/scull1 bs=200 seek=1 conv=notrunc status=none
	printf %01000d 0 | dd of=/dev/scull1 bs=1000 seek=1 conv=notrunc status=none
	run -0 scullctl map scull1
	same "scull1: 2000 bytes, quantum 100, qset 1000: 12 of 20 quanta allocated, in 2 runs" "${lines[0]}"
	same "   0 ..##......##########" "${lines[1]}"
	same ". hole  # allocated; each is 1 quantum, 100 bytes" "${lines[2]}"
}

@test "map of a large device is scaled, and a lone quantum still seen" {
	make_holes
	COLUMNS=60 run -0 scullctl map scull1
	# 1235 quanta in at most 16 lines of 50: 2 in each cell.
	same "     0 .#...#####........................................" "${lines[1]}"
	same "100000 +................................................." "$(grep '^100000' <<<"$output")"
	same "120000 .................#" "$(grep '^120000' <<<"$output")"
	output_has "each is 2 quanta, 200 bytes"
	printf x | dd of=/dev/scull2 bs=1 seek=1T conv=notrunc status=none
	run -0 scullctl map scull2
	output_has "1 of "
	same 1 "$(grep -v -e '^scull2' -e hole <<<"$output" | tr -cd '#+*-' | wc -c)"
	: >/dev/scull2
	run -0 scullctl map scull2
	same "scull2: 0 bytes, quantum 100, qset 10: 0 of 0 quanta allocated, in 0 runs" "$output"
}

@test "map has colours and blocks on a terminal alone, and NO_COLOR none" {
	needs script
	make_holes
	run -0 scullctl map scull1
	run ! grep -P '[^\x20-\x7e]' <<<"$output"
	run -0 on_terminal 'LC_ALL=C.UTF-8 TERM=linux scullctl map scull1'
	output_has $'\033[32m\u2588'
	run -0 on_terminal 'LC_ALL=C.UTF-8 TERM=linux NO_COLOR=1 scullctl map scull1'
	output_has $'\u2588'
	run ! grep -q $'\033' <<<"$output"
	run -0 on_terminal 'LC_ALL=C TERM=linux scullctl map scull1'
	output_has $'\033[32m#'
	run -0 on_terminal 'LC_ALL=C TERM=dumb scullctl map scull1'
	run ! grep -P '[^\x20-\x7e\r]' <<<"$output"
}

@test "map is as wide as the terminal" {
	needs script
	make_holes
	on_terminal 'stty cols 50 rows 40; LC_ALL=C TERM=dumb scullctl map scull1' | tr -d '\r' >"$tmp/map"
	# Six for the offset, a blank, and as many tens of cells as fit.
	same 47 "$(sed -n 2p "$tmp/map" | awk '{ print length }')"
	same 31 "$(grep -c '^ *[0-9]* [.#]' "$tmp/map")"
}

@test "map --svg is well-formed, and has a square for each cell" {
	needs xmllint
	make_holes
	scullctl map --svg scull1 >"$tmp/map.svg"
	xmllint --noout "$tmp/map.svg"
	same 1235 "$(grep -c '<title>quantum' "$tmp/map.svg")"
	same 14 "$(grep '<title>quantum' "$tmp/map.svg" | grep -c '#1d7a4c')"
	grep -q '123457 bytes, quantum 100, qset 10: 14 of 1235' "$tmp/map.svg"
}

@test "map shows each session's scullpriv" {
	needs script
	run -0 on_terminal 'printf %05000d 0 >/dev/scullpriv; scullctl map scullpriv'
	output_has "5000 bytes, quantum 4000"
	output_has "2 of 2 quanta"
	run -0 on_terminal 'printf 1 >/dev/scullpriv; scullctl show scullpriv'
	output_has "devices"
}

@test "map of a pipe, of what is not there, and by who may not" {
	needs setpriv
	run -1 scullctl map scullpipe0
	output_has "scullpipe0 is a pipe"
	output_has "scullctl show scullpipe0"
	run -1 as_user scullctl map scull0
	same "scullctl: map reads debugfs, which only root may: run it as root" "$output"
	run -1 in_private_mounts 'umount /sys/kernel/debug; PATH=$1 scullctl map scull0' sh "$PATH"
	output_has "mount -t debugfs"
}

# --- watch ---

@test "watch says what went on between two looks" {
	scullctl watch --json --interval=2 --count=1 scull2 >"$tmp/rates" 3>&- &
	local watcher=$!
	sleepless() {
		[ "$(ps -o state= -p "$watcher")" = S ]
	}
	needs ps
	within 60 sleepless
	dd if=/dev/zero of=/dev/scull2 bs=1000 count=200 status=none
	wait "$watcher"
	same "1 scull2" "$(json 'scalar(@$j) . " " . $j->[0]{name}' cat "$tmp/rates")"
	# 200 writes of 1000 bytes in two seconds, or a little more where it is busy.
	same right "$(json '$j->[0]{writes} > 0 && $j->[0]{writes} <= 100
		&& abs($j->[0]{write_bytes} / $j->[0]{writes} - 1000) < 10 ? "right" : "wrong: " . $j->[0]{writes}' cat "$tmp/rates")"
}

@test "watch prints a table for each look, of all devices or those that are named" {
	run -0 scullctl watch --interval=0.1 --count=3
	same 39 "${#lines[@]}"
	same 3 "$(grep -c '^DEVICE' <<<"$output")"
	run -0 scullctl watch --interval=0.1 --count=2 scull1 /dev/scullpipe0
	same "DEVICE scull1 scullpipe0 DEVICE scull1 scullpipe0" "$(awk '{ print $1 }' <<<"$output" | paste -s -d ' ')"
	run ! grep -q $'\033' <<<"$output"
}

@test "watch on a terminal draws in one place, and no more than fits" {
	needs script
	run -0 on_terminal 'stty cols 40 rows 8; scullctl watch --interval=0.1 --count=2 | cat; scullctl watch --interval=0.1 --count=2'
	same 2 "$(grep -c $'\033\\[H' <<<"$output")"
	same "" "$(sed -n '/\x1b/,$p' <<<"$output" | tr -d '\r' | grep -v Ctrl | awk 'length > 40')"
	same 12 "$(sed -n '/\x1b/,$p' <<<"$output" | grep -c '^scull\|^DEVICE')"
}

@test "watch ends with words when scull is unloaded" {
	needs_unload
	scullctl watch --interval=0.1 >"$tmp/out" 2>"$tmp/err" 3>&- &
	local watcher=$!
	begun() {
		[ -s "$tmp/out" ]
	}
	within 60 begun
	./scull_unload
	run -1 wait "$watcher"
	./scull_load
	grep -q "scullctl: scull is not loaded" "$tmp/err"
}

# --- trim ---

@test "trim empties a device and nothing else" {
	echo one >/dev/scull0
	echo two >/dev/scull1
	scullctl trim scull0
	same 0 "$(size /dev/scull0)"
	same two "$(cat /dev/scull1)"
	scullctl trim /dev/scull1
	same 0 "$(size /dev/scull1)"
	echo three >/dev/scullsingle
	scullctl trim scullsingle
	same 0 "$(size /dev/scullsingle)"
}

@test "trim says why not" {
	needs setpriv setsid
	run -1 scullctl trim scullpipe0
	output_has "scullpipe0 is a pipe"
	run -1 as_user scullctl trim scull0
	output_has "must be allowed to write"
	exec 8</dev/scullsingle
	run -1 scullctl trim scullsingle
	output_has "scullsingle is in use"
	output_has "scullctl show scullsingle"
	run -1 setsid -w scullctl trim scullpriv
	output_has "has no terminal"
	echo precious >"$tmp/file"
	run -1 scullctl trim "$tmp/file"
	output_has "is no device of scull"
	same precious "$(cat "$tmp/file")"
}

# --- the command line ---

@test "a device that there is not: which there are" {
	local command
	for command in show map watch trim unplug; do
		run -1 scullctl "$command" scull9
		same "scullctl: no device scull9: there are scull0 to scull3, scullpipe0 to scullpipe3, scullsingle, sculluid, scullwuid, scullpriv" "$output"
	done
	run -1 scullctl show /dev/null
	output_has "/dev/null is no device of scull"
	run -1 scullctl show /dev/none
	output_has "No such file"
	run -1 scullctl get --ioctl=/dev/null quantum
	output_has "/dev/null is no device of scull"
}

@test "without the module every command says how to load it" {
	local command
	needs_unload
	./scull_unload
	for command in list 'show scull0' 'get quantum' 'set quantum 1' reset 'map scull0' watch 'trim scull0' \
		'fault scull0 list' 'unplug scull0' 'plug scull0'; do
		# shellcheck disable=SC2086 # words
		run scullctl $command
		echo "$command: $output"
		[ "$status" -eq 1 ] || break
		[ "$output" = "scullctl: scull is not loaded: run scull_load or modprobe scull" ] || break
	done
	./scull_load
	same "plug scull0: scullctl: scull is not loaded: run scull_load or modprobe scull" "$command: $output"
}

@test "wrong use is status 2, with a word about what is right" {
	run -2 scullctl
	output_has "which command?"
	run -2 scullctl lst
	output_has "there is no command lst"
	run -2 scullctl show
	output_has "usage: scullctl show [--json] DEVICE"
	run -2 scullctl list scull0
	run -2 scullctl list --svg
	output_has "list takes no option --svg"
	run -2 scullctl map --svg --json scull0
	run -2 scullctl list --frobnicate
	run -2 scullctl get speed
	output_has "there are quantum, qset and p_buffer"
	run -2 scullctl set quantum many
	output_has "'many' is no number"
	run -2 scullctl set quantum 5x
	run -2 scullctl set quantum ""
	run -2 scullctl watch --interval=0
	output_has "seconds from 0.1 to 86400"
	run -2 scullctl watch --interval=soon
	run -2 scullctl watch --count=0
	output_has "a number from 1 on"
}

@test "--help tells of all commands and each, --version the version" {
	local command
	run -0 scullctl --help
	for command in list show get set reset map watch trim fault unplug plug; do
		output_has "  $command "
	done
	output_has "Exit status"
	for command in list show get set reset map watch trim fault unplug plug; do
		run -0 scullctl "$command" --help
		output_has "Usage: scullctl $command"
	done
	run -0 scullctl --version
	[[ $output =~ ^scullctl\ [0-9]+\.[0-9]+ ]]
}

@test "what cannot be written is a failure" {
	run -1 sh -c 'scullctl list >/dev/full'
	output_has "cannot write standard output"
}

# --- completion ---

@test "bash completes commands, devices, values and options" {
	same "list" "$(completed scullctl l)"
	same "set show" "$(completed scullctl s | xargs -n 1 | sort | xargs)"
	same "scull0 scull1 scull2 scull3" "$(completed scullctl show scull | xargs -n 1 | grep '^scull[0-9]' | xargs)"
	same "12" "$(completed scullctl show '' | wc -w)"
	# A pipe has no map, and is not trimmed.
	same "" "$(completed scullctl map scullp | xargs -n 1 | grep pipe)"
	same "scullpipe2" "$(completed scullctl watch scull0 scullpipe2)"
	same "quantum qset" "$(completed scullctl set q)"
	same "qset" "$(completed scullctl get --json qs)"
	same "" "$(completed scullctl get qset q)"
	same "--json --svg" "$(completed scullctl map -- | tr " " "\n" | grep -v help | paste -s -d " ")"
	same "scullpriv" "$(completed scullctl get --ioctl = scullpr)"
}
