// SPDX-License-Identifier: GPL-2.0
/*
 * How long emptying a device keeps others out. While one process empties a device
 * of 4 GiB, another reads from it, over and over, and says how long the longest
 * of its reads took: it had to wait as long as the lock was held. On a machine
 * that does other things too a read may be long for no fault of the device, so
 * beside it stands the same reader beside a process that only computes.
 *
 * Where instructions are counted there is one CPU and no such disturbance. The
 * reader is then woken by a timer over and over, and goes before the other process
 * whenever the kernel lets it. A lock that is held from the end of one read to the
 * end of the next would have been met, so it was never held for longer than the
 * longest read and the longest gap between two; and for no longer was the reader
 * kept from running.
 */
#include "bench.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define SPAN (4 * GiB)
#define PERIOD 4000	/* between two wakings, in instructions */

static struct crew *crew;

struct waits {
	uint64_t read;	/* the longest read */
	uint64_t gap;	/* the longest time between two reads */
	size_t reads;
	uint64_t busy;	/* how long the other process took */
};

static struct waits waits;

/* When it is over, @gate.there goes on from 2 to 3. */
static void other(struct crew *c, int me)
{
	volatile unsigned long sum = 0;
	unsigned long i;

	run_on(cpus() > 1 ? 1 : 0);
	gate_pass(&c->gate, c->all);
	c->begin[0] = ticks();
	if (c->n)
		empty(c->subject, 0);
	else
		for (i = 0; i < 50000000; i++)
			sum += i;
	c->end[0] = ticks();
	__atomic_add_fetch(&c->gate.there, 1, __ATOMIC_SEQ_CST);
}

static void watch(struct subject *s, bool trimming)
{
	struct timespec next = { .tv_nsec = PERIOD };
	uint64_t from, to, last = 0;
	bool alone = cpus() > 1;
	pid_t pid;
	char byte;

	crew_init(crew, s, NULL, trimming, 2);
	memset(&waits, 0, sizeof(waits));
	pid = child(other, crew, 0);
	run_on(0);
	gate_pass(&crew->gate, 2);
	go_first(true);
	while (__atomic_load_n(&crew->gate.there, __ATOMIC_SEQ_CST) < 3) {
		from = ticks();
		if (pread(s->fd, &byte, 1, 0) < 0)
			err(1, "read from %s", s->path);
		to = ticks();
		waits.reads++;
		if (to - from > waits.read)
			waits.read = to - from;
		if (last && from - last > waits.gap)
			waits.gap = from - last;
		if (!alone)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &next, NULL);
		last = to;
	}
	go_first(false);
	reap(pid);
	waits.busy = crew->end[0] - crew->begin[0];
}

static double longest_read(struct subject *s, const struct work *w)
{
	/* Once for what comes with the first use. */
	if (w->arg)
		fill(s, SPAN);
	watch(s, w->arg);
	fprintf(stderr, "bench: %s: %zu reads in %.1f ms, longest %.1f us, gap %.1f us\n",
		w->arg ? s->name : "computing", waits.reads, waits.busy / 1e6,
		waits.read / 1e3, waits.gap / 1e3);
	return waits.read / 1e3;
}

static double longest_gap(struct subject *s, const struct work *w)
{
	longest_read(s, w);
	return waits.gap / 1e3;
}

void family_trim(void)
{
	struct subject subjects[MAX_SUBJECTS];
	int n = storage(subjects, false), rounds = bench.rounds, i;

	if (!crew)
		crew = shared(sizeof(*crew));
	for (i = 0; i < 4; i++) {
		struct work w = {
			.family = "trim",
			.what = i & 1 ? "longest gap" : "longest read",
			.size = i & 2 ? "control" : size_name(SPAN),
			.unit_name = "us",
			.value = i & 1 ? longest_gap : longest_read,
			.counted = 1,
			.arg = !(i & 2),
		};

		bench.rounds = rounds < 3 ? rounds : 3;
		if (bench.counted)
			bench.rounds = 1;
		measure(&w, subjects, 1);
	}
	bench.rounds = rounds;
	storage_done(subjects, n);
}
