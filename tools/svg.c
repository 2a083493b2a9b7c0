// SPDX-License-Identifier: GPL-2.0
/*
 * scullctl map --svg: the same map as a picture.
 */
#include "scullctl.h"

#define CELL 12		/* a cell's side, with the gap to the next */
#define GAP 1
#define COLUMNS 64
#define LINES 32
#define LEFT 150	/* room for the places of lines */
#define HEAD 44		/* for the words above a map */
#define FOOT 34		/* and below */
#define WIDTH (LEFT + COLUMNS * CELL + 20)

/* From a hole over three degrees of partly to whole. */
static const char *const colours[] = {
	"#e4e4e0", "#f6d9a8", "#efb45e", "#d98a1c", "#1d7a4c"
};

#define WHOLE (ARRAY_SIZE(colours) - 1)

static unsigned int lines_of(const struct grid *grid)
{
	return (grid->cells + grid->columns - 1) / grid->columns;
}

static unsigned int height_of(const struct grid *grid)
{
	return HEAD + lines_of(grid) * CELL + FOOT;
}

static void text(int x, int y, const char *how)
{
	printf("<text x=\"%d\" y=\"%d\" %s>", x, y, how);
}

static void cell(const struct grid *grid, unsigned int number, int top)
{
	unsigned long long first = number * grid->each;

	printf("<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"><title>quantum %llu",
	       LEFT + number % grid->columns * CELL,
	       top + HEAD + number / grid->columns * CELL, CELL - GAP,
	       CELL - GAP, colours[grid_level(grid, number, WHOLE)], first);
	if (grid->each > 1)
		printf(" and on: %llu of %llu allocated", grid->held[number],
		       grid->each);
	printf("</title></rect>\n");
}

static void places(const struct grid *grid, const struct store *store, int top)
{
	unsigned int line;

	for (line = 0; line < lines_of(grid); line++) {
		text(LEFT - 8, top + HEAD + line * CELL + CELL - 3,
		     "text-anchor=\"end\" fill=\"#606060\" font-size=\"10\"");
		printf("%llu</text>\n", line * grid->columns * grid->each *
					store->quantum);
	}
}

static void sample(int x, int y, unsigned int level, const char *meaning)
{
	printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>\n",
	       x, y - CELL + 2, CELL - GAP, CELL - GAP, colours[level]);
	if (!meaning)
		return;
	text(x + CELL + 4, y, "font-size=\"11\"");
	printf("%s</text>\n", meaning);
}

static void legend(const struct grid *grid, const struct store *store, int y)
{
	sample(LEFT, y, WHOLE, "allocated");
	sample(LEFT + 90, y, 0, "hole");
	if (grid->each > 1) {
		sample(LEFT + 150, y, 1, NULL);
		sample(LEFT + 150 + CELL, y, 2, NULL);
		sample(LEFT + 150 + 2 * CELL, y, 3, "partly");
	}
	text(LEFT + 250, y, "font-size=\"11\"");
	printf("each square: %llu quant%s, %llu bytes</text>\n", grid->each,
	       grid->each == 1 ? "um" : "a", grid->each * store->quantum);
}

static void panel(const struct device *device, const struct store *store,
		  const struct grid *grid, int top)
{
	unsigned int i;

	text(LEFT, top + 18, "font-size=\"14\" font-weight=\"bold\"");
	printf("%s", device->name);
	if (store->id)
		printf(" %lu", store->id);
	printf("</text>\n");
	text(LEFT, top + 35, "font-size=\"11\" fill=\"#404040\"");
	printf("%llu bytes, quantum %llu, qset %llu: %llu of %llu quanta allocated, runs: %zu</text>\n",
	       store->size, store->quantum, store->qset, store_held(store),
	       grid->places, store->nr);
	places(grid, store, top);
	for (i = 0; i < grid->cells; i++)
		cell(grid, i, top);
	legend(grid, store, top + HEAD + lines_of(grid) * CELL + 18);
}

void svg_print(const struct device *device, const struct stores *all)
{
	unsigned int height = 0, top = 0;
	struct grid grid;
	size_t i;

	for (i = 0; i < all->nr; i++) {
		grid_make(&grid, &all->store[i], COLUMNS, LINES);
		height += height_of(&grid);
		grid_free(&grid);
	}
	printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	       "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" font-family=\"sans-serif\">\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
	       WIDTH, height);
	for (i = 0; i < all->nr; i++) {
		grid_make(&grid, &all->store[i], COLUMNS, LINES);
		panel(device, &all->store[i], &grid, top);
		top += height_of(&grid);
		grid_free(&grid);
	}
	printf("</svg>\n");
}
