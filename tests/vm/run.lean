#!/bin/bash
# SPDX-License-Identifier: GPL-2.0

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)

usage() {
	cat <<'END'
usage: tests/vm/run [options] [--] [COMMAND ARGUMENT...]

Boots a kernel in QEMU, loads scull with scull_load and runs COMMAND in the
project's directory. Without COMMAND: a shell on this terminal; leave it with
exit, or switch the machine off with Ctrl-]. (Without a terminal the shell
reads its commands from standard input.)

  -k, --kernel NAME      stock (default): the distribution's newest kernel;
                         stock-6.1: its newest of a series; host: the running
                         one; lean: a small one of the newest source, built
                         once, about 5 minutes; or a kernel build tree
  -c, --cpus N           processors (default 2)
  -m, --memory SIZE      as 256M or 2G (default 2G)
  -a, --append TEXT      added to the kernel command line
  -t, --timeout SECONDS  time limit from power on (default 900; none for a
                         shell); 0: none
  -p, --param NAME=VALUE a module parameter; may be repeated
  -M, --module FILE.ko   load this module instead of building ours; it takes
                         the place of ./scull.ko
      --no-load          load no module; ./scull.ko is there all the same
  -i, --input            give COMMAND our standard input (else /dev/null)
  -s, --share DIRECTORY  may be written by the guest, and what it writes
                         there stays; may be repeated
  -l, --log FILE         keep the kernel log there
  -v, --verbose          show the kernel log on standard error as it comes
      --accel NAME       kvm or tcg (default: kvm where the processor has it)
  -h, --help             this text

The guest sees all files that the caller sees, under the same names, and may
write any of them: what it writes lies in its memory and is gone at the end.
COMMAND runs as root with SCULL_VM=1; of the environment TERM, LANG, LC_*,
SCULL_* and CK_* go along. Output is passed on byte by byte. What still runs
when COMMAND ends is killed.

Exit status: COMMAND's (128 + N if signal N killed it), or
  123  the kernel log holds a report: oops, warning, lockdep, KASAN, ... (shown)
  124  the time limit passed (the last lines of the kernel log are shown)
  125  the command did not run: bad option, no kernel, no QEMU, the module does
       not build or not load, the machine went down before the end
  130  Ctrl-C, or Ctrl-] in a shell

Kernels and what is built of them lie in ${XDG_CACHE_HOME:-~/.cache}/scull;
tests/vm/kernel --help tells more. The module is built in build/RELEASE.
END
}

dir=
trap '[[ -z $dir ]] || rm -rf "$dir"' EXIT

die() {
	printf 'run: %s\n' "$*" >&2
	exit 125
}

kernel=stock
cpus=2
memory=2G
append=
limit=
parameters=()
module=
load=1
input=none
shares=()
log=
verbose=
accel=

while (($#)); do
	case $1 in
	--?*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
	-[kcmatpMsl]?*) set -- "${1:0:2}" "${1:2}" "${@:2}" ;;
	esac
	case $1 in
	-k | --kernel | -c | --cpus | -m | --memory | -a | --append | -t | --timeout | -p | --param | \
		-M | --module | -s | --share | -l | --log | --accel)
		(($# > 1)) || die "option $1 wants a value (--help tells which)"
		;;
	esac
	case $1 in
	-k | --kernel) kernel=$2; shift ;;
	-c | --cpus) cpus=$2; shift ;;
	-m | --memory) memory=$2; shift ;;
	-a | --append) append+=" $2"; shift ;;
	-t | --timeout) limit=$2; shift ;;
	-p | --param) parameters+=("$2"); shift ;;
	-M | --module) module=$2; shift ;;
	-s | --share) shares+=("$2"); shift ;;
	-l | --log) log=$2; shift ;;
	--accel) accel=$2; shift ;;
	--no-load) load= ;;
	-i | --input) input=pass ;;
	-v | --verbose) verbose=1 ;;
	-h | --help) usage; exit 0 ;;
	--) shift; break ;;
	-*) die "unknown option $1 (--help tells which there are)" ;;
	*) break ;;
	esac
	shift
done
command=("$@")

[[ $cpus =~ ^0*([1-9]|[1-5][0-9]|6[0-4])$ ]] || die "--cpus $cpus: a number from 1 to 64 is wanted"
[[ $memory =~ ^([0-9]{1,7})([MmGg]?)$ ]] || die "--memory $memory: a size like 256M or 2G is wanted"
megabytes=$((10#${BASH_REMATCH[1]}))
[[ ${BASH_REMATCH[2]} != [Gg] ]] || megabytes=$((megabytes * 1024))
((megabytes >= 128)) || die "--memory $memory: the guest needs at least 128M"
[[ -z $limit || $limit =~ ^[0-9]{1,8}$ ]] || die "--timeout $limit: a whole number of seconds is wanted"
for parameter in "${parameters[@]}"; do
	[[ $parameter =~ ^[A-Za-z_][A-Za-z0-9_]*=[^$'\n']*$ ]] || die "--param $parameter: NAME=VALUE is wanted"
done
[[ -z $accel || $accel == kvm || $accel == tcg ]] || die "--accel $accel: kvm or tcg is wanted"
if [[ -n $module ]]; then
	[[ $module == *.ko ]] || die "--module $module: a file named *.ko is wanted"
	[[ -r $module && -f $module ]] || die "--module $module: no such file, or it cannot be read"
fi
for i in "${!shares[@]}"; do
	[[ -d ${shares[i]} && -w ${shares[i]} ]] || die "--share ${shares[i]}: no such directory, or it cannot be written"
	shares[i]=$(cd "${shares[i]}" && pwd -P)
done
if [[ -n $log ]]; then
	{ : >"$log" && [[ -f $log ]]; } 2>/dev/null || die "--log $log: no file that can be written"
	log=$(realpath "$log")
fi

if ((${#command[@]} == 0)); then
	command=(bash)
	if [[ -t 0 && -t 1 ]]; then
		input=terminal
		limit=${limit:-0}
	else
		input=pass
	fi
fi

# --- what to boot ------------------------------------------------------

"$here/../need" qemu-system-x86:qemu-system-x86_64 kmod:modprobe busybox-static:busybox || exit 125
kernel_dir=/tmp/vmw/leand
initramfs=$("$here/initramfs" "$kernel_dir") || exit 125
release=$(<"$kernel_dir/release")

dir=$(mktemp -d "${TMPDIR:-/tmp}/scull-vm.XXXXXX") || die "no place for temporary files in ${TMPDIR:-/tmp}"
job=$dir/job
mkdir "$job"
log=${log:-$dir/log}

# The module is built beside those for other kernels. kbuild takes no path with
# a space or a colon in it; a project in such a place is built in the cache.
out=build
if [[ $project == *[[:space:]:]* ]]; then
	sum=$(cksum <<<"$project")
	out=${XDG_CACHE_HOME:-$HOME/.cache}/scull/build-${sum%% *}
fi

# Asking make takes longer than booting lean half way, so it is asked only if
# a source or the kernel is newer than the module.
build_module() {
	local built=$out/$release
	mkdir -p "$out" || die "cannot write $PWD/$out"
	exec 8<"$out"
	flock 8
	if [[ $(cat "$built/.kernel" 2>/dev/null) != "$kernel_dir" ]]; then
		rm -rf "$built"
	elif [[ -e $built/scull.ko && ! $kernel_dir/release -nt $built/scull.ko ]] &&
		[[ -z $(find -L . -maxdepth 1 -newer "$built/scull.ko" -type f \
			\( '(' -name '*.[ch]' ! -name '*.mod.c' ')' -o -name Kbuild -o -name Kconfig -o -name Makefile \) -print -quit) ]]; then
		return
	fi
	if ! make -s module KDIR="$kernel_dir/build" OUT="$built" >"$dir/make" 2>&1 8<&-; then
		cat "$dir/make" >&2
		die "the module does not build for $release"
	fi
	echo "$kernel_dir" >"$built/.kernel"
}

environment=
if [[ -n $module ]]; then
	cp -- "$module" "$job/scull.ko"
	environment=" SCULL_MODULE=./scull.ko"
elif [[ -e $project/Makefile ]]; then
	cd "$project"
	build_module
	cp "$out/$release/scull.ko" "$job/scull.ko"
	cd - >/dev/null
	exec 8<&-
elif [[ -n $load ]]; then
	die "there is no Makefile in $project to build the module with"
fi

# --- what the guest is told --------------------------------------------

# quote WORD...: each in quotes of its own, as sh reads them.
quote() {
	local word words=
	for word; do
		words+=" '${word//\'/\'\\\'\'}'"
	done
	printf '%s' "${words# }"
}

secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
for name in $(compgen -e); do
	case $name in
	SCULL_MODULE | SCULL_VM*) ;;
	TERM | LANG | LC_* | SCULL_* | CK_*) environment+=" $name=$(quote "${!name}")" ;;
	esac
done
{
	echo "SECRET=$secret LOAD=$load INPUT=$input"
	echo "PROJECT=$(quote "$project")"
	echo "PARAMETERS=$(quote "$(quote "${parameters[@]}")")"
	echo "COMMAND=$(quote "$(quote "${command[@]}")")"
	echo "export SCULL_VM=1 HOME=/root$environment"
	echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
} >"$job/order"
echo "$release" >"$job/release"
(cd "$kernel_dir/lib/modules/$release" && pwd -P) >"$job/modules"
echo "$project" >"$job/project"

# --- the machine -------------------------------------------------------

if [[ -z $accel ]]; then
	accel=tcg
	if grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo && [[ -r /dev/kvm && -w /dev/kvm ]]; then
		accel=kvm
	fi
fi

# Any warning is to end up in the log, and an oops to end the run. A guest
# that shares its processors with other work may stand still for a while; that
# is not the kernel's fault and must not look like it.
arguments="console=ttyS0 ignore_loglevel printk.devkmsg=on panic=-1 oops=panic"
arguments+=" watchdog_thresh=60 workqueue.watchdog_thresh=120 rcupdate.rcu_cpu_stall_timeout=120"

if [[ $accel == kvm ]]; then
	machine=(-accel kvm -cpu host)
else
	machine=(-accel "tcg,thread=multi" -cpu "qemu64,+rdrand")
	# All emulated processors read the same counter, whatever the model says.
	arguments+=" tsc=reliable no_timer_check"
fi

# files TAG DIRECTORY OPTIONS: shows DIRECTORY to the guest over 9p.
files() {
	machine+=(-virtfs "local,path=${2//,/,,},mount_tag=$1,security_model=none,multidevs=remap$3")
}

machine+=(-bios qboot.rom -smp "$((10#$cpus))" -m "$megabytes" -nodefaults -no-user-config -display none -no-reboot)
machine+=(-kernel "$kernel_dir/vmlinuz" -initrd "$dir/initramfs" -append "$arguments$append")
machine+=(-chardev "file,id=log,path=${log//,/,,}" -serial chardev:log)
files root / ,readonly=on
for i in "${!shares[@]}"; do
	files "share$i" "${shares[i]}" ""
	echo "share$i ${shares[i]}"
done >"$job/shares"

# What the guest is told goes along in a second archive after the initramfs.
(cd "$dir" && find job | busybox cpio -o -H newc -R 0:0 2>/dev/null) | cat "$initramfs" - >"$dir/initramfs"

export SCULL_VM_SECRET=$secret SCULL_VM_LIMIT=${limit:-900} SCULL_VM_INPUT=$input
export SCULL_VM_LOG=$log SCULL_VM_VERBOSE=$verbose
exec "$here/supervise" "$dir" qemu-system-x86_64 "${machine[@]}"
