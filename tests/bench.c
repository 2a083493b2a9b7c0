// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark: what the devices cost beside what else there is. See bench.h
 * for how it measures, and bench_*.c for what.
 */
#include "bench.h"

#include <fnmatch.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "bench_limit/limit.h"

#define MAX_ROUNDS 1000

struct bench bench = { .rounds = 11 };
char *buffer;

static FILE *csv;
static const char *pool;
static char **patterns;
static int cases, done;

static const struct {
	const char *name;
	void (*run)(void);
} families[] = {
	{ "bare",	family_bare },
	{ "random",	family_random },
	{ "extra",	family_extra },
	{ "parallel",	family_parallel },
	{ "pipe",	family_pipe },
	{ "memory",	family_memory },
	{ "trim",	family_trim },
	{ "ask",	family_ask },
};

/* --- the clock --- */

/*
 * Under an emulator whose clock is driven by instructions, the time stamp
 * counter counts them.
 */
static uint64_t instructions(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	errx(1, "instructions can be counted on x86-64 only");
#endif
}

uint64_t ticks(void)
{
	struct timespec ts;

	if (bench.counted)
		return instructions();
	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* --- figures --- */

struct figure {
	double median;
	double spread;	/* of the middle half of the rounds, in percent */
	double of;	/* how many times as good as the first; 0: no such */
	double by;	/* how many times as good ours is; 0: no such */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

static void sum_up(double *values, int n, struct figure *figure)
{
	figure->median = median(values, n);
	figure->spread = 0;
	if (figure->median)
		figure->spread = (values[n * 3 / 4] - values[n / 4]) /
				 figure->median * 100;
}

/*
 * Puts @n rounds into the pool, and takes out those of all runs that put theirs
 * there. Returns how many those are; without a pool, they are these.
 */
static int pooled(const struct work *w, const struct subject *s, double *values,
		  int n)
{
	char name[128], *line = NULL;
	size_t len, room = 0;
	FILE *file;
	int i;

	if (!pool)
		return n;
	/*
	 * Not to append: a client of 9p writes whole pages back, which a server that
	 * appends would put behind what it has of them.
	 */
	file = fopen(pool, "r+");
	if (!file && errno == ENOENT)
		file = fopen(pool, "w+");
	if (!file || fseek(file, 0, SEEK_END))
		err(1, "cannot open %s", pool);
	len = snprintf(name, sizeof(name), "%s,%s,%s,%s,", w->family, w->what,
		       w->size, s->name);
	for (i = 0; i < n; i++)
		fprintf(file, "%s%.6f\n", name, values[i]);
	if (fflush(file))
		err(1, "cannot write %s", pool);
	rewind(file);
	for (i = 0; i < MAX_ROUNDS && getline(&line, &room, file) > 0;)
		if (!strncmp(line, name, len))
			values[i++] = atof(line + len);
	free(line);
	fclose(file);
	if (i < n)
		errx(1, "%s does not have the rounds that were put into it", pool);
	return i;
}

static uint64_t one_round(struct subject *s, const struct work *w, size_t n)
{
	uint64_t begin;

	if (w->before)
		w->before(s, w, n);
	if (w->ticks)
		return w->ticks(s, w, n);
	begin = ticks();
	w->run(s, w, n);
	return ticks() - begin;
}

static double value_of(struct subject *s, const struct work *w, size_t n)
{
	uint64_t took;

	if (w->value)
		return w->value(s, w);
	took = one_round(s, w, n);
	if (w->bytes)
		return (double)w->bytes * n / took * 1e3;
	return (double)took / n / w->unit;
}

/*
 * What n operations more cost, without what comes on top once. A timer's
 * interrupt that comes in between is no part of it, so each count is the least of
 * some.
 */
static struct figure count(struct subject *s, const struct work *w)
{
	uint64_t once = UINT64_MAX, twice = UINT64_MAX, took;
	double each[MAX_ROUNDS];
	struct figure figure;
	int i;

	one_round(s, w, w->counted * 2);
	for (i = 0; i < bench.rounds; i++) {
		took = one_round(s, w, w->counted);
		once = took < once ? took : once;
		each[i] = -(double)took;
		took = one_round(s, w, w->counted * 2);
		twice = took < twice ? took : twice;
		each[i] = (each[i] + took) / w->counted;
	}
	sum_up(each, bench.rounds, &figure);
	figure.median = ((double)twice - once) / w->counted;
	return figure;
}

static const char *unit_of(const struct work *w)
{
	if (w->unit_name)
		return w->unit_name;
	if (bench.counted)
		return "insns";
	if (w->bytes)
		return "MB/s";
	return w->unit == 1 ? "ns" : w->unit == 1000 ? "us" : "ms";
}

/* How many times as good as another; 0 if that means nothing. */
static double ratio(const struct work *w, double figure, double other)
{
	bool more = w->bytes && !bench.counted && !w->value;

	if (!figure || !other)
		return 0;
	return more ? figure / other : other / figure;
}

/*
 * The same of @n rounds of each: the median of what it was in each round. A machine
 * that others slow down for a while does so to both sides of a round.
 */
static double ratio_by_round(const struct work *w, const double *values,
			     const double *others, int n)
{
	double ratios[MAX_ROUNDS];
	int i;

	for (i = 0; i < n; i++)
		ratios[i] = ratio(w, values[i], others[i]);
	return median(ratios, n);
}

static void print_head(const char *family)
{
	printf("\n# %s, %s\n%-17s %-12s %-12s %12s %-5s %5s %8s %8s\n", family,
	       bench.counted ? "instructions an operation" : "medians",
	       "case", "", "", bench.counted ? "counted" : "median", "", "+-",
	       "of first", "ours by it");
}

static void print(const struct work *w, const struct subject *subjects,
		  const struct figure *figures, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct subject *s = &subjects[i];
		double own = figures[i].median;
		double of = figures[i].of, by = figures[i].by;

		if (i)
			printf("%-30s", "");
		else
			printf("%-17s %-12s", w->what, w->size);
		printf(" %-12s %12.*f %-5s %4.0f%%", s->name,
		       own < 100 ? 3 : 1, own, unit_of(w), figures[i].spread);
		if (of)
			printf(" %8.3f", of);
		else
			printf(" %8s", by ? "-" : "");
		if (by)
			printf(" %8.2f", by);
		putchar('\n');
		if (csv)
			fprintf(csv, "%s,%s,%s,%s,%s,%.4f,%.1f,%.4f,%.4f\n",
				w->family, w->what, w->size, s->name,
				unit_of(w), own, figures[i].spread, of, by);
	}
	fflush(stdout);
	if (csv)
		fflush(csv);
}

bool wanted(const char *family, const char *what, const char *size)
{
	char name[128];
	char **p;

	if (!*patterns)
		return true;
	snprintf(name, sizeof(name), "%s/%s/%s", family, what, size);
	for (p = patterns; *p; p++)
		if (!strncmp(*p, name, strlen(*p)) || !fnmatch(*p, name, 0))
			return true;
	return false;
}

/* Fills in what each of the subjects is beside the others. */
static void compare(const struct work *w, const struct subject *subjects,
		    double values[][MAX_ROUNDS], int n, int rounds,
		    struct figure *figures)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct subject *s = &subjects[i];

		figures[i].of = s->of < 0 ? 0 :
			ratio_by_round(w, values[i], values[s->of], rounds);
		figures[i].by = s->ours < 0 ? 0 :
			ratio_by_round(w, values[s->ours], values[i], rounds);
	}
}

void measure(const struct work *w, struct subject *subjects, int n)
{
	static double values[MAX_SUBJECTS][MAX_ROUNDS];
	struct figure figures[MAX_SUBJECTS];
	size_t per_round = w->n;
	int round, i, got, all = 0;

	if (!wanted(w->family, w->what, w->size))
		return;
	if (bench.counted && !w->counted)
		return;
	if (bench.dry) {
		cases++;
		return;
	}
	done++;
	if (bench.silent && w->value)
		return;
	fprintf(stderr, "bench: %d of %d: %s, %s, %s\n", done, cases, w->family,
		w->what, w->size);
	if (bench.quick && per_round >= 4)
		per_round /= 4;
	if (bench.counted && !w->value) {
		for (i = 0; i < n; i++) {
			figures[i] = count(&subjects[i], w);
			values[i][0] = figures[i].median;
		}
		compare(w, subjects, values, n, 1, figures);
	} else {
		for (i = 0; i < n && !w->value; i++)
			value_of(&subjects[i], w, per_round);
		for (round = 0; round < bench.rounds; round++)
			for (i = 0; i < n; i++)
				values[i][round] = value_of(&subjects[i], w,
							    per_round);
		for (i = 0; i < n; i++) {
			got = pooled(w, &subjects[i], values[i], bench.rounds);
			if (i && got != all)
				errx(1, "%s does not have as many rounds of %s as of others",
				     pool, subjects[i].name);
			all = got;
		}
		/* Adding up sorts the rounds, so pairs come first. */
		compare(w, subjects, values, n, all, figures);
		for (i = 0; i < n; i++)
			sum_up(values[i], all, &figures[i]);
	}
	if (!bench.silent)
		print(w, subjects, figures, n);
}

/* --- the machine --- */

const char *size_name(size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	static char names[32][16];
	static int next;
	char *name = names[next++ % ARRAY_SIZE(names)];
	size_t u;

	for (u = 0; size >= 1024 && size % 1024 == 0; u++)
		size /= 1024;
	snprintf(name, sizeof(names[0]), "%zu %s", size, units[u]);
	return name;
}

int cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % cpus(), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "cannot run on CPU %d", cpu);
}

uint64_t rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void go_first(bool on)
{
	struct sched_param param = { .sched_priority = on ? 50 : 0 };

	if (sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param))
		err(1, "sched_setscheduler");
}

void *shared(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		err(1, "mmap");
	return mem;
}

void crew_init(struct crew *crew, struct subject *s, const struct work *w,
	       size_t n, int all)
{
	memset(crew, 0, sizeof(*crew));
	crew->subject = s;
	crew->work = w;
	crew->n = n;
	crew->all = all;
}

void gate_pass(struct gate *gate, int all)
{
	__atomic_add_fetch(&gate->there, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&gate->there, __ATOMIC_SEQ_CST) < all)
		sched_yield();
}

pid_t child(void (*run)(struct crew *crew, int me), struct crew *crew, int me)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(crew, me);
		_exit(0);
	}
	return pid;
}

void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "another process of the benchmark failed");
}

/* --- what keeps bytes --- */

/* In a mount namespace of our own, so nothing of it is left behind. */
const char *tmpfs(bool huge)
{
	static const char *const options[] = { "huge=never", "huge=always" };
	static char paths[2][32];
	static bool missing[2];
	char *path = paths[huge];

	if (missing[huge])
		return NULL;
	if (*path)
		return path;
	if (!*paths[!huge] && (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		err(1, "cannot mount a tmpfs to compare with (are you root?)");
	strcpy(path, "/tmp/bench-XXXXXX");
	if (!mkdtemp(path))
		err(1, "cannot make a directory in /tmp");
	missing[huge] = mount("tmpfs", path, "tmpfs", 0, options[huge]);
	if (missing[huge] && !huge)
		missing[huge] = mount("tmpfs", path, "tmpfs", 0, "");
	if (!missing[huge] && mount(NULL, path, NULL, MS_REMOUNT, "size=100%"))
		err(1, "cannot make a tmpfs as large as the memory");
	return missing[huge] ? NULL : path;
}

static void tmpfs_done(void)
{
	int huge;

	for (huge = 0; huge < 2; huge++) {
		const char *path = bench.dry ? NULL : tmpfs(huge);

		if (!path)
			continue;
		umount2(path, MNT_DETACH);
		rmdir(path);
	}
}

static void add(struct subject *s, const char *name, const char *path, int kind)
{
	*s = (struct subject){ .name = name, .path = path, .kind = kind,
			       .of = -1, .ours = -1, .fd = -1 };
	if (bench.dry)
		return;
	s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->fd < 0)
		err(1, "cannot open %s", path);
}

int storage(struct subject *subjects, bool with_limit)
{
	const char *port = getenv("BENCH_PORT");
	static char files[2][64];
	int n = 0, ours, i;

	if (with_limit && access("/dev/bench_limit", F_OK) == 0)
		add(&subjects[n++], "limit", "/dev/bench_limit", LIMIT);
	ours = n;
	add(&subjects[n++], "scull0", "/dev/scull0", SCULL);
	for (i = 0; i < 2; i++) {
		const char *dir = bench.dry ? "" : tmpfs(i);

		if (!dir)
			continue;
		snprintf(files[i], sizeof(files[i]), "%s/file", dir);
		add(&subjects[n++], i ? "tmpfs huge" : "tmpfs", files[i], TMPFS);
	}
	if (port && *port)
		add(&subjects[n++], "port", port, SCULL);
	for (i = 0; i < n; i++) {
		subjects[i].of = ours ? 0 : -1;
		subjects[i].ours = i == ours ? -1 : ours;
	}
	return n;
}

void storage_done(struct subject *subjects, int n)
{
	int i;

	for (i = 0; i < n && !bench.dry; i++) {
		empty(&subjects[i], 0);
		close(subjects[i].fd);
	}
}

void empty(struct subject *s, off_t size)
{
	__u64 bytes = size;
	int fd;

	if (bench.dry)
		return;
	switch (s->kind) {
	case LIMIT:
		if (ioctl(s->fd, BENCH_LIMIT_RESIZE, &bytes))
			err(1, "%s cannot have %lld bytes", s->path,
			    (long long)size);
		break;
	case TMPFS:
		if (ftruncate(s->fd, 0))
			err(1, "cannot empty %s", s->path);
		break;
	case SCULL:
		/* Which is how a device is emptied. */
		fd = open(s->path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			err(1, "cannot empty %s", s->path);
		close(fd);
		break;
	}
	s->pos = 0;
}

void fill(struct subject *s, off_t size)
{
	off_t pos, len;

	if (bench.dry)
		return;
	empty(s, size);
	for (pos = 0; pos < size; pos += len) {
		len = size - pos < (off_t)MiB ? size - pos : (off_t)MiB;
		put_at(s->fd, len, pos);
	}
}

void put_at(int fd, size_t len, off_t pos)
{
	size_t done = 0;
	ssize_t n;

	/* Some devices take less than all. */
	while (done < len) {
		n = pwrite(fd, buffer + done, len - done, pos + done);
		if (n <= 0)
			err(1, "write of %zu bytes at %lld", len, (long long)pos);
		done += n;
	}
}

void get_at(int fd, size_t len, off_t pos)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, buffer + done, len - done, pos + done);
		if (n <= 0)
			err(1, "read of %zu bytes at %lld gave %zd", len,
			    (long long)pos, n);
		done += n;
	}
}

/* --- what is asked for --- */

/* A family of which nothing is wanted is not even prepared. */
static void all_families(void)
{
	bool wants[ARRAY_SIZE(families)];
	size_t i;
	int before;

	bench.dry = true;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		before = cases;
		families[i].run();
		wants[i] = cases > before;
	}
	bench.dry = false;
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		if (!wants[i])
			continue;
		if (!bench.silent)
			print_head(families[i].name);
		families[i].run();
	}
}

static void usage(void)
{
	fprintf(stderr,
"usage: bench [-c] [-q] [-r ROUNDS] [-p FILE [-s]] [-o FILE.csv] [CASE...]\n"
"  -c  count instructions: the time stamp counter counts them here\n"
"  -q  quick: a quarter of the work\n"
"  -r  so many rounds (11)\n"
"  -p  put the rounds into this pool; the figures are of all that are in it\n"
"  -s  only fill the pool: print no figures, measure nothing that is no time\n"
"  CASE is how the name of a case begins, or a pattern of the shell for all of\n"
"  it: bare, pipe/ping-pong, 'bare/*/4 KiB'; all by default\n");
	exit(2);
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "cqsr:p:o:")) != -1) {
		switch (opt) {
		case 'c':
			bench.counted = true;
			break;
		case 'q':
			bench.quick = true;
			break;
		case 's':
			bench.silent = true;
			break;
		case 'p':
			pool = optarg;
			break;
		case 'r':
			bench.rounds = atoi(optarg);
			break;
		case 'o':
			csv = fopen(optarg, "w");
			if (!csv)
				err(1, "cannot write %s", optarg);
			break;
		default:
			usage();
		}
	}
	if (bench.rounds < 1 || bench.rounds > MAX_ROUNDS)
		errx(2, "-r takes a number from 1 to %d", MAX_ROUNDS);
	if (bench.silent && !pool)
		errx(2, "-s wants a pool, -p FILE");
	patterns = argv + optind;
	buffer = mmap(NULL, 2 * MiB, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED)
		err(1, "mmap");
	memset(buffer, 'x', 2 * MiB);
	if (csv)
		fputs("family,case,size,subject,unit,median,spread,of,by\n", csv);
	all_families();
	if (!done)
		errx(1, "there is no such case");
	tmpfs_done();
	return csv && fclose(csv) ? 1 : 0;
}
