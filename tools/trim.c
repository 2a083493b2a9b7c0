// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl trim: a device is emptied by who opens it to write from its beginning.
 */
#include "scullctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* To open another file with O_TRUNC by mistake would be a pity. */
static void check_node(const struct device *device, const char *node)
{
	struct stat st;

	if (stat(node, &st))
		fail("%s: %s: run scull_load, which makes the nodes, or udev's work is not done yet",
		     node, strerror(errno));
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != device->major ||
	    minor(st.st_rdev) != device->minor)
		fail("%s is not the device %u:%u that it should be", node,
		     device->major, device->minor);
}

static void explain(const struct device *device, const char *node)
{
	const char *error = strerror(errno);

	switch (errno) {
	case EACCES:
	case EPERM:
		fail("%s: who trims must be allowed to write: be root or of the node's group (ls -l %s)",
		     device->name, node);
	case EBUSY:
	case EAGAIN:
		fail("%s is in use, and its policy lets you not in beside that; scullctl show %s tells by whom",
		     device->name, device->name);
	case EINVAL:
		fail("%s: each session on a terminal has one of its own, and this process has no terminal",
		     device->name);
	default:
		fail("%s: %s", device->name, error);
	}
}

void trim_command(char **argv)
{
	struct device device = device_read(argv[1]);
	const char *node = strchr(argv[1], '/') ? argv[1] :
			   rooted("/dev/%s", device.name);
	int fd;

	if (is_pipe(&device))
		fail("%s is a pipe, which opening does not empty: what it holds goes when it is read, or when the last who has it open closes it",
		     device.name);
	check_node(&device, node);
	fd = open(node, O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		explain(&device, node);
	close(fd);
}
