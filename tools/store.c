// SPDX-License-Identifier: GPL-2.0
/*
 * What a device holds: its map in debugfs, read and scaled to be drawn. The file
 * has a line "store ID size N quantum N qset N" for each store, and after it a
 * line "FIRST COUNT" for each run of allocated quanta.
 */
#include "scullctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEBUGFS "/sys/kernel/debug"

static void *grow(void *list, size_t nr, size_t size)
{
	/* Doubled whenever it is full, that is, at powers of two. */
	if (nr & (nr - 1))
		return list;
	list = realloc(list, (nr ? 2 * nr : 1) * size);
	if (!list)
		fail("out of memory");
	return list;
}

static void add_store(struct stores *all, const struct store *store)
{
	all->store = grow(all->store, all->nr, sizeof(*store));
	all->store[all->nr++] = *store;
}

/* The kernel may have cut a run in two where it had to let go of the device. */
static void add_run(struct store *store, const struct run *run)
{
	struct run *last = store->nr ? &store->run[store->nr - 1] : NULL;

	if (last && last->first + last->count == run->first) {
		last->count += run->count;
		return;
	}
	store->run = grow(store->run, store->nr, sizeof(*run));
	store->run[store->nr++] = *run;
}

static void parse(struct stores *all, const char *line, const char *path)
{
	struct store store = { 0 };
	struct run run;

	if (sscanf(line, "store %lu size %llu quantum %llu qset %llu",
		   &store.id, &store.size, &store.quantum, &store.qset) == 4 &&
	    store.quantum)
		add_store(all, &store);
	else if (all->nr &&
		 sscanf(line, "%llu %llu", &run.first, &run.count) == 2)
		add_run(&all->store[all->nr - 1], &run);
	else
		fail("%s has a line that this scullctl does not know: %s", path,
		     line);
}

static void cannot_read(const char *path)
{
	int error = errno;

	if (error == EACCES || error == EPERM)
		fail("map reads debugfs, which only root may: run it as root");
	if (error == ENOENT && access(rooted(DEBUGFS "/scull"), F_OK))
		fail("there is no %s: mount debugfs (mount -t debugfs debugfs %s), if the kernel has it (CONFIG_DEBUG_FS)",
		     rooted(DEBUGFS "/scull"), rooted(DEBUGFS));
	fail("%s cannot be read: %s", path, strerror(error));
}

void stores_read(struct stores *all, const struct device *device)
{
	const char *path = rooted(DEBUGFS "/scull/%s", device->name);
	FILE *file = fopen(path, "re");
	char line[160];

	memset(all, 0, sizeof(*all));
	if (!file)
		cannot_read(path);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		parse(all, line, path);
	}
	if (ferror(file))
		cannot_read(path);
	fclose(file);
}

void stores_free(struct stores *all)
{
	size_t i;

	for (i = 0; i < all->nr; i++)
		free(all->store[i].run);
	free(all->store);
}

unsigned long long store_places(const struct store *store)
{
	const struct run *last = store->nr ? &store->run[store->nr - 1] : NULL;
	unsigned long long places = store->size / store->quantum;

	if (store->size % store->quantum)
		places++;
	/* The size is older than the runs that the kernel found after it. */
	if (last && last->first + last->count > places)
		places = last->first + last->count;
	return places;
}

unsigned long long store_held(const struct store *store)
{
	unsigned long long held = 0;
	size_t i;

	for (i = 0; i < store->nr; i++)
		held += store->run[i].count;
	return held;
}

/* 1, 2, 5, 10, 20, 50, ...: so that the places of lines are easy to read. */
static unsigned long long scale(unsigned long long places,
				unsigned long long cells)
{
	static const unsigned int steps[] = { 1, 2, 5 };
	unsigned long long each = 1, ten = 1;
	size_t i;

	for (i = 0; each < (places - 1) / cells + 1; i++) {
		if (i && i % ARRAY_SIZE(steps) == 0)
			ten *= 10;
		each = ten * steps[i % ARRAY_SIZE(steps)];
	}
	return each;
}

/* A run begins in one cell and ends in this or a later one. */
static void grid_add(struct grid *grid, const struct run *run)
{
	unsigned long long place = run->first, left = run->count, some;

	while (left) {
		some = grid->each - place % grid->each;
		some = some < left ? some : left;
		grid->held[place / grid->each] += some;
		place += some;
		left -= some;
	}
}

void grid_make(struct grid *grid, const struct store *store,
	       unsigned int columns, unsigned int lines)
{
	size_t i;

	memset(grid, 0, sizeof(*grid));
	grid->columns = columns;
	grid->each = 1;
	grid->places = store_places(store);
	if (!grid->places)
		return;
	grid->each = scale(grid->places, columns * lines);
	grid->cells = (grid->places - 1) / grid->each + 1;
	grid->held = calloc(grid->cells, sizeof(*grid->held));
	if (!grid->held)
		fail("out of memory");
	for (i = 0; i < store->nr; i++)
		grid_add(grid, &store->run[i]);
}

void grid_free(struct grid *grid)
{
	free(grid->held);
}

unsigned int grid_level(const struct grid *grid, unsigned int cell,
			unsigned int steps)
{
	unsigned long long held = grid->held[cell], all = grid->each;

	if (cell == grid->cells - 1)
		all = grid->places - cell * grid->each;
	if (held == 0 || held >= all)
		return held ? steps : 0;
	return 1 + (unsigned int)((double)held / all * (steps - 1));
}
