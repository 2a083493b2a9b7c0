// SPDX-License-Identifier: GPL-2.0
/*
 * holes: print where a file or device holds data and where it has holes, as
 * lseek(2) finds them with SEEK_DATA and SEEK_HOLE.
 *
 *	cc -o holes holes.c
 *	holes /dev/scull0
 *
 * A line is one stretch: what it is, its first byte and the byte after its
 * last. The lines follow each other without a gap and end at the end of the
 * file; an empty file has none.
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static void stretch(const char *what, off_t from, off_t to)
{
	printf("%s %lld to %lld\n", what, (long long)from, (long long)to);
}

static off_t seek(int fd, const char *path, off_t pos, int whence)
{
	off_t found = lseek(fd, pos, whence);

	if (found < 0 && !(whence == SEEK_DATA && errno == ENXIO)) {
		fprintf(stderr, "holes: %s: seeking from %lld: %s\n", path,
			(long long)pos, strerror(errno));
		exit(1);
	}
	return found;
}

int main(int argc, char **argv)
{
	off_t pos = 0;
	off_t end, data;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: holes FILE\n");
		return 2;
	}

	fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		fprintf(stderr, "holes: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}

	end = seek(fd, argv[1], 0, SEEK_END);
	while (pos < end) {
		/* ENXIO, the -1 here: only a hole is left before the end. */
		data = seek(fd, argv[1], pos, SEEK_DATA);
		if (data < 0 || data > end)
			data = end;
		if (data > pos)
			stretch("hole", pos, data);
		if (data == end)
			break;

		pos = seek(fd, argv[1], data, SEEK_HOLE);
		if (pos <= data) {
			fprintf(stderr,
				"holes: %s: data at %lld, and a hole at %lld\n",
				argv[1], (long long)data, (long long)pos);
			return 1;
		}
		stretch("data", data, pos);
	}
	return 0;
}
