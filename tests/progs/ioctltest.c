// SPDX-License-Identifier: GPL-2.0
/*
 * ioctltest: give a scull device an ioctl command by its name.
 *
 *	cc -o ioctltest ioctltest.c
 *	ioctltest /dev/scull0			all values, asked for in two ways
 *	ioctltest /dev/scull0 GQUANTUM		one value
 *	ioctltest /dev/scull0 XQUANTUM 512	a new value; prints the old one
 *
 * The names are those of scull.h, in any case, with or without SCULL_IOC or
 * SCULL_P_IOC before them. Changing a value needs CAP_SYS_ADMIN and takes
 * effect when a device is next trimmed.
 */
#include "../../scull.h"	/* first: it needs nothing else */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

/* The ways in which a command takes and gives its value. */
enum form { NOTHING, VALUE_IN, VALUE_OUT, VALUE_BOTH,
	    POINTER_IN, POINTER_OUT, POINTER_BOTH };

#define COMMAND(name, form) { #name, name, form }

static const struct command {
	const char *name;
	unsigned long number;
	enum form form;
} commands[] = {
	COMMAND(SCULL_IOCRESET, NOTHING),
	COMMAND(SCULL_IOCSQUANTUM, POINTER_IN),
	COMMAND(SCULL_IOCSQSET, POINTER_IN),
	COMMAND(SCULL_IOCTQUANTUM, VALUE_IN),
	COMMAND(SCULL_IOCTQSET, VALUE_IN),
	COMMAND(SCULL_IOCGQUANTUM, POINTER_OUT),
	COMMAND(SCULL_IOCGQSET, POINTER_OUT),
	COMMAND(SCULL_IOCQQUANTUM, VALUE_OUT),
	COMMAND(SCULL_IOCQQSET, VALUE_OUT),
	COMMAND(SCULL_IOCXQUANTUM, POINTER_BOTH),
	COMMAND(SCULL_IOCXQSET, POINTER_BOTH),
	COMMAND(SCULL_IOCHQUANTUM, VALUE_BOTH),
	COMMAND(SCULL_IOCHQSET, VALUE_BOTH),
	COMMAND(SCULL_P_IOCTSIZE, VALUE_IN),
	COMMAND(SCULL_P_IOCQSIZE, VALUE_OUT),
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int takes_value(const struct command *c)
{
	return c->form != NOTHING && c->form != VALUE_OUT &&
	       c->form != POINTER_OUT;
}

/* What follows SCULL_IOC or SCULL_P_IOC. */
static const char *short_name(const char *name)
{
	static const char *const before[] = { "SCULL_", "P_", "IOC" };
	size_t i;

	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (!strncasecmp(name, before[i], strlen(before[i])))
			name += strlen(before[i]);
	return name;
}

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcasecmp(short_name(name), short_name(commands[i].name)))
			return &commands[i];
	fprintf(stderr, "ioctltest: no command is called %s; there are:", name);
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(stderr, " %s", short_name(commands[i].name));
	fputc('\n', stderr);
	exit(2);
}

static void explain(const struct command *c, int value)
{
	int err = errno;

	fprintf(stderr, "ioctltest: %s", c->name);
	if (takes_value(c))
		fprintf(stderr, " %d", value);
	fprintf(stderr, ": %s", strerror(err));
	fprintf(stderr, "%s\n",
		err == EPERM ? ": to change a value needs CAP_SYS_ADMIN, so be root" :
		err == EINVAL ? ": a quantum is 1 to what kmalloc() gives (4194304 on most machines), a qset 1 to 65536, a pipe's size 1 to 16777216" :
		err == ENOTTY ? ": this is no scull device" : "");
	exit(1);
}

static void give(int fd, const struct command *c, int value)
{
	int ret;

	ret = c->form >= POINTER_IN ? ioctl(fd, c->number, &value) :
				      ioctl(fd, c->number, (long)value);
	if (ret < 0)
		explain(c, value);
	if (c->form == VALUE_OUT || c->form == VALUE_BOTH)
		printf("%s: %d\n", c->name, ret);
	else if (c->form == POINTER_OUT || c->form == POINTER_BOTH)
		printf("%s: %d\n", c->name, value);
	else
		printf("%s: done\n", c->name);
}

int main(int argc, char **argv)
{
	const struct command *c = argc > 2 ? find(argv[2]) : NULL;
	char *end = "";
	long value = 0;
	int fd;

	if (argc > 3)
		value = strtol(argv[3], &end, 0);
	if (argc < 2 || argv[1][0] == '-' || *end || (int)value != value ||
	    argc != (c ? 3 + takes_value(c) : 2)) {
		fprintf(stderr, "usage: ioctltest DEVICE [COMMAND [VALUE]]\n");
		if (c)
			fprintf(stderr, "%s takes %s value\n", c->name,
				takes_value(c) ? "one number as its" : "no");
		return 2;
	}
	/* Not for writing only: that would empty the device. */
	fd = open(argv[1], O_RDONLY | O_NONBLOCK);
	if (fd < 0) {
		fprintf(stderr, "ioctltest: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	if (c)
		give(fd, c, value);
	else
		for (c = commands; c < commands + NR_COMMANDS; c++)
			if (c->form == VALUE_OUT || c->form == POINTER_OUT)
				give(fd, c, 0);
	return 0;
}
