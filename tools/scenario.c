// SPDX-License-Identifier: GPL-2.0
/*
 * Scenarios: files that say what is to go wrong with a device. A line is a rule, as
 * the driver takes it, or one of "limit BYTES", "hold" and "unplug"; # begins a
 * comment, and the first of a file says in a line what it is.
 */
#include "scullctl.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SCENARIOS
#define SCENARIOS "/usr/local/share/scull/scenarios"
#endif

#define SUFFIX ".faults"

static char *copy(const char *text, size_t len)
{
	char *copied = strndup(text, len);

	if (!copied)
		fail("out of memory");
	return copied;
}

static void add_rule(struct scenario *scenario, const char *rule, size_t len,
		     const char *where)
{
	struct said *said = realloc(scenario->said,
				    (scenario->nr + 1) * sizeof(*said));

	if (!said)
		fail("out of memory");
	scenario->said = said;
	said[scenario->nr].rule = copy(rule, len);
	said[scenario->nr].where = copy(where, strlen(where));
	scenario->nr++;
}

void limit_check(const char *limit, const char *where)
{
	char *end;

	errno = 0;
	strtoll(limit, &end, 10);
	if (strcmp(limit, "none") &&
	    (!isdigit((unsigned char)*limit) || *end || errno))
		misuse("%slimit %s: a number of bytes, or none", where, limit);
}

/* Is this the word at the beginning of a line? Then what follows it, else NULL. */
static const char *after(const char *line, size_t len, const char *word)
{
	size_t first = strcspn(line, " \t");

	if (first > len)
		first = len;
	if (first != strlen(word) || strncmp(line, word, first))
		return NULL;
	return line + first + strspn(line + first, " \t");
}

void scenario_line(struct scenario *scenario, const char *line,
		   const char *where)
{
	const char *rest;
	size_t len;

	line += strspn(line, " \t");
	len = strcspn(line, "#\r\n");
	while (len && strchr(" \t", line[len - 1]))
		len--;
	if (!len)
		return;
	rest = after(line, len, "limit");
	if (rest) {
		free(scenario->limit);
		scenario->limit = copy(rest, rest < line + len ?
				       line + len - rest : 0);
		limit_check(scenario->limit, where);
	} else if (len == 4 && after(line, len, "hold")) {
		scenario->hold = true;
	} else if (len == 6 && after(line, len, "unplug")) {
		scenario->unplug = true;
	} else {
		add_rule(scenario, line, len, where);
	}
}

void scenario_read(struct scenario *scenario, const char *path)
{
	bool input = !strcmp(path, "-");
	FILE *file = input ? stdin : fopen(path, "re");
	const char *name = strrchr(path, '/');
	char line[4096], where[300];
	unsigned int number = 0;

	if (!file)
		fail("%s cannot be read: %s", path, strerror(errno));
	name = input ? "standard input" : name ? name + 1 : path;
	while (fgets(line, sizeof(line), file)) {
		snprintf(where, sizeof(where), "%.256s:%u: ", name, ++number);
		if (strlen(line) == sizeof(line) - 1)
			fail("%sthat line is too long", where);
		scenario_line(scenario, line, where);
	}
	if (ferror(file))
		fail("%s cannot be read: %s", path, strerror(errno));
	if (!input)
		fclose(file);
}

void scenario_free(struct scenario *scenario)
{
	size_t i;

	for (i = 0; i < scenario->nr; i++) {
		free(scenario->said[i].rule);
		free(scenario->said[i].where);
	}
	free(scenario->said);
	free(scenario->limit);
	memset(scenario, 0, sizeof(*scenario));
}

/* --- those that are there --- */

/* Where they are looked for: the caller's own come before those of the system. */
static const char *directory(unsigned int nr)
{
	const char *own = getenv("SCULL_SCENARIOS");

	if (!own || !*own)
		nr++;
	return nr == 0 ? own : nr == 1 ? SCENARIOS : NULL;
}

static const char *path_of(unsigned int nr, const char *name)
{
	static char path[4096];

	if (!directory(nr))
		return NULL;
	snprintf(path, sizeof(path), "%s/%s" SUFFIX, directory(nr), name);
	return path;
}

/* The length of a name without the suffix; 0 if it has none. */
static size_t stem(const char *name)
{
	size_t len = strlen(name), suffix = strlen(SUFFIX);

	if (len <= suffix || strcmp(name + len - suffix, SUFFIX))
		return 0;
	return len - suffix;
}

/* What the first comment says that is not about the licence. */
static void summary(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t skip;

	while (file && fgets(line, size, file)) {
		skip = strspn(line, "# \t\n");
		if (*line != '#' || !line[skip] ||
		    strstr(line, "SPDX-License-Identifier"))
			continue;
		memmove(line, line + skip, strlen(line + skip) + 1);
		line[strcspn(line, "\n")] = '\0';
		fclose(file);
		return;
	}
	if (file)
		fclose(file);
	*line = '\0';
}

/**
 * struct found - a scenario that there is
 * @name: it
 * @path: of its file
 */
struct found {
	char *name;
	char *path;
};

static int by_name(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool has(const struct found *all, size_t nr, const char *name)
{
	while (nr--)
		if (!strcmp(all[nr].name, name))
			return true;
	return false;
}

/* Those of a directory that are not known by another one already. */
static size_t look_into(unsigned int where, struct found **all, size_t nr)
{
	struct dirent *entry;
	DIR *dir = opendir(directory(where));
	char *name;

	while (dir && (entry = readdir(dir))) {
		if (!stem(entry->d_name))
			continue;
		name = copy(entry->d_name, stem(entry->d_name));
		if (has(*all, nr, name)) {
			free(name);
			continue;
		}
		*all = realloc(*all, (nr + 1) * sizeof(**all));
		if (!*all)
			fail("out of memory");
		(*all)[nr].name = name;
		(*all)[nr].path = copy(path_of(where, name),
				       strlen(path_of(where, name)));
		nr++;
	}
	if (dir)
		closedir(dir);
	return nr;
}

static size_t look(struct found **all)
{
	unsigned int where;
	size_t nr = 0;

	*all = NULL;
	for (where = 0; directory(where); where++)
		nr = look_into(where, all, nr);
	if (nr)
		qsort(*all, nr, sizeof(**all), by_name);
	return nr;
}

static void forget(struct found *all, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		free(all[i].name);
		free(all[i].path);
	}
	free(all);
}

static void __attribute__((noreturn)) there_are_none(void)
{
	fail("there are no scenarios in %s: make install puts them there; or set SCULL_SCENARIOS to the directory they are in",
	     SCENARIOS);
}

static void __attribute__((noreturn)) not_there(const char *name)
{
	struct found *all;
	size_t i, nr = look(&all), len = 0;
	char text[2048] = "";

	if (!nr)
		there_are_none();
	for (i = 0; i < nr && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, " %s",
				all[i].name);
	fail("no scenario %s: there are%s; the path of a file has a /", name,
	     text);
}

void scenario_named(struct scenario *scenario, const char *called)
{
	const char *path;
	unsigned int where;

	if (!strcmp(called, "-") || strchr(called, '/') || stem(called)) {
		scenario_read(scenario, called);
		return;
	}
	for (where = 0; (path = path_of(where, called)); where++) {
		if (access(path, F_OK))
			continue;
		scenario_read(scenario, path);
		return;
	}
	not_there(called);
}

static void print_json(const struct found *all, size_t nr)
{
	char line[256];
	size_t i;

	json_open(NULL, '[');
	for (i = 0; i < nr; i++) {
		summary(all[i].path, line, sizeof(line));
		json_open(NULL, '{');
		json_text("name", all[i].name);
		json_text("summary", line);
		json_text("file", all[i].path);
		json_close('}');
	}
	json_close(']');
	putchar('\n');
}

static void print_lines(const struct found *all, size_t nr)
{
	int width = 0;
	char line[256];
	size_t i;

	for (i = 0; i < nr; i++)
		if ((int)strlen(all[i].name) > width)
			width = strlen(all[i].name);
	for (i = 0; i < nr; i++) {
		summary(all[i].path, line, sizeof(line));
		printf("%-*s  %s\n", width, all[i].name, line);
	}
}

void scenarios_print(void)
{
	struct found *all;
	size_t nr = look(&all);

	if (options.json)
		print_json(all, nr);
	else if (nr)
		print_lines(all, nr);
	else
		there_are_none();
	forget(all, nr);
}
