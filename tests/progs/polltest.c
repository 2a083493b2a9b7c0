// SPDX-License-Identifier: GPL-2.0
/*
 * polltest: ask poll(2) about devices and print what it answers.
 *
 *	cc -o polltest polltest.c
 *	polltest /dev/scullpipe0 /dev/scullpipe1	once, at once
 *	polltest -t 5000 /dev/scullpipe0		waits up to 5 seconds
 *	polltest -r /dev/scullpipe0			asks for POLLIN only
 *	polltest -w /dev/scullpipe0			asks for POLLOUT only
 *
 * One line a device: its name and the events. Status 0 if there were any, 1 if
 * the time ran out. A device that does not know poll, like scull0, counts as
 * always readable and writable. -t -1 waits without end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 16

static const struct {
	short bit;
	const char *name;
} names[] = {
	{ POLLIN, "POLLIN" },
	{ POLLRDNORM, "POLLRDNORM" },
	{ POLLOUT, "POLLOUT" },
	{ POLLWRNORM, "POLLWRNORM" },
	{ POLLPRI, "POLLPRI" },
	{ POLLHUP, "POLLHUP" },
	{ POLLRDHUP, "POLLRDHUP" },
	{ POLLERR, "POLLERR" },
	{ POLLNVAL, "POLLNVAL" },
};

static void show(const char *path, short events)
{
	size_t i;

	printf("%s:", path);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (events & names[i].bit)
			printf(" %s", names[i].name);
	puts(events ? "" : " nothing");
}

static int usage(void)
{
	fprintf(stderr, "usage: polltest [-r] [-w] [-t MILLISECONDS] DEVICE... (at most %d)\n",
		MOST);
	return 2;
}

/* Opened for what is asked, and never so that the open empties the device. */
static int open_quietly(const char *path, short events)
{
	int fd = -1;

	if (events & POLLOUT)
		fd = open(path, O_RDWR | O_NONBLOCK);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_NONBLOCK);
	return fd;
}

int main(int argc, char **argv)
{
	struct pollfd fds[MOST];
	int timeout = 0, opt, i, n;
	short events = 0;
	char *end;

	while ((opt = getopt(argc, argv, "hrwt:")) != -1) {
		switch (opt) {
		case 'r':
			events |= POLLIN | POLLRDNORM;
			break;
		case 'w':
			events |= POLLOUT | POLLWRNORM;
			break;
		case 't':
			timeout = strtol(optarg, &end, 10);
			if (end == optarg || *end)
				return usage();
			break;
		default:
			return usage();
		}
	}
	if (!events)
		events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > MOST)
		return usage();

	for (i = 0; i < argc; i++) {
		fds[i].events = events;
		fds[i].fd = open_quietly(argv[i], events);
		if (fds[i].fd < 0) {
			fprintf(stderr, "polltest: %s: %s\n", argv[i],
				strerror(errno));
			return 2;
		}
	}
	n = poll(fds, argc, timeout);
	if (n < 0) {
		fprintf(stderr, "polltest: poll: %s\n", strerror(errno));
		return 2;
	}
	for (i = 0; i < argc; i++)
		show(argv[i], fds[i].revents);
	return n ? 0 : 1;
}
