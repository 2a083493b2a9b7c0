/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How far a bare device reaches. It is the same everywhere but on 32-bit kernels.
 */
#ifndef TESTS_OFFSETS_H
#define TESTS_OFFSETS_H

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static inline bool kernel_is_32bit(void)
{
	struct utsname u;

	return sizeof(long) == 4 && !uname(&u) && !strstr(u.machine, "64");
}

/* The largest size of a bare device with sets of @qset quanta of @quantum bytes. */
static inline long long device_limit(int quantum, int qset)
{
	const long long max_long = 0xffffffffLL;
	long long set = (long long)quantum * qset;
	long long lfs, sets;

	if (!kernel_is_32bit())
		return LLONG_MAX;
	lfs = max_long * sysconf(_SC_PAGESIZE);
	sets = set > LLONG_MAX >> 32 ? LLONG_MAX : set * (max_long + 1);
	return lfs < sets ? lfs : sets;
}

#endif /* TESTS_OFFSETS_H */
