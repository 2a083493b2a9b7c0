// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks one after the other, over 128 MiB of a bare device: written to where
 * nothing was, written over, read. Rounds with small blocks move less than all of
 * it, and each goes on where the one before ended, so that all of it is used.
 */
#include "bench.h"

#define SPAN (128 * MiB)

static void from_the_start(struct subject *s, const struct work *w, size_t n)
{
	empty(s, 0);
	lseek(s->fd, 0, SEEK_SET);
}

static void go_on(struct subject *s, const struct work *w, size_t n)
{
	/* Blocks begin where blocks of their size do. */
	s->pos = (s->pos + w->bytes - 1) / w->bytes * w->bytes;
	if (s->pos + n * w->bytes > SPAN)
		s->pos = 0;
	if (lseek(s->fd, s->pos, SEEK_SET) != s->pos)
		err(1, "lseek");
	s->pos += n * w->bytes;
}

/* Some devices end a call at the end of a quantum; that is their loss. */
static void do_write(struct subject *s, const struct work *w, size_t n)
{
	size_t left;
	ssize_t got;

	while (n--) {
		for (left = w->bytes; left; left -= got) {
			got = write(s->fd, buffer, left);
			if (got <= 0)
				err(1, "write to %s", s->path);
		}
	}
}

static void do_read(struct subject *s, const struct work *w, size_t n)
{
	size_t left;
	ssize_t got;

	while (n--) {
		for (left = w->bytes; left; left -= got) {
			got = read(s->fd, buffer, left);
			if (got <= 0)
				err(1, "read from %s gave %zd", s->path, got);
		}
	}
}

/*
 * With each size of block: bytes a round, and how many operations are counted:
 * few enough for the timer to leave most rounds alone.
 */
static const struct {
	size_t block;
	size_t bytes;
	size_t counted;
} blocks[] = {
	{ 64,		4 * MiB,	500 },
	{ 512,		24 * MiB,	500 },
	{ 4 * KiB,	64 * MiB,	250 },
	{ 64 * KiB,	128 * MiB,	32 },
	{ 1 * MiB,	128 * MiB,	4 },
};

static const struct {
	const char *what;
	void (*before)(struct subject *s, const struct work *w, size_t n);
	void (*run)(struct subject *s, const struct work *w, size_t n);
} kinds[] = {
	{ "first write",	from_the_start,	do_write },
	{ "overwrite",		go_on,		do_write },
	{ "read",		go_on,		do_read },
};

void family_bare(void)
{
	struct subject subjects[MAX_SUBJECTS];
	int n = storage(subjects, true), first, i;
	size_t kind, b;

	run_on(0);
	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		/* What is filled from the start: all but the limit. */
		first = kind == 0 && subjects[0].kind == LIMIT;
		if (first)
			for (i = 0; i < n; i++) {
				subjects[i].of = -1;
				subjects[i].ours--;
			}
		for (i = 0; kind == 1 && i < n; i++)
			fill(&subjects[i], SPAN);
		for (b = 0; b < ARRAY_SIZE(blocks); b++) {
			struct work w = {
				.family = "bare",
				.what = kinds[kind].what,
				.size = size_name(blocks[b].block),
				.bytes = blocks[b].block,
				.n = blocks[b].bytes / blocks[b].block,
				.counted = blocks[b].counted,
				.before = kinds[kind].before,
				.run = kinds[kind].run,
			};

			measure(&w, subjects + first, n - first);
		}
		if (first)
			for (i = 0; i < n; i++) {
				subjects[i].of = 0;
				subjects[i].ours++;
			}
	}
	storage_done(subjects, n);
}
