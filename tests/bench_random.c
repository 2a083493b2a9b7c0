// SPDX-License-Identifier: GPL-2.0
/*
 * Random 64-byte preads in a device and in a file on a tmpfs, at 1 MiB and at
 * 1 GiB: what one costs, and by how much it grows with the size. The rounds
 * alternate, so that whatever else the machine does meets both; medians count.
 *
 * usage: bench_random [DEVICE [FILE]]	(/dev/scull0, /dev/shm/bench_random)
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15
#define PREADS 50000
#define BLOCK (1 << 20)

static const off_t sizes[] = { 1 << 20, 1 << 30 };

static uint64_t state = 88172645463325252ull;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill(int fd, off_t size)
{
	static char block[BLOCK];
	off_t at;

	memset(block, 'x', sizeof(block));
	for (at = 0; at < size; at += BLOCK)
		if (pwrite(fd, block, BLOCK, at) != BLOCK)
			err(1, "write at %lld", (long long)at);
}

/* Nanoseconds a pread. */
static double one_round(int fd, off_t size)
{
	struct timespec from, to;
	char buf[64];
	int i;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < PREADS; i++)
		if (pread(fd, buf, sizeof(buf), rnd() % (size - 64)) != 64)
			err(1, "pread");
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((to.tv_sec - from.tv_sec) * 1e9 + to.tv_nsec - from.tv_nsec) /
	       PREADS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

int main(int argc, char **argv)
{
	const char *names[2] = {
		argc > 1 ? argv[1] : "/dev/scull0",
		argc > 2 ? argv[2] : "/dev/shm/bench_random",
	};
	double ns[2][2], times[2][ROUNDS];
	int fds[2], s, r, f;

	for (s = 0; s < 2; s++) {
		for (f = 0; f < 2; f++) {
			/* O_WRONLY empties a device, O_TRUNC a file. */
			close(open(names[f], O_WRONLY | O_CREAT | O_TRUNC, 0600));
			fds[f] = open(names[f], O_RDWR);
			if (fds[f] < 0)
				err(1, "%s", names[f]);
			fill(fds[f], sizes[s]);
			one_round(fds[f], sizes[s]);
		}
		for (r = 0; r < ROUNDS; r++)
			for (f = 0; f < 2; f++)
				times[f][r] = one_round(fds[f], sizes[s]);
		for (f = 0; f < 2; f++) {
			ns[f][s] = median(times[f], ROUNDS);
			close(fds[f]);
		}
	}
	printf("%-24s %10s %10s %8s\n", "ns for 64 bytes", "1 MiB", "1 GiB",
	       "factor");
	for (f = 0; f < 2; f++) {
		printf("%-24s %10.0f %10.0f %8.2f\n", names[f], ns[f][0],
		       ns[f][1], ns[f][1] / ns[f][0]);
		close(open(names[f], O_WRONLY | O_TRUNC));
	}
	printf("%-24s %10.2f %10.2f %8.2f\n", "the first by the second",
	       ns[0][0] / ns[1][0], ns[0][1] / ns[1][1],
	       ns[0][1] / ns[0][0] / (ns[1][1] / ns[1][0]));
	unlink(names[1]);
	return 0;
}
