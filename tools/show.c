// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl list and show: what there is.
 */
#include "scullctl.h"

#include <pwd.h>
#include <string.h>

/* A user by name, where the system has one for him. */
static const char *user(unsigned long long uid)
{
	static char text[32];
	const struct passwd *known;

	known = getpwuid(uid);
	if (known)
		snprintf(text, sizeof(text), "%s", known->pw_name);
	else
		snprintf(text, sizeof(text), "%llu", uid);
	return text;
}

static void cell(struct table *table, size_t column,
		 const struct device *device, enum field field)
{
	if (device->has[field])
		table_cell(table, column, "%llu", device->field[field]);
}

static void list_line(struct table *table, const struct device *device)
{
	table_line(table);
	table_cell(table, 0, "%s", device->name);
	table_cell(table, 1, "%s", device->type);
	cell(table, 2, device, is_pipe(device) ? USED : SIZE);
	cell(table, 3, device, QUANTA);
	cell(table, 4, device, CAPACITY);
	cell(table, 5, device, OPENS);
	cell(table, 6, device, READERS);
	cell(table, 7, device, WRITERS);
	if (device->has[OWNER] && device->field[OWNER] != NOBODY)
		table_cell(table, 8, "%s", user(device->field[OWNER]));
	cell(table, 9, device, WAITERS);
}

static void list_table(const struct devices *all)
{
	static const char *const heads[] = {
		"DEVICE", "TYPE", "SIZE", "QUANTA", "CAPACITY", "OPENS", "RD",
		"WR", "OWNER", "WAITERS", NULL
	};
	struct table table;
	size_t i;

	table_begin(&table, 2, heads);
	for (i = 0; i < all->nr; i++)
		list_line(&table, &all->device[i]);
	table_print(&table, NULL);
	table_end(&table);
}

static void list_json(const struct devices *all)
{
	size_t i;

	json_open(NULL, '[');
	for (i = 0; i < all->nr; i++) {
		json_open(NULL, '{');
		json_fields(&all->device[i]);
		json_close('}');
	}
	json_close(']');
	putchar('\n');
}

void list_command(char **argv)
{
	struct devices all;

	devices_read(&all);
	if (options.json)
		list_json(&all);
	else
		list_table(&all);
	devices_free(&all);
}

/* --- one device --- */

static const struct {
	const char *type;
	const char *text;
} kinds[] = {
	{ "bare", "memory that all who open it share" },
	{ "pipe", "a first-in first-out queue of bytes" },
	{ "single", "memory, for one open at a time" },
	{ "uid", "memory, for one user at a time" },
	{ "wuid", "memory, for one user at a time; others wait" },
	{ "priv", "memory, apart for each session on a terminal" },
};

static const char *kind(const char *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(type, kinds[i].type))
			return kinds[i].text;
	return "a kind that this scullctl does not know";
}

static const char *const meanings[NR_FIELDS] = {
	[OPENS] = "open files",
	[SIZE] = "bytes",
	[QUANTUM] = "bytes in a quantum",
	[QSET] = "quanta in a set",
	[QUANTA] = "quanta allocated",
	[DEVICES] = "private devices, of which the figures are sums",
	[CAPACITY] = "bytes fit in",
	[USED] = "bytes are in it",
	[READERS] = "open files that may read",
	[WRITERS] = "open files that may write",
	[WAITERS] = "opens that wait",
};

static const char *const counted[NR_COUNTERS] = {
	[READS] = "calls that gave no error",
	[WRITES] = "calls that gave no error",
	[READ_BYTES] = "bytes that came out",
	[WRITE_BYTES] = "bytes that went in",
	[SHORT_READS] = "reads that gave less than was asked for",
	[SHORT_WRITES] = "writes that took less than was given",
	[AGAIN] = "calls that were not to wait, and gave EAGAIN",
	[SLEEPS] = "calls that went to sleep",
	[WAKEUPS] = "sleeping calls that were woken",
	[REFUSED] = "opens that failed",
	[TRIMS] = "times that it was emptied",
};

static void show_line(const char *name, unsigned long long number,
		      const char *meaning)
{
	printf("%-12s %12llu  %s\n", name, number, meaning);
}

static void show_owner(unsigned long long uid)
{
	if (uid == NOBODY)
		printf("%-12s %12s  it is free\n", "owner", "-");
	else
		printf("%-12s %12llu  %s\n", "owner", uid, user(uid));
}

static void show_text(const struct device *device)
{
	char number[32];
	int i;

	snprintf(number, sizeof(number), "%u:%u", device->major, device->minor);
	printf("%s\n%-12s %12s  %s\n%-12s %12s  major and minor number\n",
	       device->name, "type", device->type, kind(device->type), "dev",
	       number);
	for (i = 0; i < NR_FIELDS; i++) {
		if (i == OWNER && device->has[i])
			show_owner(device->field[i]);
		else if (device->has[i])
			show_line(field_names[i], device->field[i],
				  meanings[i]);
	}
	printf("since scull was loaded:\n");
	for (i = 0; i < NR_COUNTERS; i++)
		if (device->counts[i])
			show_line(counter_names[i], device->counter[i],
				  counted[i]);
}

static void show_json(const struct device *device)
{
	int i;

	json_open(NULL, '{');
	json_fields(device);
	json_open("stats", '{');
	for (i = 0; i < NR_COUNTERS; i++)
		if (device->counts[i])
			json_number(counter_names[i], device->counter[i]);
	json_close('}');
	json_close('}');
	putchar('\n');
}

void show_command(char **argv)
{
	struct device device = device_read(argv[1]);

	if (options.json)
		show_json(&device);
	else
		show_text(&device);
}
