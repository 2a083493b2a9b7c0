// SPDX-License-Identifier: GPL-2.0
/*
 * Prints by how many thousands a second this machine's time stamp counter
 * grows. An emulated x86 reads the same counter, and would otherwise measure it
 * against other emulated clocks, which goes wrong by factors on a busy host.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

/*
 * Both clocks at one moment: of some tries the one in which the least time
 * passed around the reading, so that being preempted in it does no harm.
 */
static double now(unsigned long long *ticks)
{
	unsigned long long before, after, least = ~0ULL;
	double milliseconds = 0;
	struct timespec ts;
	int i;

	for (i = 0; i < 100; i++) {
		before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &ts);
		after = __rdtsc();
		if (after - before < least) {
			least = after - before;
			*ticks = before + least / 2;
			milliseconds = ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
		}
	}
	return milliseconds;
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
