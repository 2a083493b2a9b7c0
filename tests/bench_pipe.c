// SPDX-License-Identifier: GPL-2.0
/*
 * scullpipe against pipe(2), in one boot: bytes from one process to another,
 * each on a CPU of its own, and one byte to and fro. Both hold the same number of
 * bytes. The rounds of the two alternate, so that whatever else the machine does
 * meets both, and each figure is a median; the spread is that of the middle half
 * of the rounds.
 *
 * usage: bench_pipe [-r ROUNDS] [-c FILE.csv] [DEVICE [DEVICE]]
 *	(/dev/scullpipe0 and /dev/scullpipe1; the second brings the byte back)
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../scull.h"

#define MAX_ROUNDS	101
#define MAX_BLOCK	(1 << 20)

struct channel {
	int reader;
	int writer;
};

/* A case: what is moved, how often, and what its figure is. */
struct bench {
	const char *name;
	size_t block;
	size_t total;
	double (*run)(const struct channel *there, const struct channel *back,
		      const struct bench *bench);
	const char *unit;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "cannot run on CPU %d", cpu);
}

static void put(int fd, const char *bytes, size_t len)
{
	ssize_t n;

	for (; len; bytes += n, len -= n) {
		n = write(fd, bytes, len);
		if (n < 0)
			err(1, "write");
	}
}

static size_t take(int fd, char *bytes, size_t len)
{
	ssize_t n = read(fd, bytes, len);

	if (n <= 0)
		err(1, "read gave %zd", n);
	return n;
}

static char block[MAX_BLOCK];

static pid_t in_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	run_on(pid ? 0 : 1);
	return pid;
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		errx(1, "the other process failed");
}

/* MB/s of a writer that a reader keeps up with. */
static double throughput(const struct channel *there,
			 const struct channel *back, const struct bench *bench)
{
	size_t done;
	double begin;
	pid_t pid = in_child();

	if (!pid) {
		for (done = 0; done < bench->total; done += bench->block)
			put(there->writer, block, bench->block);
		_exit(0);
	}
	done = take(there->reader, block, bench->block);
	begin = now();
	while (done < bench->total)
		done += take(there->reader, block, bench->block);
	begin = now() - begin;
	reap(pid);
	return bench->total / begin / 1e6;
}

/* Microseconds for a byte to go and another to come back. */
static double ping_pong(const struct channel *there, const struct channel *back,
			const struct bench *bench)
{
	size_t i;
	double begin;
	pid_t pid = in_child();

	if (!pid) {
		for (i = 0; i < bench->total; i++) {
			take(there->reader, block, 1);
			put(back->writer, block, 1);
		}
		_exit(0);
	}
	begin = now();
	for (i = 0; i < bench->total; i++) {
		put(there->writer, block, 1);
		take(back->reader, block, 1);
	}
	begin = now() - begin;
	reap(pid);
	return begin / bench->total * 1e6;
}

static const struct bench benches[] = {
	{ "64 B",	64,	4 << 20,	throughput,	"MB/s" },
	{ "512 B",	512,	24 << 20,	throughput,	"MB/s" },
	{ "4 KiB",	4096,	64 << 20,	throughput,	"MB/s" },
	{ "64 KiB",	65536,	128 << 20,	throughput,	"MB/s" },
	{ "1 MiB",	1 << 20, 128 << 20,	throughput,	"MB/s" },
	{ "ping-pong",	1,	3000,		ping_pong,	"us" },
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figure {
	double median;
	double spread;	/* of the middle half, in percent of the median */
};

static struct figure sum_up(double *values, int rounds)
{
	struct figure figure;

	qsort(values, rounds, sizeof(*values), by_value);
	figure.median = values[rounds / 2];
	figure.spread = (values[rounds * 3 / 4] - values[rounds / 4]) /
			figure.median * 100;
	return figure;
}

static void compare(const struct bench *bench, int rounds, FILE *csv,
		    struct channel scull[2], struct channel pipes[2])
{
	static double ours[MAX_ROUNDS], theirs[MAX_ROUNDS];
	struct figure a, b;
	double ratio;
	int i;

	for (i = 0; i < rounds; i++) {
		ours[i] = bench->run(&scull[0], &scull[1], bench);
		theirs[i] = bench->run(&pipes[0], &pipes[1], bench);
	}
	a = sum_up(ours, rounds);
	b = sum_up(theirs, rounds);
	ratio = bench->run == throughput ? a.median / b.median :
					   b.median / a.median;
	printf("%-10s %10.1f %4.0f%% %10.1f %4.0f%%  %-5s %6.2f\n", bench->name,
	       a.median, a.spread, b.median, b.spread, bench->unit, ratio);
	fflush(stdout);
	if (csv)
		fprintf(csv, "%s,%s,%.3f,%.1f,%.3f,%.1f,%.3f\n", bench->name,
			bench->unit, a.median, a.spread, b.median, b.spread,
			ratio);
}

static struct channel open_device(const char *path, int *capacity)
{
	struct channel channel;

	channel.reader = open(path, O_RDWR);
	if (channel.reader < 0)
		err(1, "cannot open %s", path);
	channel.writer = channel.reader;
	*capacity = ioctl(channel.reader, SCULL_P_IOCQSIZE);
	if (*capacity < 0)
		err(1, "%s does not tell its size", path);
	return channel;
}

static struct channel open_pipe(int capacity)
{
	int ends[2], got;

	if (pipe(ends))
		err(1, "pipe");
	got = fcntl(ends[0], F_SETPIPE_SZ, capacity);
	if (got != capacity)
		errx(1, "pipe(2) cannot hold %d bytes, but %d", capacity, got);
	return (struct channel){ .reader = ends[0], .writer = ends[1] };
}

int main(int argc, char **argv)
{
	const char *paths[2] = { "/dev/scullpipe0", "/dev/scullpipe1" };
	struct channel scull[2], pipes[2];
	int rounds = 15, capacity, opt, i;
	FILE *csv = NULL;

	while ((opt = getopt(argc, argv, "r:c:")) != -1) {
		if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt != 'c')
			return 2;
		else if (!(csv = fopen(optarg, "w")))
			err(1, "cannot write %s", optarg);
	}
	if (rounds < 3 || rounds > MAX_ROUNDS)
		errx(2, "-r takes a number from 3 to %d", MAX_ROUNDS);
	for (i = 0; i < 2; i++) {
		if (optind + i < argc)
			paths[i] = argv[optind + i];
		scull[i] = open_device(paths[i], &capacity);
		pipes[i] = open_pipe(capacity);
	}

	printf("%d bytes of buffer each, medians of %d alternating rounds\n",
	       capacity, rounds);
	printf("%-10s %16s %16s  %-5s %6s\n", "case", "scullpipe",
	       "pipe(2)", "", "ratio");
	if (csv)
		fputs("case,unit,scullpipe,spread,pipe,spread,ratio\n", csv);
	for (i = 0; i < (int)(sizeof(benches) / sizeof(*benches)); i++)
		compare(&benches[i], rounds, csv, scull, pipes);
	return csv && fclose(csv) ? 1 : 0;
}
