# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# For programs that go on for MINUTES with rounds by chance, from SEED on.

# how_long PROGRAM MINUTES: sets $minutes, that many unless told otherwise, and
# $seed; ends the program if it was told what is no number of at most nine digits
how_long() {
	local value
	minutes=${MINUTES:-$2}
	# What is printed here can be given there.
	seed=${SEED:-$((1 + (RANDOM * 32768 + RANDOM) % 999999999))}
	for value in "$minutes" "$seed"; do
		if [[ ! $value =~ ^[1-9][0-9]{0,8}$ ]]; then
			echo "$1: MINUTES and SEED want a number of at most nine digits, not \"$value\"" >&2
			exit 2
		fi
	done
}
