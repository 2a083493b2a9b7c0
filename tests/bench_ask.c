// SPDX-License-Identifier: GPL-2.0
/*
 * What each way of asking the driver for a number costs. The number is the quantum:
 * by ioctl, returned (Query) or stored (Get); by sysfs, opened for each question,
 * as a shell does, or kept open and read again; and by /proc, where it stands in
 * the text of a map, in the line of the first device.
 */
#include "bench.h"

#include <sys/ioctl.h>

#include "../scull.h"

#define SYSFS "/sys/class/scull/quantum"
#define PROC "/proc/scullmem"

static int fd_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "cannot open %s to ask it", path);
	return fd;
}

/* What all of them have to find. */
static int expected;

static void answered(const char *way, int quantum)
{
	if (quantum != expected)
		errx(1, "%s says that the quantum is %d, not %d", way, quantum,
		     expected);
}

static void by_query(struct subject *s, const struct work *w, size_t n)
{
	while (n--)
		answered(s->name, ioctl(s->fd, SCULL_IOCQQUANTUM));
}

static void by_get(struct subject *s, const struct work *w, size_t n)
{
	int quantum;

	while (n--) {
		if (ioctl(s->fd, SCULL_IOCGQUANTUM, &quantum))
			err(1, "SCULL_IOCGQUANTUM");
		answered(s->name, quantum);
	}
}

/* The number at the end of @before in what a read from the beginning gives. */
static int look(int fd, const char *before, const char *path)
{
	char text[512];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
	const char *at;

	if (len <= 0)
		err(1, "cannot read %s", path);
	text[len] = '\0';
	at = strstr(text, before);
	return at ? atoi(at + strlen(before)) : 0;
}

/* A way: @run asks by it; what stands before the number in @path is @before. */
struct way {
	const char *name;
	const char *path;
	void (*run)(struct subject *s, const struct work *w, size_t n);
	const char *before;
};

static void by_open(struct subject *s, const struct work *w, size_t n)
{
	const struct way *way = s->data;
	int fd;

	while (n--) {
		fd = fd_of(way->path);
		answered(way->name, look(fd, way->before, way->path));
		close(fd);
	}
}

static void by_pread(struct subject *s, const struct work *w, size_t n)
{
	const struct way *way = s->data;

	while (n--)
		answered(way->name, look(s->fd, way->before, way->path));
}

static const struct way ways[] = {
	{ "ioctl Query",	"/dev/scull0",	by_query },
	{ "ioctl Get",		"/dev/scull0",	by_get },
	{ "sysfs pread",	SYSFS,		by_pread,	"" },
	{ "sysfs open",		SYSFS,		by_open,	"" },
	{ "/proc pread",	PROC,		by_pread,	", q " },
	{ "/proc open",		PROC,		by_open,	", q " },
};

/* Each way is a subject, and does the same in its own manner. */
static void by_its_way(struct subject *s, const struct work *w, size_t n)
{
	const struct way *way = s->data;

	way->run(s, w, n);
}

void family_ask(void)
{
	struct subject subjects[ARRAY_SIZE(ways)];
	struct work w = {
		.family = "ask",
		.what = "quantum",
		.size = "an int",
		.unit = 1,
		.n = 20000,
		.counted = 200,
		.run = by_its_way,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		subjects[i] = (struct subject){
			.name = ways[i].name, .path = ways[i].path, .of = 0,
			.ours = -1, .fd = bench.dry ? -1 : fd_of(ways[i].path),
			.data = (void *)&ways[i],
		};
	if (!bench.dry)
		expected = ioctl(subjects[0].fd, SCULL_IOCQQUANTUM);
	run_on(0);
	measure(&w, subjects, ARRAY_SIZE(ways));
	for (i = 0; i < ARRAY_SIZE(ways) && !bench.dry; i++)
		close(subjects[i].fd);
}
