// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl map: which quanta of a device are allocated.
 */
#include "scullctl.h"

#include <string.h>

/* Lines of a map that is not for a terminal. */
#define LINES 16

/* From a hole over three degrees of partly to whole. */
#define WHOLE 4

static const char *const plain[] = {
	".", "-", "+", "*", "#"
};

static const char *const blocks[] = {
	"\u00b7", "\u2591", "\u2592", "\u2593", "\u2588"
};

#define GREY "\033[90m"
#define YELLOW "\033[33m"
#define GREEN "\033[32m"
#define COLOUR_END "\033[0m"

static void summary(const struct device *device, const struct store *store,
		    bool only)
{
	unsigned long long held = store_held(store);

	printf("%s", device->name);
	if (!only)
		printf(" %lu", store->id);
	printf(": %llu bytes, quantum %llu, qset %llu: %llu of %llu quanta allocated, in %zu run%s\n",
	       store->size, store->quantum, store->qset, held,
	       store_places(store), store->nr, store->nr == 1 ? "" : "s");
}

static const char *colour(unsigned int level)
{
	return level == WHOLE ? GREEN : level ? YELLOW : GREY;
}

static void draw_line(const struct terminal *terminal, const struct grid *grid,
		      unsigned int cell)
{
	const char *const *marks = terminal->blocks ? blocks : plain;
	unsigned int end = cell + grid->columns, level;
	const char *now, *before = "";

	for (; cell < end && cell < grid->cells; cell++) {
		level = grid_level(grid, cell, WHOLE);
		now = colour(level);
		if (terminal->colour && strcmp(now, before))
			printf("%s", now);
		before = now;
		printf("%s", marks[level]);
	}
	printf("%s\n", terminal->colour ? COLOUR_END : "");
}

static void legend(const struct terminal *terminal, const struct grid *grid,
		   const struct store *store)
{
	const char *const *marks = terminal->blocks ? blocks : plain;

	printf("%s hole  ", marks[0]);
	if (grid->each > 1)
		printf("%s%s%s partly  ", marks[1], marks[2], marks[3]);
	printf("%s allocated; each is %llu quant%s, %llu bytes\n", marks[WHOLE],
	       grid->each, grid->each == 1 ? "um" : "a",
	       grid->each * store->quantum);
}

/* The place of each line's first byte stands before it. */
static void draw(const struct terminal *terminal, const struct store *store)
{
	unsigned int label, columns, lines, cell;
	struct grid grid;
	char size[32];

	label = snprintf(size, sizeof(size), "%llu", store->size);
	columns = terminal->columns > label + 11 ?
		  terminal->columns - label - 1 : 10;
	columns -= columns % 10;
	lines = terminal->there && terminal->lines > 8 ?
		terminal->lines - 4 : LINES;
	grid_make(&grid, store, columns, lines);
	for (cell = 0; cell < grid.cells; cell += grid.columns) {
		printf("%*llu ", label, cell * grid.each * store->quantum);
		draw_line(terminal, &grid, cell);
	}
	if (grid.cells)
		legend(terminal, &grid, store);
	grid_free(&grid);
}

static void map_text(const struct device *device, const struct stores *all)
{
	struct terminal terminal = terminal_get();
	size_t i;

	for (i = 0; i < all->nr; i++) {
		summary(device, &all->store[i], all->nr == 1);
		draw(&terminal, &all->store[i]);
	}
	if (!all->nr)
		printf("%s: no session has one now\n", device->name);
}

static void store_json(const struct store *store)
{
	size_t i;

	json_open(NULL, '{');
	json_number("id", store->id);
	json_number("size", store->size);
	json_number("quantum", store->quantum);
	json_number("qset", store->qset);
	json_open("runs", '[');
	for (i = 0; i < store->nr; i++) {
		json_open(NULL, '[');
		json_number(NULL, store->run[i].first);
		json_number(NULL, store->run[i].count);
		json_close(']');
	}
	json_close(']');
	json_close('}');
}

static void map_json(const struct device *device, const struct stores *all)
{
	size_t i;

	json_open(NULL, '{');
	json_text("name", device->name);
	json_open("stores", '[');
	for (i = 0; i < all->nr; i++)
		store_json(&all->store[i]);
	json_close(']');
	json_close('}');
	putchar('\n');
}

void map_command(char **argv)
{
	struct device device = device_read(argv[1]);
	struct stores all;

	if (is_pipe(&device))
		fail("%s is a pipe: it has a buffer and no quanta; scullctl show %s tells how full it is",
		     device.name, device.name);
	stores_read(&all, &device);
	if (options.json)
		map_json(&device, &all);
	else if (options.svg)
		svg_print(&device, &all);
	else
		map_text(&device, &all);
	stores_free(&all);
}
