// SPDX-License-Identifier: GPL-2.0
/*
 * Prints by how many thousands a second this machine's time stamp counter
 * grows. An emulated x86 reads the same counter, and would otherwise measure it
 * against other emulated clocks, which goes wrong by factors on a busy host.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double now(unsigned long long *ticks)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	*ticks = __rdtsc();
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	unsigned long long from, to;
	double begin = now(&from);

	nanosleep(&pause, NULL);
	begin = now(&to) - begin;
	printf("%.0f\n", (to - from) / begin);
	return 0;
}
