# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the command line tests share. Each test loads the module as it needs it;
# each file leaves it loaded with its defaults, as it found it.

bats_require_minimum_version 1.5.0

root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
cd "$root" || exit 1
PATH=$PATH:/usr/sbin:/sbin

# Only what was loaded has a state. Another author's module is none of ours.
is_builtin() {
	[ -z "${SCULL_MODULE:-}" ] && [ -d /sys/module/scull ] && [ ! -e /sys/module/scull/initstate ]
}

# The file to load, by an absolute path: some tests change directory. For modinfo
# a driver that is built in has its name only.
ko=$(readlink -f "${SCULL_MODULE:-./scull.ko}")
if is_builtin; then
	ko=scull
fi

module_name() {
	local name=scull
	if [ -n "${SCULL_MODULE:-}" ]; then
		name=$(modinfo -F name "$ko" 2>/dev/null)
		if [ -z "$name" ]; then
			name=$(basename "$ko" .ko)
		fi
	fi
	echo "$name"
}

is_loaded() {
	grep -q "^$(module_name) " /proc/modules
}

# region NAME: its major number, nothing if there is no such region
region() {
	awk -v name="$1" '/^Block/ { exit } $2 == name { print $1; exit }' /proc/devices
}

# A driver that is built in is there from the boot on, with the parameters it got
# there: what unloads it or gives it others is skipped.
needs_unload() {
	if is_builtin; then
		skip "the driver is built in"
	fi
}

unloaded() {
	needs_unload
	if is_loaded; then
		./scull_unload
	fi
}

# emptied: the devices hold nothing, and what ioctl can change is as at the boot
emptied() {
	local device
	"$(program ioctltest)" /dev/scull0 SCULL_IOCRESET >/dev/null
	for device in /dev/scull[0-9]* /dev/scullsingle /dev/sculluid /dev/scullwuid; do
		: >"$device"
	done
}

# fresh [PARAM=VALUE ...]: the module, loaded anew with these parameters
# shellcheck disable=SC2120 # the tests give it some
fresh() {
	if is_builtin && [ $# -eq 0 ]; then
		./scull_load 2>/dev/null
		emptied
	else
		unloaded
		./scull_load "$@"
	fi
}

# as_found: the module with its defaults, where modules can be loaded at all
as_found() {
	if [ "$(id -u)" -eq 0 ] && [ -r /proc/modules ]; then
		# shellcheck disable=SC2119
		fresh
	fi
}

needs_module() {
	if [ "$(id -u)" -ne 0 ]; then
		skip "needs root"
	fi
	if [ ! -r /proc/modules ]; then
		skip "this kernel loads no modules"
	fi
}

needs() {
	local tool
	for tool; do
		if ! command -v "$tool" >/dev/null; then
			skip "$tool is not installed"
		fi
	done
}

# Only our module promises this; another author's is not judged by it.
needs_ours() {
	if [ ! -d /sys/class/scull ] && ! modinfo -p "$ko" 2>/dev/null | grep -q '^scull_minor:'; then
		skip "this module lacks what is tested here"
	fi
}

# within SECONDS COMMAND...: wait until COMMAND succeeds, but not forever
within() {
	local limit=$((SECONDS + $1))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$limit" ]; then
			echo "waited in vain for: $*"
			return 1
		fi
		sleep 0.05
	done
}

# as_nobody COMMAND...: as a user without rights or groups
as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}

# log_mark: what log_since shows begins here
log_mark() {
	mark="scull tests mark $BASHPID $RANDOM $RANDOM"
	if ! dmesg >/dev/null 2>&1 || ! echo "$mark" >/dev/kmsg; then
		skip "the kernel log cannot be used"
	fi
}

# log_since: the lines of the kernel log since log_mark that name scull
log_since() {
	dmesg | sed -e "1,/$mark/d" | grep scull
}

# log_has REGEX: since log_mark scull has said so
log_has() {
	local said
	said=$(log_since)
	if ! grep -q -E -e "$1" <<<"$said"; then
		printf 'expected in the kernel log: %s\nbut it has: %s\n' "$1" "$said"
		return 1
	fi
}

# in_private_mounts SCRIPT ARGUMENTS...: run SCRIPT with sh where what it mounts
# is seen by nobody else and gone afterwards
in_private_mounts() {
	unshare -m --propagation private sh -eu -c "$@"
}

# program NAME: the path of one of tests/progs, built if need be
program() {
	local built=$root/build/tests/progs/$1
	if [ ! -x "$built" ]; then
		built=$BATS_FILE_TMPDIR/$1
		if [ ! -x "$built" ]; then
			cc -o "$built" "$root/tests/progs/$1.c"
		fi
	fi
	echo "$built"
}

# size DEVICE: how many bytes can be read from it
size() {
	wc -c <"$1"
}

# same EXPECTED ACTUAL
same() {
	if [ "$1" != "$2" ]; then
		printf 'expected: %s\nbut it is: %s\n' "$1" "$2"
		return 1
	fi
}

# output_has TEXT: does what the last run printed contain TEXT?
output_has() {
	# shellcheck disable=SC2154 # bats sets it
	case $output in
	*"$1"*) return 0 ;;
	esac
	printf 'expected in the output: %s\nbut it is: %s\n' "$1" "$output"
	return 1
}

# --- scullctl ---

# needs_scullctl: it is on the path then, with the scenarios of this directory
needs_scullctl() {
	needs_module
	[ -r /sys/class/scull/quantum ] || skip "this module tells nothing in sysfs"
	PATH=$root/build/tools:$PATH
	export SCULL_SCENARIOS=$root/system/scenarios
	needs scullctl
}

# json PERL COMMAND...: what PERL makes of the JSON that COMMAND prints, as $j
json() {
	local code=$1
	shift
	"$@" >"$BATS_TEST_TMPDIR/json"
	perl -MJSON::PP -e 'local $/; our $j = decode_json(<STDIN>); print +('"$code"'), "\n"' <"$BATS_TEST_TMPDIR/json"
}

as_user() {
	as_nobody env PATH="$PATH" "$@"
}

# completed WORD...: what bash offers for the last word; bash itself takes a line
# apart at =, too
completed() {
	bash -c '. system/scullctl.bash
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_scullctl
		printf "%s\n" "${COMPREPLY[@]}"' sh "$@" | paste -s -d ' '
}
