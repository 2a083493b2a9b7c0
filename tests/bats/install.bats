#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# vm: cpus=1
#
# make install and make uninstall; and the udev rule, with a udevd that runs.
# shellcheck disable=SC2154 # bats sets it

load common

teardown_file() {
	as_found
}

setup() {
	needs_module
	needs make depmod
	release=$(uname -r)
	[ -e "/lib/modules/$release/build/Makefile" ] || skip "there is nothing to build modules against"
	place=$BATS_TEST_TMPDIR/place
	# Where the module was built for this kernel, beside those for others. It need
	# not be built again.
	build=()
	[ ! -e "build/$release/scull.ko" ] || build=(-o module -o tools OUT="build/$release")
}

teardown() {
	if [ -n "${udevd-}" ]; then
		kill "$udevd" || true
		wait "$udevd" || true
	fi
	rm -f /run/udev/rules.d/60-scull.rules
}

installed() {
	run -0 make "${build[@]}" install "$@"
}

# files: what lies in the place, by path
files() {
	(cd "$place" && find . ! -type d | sed 's/^\.//' | sort)
}

# expected PREFIX RULES: what should
expected() {
	sort <<-END
		$1/bin/scullctl
		$1/include/scull.h
		$1/sbin/scull_load
		$1/sbin/scull_unload
		$1/share/bash-completion/completions/scullctl
		$1/share/doc/scull/examples/modprobe.d/scull.conf
		$1/share/doc/scull/examples/modules-load.d/scull.conf
		$1/share/man/man1/scullctl.1
		$1/share/man/man4/scull.4
		$1/share/man/man8/scull_load.8
		$1/share/man/man8/scull_unload.8
		$1/share/scull/installed
		$1/share/scull/scenarios/bad-sector.faults
		$1/share/scull/scenarios/disk-full.faults
		$1/share/scull/scenarios/flaky-serial.faults
		$1/share/scull/scenarios/interrupted.faults
		$1/share/scull/scenarios/one-byte-at-a-time.faults
		$1/share/scull/scenarios/slow-device.faults
		$1/share/scull/scenarios/surprise-removal.faults
		$2/60-scull.rules
		/lib/modules/$release/updates/scull.ko
	END
}

@test "make install puts these files there, and make uninstall takes them away" {
	installed DESTDIR="$place"
	expected /usr/local /etc/udev/rules.d | diff - <(files | sed 's/\.ko\.[a-z]*$/.ko/')
	same "$("$place/usr/local/bin/scullctl" --version)" "$(build/tools/scullctl --version)"
	cmp scull.h "$place/usr/local/include/scull.h"
	same "755 755" "$(stat -c %a "$place/usr/local/sbin/scull_load" "$place/etc/udev" | xargs)"
	same "scull" "$(modinfo -F name "$place/lib/modules/$release/updates/"scull.ko*)"
	make uninstall DESTDIR="$place"
	[ ! -e "$place" ]
}

@test "an installed scullctl finds the scenarios that came with it" {
	installed DESTDIR="$place"
	# shellcheck disable=SC2016 # the inner shell's
	run -0 in_private_mounts 'mount --bind "$1" /usr/local
		env -u SCULL_SCENARIOS /usr/local/bin/scullctl fault scenarios' sh "$place/usr/local"
	same "$(cd system/scenarios && printf '%s\n' *.faults | sed 's/\.faults$//')" "$(cut -d ' ' -f 1 <<<"$output")"
}

@test "twice, with a prefix, and files of others beside ours: just ours goes" {
	mkdir -p "$place/usr/bin" "$place/usr/share/man"
	echo mine >"$place/usr/bin/mine"
	installed DESTDIR="$place" PREFIX=/usr
	echo mine >"$place/usr/include/mine.h"
	installed DESTDIR="$place" PREFIX=/usr
	{ expected /usr /usr/lib/udev/rules.d; echo /usr/bin/mine; echo /usr/include/mine.h; } |
		sort | diff - <(files | sed 's/\.ko\.[a-z]*$/.ko/')
	make uninstall DESTDIR="$place" PREFIX=/usr
	same "/usr/bin/mine /usr/include/mine.h" "$(files | xargs)"
	same "./usr ./usr/bin ./usr/include ./usr/share ./usr/share/man" \
		"$(cd "$place" && find . -mindepth 1 -type d | sort | xargs)"
}

@test "make uninstall where nothing is says so" {
	run ! make uninstall DESTDIR="$place"
	output_has "nothing of scull is installed there"
}

@test "an ordinary user is told what to do" {
	needs setpriv
	mkdir "$place"
	chmod 755 "$BATS_TEST_TMPDIR" "$place"
	run ! setpriv --reuid=65534 --regid=65534 --clear-groups make uninstall DESTDIR="$place"
	output_has "nothing of scull is installed there"
}

@test "the installed module is what modprobe loads, and scull_load too" {
	unloaded
	if [ -n "${SCULL_MODULE:-}" ] && [ "$(module_name)" != scull ]; then
		skip "another module is judged"
	fi
	installed DESTDIR="$place"
	depmod -b "$place"
	modprobe -d "$place" scull scull_nr_devs=2
	[ -c /dev/scull1 ]
	[ ! -e /dev/scull2 ]
	./scull_unload
	cd "$BATS_TEST_TMPDIR"
	env -u SCULL_MODULE MODPROBE_OPTIONS="-d $place" "$place/usr/local/sbin/scull_load"
	cd "$root"
	[ -c /dev/scull3 ]
}

@test "the examples are good: each option is one that the module has, in its range" {
	local line options=()
	unloaded
	while read -r line; do
		options+=("${line#'#options scull '}")
	done < <(grep '^#options' system/examples/modprobe.d/scull.conf)
	same "$(modinfo -p "$ko" | cut -d : -f 1 | sort)" "$(printf '%s\n' "${options[@]}" | cut -d = -f 1 | sort)"
	same "" "$(grep -v '^#' system/examples/modprobe.d/scull.conf)"
	./scull_load "${options[@]}"
	same scull "$(grep -v '^#' system/examples/modules-load.d/scull.conf)"
}

# --- udev ---

start_udevd() {
	local program
	for program in /lib/systemd/systemd-udevd /usr/lib/systemd/systemd-udevd; do
		[ ! -x "$program" ] || break
	done
	[ -x "$program" ] || skip "there is no udevd"
	needs udevadm getent
	mkdir -p /run/udev/rules.d
	cp system/60-scull.rules /run/udev/rules.d
	"$program" >"$BATS_TEST_TMPDIR/udevd" 2>&1 3>&- &
	udevd=$!
	within 60 test -S /run/udev/control
	udevadm control --reload
}

policy_group() {
	getent group scull staff wheel | head -n 1 | cut -d : -f 1
}

# node DEVICE: does it have mode and group by the policy?
node() {
	[ "$(stat -c '%a %G' "/dev/$1" 2>/dev/null)" = "664 $(policy_group)" ]
}

@test "udev applies the policy to the nodes of a module that just was loaded" {
	unloaded
	start_udevd
	insmod "$ko"
	for device in scull0 scull3 scullpipe0 scullpipe3 scullsingle sculluid scullwuid scullpriv; do
		within 60 node "$device"
	done
	within 60 test -L /dev/scull
	within 60 test -L /dev/scullpipe
	same "scull0 scullpipe0" "$(readlink /dev/scull /dev/scullpipe | xargs)"
	rmmod "$(module_name)"
	within 60 test ! -L /dev/scull
	within 60 test ! -L /dev/scullpipe
	run ! grep -i scull "$BATS_TEST_TMPDIR/udevd"
}

@test "udev takes the group scull where there is one" {
	unloaded
	start_udevd
	cp /etc/group "$BATS_TEST_TMPDIR/group"
	echo "scull:x:977:" >>"$BATS_TEST_TMPDIR/group"
	mount --bind "$BATS_TEST_TMPDIR/group" /etc/group
	insmod "$ko"
	within 60 node scull0 || failed=1
	group=$(stat -c %G /dev/scull0)
	umount /etc/group
	[ -z "${failed-}" ]
	same scull "$group"
}

@test "scull_load and scull_unload get along with udev" {
	unloaded
	start_udevd
	./scull_load
	udevadm settle
	node scull0
	same scull0 "$(readlink /dev/scull)"
	./scull_unload
	udevadm settle
	same "" "$(find /dev -maxdepth 1 -name 'scull*')"
}
