// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs tells of the devices, and which device somebody means. Nothing here
 * opens a device.
 */
#include "scullctl.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CLASS "/sys/class/scull"

const char *const field_names[NR_FIELDS] = {
	[OPENS] = "opens",
	[SIZE] = "size",
	[QUANTUM] = "quantum",
	[QSET] = "qset",
	[QUANTA] = "quanta",
	[DEVICES] = "devices",
	[CAPACITY] = "capacity",
	[USED] = "used",
	[READERS] = "readers",
	[WRITERS] = "writers",
	[OWNER] = "owner",
	[WAITERS] = "waiters",
};

const char *const counter_names[NR_COUNTERS] = {
	[READS] = "reads",
	[WRITES] = "writes",
	[READ_BYTES] = "read_bytes",
	[WRITE_BYTES] = "write_bytes",
	[SHORT_READS] = "short_reads",
	[SHORT_WRITES] = "short_writes",
	[AGAIN] = "again",
	[SLEEPS] = "sleeps",
	[WAKEUPS] = "wakeups",
	[REFUSED] = "refused",
	[TRIMS] = "trims",
};

const char *rooted(const char *format, ...)
{
	static char paths[4][4096];
	static unsigned int next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];
	size_t len = strlen(options.root);
	va_list args;

	if (len > sizeof(paths[0]) / 2)
		fail("--root %s: that path is too long", options.root);
	memcpy(path, options.root, len);
	va_start(args, format);
	vsnprintf(path + len, sizeof(paths[0]) - len, format, args);
	va_end(args);
	return path;
}

bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool done;

	if (!file)
		return false;
	done = fgets(line, size, file);
	if (done)
		line[strcspn(line, "\n")] = '\0';
	else if (!errno)
		errno = ENODATA;
	fclose(file);
	return done;
}

/* Has the kernel devices called scull, whoever they are of? */
static bool registered(void)
{
	FILE *file = fopen(rooted("/proc/devices"), "re");
	char line[128], name[64];
	bool yes = false;

	if (!file)
		return false;
	while (!yes && fgets(line, sizeof(line), file) &&
	       strncmp(line, "Block", 5))
		yes = sscanf(line, "%*u %63s", name) == 1 &&
		      !strcmp(name, "scull");
	fclose(file);
	return yes;
}

void need_scull(void)
{
	if (!registered() && access(rooted(CLASS), F_OK))
		fail("scull is not loaded: run scull_load or modprobe scull");
}

static bool read_number(const char *path, unsigned long long *number)
{
	char line[64], *end;

	if (!read_line(path, line, sizeof(line)))
		return false;
	if (!strcmp(line, "none")) {
		*number = NOBODY;
		return true;
	}
	*number = strtoull(line, &end, 10);
	return end != line && !*end;
}

static void read_fields(struct device *device)
{
	int i;

	for (i = 0; i < NR_FIELDS; i++)
		device->has[i] = read_number(rooted(CLASS "/%s/%s",
						    device->name,
						    field_names[i]),
					     &device->field[i]);
	for (i = 0; i < NR_COUNTERS; i++)
		device->counts[i] = read_number(rooted(CLASS "/%s/stats/%s",
						       device->name,
						       counter_names[i]),
						&device->counter[i]);
}

/* Is there such a device (still)? In the class are also its own values. */
static bool identify(struct device *device, const char *name)
{
	char number[32];

	memset(device, 0, sizeof(*device));
	if (strlen(name) >= sizeof(device->name))
		return false;
	strcpy(device->name, name);
	if (!read_line(rooted(CLASS "/%s/dev", name), number, sizeof(number)) ||
	    sscanf(number, "%u:%u", &device->major, &device->minor) != 2)
		return false;
	return read_line(rooted(CLASS "/%s/type", name), device->type,
			 sizeof(device->type));
}

static int by_number(const void *a, const void *b)
{
	const struct device *x = a, *y = b;

	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	return x->minor < y->minor ? -1 : x->minor > y->minor;
}

static void add(struct devices *all, const struct device *device)
{
	size_t bytes = (all->nr + 1) * sizeof(*device);

	all->device = realloc(all->device, bytes);
	if (!all->device)
		fail("out of memory");
	all->device[all->nr++] = *device;
}

/* Who is there, and nothing more of them; of all devices none may be plugged in. */
static void devices_meet(struct devices *all)
{
	struct device device;
	struct dirent *entry;
	DIR *dir;

	memset(all, 0, sizeof(*all));
	need_scull();
	dir = opendir(rooted(CLASS));
	if (!dir)
		fail("scull is loaded, but %s cannot be read (%s): is sysfs mounted?",
		     rooted(CLASS), strerror(errno));
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    identify(&device, entry->d_name))
			add(all, &device);
	closedir(dir);
	if (!all->nr && access(rooted(CLASS "/unplug"), F_OK))
		fail("%s says nothing about any device: is that another scull than this one?",
		     rooted(CLASS));
	if (all->nr)
		qsort(all->device, all->nr, sizeof(device), by_number);
}

void devices_read(struct devices *all)
{
	size_t i;

	devices_meet(all);
	for (i = 0; i < all->nr; i++)
		read_fields(&all->device[i]);
}

void devices_free(struct devices *all)
{
	free(all->device);
	memset(all, 0, sizeof(*all));
}

/* Do these two differ in a number at the end alone, which goes up by one? */
static bool follows(const char *name, const char *last)
{
	size_t stem = strcspn(last, "0123456789");

	return last[stem] && name[stem] && !strncmp(name, last, stem) &&
	       atoi(name + stem) == atoi(last + stem) + 1;
}

/* "scull0 to scull3, scullsingle": numbers that follow each other as a range. */
static const char *names(const struct devices *all)
{
	static char text[2048];
	size_t i, first, len = 0;

	strcpy(text, "none");
	for (i = 0; i < all->nr && len < sizeof(text); i++) {
		first = i;
		while (i + 1 < all->nr && follows(all->device[i + 1].name,
						  all->device[i].name))
			i++;
		len += snprintf(text + len, sizeof(text) - len, "%s%s",
				first ? ", " : "", all->device[first].name);
		if (i > first && len < sizeof(text))
			len += snprintf(text + len, sizeof(text) - len,
					" to %s", all->device[i].name);
	}
	return text;
}

bool unplugged(const char *name)
{
	FILE *file = fopen(rooted(CLASS "/unplug"), "re");
	char line[64];
	bool yes = false;

	if (!file)
		return false;
	while (!yes && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		yes = !strcmp(line, name);
	}
	fclose(file);
	return yes;
}

/* Ends the program if that is why a device is not found. */
static void not_unplugged(const char *name)
{
	if (unplugged(name))
		fail("%s is unplugged: scullctl plug %s brings it back", name,
		     name);
}

static struct device *find_node(const struct devices *all, const char *path)
{
	struct stat st;
	int error;
	size_t i;

	if (stat(path, &st)) {
		error = errno;
		not_unplugged(strrchr(path, '/') + 1);
		fail("%s: %s; there are: %s", path, strerror(error),
		     names(all));
	}
	for (i = 0; i < all->nr && S_ISCHR(st.st_mode); i++)
		if (all->device[i].major == major(st.st_rdev) &&
		    all->device[i].minor == minor(st.st_rdev))
			return &all->device[i];
	fail("%s is no device of scull; there are: %s", path, names(all));
}

struct device *device_find(const struct devices *all, const char *called)
{
	size_t i;

	if (strchr(called, '/'))
		return find_node(all, called);
	for (i = 0; i < all->nr; i++)
		if (!strcmp(all->device[i].name, called))
			return &all->device[i];
	not_unplugged(called);
	fail("no device %s: there are %s", called, names(all));
}

struct device device_read(const char *called)
{
	struct devices all;
	struct device device;

	devices_read(&all);
	device = *device_find(&all, called);
	devices_free(&all);
	return device;
}

const char *device_name(const char *called)
{
	static struct device device;
	struct devices all;

	devices_meet(&all);
	device = *device_find(&all, called);
	devices_free(&all);
	return device.name;
}

bool is_pipe(const struct device *device)
{
	return !strcmp(device->type, "pipe");
}
