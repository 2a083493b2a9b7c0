// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes at once, each on a CPU of its own while there are as many:
 * readers of one device, and writers each with a device of its own. What they
 * move together is held against what one moves alone, in the same rounds.
 */
#include "bench.h"

#define SPAN (16 * MiB)
#define MOST 4

static struct crew *crew;

/* What a subject of this family is: so many processes, on these files. */
struct team {
	char name[24];
	int size;
	int fds[MOST];
};

static const int sizes[] = { 1, 2, 4 };

static void work_alone(struct crew *c, int me)
{
	const struct team *team = c->subject->data;
	size_t block = c->work->arg >> 1, i;
	int fd = team->fds[me];
	off_t pos = SPAN / MOST * me;

	run_on(me);
	gate_pass(&c->gate, c->all);
	c->begin[me] = ticks();
	for (i = 0; i < c->n; i++) {
		if (c->work->arg & 1)
			put_at(fd, block, pos);
		else
			get_at(fd, block, pos);
		pos = (pos + block) % SPAN;
	}
	c->end[me] = ticks();
}

/*
 * From when the first began to when the last ended, for @n operations of each.
 * The figure is of an operation of the team, so what a larger team does in that
 * time counts for more.
 */
static uint64_t together(struct subject *s, const struct work *w, size_t n)
{
	const struct team *team = s->data;
	uint64_t begin = UINT64_MAX, end = 0;
	pid_t pids[MOST];
	int i;

	crew_init(crew, s, w, n, team->size);
	for (i = 0; i < team->size; i++)
		pids[i] = child(work_alone, crew, i);
	for (i = 0; i < team->size; i++) {
		reap(pids[i]);
		if (crew->begin[i] < begin)
			begin = crew->begin[i];
		if (crew->end[i] > end)
			end = crew->end[i];
	}
	return (end - begin) / team->size;
}

/* The teams of one kind of file; each is compared with its own team of one. */
static int add_teams(struct subject *all, int n, const struct subject *s,
		     struct team *teams, const int *fds, int ours)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(teams[i].name, sizeof(teams[i].name), "%s x%d",
			 s->name, sizes[i]);
		teams[i].size = sizes[i];
		memcpy(teams[i].fds, fds, sizeof(teams[i].fds));
		all[n + i] = *s;
		all[n + i].name = teams[i].name;
		all[n + i].data = &teams[i];
		all[n + i].of = n;
		all[n + i].ours = ours < 0 ? -1 : ours + (int)i;
	}
	return n + ARRAY_SIZE(sizes);
}

static void cases(struct subject *all, int n, const char *what, bool writing)
{
	static const size_t blocks[] = { 4 * KiB, 64 * KiB };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		struct work w = {
			.family = "parallel",
			.what = what,
			.size = size_name(blocks[i]),
			.bytes = blocks[i],
			.n = 64 * MiB / blocks[i],
			.ticks = together,
			.arg = blocks[i] << 1 | writing,
		};

		measure(&w, all, n);
	}
}

static void readers(void)
{
	struct subject subjects[MAX_SUBJECTS], all[MAX_SUBJECTS];
	struct team teams[MAX_SUBJECTS];
	int n = storage(subjects, true), i, j, fds[MOST], ours = -1, m = 0;

	/* The limit, ours, and tmpfs with small pages. */
	for (i = 0; i < n && m + 3 <= MAX_SUBJECTS; i++) {
		if (!strcmp(subjects[i].name, "tmpfs huge"))
			continue;
		fill(&subjects[i], SPAN);
		for (j = 0; j < MOST; j++)
			fds[j] = subjects[i].fd;
		j = m;
		m = add_teams(all, m, &subjects[i], &teams[m], fds,
			      strcmp(subjects[i].name, "scull0") ? ours : -1);
		if (!strcmp(subjects[i].name, "scull0"))
			ours = j;
	}
	cases(all, m, "readers of one", false);
	storage_done(subjects, n);
}

/* File @i of a kind, full. */
static int open_full(struct subject *s, int i, char *path, size_t len)
{
	if (s->kind == SCULL)
		snprintf(path, len, "/dev/scull%d", i);
	else
		snprintf(path, len, "%s/own%d", tmpfs(false), i);
	s->path = path;
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->fd < 0)
		err(1, "cannot open %s", path);
	fill(s, SPAN);
	return s->fd;
}

static void writers(void)
{
	struct subject kinds[2] = {
		{ .name = "scull", .kind = SCULL },
		{ .name = "tmpfs", .kind = TMPFS },
	};
	struct subject all[MAX_SUBJECTS];
	struct team teams[MAX_SUBJECTS];
	int fds[2][MOST] = {}, n = 0, i, j;
	char path[64];

	for (i = 0; i < 2; i++) {
		for (j = 0; j < MOST && !bench.dry; j++)
			fds[i][j] = open_full(&kinds[i], j, path, sizeof(path));
		n = add_teams(all, n, &kinds[i], &teams[n], fds[i], i ? 0 : -1);
	}
	cases(all, n, "writers of one each", true);
	for (i = 0; i < 2 && !bench.dry; i++) {
		for (j = 0; j < MOST; j++) {
			kinds[i].fd = open_full(&kinds[i], j, path, sizeof(path));
			empty(&kinds[i], 0);
			close(kinds[i].fd);
			close(fds[i][j]);
			if (kinds[i].kind == TMPFS)
				unlink(path);
		}
	}
}

void family_parallel(void)
{
	if (!crew)
		crew = shared(sizeof(*crew));
	readers();
	writers();
}
