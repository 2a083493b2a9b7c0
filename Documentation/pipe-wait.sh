#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Somebody who reads a pipe, and somebody who writes a line each fifth of a second.
head -n 5 /dev/scullpipe0 >/dev/null &
for line in 1 2 3 4 5; do
	sleep 0.2
	echo "$line"
done >/dev/scullpipe0
wait
