// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes that the kernel holds for a byte stored. A child in a control group of
 * its own stores it, and the kernel says what it has charged the group with: its
 * own memory and the pages of files. Little is stored in many devices, for what
 * is charged is told in pages. (What comes with a device when the module is loaded
 * is charged to nobody, and does not count.)
 */
#include "bench.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define GROUP "/sys/fs/cgroup/scull-bench"
#define MANY 256

static size_t *held;

/*
 * The kernel adds up what processors have seen only after so many pages came and
 * went, so some do that first.
 */
static void come_and_go(void)
{
	size_t len = 8 * MiB;
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED || munmap(mem, len))
		err(1, "mmap");
}

static size_t charged(void)
{
	unsigned long long value, sum = 0;
	char key[64];
	FILE *stat;

	come_and_go();
	stat = fopen(GROUP "/memory.stat", "r");
	if (!stat)
		err(1, GROUP "/memory.stat");
	while (fscanf(stat, "%63s %llu", key, &value) == 2)
		if (!strcmp(key, "kernel") || !strcmp(key, "file"))
			sum += value;
	fclose(stat);
	return sum;
}

static void path_of(const struct subject *s, int i, char *path, size_t len)
{
	if (s->kind == SCULL)
		snprintf(path, len, "/dev/scull%d", i);
	else
		snprintf(path, len, "%s-%d", s->path, i);
}

/* How many devices there are, or files there shall be, to store @size bytes in. */
static int how_many(const struct subject *s, size_t size)
{
	char path[64];
	int n;

	if (size >= GiB)
		return 1;
	for (n = 0; n < MANY; n++) {
		path_of(s, n, path, sizeof(path));
		if (s->kind == SCULL && access(path, F_OK))
			break;
	}
	return n;
}

/* Nothing left but what a new store, or a file, is in itself. */
static void make(const struct subject *s, int n, size_t size)
{
	size_t pos, len;
	char path[64];
	int i, fd;

	for (i = 0; i < n; i++) {
		path_of(s, i, path, sizeof(path));
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (fd < 0)
			err(1, "%s", path);
		for (pos = 0; pos < size; pos += len) {
			len = size - pos < MiB ? size - pos : MiB;
			put_at(fd, len, pos);
		}
		close(fd);
	}
}

static void clear(const struct subject *s, int n)
{
	char path[64];
	int i;

	make(s, n, 0);
	for (i = 0; i < n && s->kind == TMPFS; i++) {
		path_of(s, i, path, sizeof(path));
		unlink(path);
	}
}

static void join_group(const char *procs)
{
	int fd = open(procs, O_WRONLY);

	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "cannot write to %s", procs);
	close(fd);
}

/* In the group: what it is charged with for @n times @size bytes. */
static void charge(const struct subject *s, int n, size_t size)
{
	size_t before;

	/* Once for nothing, for what comes with the first use. */
	join_group(GROUP "/cgroup.procs");
	make(s, 1, size ? 1 : 0);
	join_group("/sys/fs/cgroup/cgroup.procs");
	clear(s, 1);
	join_group(GROUP "/cgroup.procs");
	before = charged();
	make(s, n, size);
	*held = charged() - before;
	_exit(0);
}

static double bytes_held(struct subject *s, const struct work *w)
{
	int n = how_many(s, w->arg);
	pid_t pid;

	clear(s, n);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid)
		charge(s, n, w->arg);
	reap(pid);
	clear(s, n);
	return (double)*held / n / (w->arg ?: 1);
}

void family_memory(void)
{
	static const size_t sizes[] = { 0, 1, 1 * MiB, 1 * GiB };
	struct subject subjects[MAX_SUBJECTS];
	int n = storage(subjects, false), rounds = bench.rounds;
	size_t i;

	/* The port has no more than four devices, and charges nobody. */
	while (n && !strcmp(subjects[n - 1].name, "port"))
		close(subjects[--n].fd);
	if (!bench.dry && mkdir(GROUP, 0755) && errno != EEXIST)
		err(1, "cannot make " GROUP);
	if (!held)
		held = shared(sizeof(*held));
	bench.rounds = rounds < 3 ? rounds : 3;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct work w = {
			.family = "memory",
			.what = sizes[i] ? "held per byte" : "held",
			.size = sizes[i] ? size_name(sizes[i]) : "empty",
			.unit_name = sizes[i] ? "B/B" : "B",
			.value = bytes_held,
			.arg = sizes[i],
		};

		measure(&w, subjects, n);
	}
	bench.rounds = rounds;
	storage_done(subjects, n);
	if (!bench.dry)
		rmdir(GROUP);
}
