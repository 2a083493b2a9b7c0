# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Completion of scullctl's command line for bash.

# _scullctl_devices [KIND...]: the devices there are, without those of the types
# that are named
_scullctl_devices() {
	local file type
	for file in /sys/class/scull/*/type; do
		read -r type 2>/dev/null <"$file" || continue
		[[ " $* " == *" $type "* ]] || basename "${file%/type}"
	done
}

# _scullctl_words COMMAND NTH: what may stand at this place after the command
_scullctl_words() {
	case $1:$2 in
	:*) echo list show get set reset map watch trim --help --version ;;
	show:1 | watch:*) _scullctl_devices ;;
	map:1 | trim:1) _scullctl_devices pipe ;;
	get:1 | set:1) echo quantum qset p_buffer ;;
	esac
}

_scullctl_options() {
	case $1 in
	list | show) echo --json --help ;;
	get) echo --json --ioctl --ioctl= --help ;;
	set | reset) echo --ioctl --ioctl= --help ;;
	map) echo --json --svg --help ;;
	watch) echo --json --interval= --count= --help ;;
	*) echo --help --version ;;
	esac
}

_scullctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' nth=0 i
	local words
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-* | =) ;;
		*)
			# What follows --ioctl= or the like is no argument.
			[[ ${COMP_WORDS[i - 1]} != = ]] || continue
			[[ -z $command ]] || nth=$((nth + 1))
			command=${command:-${COMP_WORDS[i]}}
			;;
		esac
	done
	if [[ $word == = ]] || [[ $before == = ]]; then
		words=
		[[ " ${COMP_WORDS[*]} " != *" --ioctl = "* ]] || words=$(_scullctl_devices)
		word=${word#=}
	elif [[ $word == -* ]]; then
		words=$(_scullctl_options "$command")
	else
		words=$(_scullctl_words "$command" $((nth + 1)))
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
}

complete -F _scullctl scullctl
