// SPDX-License-Identifier: GPL-2.0
/*
 * asynctest: let the kernel send SIGIO when standard input has something to
 * read, and print it then.
 *
 *	cc -o asynctest asynctest.c
 *	asynctest </dev/scullpipe0
 *
 * Each signal prints a line with what the kernel says about it, followed by
 * what could be read. The program ends at the end of its input or with
 * ctrl-C. With a device that knows no asynchronous notification, like scull0,
 * it says so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int failed(const char *what)
{
	fprintf(stderr, "asynctest: %s: %s\n", what, strerror(errno));
	return 1;
}

static const char *reason(int code)
{
	switch (code) {
	case POLL_IN:
		return "data to read";
	case POLL_OUT:
		return "room to write";
	case POLL_HUP:
		return "hung up";
	case POLL_ERR:
		return "an error";
	default:
		return "no reason given";
	}
}

/* Copies what is there. Returns 1 at the end of the input, -1 for an error. */
static int drain(void)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
		fflush(stdout);
		if (write(STDOUT_FILENO, buf, n) != n)
			return -1;
	}
	if (n == 0)
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

int main(int argc, char **argv)
{
	sigset_t set;
	siginfo_t info;
	int flags, ret;

	(void)argv;
	if (argc > 1) {
		fprintf(stderr, "usage: asynctest <DEVICE\nPrints what arrives at DEVICE whenever SIGIO tells of it.\n");
		return 2;
	}
	/* The signal is waited for instead of caught: so none can be missed. */
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);

	if (fcntl(STDIN_FILENO, F_SETOWN, getpid()) < 0)
		return failed("F_SETOWN");
	/* With a signal named, the kernel also says why it sends it. */
	if (fcntl(STDIN_FILENO, F_SETSIG, SIGIO) < 0)
		return failed("F_SETSIG");
	flags = fcntl(STDIN_FILENO, F_GETFL);
	if (fcntl(STDIN_FILENO, F_SETFL, flags | O_ASYNC | O_NONBLOCK) < 0)
		return failed("O_ASYNC");
	if (!(fcntl(STDIN_FILENO, F_GETFL) & O_ASYNC)) {
		fprintf(stderr, "asynctest: this device knows no asynchronous notification\n");
		return 1;
	}

	/* What came before the notification was on sends no signal any more. */
	ret = drain();
	while (!ret) {
		if (sigwaitinfo(&set, &info) < 0)
			return failed("sigwaitinfo");
		printf("SIGIO: %s\n", reason(info.si_code));
		ret = drain();
	}
	return ret < 0 ? failed("standard input") : 0;
}
