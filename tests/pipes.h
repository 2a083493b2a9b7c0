/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C tests of the pipes share, beside harness.h: opening a pipe of a
 * given size, seeing that a process is asleep in a call, and chance that
 * differs from process to process.
 */
#ifndef TESTS_PIPES_H
#define TESTS_PIPES_H

#include "harness.h"

#include <limits.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/time.h>

/* A write of at most this many bytes is whole, if the pipe holds as many. */
#define UNIT(capacity) ((capacity) < PIPE_BUF ? (capacity) : PIPE_BUF)

/* The node of pipe @number: the system's, or a private one until exit. */
const char *pipe_path(int number);
/* Fails the case if the pipe cannot be opened; ends it, skipped, without one. */
int pipe_open(int number, int flags);
/* The same, after making @capacity the size of what is opened first. */
int pipe_fresh(int number, int flags, int capacity);
void pipe_set_capacity(int capacity);

void set_nonblock(int fd, bool on);
/* What poll says at once. */
short poll_now(int fd, short events);

/* What lseek() of 64 bits is, where system calls have 32. */
#ifdef SYS__llseek
#define SYS_LSEEK SYS__llseek
#else
#define SYS_LSEEK SYS_lseek
#endif

/* Is this process or thread asleep in system call @nr? */
bool asleep_in(pid_t pid, long nr);
/* The same, of a sleep that only a fatal signal ends. */
bool held_in(pid_t pid, long nr);

#define wait_asleep(pid, nr)						\
	wait_until(asleep_in(pid, nr), 30,				\
		   "process %d does not wait in system call %s",	\
		   (int)(pid), #nr)

/* Waits at most so long for a child; -1 if it is still there, else its status. */
int join_within(pid_t pid, int seconds);
void kill_and_join(pid_t pid);

/*
 * Memory whose pages are missing: a system call that touches one is held up
 * until the page is filled or the process is killed. It belongs to the child
 * that calls snare_set(); the struct itself is shared() with who watches.
 */
struct snare {
	int fd;			/* the child's */
	int watched;		/* the same in the watching process */
	unsigned char *mem;
	size_t len;
};

/* Skips the case, from its first process, where that cannot be done. */
void snare_possible(void);
void snare_set(struct snare *snare, int pages);
/* Waits until a call of process @owner is held up. */
void snare_wait(struct snare *snare, pid_t owner);
/* Fills the page at @offset from @from, and lets go whom it held up. */
void snare_fill(struct snare *snare, size_t offset, const void *from);

/* Numbers of one process's own, from rnd(). */
struct chance {
	uint64_t state;
};

struct chance chance_new(void);
uint64_t chance_next(struct chance *chance);
/* 0 .. n-1 */
size_t chance_below(struct chance *chance, size_t n);

/* A number from the environment, or @otherwise. */
long env_number(const char *name, long otherwise);

#endif
