// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl get, set and reset: the values that are the same for all devices, by
 * the attributes of the class or by ioctl.
 */
#include "scullctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../scull.h"

/**
 * struct value - one of them
 * @name: here and in sysfs
 * @query: the command that returns it
 * @tell: the command that changes it
 * @most: the largest; 0: what kmalloc() gives
 */
struct value {
	const char *name;
	unsigned long query;
	unsigned long tell;
	long most;
};

static const struct value values[] = {
	{ "quantum", SCULL_IOCQQUANTUM, SCULL_IOCTQUANTUM, 0 },
	{ "qset", SCULL_IOCQQSET, SCULL_IOCTQSET, 65536 },
	{ "p_buffer", SCULL_P_IOCQSIZE, SCULL_P_IOCTSIZE, 16 * 1024 * 1024 },
};

static const struct value *value_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		if (!strcmp(values[i].name, name))
			return &values[i];
	misuse("no value %s: there are quantum, qset and p_buffer", name);
}

static const char *attribute(const struct value *value)
{
	return rooted("/sys/class/scull/%s", value->name);
}

static bool by_ioctl(const struct value *value)
{
	return options.by_ioctl || access(attribute(value), F_OK);
}

/*
 * Any device answers. Where none is named, one is taken that everybody may have
 * open, and for reading, which empties none.
 */
static const char *device_to_ask(void)
{
	static const char *const any[] = { "scull0", "scullpipe0" };
	size_t i;

	if (options.device)
		return strchr(options.device, '/') ? options.device :
		       rooted("/dev/%s", options.device);
	for (i = 0; i < ARRAY_SIZE(any); i++)
		if (!access(rooted("/dev/%s", any[i]), F_OK))
			return rooted("/dev/%s", any[i]);
	need_scull();
	fail("there is neither %s nor scullpipe0 to ask: name a device with --ioctl=DEVICE",
	     rooted("/dev/scull0"));
}

static int open_device(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENXIO)
		need_scull();
	fail("%s cannot be opened to ask it: %s", path, strerror(errno));
}

/* Ends the program for an ioctl or a write that failed with errno. */
static void refused(const char *command, const struct value *value,
		    long long wanted)
{
	long most;

	if (errno == EPERM || errno == EACCES)
		fail("%s needs CAP_SYS_ADMIN: run it as root", command);
	if (errno == ENOTTY)
		fail("%s is no device of scull", device_to_ask());
	if (!value || (errno != EINVAL && errno != ERANGE))
		fail("%s: %s", command, strerror(errno));
	/* With the kernel's usual largest order of pages, 10. */
	most = value->most ? value->most : sysconf(_SC_PAGESIZE) << 10;
	fail("%s: %lld is out of range: 1 to %ld", value->name, wanted, most);
}

static int ask(const struct value *value)
{
	int fd = open_device(device_to_ask());
	int got = ioctl(fd, value->query);

	if (got < 0)
		refused("get", NULL, 0);
	close(fd);
	return got;
}

static int get(const struct value *value)
{
	char line[32];

	if (by_ioctl(value))
		return ask(value);
	if (!read_line(attribute(value), line, sizeof(line)))
		fail("%s cannot be read: %s", attribute(value),
		     strerror(errno));
	return atoi(line);
}

void get_command(char **argv)
{
	const struct value *one = argv[1] ? value_find(argv[1]) : NULL;
	const struct value *value;

	if (options.json)
		json_open(NULL, '{');
	for (value = values; value < values + ARRAY_SIZE(values); value++) {
		if (one && value != one)
			continue;
		if (options.json)
			json_number(value->name, get(value));
		else if (one)
			printf("%d\n", get(value));
		else
			printf("%-9s %d\n", value->name, get(value));
	}
	if (options.json) {
		json_close('}');
		putchar('\n');
	}
}

static long long number(const char *name, const char *text)
{
	long long parsed;
	char *end;

	errno = 0;
	parsed = strtoll(text, &end, 0);
	if (end == text || *end)
		misuse("set %s: '%s' is no number", name, text);
	return parsed;
}

static void tell(const struct value *value, long long wanted)
{
	int fd = open_device(device_to_ask());

	/* A long of a 32-bit program must not be another number. */
	if (wanted < INT_MIN || wanted > INT_MAX) {
		errno = ERANGE;
		refused("set", value, wanted);
	}
	if (ioctl(fd, value->tell, (long)wanted) < 0)
		refused("set", value, wanted);
	close(fd);
}

static void store(const struct value *value, long long wanted)
{
	int fd = open(attribute(value), O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%lld\n", wanted) < 0)
		refused("set", value, wanted);
	close(fd);
}

void set_command(char **argv)
{
	const struct value *value = value_find(argv[1]);
	long long wanted = number(argv[1], argv[2]);

	if (by_ioctl(value))
		tell(value, wanted);
	else
		store(value, wanted);
}

void reset_command(char **argv)
{
	int fd = open_device(device_to_ask());

	if (ioctl(fd, SCULL_IOCRESET) < 0)
		refused("reset", NULL, 0);
	close(fd);
}
