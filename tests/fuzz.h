/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the model fuzzers share. A fuzzer makes operations by chance, runs each
 * on a device and on a model of it, and stops at the first difference. An
 * operation is a kind and a few numbers, nothing else, so a list of them is a
 * script that can be written, read, replayed and cut down to what matters.
 *
 * Operations come in rounds. Each round begins with an operation that brings
 * device and model into a known state, and has random numbers of its own, which
 * follow from the seed, the process and the number of the round. So no more than
 * one round has to be remembered, and no more than one to be searched.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define FUZZ_ARGS	9
#define FUZZ_KINDS	24
#define FUZZ_PROCS	64
/* The most bytes that an operation moves. */
#define FUZZ_MOST	(512 * 1024)

/* One operation; what its numbers mean depends on its kind. */
struct op {
	int kind;
	long long arg[FUZZ_ARGS];
};

/* A kind of operation: its name in a script, and how many numbers follow. */
struct kind {
	const char *name;
	int args;
};

/* What became of an operation. */
enum outcome {
	SKIPPED,		/* it makes no sense in this state: nothing done */
	DONE,
	CROSSED,		/* done, across an edge of the kind that is counted */
};

/**
 * struct fuzz - a fuzzer
 * @name:	the program
 * @about:	what it does, for --help
 * @edge:	what operations should cross
 * @device:	printf format of the devices' names by number
 * @kinds:	the kinds of operation
 * @count:	how many there are
 * @check:	the kind that compares everything
 * @regions:	whether several processes can share a device
 * @attach:	prepares the process for a device
 * @first:	makes the operation that begins a round, and resets the model
 * @next:	makes an operation that suits the model
 * @lie:	makes an operation that spoils the model; false: not now
 * @run:	runs an operation; a difference ends in differ()
 */
struct fuzz {
	const char *name;
	const char *about;
	const char *edge;
	const char *device;
	const struct kind *kinds;
	int count;
	int check;
	bool regions;
	void (*attach)(const char *device);
	void (*first)(struct op *op);
	void (*next)(struct op *op);
	bool (*lie)(struct op *op);
	enum outcome (*run)(const struct op *op);
};

int fuzz_main(int argc, char **argv, const struct fuzz *fuzz);

/* Ends the operation: the device did not do what the model says. */
void differ(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));
/* Ends the program: it cannot do its work. */
void give_up(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* The value of a call has to be this one; or fail with this errno if @err. */
void same_ret(const char *what, long long ret, long long want, int err);
/* These bytes of the device at @off have to be those. */
void same_bytes(const char *what, long long off, const unsigned char *got,
		const unsigned char *want, size_t len);

/* --- chance, the same for the same seed --- */

uint64_t rnd(void);
/* 0 .. n-1; 0 for n < 1 */
long long below(long long n);
/* a .. b */
long long between(long long a, long long b);
/* True in @percent of all cases. */
bool chance(int percent);
/* The lesser of the two. */
long long at_most(long long a, long long b);

/* --- memory --- */

/* @len bytes, none of them 0, that depend on @seed only. */
const unsigned char *noise(long long seed);
void *room_for(size_t len);
/* An address with @good bytes, at most FUZZ_MOST, before memory that is not there. */
unsigned char *cliff(size_t good);
/* The same bytes in one to four pieces, some maybe empty; one if @how is 0. */
int pieces(long long how, struct iovec iov[4], void *buf, size_t len);
/* How to cut a call's buffer into pieces: @how of pieces(), mostly 0. */
long long some_cut(void);
/*
 * @len bytes of which only @good can be used, in pieces: one of them is nowhere
 * and is followed by 100 bytes of @spare.
 */
int bad_pieces(struct iovec iov[3], long long good, long long len, void *spare);
/* How much of what was possible came, before a bad address. */
long long before_fault(const char *what, long long ret, long long good);

/* --- processes --- */

/* Which of how many this is, and whether they share the device. */
extern int fuzz_me, fuzz_procs;
extern bool fuzz_shared;

/* What no two processes may do at once. */
void fuzz_lock(void);
void fuzz_unlock(void);
/* Waits for all processes that share a device. */
void fuzz_meet(void);

#endif
