#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
# vm: alone
#
# scullctl fault, unplug and plug: what a person types to let a device fail, what he
# is told when that was wrong, and the scenarios.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # scripts for others to expand; each
# test is a shell of its own; bats sets those

load common

setup_file() {
	is_loaded 2>/dev/null || as_found
}

teardown_file() {
	as_found
}

setup() {
	needs_scullctl
	[ -e /sys/class/scull/unplug ] || skip "this module has no faults"
	tmp=$BATS_TEST_TMPDIR
	faults=/sys/class/scull/scull0/faults
	jobs=()
}

teardown() {
	local name
	if [ -e /sys/class/scull/unplug ]; then
		xargs -r -n 1 scullctl plug </sys/class/scull/unplug
		for name in scull0 scull1 scullpipe0; do
			scullctl fault "$name" clear
		done
	fi
	for name in "${jobs[@]}"; do
		kill "$name" 2>/dev/null || true
		wait "$name" 2>/dev/null || true
	done
}

# rules [DEVICE]: those it has, without what they counted, in one line
rules() {
	sed 's/  # .*//' "/sys/class/scull/${1:-scull0}/faults/rules" | paste -s -d ,
}

# state [DEVICE]: all that there is to its faults but the rules
state() {
	cat "/sys/class/scull/${1:-scull0}/faults/limit" "/sys/class/scull/${1:-scull0}/faults/hold" | xargs
}

# background COMMAND...: its number is in the last of jobs
background() {
	"$@" 3>&- &
	jobs+=($!)
}

# waits PID: is it in a call that only a fatal signal ends?
waits() {
	[ "$(awk '/^State:/ { print $2 }' "/proc/$1/status")" = D ]
}

# says FILE TEXT
says() {
	grep -q -F -e "$2" "$1"
}

errnos=(EPERM ENOENT EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST
	ENODEV EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EPIPE EDOM ERANGE
	ENODATA ETIME ECOMM EPROTO EBADMSG EOVERFLOW EILSEQ EMSGSIZE EOPNOTSUPP ENETDOWN
	ECONNRESET ENOBUFS ETIMEDOUT EHOSTDOWN EALREADY EINPROGRESS ESTALE EREMOTEIO EDQUOT
	ENOMEDIUM ECANCELED)

# --- add and list ---

@test "add takes each argument for a rule, after those that are there" {
	scullctl fault scull0 add 'read nth=3 EIO' 'write  from=10  short=1'
	same "read nth=3 EIO,write from=10 short=1" "$(rules)"
	scullctl fault /dev/scull0 add 'open delay=1ms'
	same "read nth=3 EIO,write from=10 short=1,open delay=1ms" "$(rules)"
	same "" "$(rules scull1)"
}

@test "the words of one rule need no quotes" {
	scullctl fault scull0 add read nth=3 EIO
	scullctl fault scull0 add fsync ENOSPC
	same "read nth=3 EIO,fsync ENOSPC" "$(rules)"
	run -2 scullctl fault scull0 add read 'write EIO'
	output_has "'read' is no rule"
	output_has "in quotes"
	same "read nth=3 EIO,fsync ENOSPC" "$(rules)"
}

@test "what was added happens, and list has how often" {
	echo 123456 >/dev/scull0
	scullctl fault scull0 add 'read nth=3 EIO' 'ioctl EPERM'
	run ! dd if=/dev/scull0 of="$tmp/read" bs=2
	output_has "Input/output error"
	same 1234 "$(cat "$tmp/read")"
	run -0 scullctl fault scull0 list
	same "scull0: no limit, not held" "${lines[0]}"
	same "NR RULE MATCHED FIRED" "$(xargs <<<"${lines[1]}")"
	same "1 read nth=3 EIO 3 1" "$(xargs <<<"${lines[2]}")"
	same "2 ioctl EPERM 0 0" "$(xargs <<<"${lines[3]}")"
	# What is added lets the counts of the others go on.
	scullctl fault scull0 add open comm=nobody EIO
	same "1 read nth=3 EIO 3 1" "$(scullctl fault scull0 list | sed -n 3p | xargs)"
}

@test "the longest rule is in the list as it is" {
	local rule
	rule="read comm=123456789012345 uid=4294967294 from=18446744073709551615 seed=1844674407370955161 EIO"
	same 95 "${#rule}"
	scullctl fault scull0 add "$rule"
	run -0 scullctl fault scull0 list
	output_has "$rule"
	run -1 scullctl fault scull0 add "$rule #" "${rule}N"
	output_has "95"
}

@test "add reads a file, or standard input, with comments" {
	printf '# one\nread nth=2 EIO # and\n\n\twrite short=1\r\nlimit 77\n' >"$tmp/rules"
	scullctl fault scull0 add --file="$tmp/rules"
	same "read nth=2 EIO,write short=1" "$(rules)"
	same "77 0" "$(state)"
	echo "fsync EIO" | scullctl fault scull0 add -
	printf 'hold' | scullctl fault scull0 add --file=-
	same "read nth=2 EIO,write short=1,fsync EIO" "$(rules)"
	same "77 1" "$(state)"
}

@test "list --json is JSON, with and without anything in it" {
	scullctl fault --json scull0 list | python3 -m json.tool >/dev/null
	same "scull0 none 0 0" \
		"$(json 'join " ", $j->{name}, $j->{limit} // "none", $j->{hold}, scalar @{$j->{rules}}' scullctl fault scull0 list --json)"
	: >/dev/scull0
	scullctl fault scull0 add 'read every=2 EIO' 'write short=1'
	scullctl fault scull0 limit 5000
	run -0 cat /dev/scull0
	same "5000 0 read every=2 EIO 1 0 write short=1 0 0" \
		"$(json 'join " ", $j->{limit}, $j->{hold}, map { @{$_}{qw(rule matched fired)} } @{$j->{rules}}' scullctl fault scull0 list --json)"
	scullctl fault scull0 hold
	same 1 "$(json '$j->{hold}' scullctl fault --json scull0 list)"
}

# --- limit, hold, release, clear ---

@test "limit makes the device as small as that, and none as large as ever" {
	: >/dev/scull0
	scullctl fault scull0 limit 10000
	run -0 scullctl fault scull0 list
	same "scull0: limit 10000 bytes, not held" "$output"
	run ! dd if=/dev/zero of=/dev/scull0 bs=3000
	output_has "No space left on device"
	same 10000 "$(size /dev/scull0)"
	scullctl fault scull0 limit none
	same "none 0" "$(state)"
	dd if=/dev/zero of=/dev/scull0 bs=3000 count=5 status=none
	same 15000 "$(size /dev/scull0)"
}

@test "a limit that is none is refused, before anything is tried" {
	local limit
	scullctl fault scull0 limit 5
	for limit in '' x 5x 0x10 1.5 99999999999999999999; do
		run -2 scullctl fault scull0 limit "$limit"
	done
	run -2 scullctl fault scull0 limit 5K
	output_has "limit 5K: a number of bytes, or none"
	run -2 scullctl fault scull0 limit
	output_has "usage: scullctl fault scull0 limit BYTES | none"
	same "5 0" "$(state)"
}

@test "held calls wait until release" {
	local pid
	echo held >/dev/scull0
	scullctl fault scull0 hold
	background dd if=/dev/scull0 of="$tmp/read" status=none
	pid=${jobs[-1]}
	within 60 waits "$pid"
	run -0 scullctl fault scull0 list
	same "scull0: no limit, held" "$output"
	# The tables open no device, and the others work.
	scullctl list
	scullctl show scull0
	echo free >/dev/scull1
	scullctl fault scull0 release
	wait "$pid"
	same held "$(cat "$tmp/read")"
	same "none 0" "$(state)"
}

@test "release lets go a call that hangs, and the rule stays" {
	local pid
	echo text >/dev/scull0
	scullctl fault scull0 add read nth=1 hang
	background dd if=/dev/scull0 of="$tmp/read" status=none
	pid=${jobs[-1]}
	within 60 waits "$pid"
	scullctl fault scull0 release
	wait "$pid"
	same text "$(cat "$tmp/read")"
	same "read nth=1 hang" "$(rules)"
}

@test "of a device that somebody is stuck in fault asks for no more than its name" {
	needs strace
	strace -o "$tmp/calls" scullctl fault scull0 release
	grep -q /sys/class/scull/scull0/faults/hold "$tmp/calls"
	run ! grep -e /size -e /quanta -e /opens "$tmp/calls"
}

@test "clear takes away all of it, and who hangs goes on" {
	local pid
	echo text >/dev/scull0
	scullctl fault scull0 add 'read hang' 'write EIO'
	scullctl fault scull0 limit 1
	background dd if=/dev/scull0 of="$tmp/read" status=none
	pid=${jobs[-1]}
	within 60 waits "$pid"
	scullctl fault scull0 hold
	scullctl fault scull0 clear
	wait "$pid"
	same text "$(cat "$tmp/read")"
	same "" "$(rules)"
	same "none 0" "$(state)"
	run -0 scullctl fault scull0 list
	same "scull0: no limit, not held" "$output"
}

# --- what is refused ---

@test "a rule that is refused is shown with the driver's reason, and nothing is added" {
	local reason
	scullctl fault scull0 add read EIO
	run -1 scullctl fault scull0 add 'write EIO' 'read short=0' 'read EIO'
	reason=$(sed 's/^line 2: //' "$faults/error")
	[ -n "$reason" ]
	same "scullctl: scull0: 'read short=0': $reason" "$output"
	same "read EIO" "$(rules)"
	run -1 scullctl fault scull0 add raed EIO
	output_has "'raed EIO'"
	output_has "fsync"
	run -1 scullctl fault scullpipe0 add seek EIO
	output_has "$(sed 's/^line 1: //' /sys/class/scull/scullpipe0/faults/error)"
	same "read EIO" "$(rules)"
}

@test "of a file it is the line that is named" {
	printf '# the first\n\nread EIO\n   # more\nread nth=0 EIO # wrong\n' >"$tmp/mine.faults"
	run -1 scullctl fault scull0 add --file="$tmp/mine.faults"
	output_has "mine.faults:5: scull0: 'read nth=0 EIO': "
	run -1 scullctl fault scull0 scenario "$tmp/mine.faults"
	output_has "mine.faults:5: scull0: 'read nth=0 EIO': "
	run -1 scullctl fault scull0 add - <"$tmp/mine.faults"
	output_has "standard input:5: scull0: "
	printf '\nlimit many\n' >"$tmp/mine.faults"
	run -2 scullctl fault scull0 scenario "$tmp/mine.faults"
	output_has "mine.faults:2: limit many: a number of bytes, or none"
	same "" "$(rules)"
}

@test "an errno that there is not is answered by those that there are" {
	local wrong
	run -1 scullctl fault scull0 add read EFOO
	same "${errnos[*]}" "$(sed -n '/^errnos:/,$p' <<<"$output" | sed 1d | xargs)"
	same "" "$(awk 'NR > 1 && length > 80' <<<"$output")"
	run ! grep "did you mean" <<<"$output"
	for wrong in ENOSPACE:ENOSPC enospc:ENOSPC EOI:EIO EAGIAN:EAGAIN ETIMEOUT:ETIMEDOUT eio:EIO; do
		run -1 scullctl fault scull0 add "write nth=2 ${wrong%:*}"
		output_has "; did you mean ${wrong#*:}?"
	done
	# Of another mistake the errnos say nothing.
	run -1 scullctl fault scull0 add read every=0 EIO
	run ! grep -q errnos: <<<"$output"
	run -1 scullctl fault scull0 add read EIO EIO
	run ! grep -q errnos: <<<"$output"
}

@test "16 rules, and no more" {
	local many=() i
	for i in {1..17}; do
		many+=("read nth=$i EIO")
	done
	scullctl fault scull0 add "${many[@]:0:16}"
	same 16 "$(wc -l <"$faults/rules")"
	run -1 scullctl fault scull0 add read EIO
	output_has 16
	scullctl fault scull0 clear
	run -1 scullctl fault scull0 add "${many[@]}"
	output_has 16
	same "" "$(rules)"
	for i in {1..300}; do
		many+=("read nth=$i comm=somebody EIO")
	done
	run -1 scullctl fault scull0 add "${many[@]}"
	output_has "more rules than a device can have"
	same "" "$(rules)"
}

@test "an ordinary user is told that it takes a capability" {
	local words
	needs setpriv
	for words in 'add read EIO' list 'limit 5' hold release clear 'scenario disk-full'; do
		# shellcheck disable=SC2086 # words
		run -1 as_user scullctl fault scull0 $words
		same "scullctl: fault needs CAP_SYS_ADMIN: run it as root" "$output"
	done
	run -1 as_user scullctl unplug scull0
	same "scullctl: unplug needs CAP_SYS_ADMIN: run it as root" "$output"
	run -1 as_user scullctl plug scull0
	same "scullctl: plug needs CAP_SYS_ADMIN: run it as root" "$output"
	# Root without it is one, too.
	run -1 setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin scullctl fault scull0 hold
	same "scullctl: fault needs CAP_SYS_ADMIN: run it as root" "$output"
	run -1 setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin scullctl unplug scull0
	same "scullctl: unplug needs CAP_SYS_ADMIN: run it as root" "$output"
	as_user scullctl fault scenarios
	same "" "$(rules)"
	same "none 0" "$(state)"
}

@test "a scull without faults is one that is too old" {
	local below=$tmp/below
	mkdir -p "$below/proc" "$below/sys/class/scull/scull0"
	cp /proc/devices "$below/proc"
	cp /sys/class/scull/scull0/{dev,type} "$below/sys/class/scull/scull0"
	run -1 scullctl --root="$below" fault scull0 list
	output_has "there is no $below/sys/class/scull/scull0/faults"
	output_has "older than this command"
	run -1 scullctl --root="$below" unplug scull0
	output_has "older than this command"
	run -1 scullctl --root="$below" plug scull0
	output_has "older than this command"
}

@test "wrong use is status 2" {
	run -2 scullctl fault
	output_has "usage: scullctl fault"
	run -2 scullctl fault scull0
	output_has "add, list, limit, hold, release, scenario or clear"
	run -2 scullctl fault scull0 drop
	output_has "there is no fault drop"
	run -2 scullctl fault scull0 add
	output_has "add: rules, or --file=FILE"
	run -2 scullctl fault scull0 add --file=/dev/null 'read EIO'
	run -2 scullctl fault scull0 list all
	output_has "usage: scullctl fault scull0 list [--json]"
	run -2 scullctl fault scull0 hold --json
	output_has "fault hold takes no option --json"
	run -2 scullctl fault scull0 list --file=/dev/null
	run -2 scullctl fault scull0 scenario
	run -2 scullctl fault scenarios disk-full
	run -2 scullctl unplug
	run -2 scullctl plug /dev/
	run -1 scullctl fault scull9 list
	output_has "no device scull9: there are scull0 to scull3"
	same "" "$(rules)"
}

# --- scenarios ---

@test "scenarios are listed with what they are like" {
	local file name
	run -0 scullctl fault scenarios
	same "$(find system/scenarios -name '*.faults' | wc -l)" "${#lines[@]}"
	for file in system/scenarios/*.faults; do
		name=$(basename "$file" .faults)
		grep -q -P "^$name +\S.{10}" <<<"$output"
	done
	for name in disk-full flaky-serial slow-device surprise-removal; do
		output_has "$name "
	done
	same "$output" "$(json 'join "\n", map { sprintf "%-18s  %s", @{$_}{qw(name summary)} } @$j' scullctl fault scenarios --json)"
	json 'join "\n", map { $_->{file} } @$j' scullctl fault scenarios --json | xargs cat >/dev/null
}

@test "each scenario can be loaded, on memory and on a pipe, in place of what was there" {
	local file name device
	for file in system/scenarios/*.faults; do
		for device in scull0 scullpipe0; do
			scullctl fault "$device" add open comm=nobody EIO
			scullctl fault "$device" limit 3
			name=$(basename "$file" .faults)
			if grep -q '^unplug' "$file"; then
				background scullctl fault "$device" scenario "$name" >"$tmp/said"
				within 60 says "$tmp/said" "$device goes when"
				kill "${jobs[-1]}"
			else
				scullctl fault "$device" scenario "$name"
			fi
			same "$(grep -v -e '^#' -e '^limit ' -e '^hold$' -e '^unplug$' -e '^$' "$file" | paste -s -d ,)" "$(rules "$device")"
			same "$(sed -n 's/^limit //p' "$file" | grep . || echo none) 0" "$(state "$device")"
			[ -c "/dev/$device" ]
		done
	done
}

@test "disk-full: what fits, then ENOSPC" {
	: >/dev/scull0
	scullctl fault scull0 scenario disk-full
	run ! dd if=/dev/zero of=/dev/scull0 bs=1000
	output_has "No space left on device"
	same 10000 "$(size /dev/scull0)"
}

@test "one-byte-at-a-time: all comes over, byte by byte" {
	local before
	: >/dev/scull0
	scullctl fault scull0 scenario one-byte-at-a-time
	before=$(cat /sys/class/scull/scull0/stats/writes)
	printf 0123456789 | dd of=/dev/scull0 bs=10 status=none
	same 0123456789 "$(cat /dev/scull0)"
	same 10 $(($(cat /sys/class/scull/scull0/stats/writes) - before))
}

@test "bad-sector: what comes before it can be read" {
	head -c 10000 /dev/zero | tr '\0' x >/dev/scull0
	scullctl fault scull0 scenario bad-sector
	run ! cat /dev/scull0 >"$tmp/read"
	run ! dd if=/dev/scull0 of="$tmp/read" bs=1000
	output_has "Input/output error"
	same 4096 "$(size "$tmp/read")"
}

@test "interrupted: a program that makes the call again does not notice" {
	head -c 100000 /dev/urandom >"$tmp/data"
	scullctl fault scull0 scenario interrupted
	python3 -c 'import os, sys
data = open(sys.argv[1], "rb").read()
with open("/dev/scull0", "wb", buffering=0) as device:
    for at in range(0, 100000, 10000): device.write(data[at:at + 10000])
assert open("/dev/scull0", "rb").read() == data' "$tmp/data"
	run -0 scullctl fault scull0 list
	run ! grep -E ' (open|read|write) .* 0$' <<<"$output"
}

@test "flaky-serial: the same calls have the same faults" {
	local round
	seq 5000 >/dev/scull0
	for round in 1 2; do
		scullctl fault scull0 scenario flaky-serial
		dd if=/dev/scull0 of="$tmp/$round" conv=noerror bs=64 count=300 2>"$tmp/errors$round" || true
		scullctl fault scull0 list >"$tmp/list$round"
	done
	cmp "$tmp/1" "$tmp/2"
	cmp "$tmp/list1" "$tmp/list2"
	grep -q "Input/output error" "$tmp/errors1"
	run ! grep 'read.* 0$' "$tmp/list1"
}

@test "surprise-removal: the fourth call ends with ENODEV, and the device is gone" {
	local scenario
	echo 123456 >/dev/scull0
	background scullctl fault scull0 scenario surprise-removal >"$tmp/said"
	scenario=${jobs[-1]}
	within 60 says "$tmp/said" "scull0 goes when one of these rules fires"
	run ! dd if=/dev/scull0 of="$tmp/read" bs=1
	output_has "No such device"
	same 123 "$(cat "$tmp/read")"
	wait "$scenario"
	same scull0 "$(cat /sys/class/scull/unplug)"
	[ ! -e /sys/class/scull/scull0 ]
	scullctl plug scull0
	same "" "$(rules)"
	same 0 "$(size /dev/scull0)"
}

@test "surprise-removal ends with words when its rules are taken away" {
	background scullctl fault scull0 scenario surprise-removal >"$tmp/said" 2>&1
	within 60 says "$tmp/said" "scull0 goes when"
	scullctl fault scull0 clear
	run -1 wait "${jobs[-1]}"
	says "$tmp/said" "was given other rules meanwhile: it is not unplugged"
	[ -c /dev/scull0 ]
}

@test "and when somebody else unplugs the device" {
	background scullctl fault scull0 scenario surprise-removal >"$tmp/said" 2>&1
	within 60 says "$tmp/said" "scull0 goes when"
	scullctl unplug scull0
	run -1 wait "${jobs[-1]}"
	says "$tmp/said" "scull0 was unplugged meanwhile"
}

@test "a scenario of one's own: by its path, or by its name" {
	mkdir "$tmp/own"
	printf '# SPDX-License-Identifier: GPL-2.0\n#\n# Mine\nread nth=5 EIO\nhold\nlimit 9\n' >"$tmp/own/mine.faults"
	printf 'write EIO\n' >"$tmp/own/disk-full.faults"
	scullctl fault scull0 scenario "$tmp/own/mine.faults"
	same "read nth=5 EIO" "$(rules)"
	same "9 1" "$(state)"
	(cd "$tmp/own" && scullctl fault scull1 scenario disk-full.faults)
	same "write EIO" "$(rules scull1)"
	export SCULL_SCENARIOS=$tmp/own
	scullctl fault scull0 scenario disk-full
	same "write EIO" "$(rules)"
	same "none 0" "$(state)"
	run -0 scullctl fault scenarios
	grep -q '^mine *Mine$' <<<"$output"
	grep -q '^disk-full *$' <<<"$output"
}

@test "a scenario that there is not: which there are" {
	run -1 scullctl fault scull0 scenario disk-empty
	output_has "no scenario disk-empty: there are bad-sector disk-full "
	run -1 scullctl fault scull0 scenario ./disk-full
	output_has "./disk-full cannot be read: No such file"
	run -1 scullctl fault scull0 scenario /
	output_has "/ cannot be read"
	echo unplug >"$tmp/bare.faults"
	run -2 scullctl fault scull0 scenario "$tmp/bare.faults"
	output_has "unplug waits for a rule to fire"
	run -2 scullctl fault scull0 add --file="$tmp/bare.faults"
	output_has "scullctl unplug scull0"
	[ -c /dev/scull0 ]
	[ ! -e /usr/local/share/scull/scenarios ] || skip "scull is installed here"
	export SCULL_SCENARIOS=$tmp/none
	run -1 scullctl fault scenarios
	output_has "there are no scenarios in "
	output_has "SCULL_SCENARIOS"
	run -1 scullctl fault scull0 scenario disk-full
	output_has "there are no scenarios in "
	same "[]" "$(scullctl fault scenarios --json)"
}

# --- unplug and plug ---

@test "unplug makes the device vanish, plug brings it back, empty" {
	echo gone >/dev/scull1
	scullctl fault scull1 add read EIO
	scullctl unplug scull1
	[ ! -e /sys/class/scull/scull1 ]
	within 60 test ! -e /dev/scull1
	scullctl plug scull1
	within 60 test -c /dev/scull1
	same 0 "$(size /dev/scull1)"
	same "" "$(rules scull1)"
	# A path says as much as the name, also when there is nothing any more.
	scullctl unplug /dev/scullpipe0
	scullctl plug /dev/scullpipe0
	[ -e /sys/class/scull/scullpipe0 ]
}

@test "who has the device open is told" {
	exec 8<>/dev/scull1
	scullctl unplug scull1
	run ! dd bs=1 count=1 <&8
	output_has "Input/output error"
	run ! sh -c 'echo x >&8'
	scullctl plug scull1
	run ! dd bs=1 count=1 <&8
	output_has "Input/output error"
	exec 8>&-
}

@test "the tables go on while devices are unplugged, be it all of them" {
	local names name
	names=$(scullctl list | awk 'NR > 1 { print $1 }')
	scullctl unplug scull0
	scullctl unplug scullpipe2
	same "$(grep -v -x -e scull0 -e scullpipe2 <<<"$names")" "$(scullctl list | awk 'NR > 1 { print $1 }')"
	scullctl list --json | python3 -m json.tool >/dev/null
	same 11 "$(scullctl watch --count=1 --interval=0.1 | wc -l)"
	for name in $(scullctl list | awk 'NR > 1 { print $1 }'); do
		scullctl unplug "$name"
	done
	same "DEVICE" "$(scullctl list | awk '{ print $1 }')"
	same "[]" "$(scullctl list --json)"
	scullctl watch --count=1 --interval=0.1
	run -1 scullctl show scull9
	same "scullctl: no device scull9: there are none" "$output"
	for name in $names; do
		scullctl plug "$name"
	done
	same "$names" "$(scullctl list | awk 'NR > 1 { print $1 }')"
}

@test "a device that is unplugged: that it is, and how it comes back" {
	local words
	scullctl unplug scull0
	for words in 'show scull0' 'map scull0' 'trim scull0' 'watch scull0' 'unplug scull0' 'fault scull0 list'; do
		# shellcheck disable=SC2086 # words
		run -1 scullctl $words
		same "scullctl: scull0 is unplugged: scullctl plug scull0 brings it back" "$output"
	done
	within 60 test ! -e /dev/scull0
	run -1 scullctl show /dev/scull0
	output_has "scullctl plug scull0 brings it back"
	same 4000 "$(scullctl get --ioctl quantum)"
}

@test "plug says why not" {
	run -1 scullctl plug scull0
	same "scullctl: scull0 is plugged in" "$output"
	run -1 scullctl plug scull9
	same "scullctl: no device scull9 was unplugged: of those that were there are none" "$output"
	scullctl unplug scull0
	scullctl unplug scullsingle
	run -1 scullctl plug scull9
	output_has "there are scull0 scullsingle"
}

# --- completion ---

@test "bash completes actions, rules, scenarios and what is unplugged" {
	same "fault" "$(completed scullctl f)"
	same "unplug" "$(completed scullctl u)"
	same "scullpipe2" "$(completed scullctl fault scullpipe2)"
	same "scenarios" "$(completed scullctl fault sce)"
	same "add clear hold limit list release scenario" \
		"$(completed scullctl fault scull0 '' | xargs -n 1 | sort | xargs)"
	same "fsync ioctl open poll read seek write" \
		"$(completed scullctl fault scull0 add '' | xargs -n 1 | sort | xargs)"
	same "nth= next=" "$(completed scullctl fault scull0 add read n)"
	same "EINTR EIO EINVAL EILSEQ EINPROGRESS" "$(completed scullctl fault scull0 add read nth = 3 EI)"
	same "TERM TSTP" "$(completed scullctl fault scull0 add read signal = T)"
	same "15" "$(completed scullctl fault scull0 add read signal = | wc -w)"
	same "" "$(completed scullctl fault scull0 add read nth =)"
	same "none" "$(completed scullctl fault scull0 limit '')"
	same "$(scullctl fault scenarios | cut -d ' ' -f 1 | xargs)" "$(completed scullctl fault scull0 scenario '')"
	same "--file=" "$(completed scullctl fault scull0 add --f)"
	same "12" "$(completed scullctl unplug '' | wc -w)"
	same "" "$(completed scullctl plug '')"
	scullctl unplug scullsingle
	scullctl unplug scull3
	same "scull3 scullsingle" "$(completed scullctl plug sc)"
	same "10" "$(completed scullctl unplug '' | wc -w)"
}

@test "the words that bash completes are those of the driver" {
	local word lines=() i
	same "${errnos[*]}" "$(completed scullctl fault scull0 add read E)"
	for word in $(completed scullctl fault scull0 add ''); do
		lines+=("$word comm=nobody EIO")
	done
	for word in $(completed scullctl fault scull0 add read signal =); do
		lines+=("read signal=$word")
	done
	for word in $(completed scullctl fault scull0 add read ''); do
		case $word in
		delay=) word+=1s ;;
		comm=) word+=nobody ;;
		signal=) word+=HUP ;;
		p=) word+=0.5 ;;
		*=) word+=1 ;;
		esac
		case $word in
		short=* | delay=* | hang | eagain=* | signal* | corrupt | E*) lines+=("read $word") ;;
		*) lines+=("read $word EIO") ;;
		esac
	done
	[ ${#lines[@]} -eq $((7 + 15 + ${#errnos[@]} + 15)) ]
	for ((i = 0; i < ${#lines[@]}; i += 16)); do
		printf '%s\n' "${lines[@]:i:16}" | scullctl fault scull0 scenario -
		same "$(printf '%s\n' "${lines[@]:i:16}" | paste -s -d ,)" "$(rules)"
	done
}
