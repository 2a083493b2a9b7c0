// SPDX-License-Identifier: GPL-2.0
/*
 * A writer in a memory cgroup that runs out: its write ends short, then fails
 * with ENOMEM, nobody is killed, and a trim gives the memory back.
 */
#include "harness.h"

#define LIMIT (16 * MiB)
#define GROUP "scull-test"

static long long memory_current(void)
{
	long long n = memcg_used(GROUP);

	expect(n >= 0, "memory.current: %s", strerror(errno));
	return n;
}

static void make_group(void)
{
	const char *why = memcg_make(GROUP);
	char limit[32];

	if (why)
		skip("%s", why);
	snprintf(limit, sizeof(limit), "%lld", LIMIT);
	expect(memcg_limit(GROUP, limit), "limit of %s: %s", limit,
	       strerror(errno));
}

/* All that a process of the group touches itself is there from the start. */
static void enter_group(void)
{
	expect(memcg_enter(GROUP), "cgroup.procs: %s", strerror(errno));
	sys(mlockall(MCL_CURRENT | MCL_FUTURE));
}

struct job {
	int fd;
	unsigned char *buf;
	size_t len;
	size_t stride;		/* 0: all of buf at once, as often as it fits */
	size_t most;		/* writes */
	size_t written;
	size_t writes;
	ssize_t first;
	int err;
	bool done;
	bool leave;
	long long used;
};

/*
 * Once the group is full, anything that needs kernel memory but a write to the
 * device may bring the OOM killer: so this process only waits then.
 */
static void write_until_full(void *arg)
{
	struct job *job = arg;

	enter_group();
	while (job->writes < job->most) {
		off_t off = job->stride ? job->writes * job->stride :
					  job->written;
		ssize_t n = pwrite(job->fd, job->buf, job->len, off);

		if (n < 0) {
			job->err = errno;
			break;
		}
		if (!job->writes)
			job->first = n;
		expect(n > 0, "pwrite gave 0");
		job->written += n;
		job->writes++;
	}
	__atomic_store_n(&job->done, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&job->leave, __ATOMIC_SEQ_CST))
		nap_ms(5);
}

static struct job *run_job(int quantum, int qset, size_t len, size_t stride,
			   size_t most)
{
	struct job *job = shared(sizeof(*job));
	int status;
	pid_t pid;

	make_group();
	job->fd = fresh(0, quantum, qset);
	job->buf = wide(len < 2 * MiB ? 2 * MiB : len);
	fill(job->buf, 2 * MiB, 0, 1);
	job->len = len;
	job->stride = stride;
	job->most = most;
	pid = spawn(write_until_full, job);
	/* It is alive afterwards, and ends when it is told to. */
	while (!__atomic_load_n(&job->done, __ATOMIC_SEQ_CST)) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			fail_case("the writer ended with status 0x%x", status);
		nap_ms(5);
	}
	job->used = memory_current();
	__atomic_store_n(&job->leave, true, __ATOMIC_SEQ_CST);
	join(pid);
	diag("%zu bytes in %zu writes took %lld bytes: %s", job->written,
	     job->writes, job->used, strerror(job->err));
	expect_ret(memcg_kills(GROUP), 0);
	return job;
}

static void expect_given_back(void)
{
	dev_trim(0);
	wait_until(memory_current() < 2 * MiB, 20,
		   "%lld bytes are still charged after the trim",
		   memory_current());
	memcg_remove(GROUP);
}

START_TEST(bytes)
{
	unsigned char *out = xmalloc(2 * MiB);
	struct job *job;
	size_t at;

	/* One large write, then what still fits, down to nothing. */
	job = run_job(_i, 1000, 64 * MiB, 0, 1000);
	expect(job->err == ENOMEM, "ended with %s", strerror(job->err));
	expect(job->first > MiB && job->first < LIMIT,
	       "the first write took %zd bytes", job->first);
	expect_ret(lseek(job->fd, 0, SEEK_END), job->written);
	for (at = 0; at < job->written; at += 2 * MiB) {
		size_t n = job->written - at < 2 * MiB ? job->written - at :
							 2 * MiB;

		expect_ret(pread(job->fd, out, 2 * MiB, at), n);
		/* Later writes began anew in the buffer. */
		if (at + n <= (size_t)job->first)
			expect_pattern(out, n, 0, 1);
	}
	/* Who is not in that group can go on. */
	expect_ret(pwrite(job->fd, job->buf, MiB, job->written), MiB);
	expect_ret(pread(job->fd, out, MiB, job->written), MiB);
	expect_pattern(out, MiB, 0, 1);
	expect_given_back();
}
END_TEST

START_TEST(sets)
{
	/* Each byte in a set of its own, of 512 KiB of pointers. */
	struct job *job = run_job(1, 65536, 1, 65536, 200);

	if (sizeof(long) < 8)
		skip("the numbers are those of 64 bits");
	expect(job->err == ENOMEM, "200 sets of 512 KiB fit into %lld MiB",
	       LIMIT / MiB);
	expect(job->writes < 40, "%zu sets fit", job->writes);
	expect_given_back();
}
END_TEST

START_TEST(nodes)
{
	/* Each byte in a set and in an xarray node of its own: 576 bytes. */
	struct job *job = run_job(1, 1, 1, 64, 100000);

	if (sizeof(long) < 8)
		skip("the numbers are those of 64 bits");
	expect(job->err == ENOMEM,
	       "100000 sparse bytes took %lld bytes of a group of %lld MiB",
	       job->used, LIMIT / MiB);
	expect_given_back();
}
END_TEST

START_TEST(over_and_over)
{
	int round;

	for (round = 0; round < 3; round++) {
		struct job *job = run_job(4000, 1000, MiB, 0, 1000);

		expect(job->err == ENOMEM, "ended with %s", strerror(job->err));
		expect(job->written > LIMIT / 2,
		       "only %zu bytes fitted in round %d", job->written, round);
		expect_given_back();
		close(job->fd);
	}
}
END_TEST

static const struct test tests[] = {
	{ &bytes, "a short count, then ENOMEM, nobody killed, quantum 4000", 4000, 120 },
	{ &bytes, "a short count, then ENOMEM, nobody killed, quantum 65536", 65536, 120 },
	{ &bytes, "a short count, then ENOMEM, nobody killed, quantum 200", 200, 120 },
	{ &sets, "sets are charged to the writer", 0, 120 },
	{ &nodes, "the nodes of the index are charged to the writer", 0, 120 },
	{ &over_and_over, "a trim gives all of it back, three times", 0, 120 },
};

TEST_MAIN("memcg", tests)
