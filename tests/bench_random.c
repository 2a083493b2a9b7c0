// SPDX-License-Identifier: GPL-2.0
/*
 * Small reads and writes anywhere, in devices of several sizes that are full, and
 * in one of 1 TiB that is not: there they go to the few places that hold
 * something.
 */
#include "bench.h"

#define PLACES 1024

#define MOST 50000	/* operations in a round */

static size_t block;
static off_t *offsets;

/* Of the few in a device that is not full: far apart, and unlike in quanta. */
static off_t place(off_t size, uint64_t nth)
{
	return nth % PLACES * (size / PLACES) + nth % PLACES * 64;
}

/* Where a round goes, found out before it is measured. */
static void draw(off_t size, bool sparse)
{
	uint64_t seed = SEED, at;
	size_t i;

	for (i = 0; i < MOST; i++) {
		at = rnd(&seed);
		offsets[i] = sparse ? place(size, at) :
				      (off_t)(at % (size / block) * block);
	}
}

static void read_anywhere(struct subject *s, const struct work *w, size_t n)
{
	while (n--)
		get_at(s->fd, block, offsets[n]);
}

static void write_anywhere(struct subject *s, const struct work *w, size_t n)
{
	while (n--)
		put_at(s->fd, block, offsets[n]);
}

static const struct {
	const char *what;
	size_t block;
	void (*run)(struct subject *s, const struct work *w, size_t n);
} kinds[] = {
	{ "read 64 B",		64,		read_anywhere },
	{ "write 64 B",		64,		write_anywhere },
	{ "read 4 KiB",		4 * KiB,	read_anywhere },
	{ "write 4 KiB",	4 * KiB,	write_anywhere },
};

static bool any_wanted(const char *size)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (wanted("random", kinds[i].what, size))
			return true;
	return false;
}

static void scatter(struct subject *s, off_t size)
{
	int i;

	empty(s, 0);
	for (i = 0; i < PLACES; i++)
		put_at(s->fd, 4 * KiB, place(size, i));
}

static void one_size(struct subject *subjects, int n, off_t size, bool sparse)
{
	const char *name = size_name(size);
	size_t i;
	int j;

	if (!any_wanted(name))
		return;
	for (j = 0; j < n && !bench.dry; j++) {
		if (sparse)
			scatter(&subjects[j], size);
		else
			fill(&subjects[j], size);
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct work w = {
			.family = "random",
			.what = kinds[i].what,
			.size = name,
			.unit = 1,
			.n = MOST,
			.counted = 500,
			.run = kinds[i].run,
		};

		block = kinds[i].block;
		draw(size, sparse);
		measure(&w, subjects, n);
	}
}

void family_random(void)
{
	struct subject subjects[MAX_SUBJECTS];
	int n = storage(subjects, true);

	if (!offsets)
		offsets = calloc(MOST, sizeof(*offsets));
	if (!offsets)
		err(1, "calloc");
	run_on(0);
	one_size(subjects, n, 1 * MiB, false);
	one_size(subjects, n, 64 * MiB, false);
	one_size(subjects, n, 1 * GiB, false);
	storage_done(subjects, n);

	/* The limit knows no holes, and a huge page of tmpfs is none either. */
	n = storage(subjects, false);
	while (n > 2)
		if (!bench.dry)
			close(subjects[--n].fd);
		else
			n--;
	one_size(subjects, n, 1 * TiB, true);
	storage_done(subjects, n);
}
