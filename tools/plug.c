// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl unplug and plug: devices that go and come back while scull is loaded.
 */
#include "scullctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Writes a device's name to one of the two files of the class. */
static bool tell(const char *file, const char *name)
{
	const char *path = rooted("/sys/class/scull/%s", file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0 && errno == ENOENT) {
		need_scull();
		fail("there is no %s: the scull that is loaded is older than this command",
		     path);
	}
	if (fd < 0)
		return false;
	done = write(fd, name, strlen(name)) >= 0;
	if (!done && errno == EPERM)
		errno = EACCES;
	close(fd);
	return done;
}

void unplug(const char *name)
{
	if (tell("unplug", name))
		return;
	if (errno == EACCES)
		fail("unplug needs CAP_SYS_ADMIN: run it as root");
	if (errno == ENODEV)
		fail("%s is unplugged already", name);
	fail("%s cannot be unplugged: %s", name, strerror(errno));
}

void unplug_command(char **argv)
{
	unplug(device_name(argv[1]));
}

/* On a line each, as the kernel tells them, in one. */
static const char *absent(void)
{
	FILE *file = fopen(rooted("/sys/class/scull/unplug"), "re");
	static char text[4096];
	size_t i, len;

	len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file)
		fclose(file);
	while (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	for (i = 0; i < len; i++)
		if (text[i] == '\n')
			text[i] = ' ';
	return len ? text : "none";
}

/* What is unplugged has no node: of a path its name alone is of use. */
void plug_command(char **argv)
{
	const char *slash = strrchr(argv[1], '/');
	const char *name = slash ? slash + 1 : argv[1];

	if (!*name)
		misuse("plug: '%s' is no name of a device", argv[1]);
	if (tell("plug", name))
		return;
	switch (errno) {
	case EACCES:
		fail("plug needs CAP_SYS_ADMIN: run it as root");
	case EEXIST:
		fail("%s is plugged in", name);
	case ENODEV:
	case EINVAL:
		fail("no device %s was unplugged: of those that were there are %s",
		     name, absent());
	default:
		fail("%s cannot be plugged in: %s", name, strerror(errno));
	}
}
