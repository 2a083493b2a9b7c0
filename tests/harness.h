/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C tests share: a table of cases becomes a TAP stream, each case in
 * a process of its own under a time limit (libcheck's), and a failure says
 * what was seen. Devices are found through /proc/devices, so that any build of
 * the module can be judged, and each case starts with empty devices and the
 * default quantum and qset.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scull.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define KiB 1024LL
#define MiB (1024L * KiB)
#define GiB (1024L * MiB)

/* The most that one read or write moves: the kernel's MAX_RW_COUNT. */
#define MAX_RW ((size_t)INT_MAX & ~((size_t)sysconf(_SC_PAGESIZE) - 1))

/**
 * struct test - one case, one line of TAP
 * @code: address of what START_TEST() defined
 * @name: what holds when the case passes
 * @arg: _i in the case
 * @limit: seconds that the case may take on a slow and loaded machine; 0: 60
 */
struct test {
	const TTest **code;
	const char *name;
	int arg;
	int limit;
};

int run_tests(int argc, char **argv, const char *subject,
	      const struct test *tests, size_t n);

#define TEST_MAIN(subject, tests)					\
	int main(int argc, char **argv)					\
	{								\
		return run_tests(argc, argv, subject, tests,		\
				 ARRAY_SIZE(tests));			\
	}

/* Ends the case at once, as skipped. Only in the case's own process. */
void skip(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/*
 * Where the driver is built into the kernel, nobody can load or unload it: skips
 * the case, or all of them if called before run_tests().
 */
void needs_module(void);

/* What happens before each case, and after all, ahead of emptying the devices. */
extern void (*before_cases)(void);

/* A line of TAP diagnostics. */
void diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the case as failed, from any of its processes. */
void fail_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define fail_case(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)

/* Fails with the printf-style message unless the condition holds. */
#define expect(cond, ...)						\
	do {								\
		if (!(cond))						\
			fail_at(__FILE__, __LINE__, __VA_ARGS__);	\
	} while (0)

/* The value of a system call that has to succeed. */
#define sys(call) sys_at(__FILE__, __LINE__, #call, (call))

/* A call whose value has to be this one, errno shown when it is -1. */
#define expect_ret(call, want)						\
	ret_at(__FILE__, __LINE__, #call, (call), (want))

/* A call that has to fail with this errno. */
#define expect_errno(call, want)					\
	errno_at(__FILE__, __LINE__, #call, (call), (want), #want)

/*
 * A transfer that has to end at a bad address, @good bytes from its beginning:
 * how many it moved. Only x86-64 copies up to the very byte; elsewhere some before
 * it may be left out, and so may all where there are few.
 */
#define expect_cut(call, good)						\
	cut_at(__FILE__, __LINE__, #call, (call), (good))

/* The buffer holds what fill() with the same offset and seed puts there. */
#define expect_pattern(buf, len, off, seed)				\
	pattern_at(__FILE__, __LINE__, (buf), (len), (off), (seed))

/* Every byte of the buffer is this one; @off is where it came from. */
#define expect_bytes(buf, len, off, byte)				\
	bytes_at(__FILE__, __LINE__, (buf), (len), (off), (byte))

long long sys_at(const char *file, int line, const char *what, long long ret);
void ret_at(const char *file, int line, const char *what, long long ret,
	    long long want);
void errno_at(const char *file, int line, const char *what, long long ret,
	      int want, const char *name);
size_t cut_at(const char *file, int line, const char *what, long long ret,
	      size_t good);
void pattern_at(const char *file, int line, const void *buf, size_t len,
		off_t off, unsigned int seed);
void bytes_at(const char *file, int line, const void *buf, size_t len,
	      off_t off, unsigned char byte);

/* --- devices --- */

int scull_major(void);
/* Is the driver a part of the kernel? */
bool scull_is_builtin(void);
int scull_first_minor(void);
int scull_nr_devs(void);
/* A module parameter as the kernel shows it, or @otherwise. */
int scull_param(const char *name, int otherwise);

/* The node of bare device @dev: the system's, or a private one. */
const char *dev_path(int dev);
int dev_open(int dev, int flags);
void dev_trim(int dev);
off_t dev_size(int dev);
/* Makes the device empty, with these sizes, and opens it O_RDWR. */
int fresh(int dev, int quantum, int qset);
/* All devices empty, the compiled-in quantum and qset. */
void reset_devices(void);

/* --- patterns and chance --- */

/* Bytes that depend on offset and seed only, none of them 0. */
void fill(void *buf, size_t len, off_t off, unsigned int seed);

/*
 * How often to do something that is done @n times by default: SCULL_TIMES, a
 * number like 5 or 0.1, times as often, but at least once.
 */
int repeat(int n);

/* Starts rnd() from SCULL_SEED, or from a seed of its own that it prints. */
void seed_rnd(void);
uint64_t rnd(void);
/* 0 .. n-1 */
size_t below(size_t n);

/* --- what a device should hold --- */

struct model {
	unsigned char *bytes;
	bool *there;		/* quanta that were written to */
	size_t size;
	size_t room;
	int quantum;
	int qset;
};

struct model *model_new(int quantum, int qset, size_t room);
void model_write(struct model *m, size_t off, const void *buf, size_t len);
/* Compares size and every byte of the device. */
void model_compare(const struct model *m, int fd);

/* --- memory --- */

void *xmalloc(size_t len);
/* Memory that the case's processes share. */
void *shared(size_t len);
/* @len bytes of address space over 2 MiB of memory: large and cheap. */
void *wide(size_t len);
/* @good bytes that end where a page without access begins. */
void *cliff(size_t good, int prot);

/* --- processes --- */

pid_t spawn(void (*fn)(void *arg), void *arg);
/* Waits, and fails the case if the child did. */
void join(pid_t pid);
/* @n processes that begin together, each with its number; waits for all. */
void together(int n, void (*fn)(int me, void *arg), void *arg);
/* Runs fn in a child with this uid and gid and no capabilities. */
void run_as(uid_t uid, void (*fn)(void *arg), void *arg);

/* Asks every few milliseconds; fails the case after @seconds. */
#define wait_until(cond, seconds, ...)					\
	do {								\
		long long end_ = now_ms() + (seconds) * 1000LL;		\
		while (!(cond)) {					\
			expect(now_ms() < end_, __VA_ARGS__);		\
			nap_ms(5);					\
		}							\
	} while (0)

long long now_ms(void);
void nap_ms(int ms);

/* --- the module --- */

/*
 * Unloads the module and loads it with its parameters as they are, but for the
 * one that @change, "name=value", sets, unless it is NULL: 0, or what is not.
 */
int module_reload(const char *change);

/* --- memory cgroups --- */

#define CGROUPS "/sys/fs/cgroup"

/* Makes the group @name. NULL, or why that cannot be done here. */
const char *memcg_make(const char *name);
/* Its processes may use so much memory ("16M", "max"), and no swap. */
bool memcg_limit(const char *name, const char *limit);
/* Moves this process there; false and errno if that fails. */
bool memcg_enter(const char *name);
/* Bytes that are charged to the group now, or -1. */
long long memcg_used(const char *name);
/* How many processes the OOM killer has killed there, or -1. */
long long memcg_kills(const char *name);
void memcg_remove(const char *name);

/* --- the machine --- */

bool kernel_before(int major, int minor);
/* The number behind "key" in a file of "key value" lines, or -1. */
long long number_in(const char *file, const char *key);

#endif
