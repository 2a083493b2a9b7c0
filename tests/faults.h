/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults of devices, and devices that come and go: asking for them, reading what
 * became of them, and putting everything back as it was.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include "attributes.h"

#include <dirent.h>

/* Ends the case, skipped, if the module knows no faults. */
static inline void faults_possible(void)
{
	if (access(SYSFS "/unplug", F_OK))
		skip("this module has no " SYSFS "/unplug");
}

/* Writes to @file of the faults of @device: 0, or -1 and errno. */
static inline int fault_put(const char *device, const char *file,
			    const char *text)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/faults/%s", device, file);
	return attribute_put(path, text);
}

/* All that is in @file below SYSFS, however many lines; overwritten by the next. */
static inline const char *lines_of(const char *file)
{
	static char text[8192];
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = attribute_open(file, O_RDONLY);
	expect(fd >= 0, SYSFS "/%s: %s", file, strerror(errno));
	while ((n = sys(read(fd, text + len, sizeof(text) - 1 - len))))
		len += n;
	close(fd);
	text[len] = '\0';
	return text;
}

/* The same of @file of the faults of @device. */
static inline const char *fault_text(const char *device, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/faults/%s", device, file);
	return lines_of(path);
}

#define expect_fault_text(device, file, want)				\
	do {								\
		const char *seen_ = fault_text(device, file);		\
									\
		expect(!strcmp(seen_, want),				\
		       "%s of %s is \"%s\", expected \"%s\"", file,	\
		       device, seen_, want);				\
	} while (0)

/* Replaces the rules of @device, which takes them. */
static inline void __attribute__((format(printf, 2, 3)))
set_rules(const char *device, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	expect(!fault_put(device, "rules", text),
	       "rules \"%s\" of %s: %s (%s)", text, device, strerror(errno),
	       fault_text(device, "error"));
}

static inline void clear_rules(const char *device)
{
	set_rules(device, "\n");
}

/* The rules of @device and their counts, as it shows them. */
#define expect_rules(device, want) expect_fault_text(device, "rules", want)

/* All devices are there, and none has a fault. */
static inline void heal(void)
{
	char names[8192], *name, *rest = names;
	struct dirent *entry;
	DIR *dir;

	if (access(SYSFS "/unplug", F_OK))
		return;
	snprintf(names, sizeof(names), "%s", lines_of("unplug"));
	while ((name = strsep(&rest, "\n")))
		if (*name)
			attribute_put("plug", name);
	dir = opendir(SYSFS);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		fault_put(entry->d_name, "hold", "0");
		fault_put(entry->d_name, "rules", "\n");
		fault_put(entry->d_name, "limit", "none");
	}
	if (dir)
		closedir(dir);
}

#endif
