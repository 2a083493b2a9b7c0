/* SPDX-License-Identifier: GPL-2.0 */
/* Reading and writing what scull shows in sysfs. */
#ifndef TESTS_ATTRIBUTES_H
#define TESTS_ATTRIBUTES_H

#include "harness.h"

#define SYSFS "/sys/class/scull"

/* Ends the case, skipped, if the module shows nothing there. */
static inline void attributes_possible(void)
{
	if (access(SYSFS "/quantum", F_OK))
		skip("this module has no " SYSFS "/quantum");
}

/* As open(), of @file below SYSFS. */
static inline int attribute_open(const char *file, int flags)
{
	char path[320];

	snprintf(path, sizeof(path), SYSFS "/%s", file);
	return open(path, flags);
}

/* The whole of @file below SYSFS, without its newline; its length or -1. */
static inline int attribute_text(const char *file, char *text, size_t room)
{
	int fd = attribute_open(file, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, room);
	close(fd);
	if (n < 0)
		return -1;
	expect(n > 1 && text[n - 1] == '\n' && !memchr(text, '\n', n - 1),
	       SYSFS "/%s: \"%.*s\" is not one line", file, (int)n, text);
	text[n - 1] = '\0';
	return n - 1;
}

/* The number in @file below SYSFS, which must be one. */
static inline unsigned long long attribute(const char *file)
{
	unsigned long long number;
	char text[4096], *end;

	expect(attribute_text(file, text, sizeof(text)) > 0,
	       SYSFS "/%s: %s", file, strerror(errno));
	number = strtoull(text, &end, 10);
	expect(*text >= '0' && *text <= '9' && !*end,
	       SYSFS "/%s: \"%s\" is no number", file, text);
	return number;
}

/* The same of a file of a device. */
static inline unsigned long long number_of(const char *device, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", device, file);
	return attribute(path);
}

#define expect_number(device, file, want)				\
	do {								\
		unsigned long long seen_ = number_of(device, file);	\
									\
		expect(seen_ == (unsigned long long)(want),		\
		       "%s/%s is %llu, expected %llu", device, file,	\
		       seen_, (unsigned long long)(want));		\
	} while (0)

/* Writes @text to @file below SYSFS: 0, or -1 and errno. */
static inline int attribute_put(const char *file, const char *text)
{
	int fd = attribute_open(file, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

#endif
