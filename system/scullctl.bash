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

# Those that are gone, which root gets to know.
_scullctl_unplugged() {
	cat /sys/class/scull/unplug 2>/dev/null
}

_scullctl_scenarios() {
	"${COMP_WORDS[0]}" fault scenarios 2>/dev/null | cut -d ' ' -f 1
}

# _scullctl_rule NTH: what may stand at this place of a rule
_scullctl_rule() {
	case $1 in
	1) echo open read write ioctl poll fsync seek ;;
	*)
		echo uid= comm= from= nth= every= p= seed= next=
		echo short= delay= hang eagain= signal signal= corrupt
		echo EPERM ENOENT EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY \
			EEXIST ENODEV EINVAL ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EPIPE \
			EDOM ERANGE ENODATA ETIME ECOMM EPROTO EBADMSG EOVERFLOW EILSEQ EMSGSIZE \
			EOPNOTSUPP ENETDOWN ECONNRESET ENOBUFS ETIMEDOUT EHOSTDOWN EALREADY \
			EINPROGRESS ESTALE EREMOTEIO EDQUOT ENOMEDIUM ECANCELED
		;;
	esac
}

# _scullctl_faults NTH [ACTION]: what may stand at this place after "fault"
_scullctl_faults() {
	case $1:${2-} in
	1:*) _scullctl_devices && echo scenarios ;;
	2:*) echo add list limit hold release scenario clear ;;
	3:limit) echo none ;;
	3:scenario) _scullctl_scenarios ;;
	*:add) _scullctl_rule $(($1 - 2)) ;;
	esac
}

# _scullctl_words COMMAND NTH [ARGUMENT...]: what may stand at this place after the
# command, and those before it
_scullctl_words() {
	case $1:$2 in
	:*) echo list show get set reset map watch trim fault unplug plug --help --version ;;
	fault:*) _scullctl_faults "$2" "${4-}" ;;
	show:1 | watch:* | unplug:1) _scullctl_devices ;;
	plug:1) _scullctl_unplugged ;;
	map:1 | trim:1) _scullctl_devices pipe ;;
	get:1 | set:1) echo quantum qset p_buffer ;;
	esac
}

# _scullctl_values OPTION: what may follow that and =
_scullctl_values() {
	case $1 in
	--ioctl) _scullctl_devices ;;
	signal) echo HUP INT QUIT USR1 USR2 PIPE ALRM TERM CHLD CONT STOP TSTP WINCH URG IO ;;
	esac
}

_scullctl_options() {
	case $1 in
	list | show) echo --json --help ;;
	get) echo --json --ioctl --ioctl= --help ;;
	set | reset) echo --ioctl --ioctl= --help ;;
	map) echo --json --svg --help ;;
	watch) echo --json --interval= --count= --help ;;
	fault) echo --json --file= --help ;;
	*) echo --help --version ;;
	esac
}

_scullctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' i
	local words arguments=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-* | =) ;;
		*)
			# What follows --ioctl= or the like is no argument.
			[[ ${COMP_WORDS[i - 1]} != = ]] || continue
			[[ -z $command ]] || arguments+=("${COMP_WORDS[i]}")
			command=${command:-${COMP_WORDS[i]}}
			;;
		esac
	done
	if [[ $word == = ]]; then
		words=$(_scullctl_values "$before")
		word=
	elif [[ $before == = ]]; then
		words=$(_scullctl_values "${COMP_WORDS[COMP_CWORD - 2]}")
	elif [[ $word == -* ]]; then
		words=$(_scullctl_options "$command")
	else
		words=$(_scullctl_words "$command" $((${#arguments[@]} + 1)) "${arguments[@]}")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
}

complete -o default -F _scullctl scullctl
