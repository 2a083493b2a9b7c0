// SPDX-License-Identifier: GPL-2.0
/*
 * nbtest: copy standard input to standard output without ever blocking in a
 * read or write, with a delay between rounds.
 *
 *	cc -o nbtest nbtest.c
 *	nbtest [SECONDS] </dev/scullpipe0	(1 second; fractions are fine)
 *
 * A device that has nothing to read, or no room for what is written, answers
 * EAGAIN to a descriptor with O_NONBLOCK: the program says so on standard
 * error, waits and tries again. It ends at the end of its input. A scullpipe
 * has none: there it goes on until ctrl-C.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct timespec delay = { 1, 0 };

static void not_now(const char *what)
{
	fprintf(stderr, "nbtest: nothing to %s now\n", what);
	nanosleep(&delay, NULL);
}

static int failed(const char *what)
{
	fprintf(stderr, "nbtest: %s: %s\n", what, strerror(errno));
	return 1;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* All of the buffer, in as many writes as it takes. */
static int put(const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, buf, len);

		if (n < 0 && errno == EAGAIN) {
			not_now("write to");
			continue;
		}
		if (n < 0)
			return -1;
		buf += n;
		len -= n;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char buf[4096];
	char *end;

	if (argc > 1) {
		double seconds = strtod(argv[1], &end);

		if (argc > 2 || end == argv[1] || *end ||
		    !(seconds >= 0 && seconds < 1e6)) {
			fprintf(stderr, "usage: nbtest [SECONDS]\nCopies standard input to standard output without blocking;\nSECONDS, 1 by default, is the delay between two tries.\n");
			return 2;
		}
		delay.tv_sec = seconds;
		delay.tv_nsec = (seconds - delay.tv_sec) * 1e9;
	}
	if (set_nonblocking(STDIN_FILENO) < 0)
		return failed("standard input");
	if (set_nonblocking(STDOUT_FILENO) < 0)
		return failed("standard output");

	for (;;) {
		ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

		if (n == 0)
			return 0;
		if (n < 0 && errno == EAGAIN) {
			not_now("read");
			continue;
		}
		if (n < 0)
			return failed("read");
		if (put(buf, n) < 0)
			return failed("write");
		nanosleep(&delay, NULL);
	}
}
