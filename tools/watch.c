// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl watch: what goes on, by how much the counters have changed between
 * two looks.
 */
#include "scullctl.h"

#include <string.h>
#include <time.h>

/* What is shown, in this order. */
static const struct {
	const char *head;
	enum counter counter;
} shown[] = {
	{ "READS", READS },
	{ "READ_B", READ_BYTES },
	{ "WRITES", WRITES },
	{ "WRITE_B", WRITE_BYTES },
	{ "SHORT", SHORT_READS },
	{ "EAGAIN", AGAIN },
	{ "SLEEPS", SLEEPS },
	{ "WAKEUPS", WAKEUPS },
	{ "REFUSED", REFUSED },
	{ "TRIMS", TRIMS },
};

/**
 * struct look - the devices at a time
 * @devices: all of them
 * @at: seconds of the monotonic clock
 */
struct look {
	struct devices devices;
	double at;
};

static void look_take(struct look *look)
{
	struct timespec now;

	devices_read(&look->devices);
	clock_gettime(CLOCK_MONOTONIC, &now);
	look->at = now.tv_sec + now.tv_nsec / 1e9;
}

/* From a beginning, so that what the looks take does not add up. */
static void wait_until(double at)
{
	struct timespec until = { .tv_sec = at };

	until.tv_nsec = (at - until.tv_sec) * 1e9;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		;
}

static const struct device *same_device(const struct devices *all,
					const char *name)
{
	size_t i;

	for (i = 0; i < all->nr; i++)
		if (!strcmp(all->device[i].name, name))
			return &all->device[i];
	return NULL;
}

/* Counters begin at 0 with the module, which may have been loaded anew. */
static double rate(const struct look *old, const struct look *new,
		   const struct device *device, enum counter counter)
{
	const struct device *was = same_device(&old->devices, device->name);
	unsigned long long now = device->counter[counter];
	unsigned long long before = was ? was->counter[counter] : 0;

	return (now >= before ? now - before : now) / (new->at - old->at);
}

/* Three digits at least, and no more than are of use. */
static void rate_cell(struct table *table, size_t column, double rate)
{
	static const char units[] = " kMGT";
	size_t unit = 0;

	while (rate >= 9999.5 && unit + 1 < sizeof(units) - 1) {
		rate /= 1000;
		unit++;
	}
	if (!unit)
		table_cell(table, column, "%.*f",
			   rate > 0 && rate < 99.95, rate);
	else
		table_cell(table, column, "%.*f%c", rate < 99.95, rate,
			   units[unit]);
}

/* Is it among those that are asked for, all if none is? */
static bool wanted(char **names, const struct devices *all,
		   const struct device *device)
{
	char **name;

	for (name = names; *name; name++)
		if (device_find(all, *name) == device)
			return true;
	return !*names;
}

static void add_line(struct table *table, const struct look *old,
		     const struct look *new, const struct device *device)
{
	size_t i;

	table_line(table);
	table_cell(table, 0, "%s", device->name);
	table_cell(table, 1, "%llu", device->field[OPENS]);
	for (i = 0; i < ARRAY_SIZE(shown); i++)
		if (device->counts[shown[i].counter])
			rate_cell(table, i + 2,
				  rate(old, new, device, shown[i].counter) +
				  (shown[i].counter == SHORT_READS ?
				   rate(old, new, device, SHORT_WRITES) : 0));
}

static void rates_table(const struct look *old, const struct look *new,
			char **names)
{
	const char *heads[ARRAY_SIZE(shown) + 3] = { "DEVICE", "OPENS" };
	struct terminal terminal = terminal_get();
	const struct devices *all = &new->devices;
	struct table table;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shown); i++)
		heads[i + 2] = shown[i].head;
	table_begin(&table, 1, heads);
	for (i = 0; i < all->nr; i++)
		if (wanted(names, all, &all->device[i]))
			add_line(&table, old, new, &all->device[i]);
	/* From the upper left corner, and nothing of before is left below. */
	if (terminal.there)
		printf("\033[H\033[Jwhat scull does a second, by the last %.1f s; Ctrl-C ends this\n",
		       new->at - old->at);
	table_print(&table, &terminal);
	table_end(&table);
}

static void rates_json(const struct look *old, const struct look *new,
		       char **names)
{
	const struct devices *all = &new->devices;
	size_t i, j;

	json_open(NULL, '[');
	for (i = 0; i < all->nr; i++) {
		if (!wanted(names, all, &all->device[i]))
			continue;
		json_open(NULL, '{');
		json_text("name", all->device[i].name);
		json_number("opens", all->device[i].field[OPENS]);
		for (j = 0; j < NR_COUNTERS; j++)
			if (all->device[i].counts[j])
				json_rate(counter_names[j],
					  rate(old, new, &all->device[i], j));
		json_close('}');
	}
	json_close(']');
	putchar('\n');
}

void watch_command(char **argv)
{
	struct look old, new;
	unsigned long round;
	double begin;

	look_take(&old);
	begin = old.at;
	wanted(argv + 1, &old.devices, NULL);
	for (round = 1; !options.count || round <= options.count; round++) {
		wait_until(begin + round * options.interval);
		look_take(&new);
		if (options.json)
			rates_json(&old, &new, argv + 1);
		else
			rates_table(&old, &new, argv + 1);
		if (fflush(stdout))
			break;
		devices_free(&old.devices);
		old = new;
	}
	devices_free(&old.devices);
}
