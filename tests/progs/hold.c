// SPDX-License-Identifier: GPL-2.0
/*
 * hold: open a device, say so, and keep it open.
 *
 *	cc -o hold hold.c
 *	hold /dev/scullsingle			until ctrl-C
 *	hold -w /dev/scullpipe0 30		for writing, 30 seconds
 *
 * -r opens for reading (the default), -w for writing, -b for both; -n adds
 * O_NONBLOCK, -a O_APPEND. Good for seeing what a second open gets, or why a
 * module cannot be unloaded. Note that -w without -a empties a bare device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage(void)
{
	fprintf(stderr, "usage: hold [-r | -w | -b] [-n] [-a] DEVICE [SECONDS]\n");
	return 2;
}

int main(int argc, char **argv)
{
	int mode = O_RDONLY, more = 0, opt, fd;
	unsigned int seconds = 0;
	char *end;

	while ((opt = getopt(argc, argv, "hrwbna")) != -1) {
		switch (opt) {
		case 'r':
			mode = O_RDONLY;
			break;
		case 'w':
			mode = O_WRONLY;
			break;
		case 'b':
			mode = O_RDWR;
			break;
		case 'n':
			more |= O_NONBLOCK;
			break;
		case 'a':
			more |= O_APPEND;
			break;
		default:
			return usage();
		}
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2)
		return usage();
	if (argc == 2) {
		seconds = strtoul(argv[1], &end, 10);
		if (end == argv[1] || *end)
			return usage();
	}

	fd = open(argv[0], mode | more);
	if (fd < 0) {
		fprintf(stderr, "hold: %s: %s\n", argv[0], strerror(errno));
		return 1;
	}
	printf("%s is open, process %d\n", argv[0], (int)getpid());
	fflush(stdout);

	if (argc == 2)
		sleep(seconds);
	else
		pause();
	return 0;
}
