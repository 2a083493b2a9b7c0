// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that `tests/profile` takes apart, each between marks that its plugin
 * sees, and often enough for an interrupt in one of them not to matter.
 *
 * usage: profile_calls	(it prints the names of the phases, in order)
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bench_limit/limit.h"
#include "profile_marks.h"

#define TIMES 64
#define BLOCK 4096
#define PIECE 512

static char buffer[BLOCK] __attribute__((aligned(4096)));
static int failed;

/* One phase: the number must be known to the compiler. */
#define PHASE(number, name, call, size)					\
	do {								\
		int i_;							\
									\
		printf("%d %s\n", number, name);			\
		PROFILE_MARK(number);					\
		for (i_ = 0; i_ < TIMES; i_++)				\
			failed |= (call) != (size);			\
		PROFILE_MARK(0);					\
	} while (0)

static int opened(const char *path)
{
	int fd = open(path, O_RDWR);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void rewind_to(int fd, off_t pos)
{
	if (lseek(fd, pos, SEEK_SET) != pos)
		err(1, "lseek");
}

int main(void)
{
	int dev = opened("/dev/scull0"), fifo = opened("/dev/scullpipe0");
	int limit = open("/dev/bench_limit", O_RDWR), ends[2], i;
	__u64 size = TIMES * BLOCK;

	memset(buffer, 'x', sizeof(buffer));
	if (pipe(ends))
		err(1, "pipe");
	for (i = 0; i < TIMES; i++)
		failed |= write(dev, buffer, BLOCK) != BLOCK;
	rewind_to(dev, 0);
	PHASE(1, "scull0: read of 4 KiB", read(dev, buffer, BLOCK), BLOCK);
	rewind_to(dev, 0);
	PHASE(2, "scull0: overwrite of 4 KiB", write(dev, buffer, BLOCK), BLOCK);
	rewind_to(dev, 0);
	PHASE(3, "scull0: read of 64 B", read(dev, buffer, 64), 64);
	PHASE(4, "scullpipe: write of 512 B", write(fifo, buffer, PIECE), PIECE);
	PHASE(5, "scullpipe: read of 512 B", read(fifo, buffer, PIECE), PIECE);
	PHASE(6, "pipe(2): write of 512 B", write(ends[1], buffer, PIECE), PIECE);
	PHASE(7, "pipe(2): read of 512 B", read(ends[0], buffer, PIECE), PIECE);
	if (limit >= 0) {
		failed |= ioctl(limit, BENCH_LIMIT_RESIZE, &size);
		PHASE(8, "limit: read of 4 KiB", read(limit, buffer, BLOCK), BLOCK);
		rewind_to(limit, 0);
		PHASE(9, "limit: overwrite of 4 KiB", write(limit, buffer, BLOCK),
		      BLOCK);
	}
	if (failed)
		errx(1, "a call did not do all it was asked for");
	return 0;
}
