/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the families of the benchmark share. A case is one kind of work, which
 * several subjects do in turn, round after round in the same boot, so that
 * whatever else the machine does meets all of them; a figure is the median of
 * the rounds, which may be those of several runs: the module is loaded at another
 * place for each; a ratio is the median of what it was in each round. Where instructions are counted in place of time (an emulator
 * whose clock they drive), a figure is what one operation more costs.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KiB 1024UL
#define MiB (1024UL * KiB)
#define GiB (1024UL * MiB)
#define TiB (1024UL * GiB)

#define MAX_SUBJECTS 12

/**
 * struct bench - how to measure, from the command line
 * @rounds: of each case
 * @quick: less of everything
 * @counted: the clock counts instructions
 * @dry: nothing is done but counting the cases
 * @silent: the rounds are for another run to print, which also measures what is
 *	no matter of time
 */
struct bench {
	int rounds;
	bool quick;
	bool counted;
	bool dry;
	bool silent;
};

extern struct bench bench;

struct subject;

/**
 * struct work - a case: what is done, and in what its figure is
 * @family: name of the family
 * @what: what is done
 * @size: of what, as people say it
 * @bytes: moved by an operation: the figure is MB/s; 0: it is time an operation
 * @unit: nanoseconds in the unit of time of the figure: 1, 1000, 1000000
 * @n: operations in a round
 * @counted: operations when they are counted; 0: this case is not counted
 * @before: makes ready for @n operations, not measured; may be NULL
 * @run: does @n operations
 * @ticks: in place of @run: does @n operations, and itself says how many ticks
 *	they took
 * @value: in place of both: says the figure, of which less is better, for what
 *	is no matter of time; @unit_name is its unit
 * @arg: for these functions
 */
struct work {
	const char *family;
	const char *what;
	const char *size;
	size_t bytes;
	unsigned int unit;
	size_t n;
	size_t counted;
	void (*before)(struct subject *s, const struct work *w, size_t n);
	void (*run)(struct subject *s, const struct work *w, size_t n);
	uint64_t (*ticks)(struct subject *s, const struct work *w, size_t n);
	double (*value)(struct subject *s, const struct work *w);
	const char *unit_name;
	size_t arg;
};

/**
 * struct subject - who does the work
 * @name: as it is printed
 * @of: the number of the subject whose share its figure is, or -1
 * @ours: the number of the subject that is compared with it, or -1
 * @path: of what is opened
 * @fd: it, open for reading and writing
 * @kind: how it is emptied
 * @pos: where the next round begins, in families that go on where they were
 * @data: the family's own
 */
struct subject {
	const char *name;
	int of;
	int ours;
	const char *path;
	int fd;
	enum { SCULL, LIMIT, TMPFS } kind;
	off_t pos;
	void *data;
};

/* Measures one case and prints it, if it is wanted. */
void measure(const struct work *work, struct subject *subjects, int n);
/* Is this case to be measured? Families ask before they fill gigabytes. */
bool wanted(const char *family, const char *what, const char *size);

/* The clock: nanoseconds, or instructions. */
uint64_t ticks(void);

/* "64 B", "4 KiB", "1 TiB"; the string stays. */
const char *size_name(size_t size);

void run_on(int cpu);
/*
 * Before all processes that are not told so, and until it waits. Two that both
 * are take turns in the same way every time.
 */
void go_first(bool on);
int cpus(void);
/* Numbers that are the same in every run, from SEED on. */
#define SEED 88172645463325252ull
uint64_t rnd(uint64_t *state);
/* A buffer of at least 1 MiB that begins with a page. */
extern char *buffer;

/* A directory of our own on a tmpfs, with huge pages or without; NULL if the
 * kernel has none of that kind.
 */
const char *tmpfs(bool huge);

/*
 * The subjects that keep bytes at offsets: "limit" and PORT where they are to
 * be had, scull0, tmpfs without and with huge pages. Returns how many; each is a
 * share of the limit, and scull0 is ours.
 */
int storage(struct subject *subjects, bool with_limit);
void storage_done(struct subject *subjects, int n);
/* Makes it hold nothing, or, the limit, @size bytes. */
void empty(struct subject *s, off_t size);
/* Makes it hold @size bytes that were written one after the other. */
void fill(struct subject *s, off_t size);

/* Whole calls, or the program ends. */
void put_at(int fd, size_t len, off_t pos);
void get_at(int fd, size_t len, off_t pos);

/* --- several processes --- */

/* Where processes wait for each other; all zeros when nobody was there. */
struct gate {
	int there;
};

/**
 * struct crew - processes that do a round together
 * @subject: who does the work
 * @work: what
 * @n: operations of each
 * @all: who go through the gate, with the first process
 * @gate: where they begin
 * @moved: what the crew counts together
 * @begin: the tick at which each began
 * @end: and ended
 */
struct crew {
	struct subject *subject;
	const struct work *work;
	size_t n;
	int all;
	struct gate gate;
	size_t moved;
	uint64_t begin[16];
	uint64_t end[16];
};

/* For a round of @n operations of each, with @all at the gate. */
void crew_init(struct crew *crew, struct subject *s, const struct work *w,
	       size_t n, int all);
/* Memory that all processes share. */
void *shared(size_t len);
/* Waits until @all have come. */
void gate_pass(struct gate *gate, int all);
/* A process that runs @run, and ends with the one that began it. */
pid_t child(void (*run)(struct crew *crew, int me), struct crew *crew, int me);
/* Waits for its end, which has to be a good one. */
void reap(pid_t pid);

void family_bare(void);
void family_random(void);
void family_extra(void);
void family_parallel(void);
void family_pipe(void);
void family_memory(void);
void family_trim(void);
void family_ask(void);

#endif
