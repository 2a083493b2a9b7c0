# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What tells the architectures apart. The scripts that build for one or boot one
# source this; a further architecture is a further row of describe().
#
# shellcheck disable=SC2034 # the variables are for those who source it

case $(uname -m) in
x86_64) native=amd64 ;;
aarch64) native=arm64 ;;
i?86) native=i386 ;;
*) native=$(uname -m) ;;
esac
# A 64-bit kernel may run the programs of its 32-bit relation.
native=$(dpkg --print-architecture 2>/dev/null || echo "$native")

# describe ARCH: sets what follows; false if nobody knows ARCH
#   arch      as Debian calls it
#   flavour   the end of the names of Debian's kernels, a regular expression
#   kbuild    as kbuild calls it, in ARCH
#   srcarch   its directory below arch/ in the kernel's source
#   image     what of a kernel tree is booted
#   gnu       the prefix of its compiler, without the -
#   cross     what make wants to be told to build for it, nothing on itself
#   cross_cc  the compiler for that, of the same series as this machine's own
#   qemu      its machine in QEMU, as tests/need wants it: PACKAGE:COMMAND
#   console   where its kernel log goes
architectures="amd64 arm64 i386 s390x"
describe() {
	arch=$1
	flavour=$1
	srcarch=$1
	kbuild=$1
	qemu="qemu-system-x86:qemu-system-x86_64"
	console=ttyS0
	case $arch in
	amd64) gnu="x86_64-linux-gnu" kbuild=x86_64 srcarch=x86 image=arch/x86/boot/bzImage ;;
	arm64)
		gnu="aarch64-linux-gnu" image=arch/arm64/boot/Image console=ttyAMA0
		qemu="qemu-system-arm:qemu-system-aarch64"
		;;
	i386) gnu="i686-linux-gnu" srcarch=x86 image=arch/x86/boot/bzImage flavour="686-pae" ;;
	s390x)
		gnu="s390x-linux-gnu" kbuild=s390 srcarch=s390 image=arch/s390/boot/bzImage console=ttysclp0
		qemu="qemu-system-s390x:qemu-system-s390x"
		;;
	*) return 1 ;;
	esac
	cross=()
	cross_cc=
	[[ $arch != "$native" ]] || return 0
	cross=("ARCH=$kbuild" "CROSS_COMPILE=$gnu-")
	cross_cc=$gnu-gcc-$(gcc -dumpversion | cut -d . -f 1)
}

# package_of COMPILER: the package of a cross compiler that has its series in its
# name, as tests/need wants it
package_of() {
	local prefix=${1%-gcc-*}
	echo "gcc-${1##*-}-${prefix//_/-}:$1"
}

# runs_here: can this machine's processors run what is described?
runs_here() {
	[[ -r /dev/kvm && -w /dev/kvm ]] || return 1
	case $native:$arch in
	amd64:amd64 | amd64:i386) grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo ;;
	*) [[ $native == "$arch" ]] ;;
	esac
}

# takes_turns DIR: have emulated processors to take turns, with the kernel in DIR?
# A kernel that switches a static key changes its code; on a PC a breakpoint stands
# there for a moment. QEMU before 8.1 may keep what it has translated in that moment,
# if processors run at the same time: then one meets a breakpoint that is gone, or
# goes on as if the key had not been switched.
takes_turns() {
	grep -qs '^CONFIG_JUMP_LABEL=y' "$1/build/.config"
}
