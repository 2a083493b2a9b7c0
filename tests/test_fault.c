// SPDX-License-Identifier: GPL-2.0
/*
 * vm: cpus=1
 *
 * Transfers that end early: a bad address at once or half-way, a signal. What
 * they moved counts, the rest is as it was, and nothing stale can be read.
 */
#include "harness.h"

#include <sys/time.h>

/* Not a constant, so that the compiler does not object to its use. */
static void *volatile null;

START_TEST(write_from_nowhere)
{
	static const uintptr_t kernel = ~(uintptr_t)0 - 4095;
	int fd = dev_open(0, O_RDWR);
	char *bad = cliff(0, PROT_READ);

	expect_errno(write(fd, bad, 100), EFAULT);
	expect_errno(write(fd, null, 100000), EFAULT);
	expect_errno(write(fd, (void *)kernel, 1), EFAULT);
	expect_ret(lseek(fd, 0, SEEK_CUR), 0);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
	expect_ret(pwrite(fd, "0123456789", 10, 0), 10);
	expect_errno(pwrite(fd, bad, 100, 5), EFAULT);
	expect_errno(pwrite(fd, bad, 100, 10), EFAULT);
	expect_errno(pwrite(fd, bad, 100, 90000), EFAULT);
	expect_ret(lseek(fd, 0, SEEK_END), 10);
}
END_TEST

START_TEST(read_to_nowhere)
{
	int fd = dev_open(0, O_RDWR);
	char *bad = cliff(0, PROT_READ);

	expect_ret(pread(fd, bad, 100, 0), 0);
	expect_ret(pwrite(fd, "x", 1, 20000), 1);
	expect_errno(read(fd, bad, 100), EFAULT);
	expect_errno(pread(fd, bad, 100, 20000), EFAULT);
	expect_errno(pread(fd, null, 20001, 0), EFAULT);
	expect_ret(lseek(fd, 0, SEEK_CUR), 0);
}
END_TEST

struct cut {
	int quantum;
	size_t off;
	size_t good;
};

/* Within the first quantum, at its end, in later ones, in a later set. */
static const struct cut cuts[] = {
	{ 4000, 0, 1 }, { 4000, 0, 100 }, { 4000, 3990, 100 },
	{ 4000, 0, 4000 }, { 4000, 100, 8192 }, { 4000, 0, 50000 },
	{ 7, 3, 5 }, { 7, 0, 1000 }, { 65536, 10, 70000 }, { 65536, 0, 60000 },
};

START_TEST(write_half_way)
{
	unsigned char *out = xmalloc(300000);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		const struct cut *c = &cuts[i];
		unsigned char *in = cliff(c->good, PROT_READ | PROT_WRITE);
		size_t end, n;
		int fd = fresh(0, c->quantum, 7);

		/* Into nothing: the size is exact, what follows is 0. */
		fill(in, c->good, c->off, i);
		expect_ret(lseek(fd, c->off, SEEK_SET), c->off);
		n = expect_cut(write(fd, in, c->good + 100000), c->good);
		end = c->off + n;
		expect_ret(lseek(fd, 0, SEEK_CUR), end);
		expect_ret(lseek(fd, 0, SEEK_END), n ? end : 0);
		expect_ret(pwrite(fd, "x", 1, end + 70000), 1);
		expect_ret(pread(fd, out, 300000, 0), end + 70001);
		expect_bytes(out, c->off, 0, 0);
		expect_pattern(out + c->off, n, c->off, i);
		expect_bytes(out + end, 70000, end, 0);

		/* Over bytes that are there: those that follow stay. */
		fill(out, 250000, 0, 77);
		expect_ret(pwrite(fd, out, 250000, 0), 250000);
		n = expect_cut(pwrite(fd, in, c->good + 100000, c->off), c->good);
		end = c->off + c->good;
		memset(out, 0, 250000);
		expect_ret(pread(fd, out, 300000, 0), 250000);
		expect_pattern(out, c->off, 0, 77);
		expect_pattern(out + c->off, n, c->off, i);
		expect_pattern(out + end, 250000 - end, end, 77);
	}
}
END_TEST

START_TEST(write_cut_over_the_end)
{
	/* Half over what is there, half beyond the size, in one quantum. */
	unsigned char *in = cliff(1000, PROT_READ | PROT_WRITE);
	unsigned char out[4000];
	int fd = dev_open(0, O_RDWR);
	size_t n;

	fill(out, 500, 0, 1);
	expect_ret(pwrite(fd, out, 500, 0), 500);
	fill(in, 1000, 0, 2);
	n = expect_cut(pwrite(fd, in, 3000, 0), 1000);
	expect_ret(lseek(fd, 0, SEEK_END), n);
	expect_ret(pwrite(fd, "x", 1, 3999), 1);
	expect_ret(pread(fd, out, sizeof(out), 0), 4000);
	expect_pattern(out, n, 0, 2);
	expect_bytes(out + n, 3999 - n, n, 0);
}
END_TEST

/* What one step of clear_user() clears, at most. */
#define WORDS 64

START_TEST(read_half_way)
{
	ssize_t n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		const struct cut *c = &cuts[i];
		unsigned char *all = xmalloc(250000);
		unsigned char *buf = cliff(c->good, PROT_READ | PROT_WRITE);
		int fd = fresh(0, c->quantum, 7);

		fill(all, 250000, 0, i);
		expect_ret(pwrite(fd, all, 250000, 0), 250000);
		expect_ret(lseek(fd, c->off, SEEK_SET), c->off);
		n = expect_cut(read(fd, buf, c->good + 100000), c->good);
		expect_pattern(buf, n, c->off, i);
		expect_ret(lseek(fd, 0, SEEK_CUR), c->off + n);
		free(all);
		close(fd);

		/* A hole all the same, but the kernel may clear in words. */
		fd = fresh(0, c->quantum, 7);
		expect_ret(pwrite(fd, "x", 1, 250000), 1);
		n = pread(fd, buf, c->good + 100000, c->off);
		if (c->good < WORDS && n == -1)
			expect_errno(n, EFAULT);
		else
			expect(n > 0 && n <= (ssize_t)c->good &&
			       n + WORDS > (ssize_t)c->good,
			       "%zd bytes of a hole read into %zu", n, c->good);
		expect_bytes(buf, n > 0 ? n : 0, c->off, 0);
	}
}
END_TEST

/*
 * What is in one quantum, or in two, is read and written by ways of their own:
 * calls of @len bytes at @off, with memory that ends after @good of them.
 */
static const struct near {
	off_t off;
	size_t len, good;
} nears[] = {
	{ 0, 4000, 0 }, { 0, 4000, 1 }, { 0, 4000, 100 }, { 0, 4000, 3999 },
	{ 0, 7999, 0 }, { 0, 7999, 1 }, { 0, 7999, 100 }, { 0, 7999, 3999 },
	{ 0, 7999, 4000 }, { 0, 7999, 4001 }, { 0, 7999, 7998 },
	{ 1, 7999, 0 }, { 1, 7999, 1 }, { 1, 7999, 100 }, { 1, 7999, 3999 },
	{ 1, 7999, 4000 }, { 1, 7999, 4001 }, { 1, 7999, 7998 },
	{ 3900, 200, 0 }, { 3900, 200, 1 }, { 3900, 200, 100 },
};

START_TEST(read_near_half_way)
{
	unsigned char *all = xmalloc(8000);
	int fd = fresh(0, 4000, 7);
	const struct near *c;

	fill(all, 8000, 0, 3);
	expect_ret(pwrite(fd, all, 8000, 0), 8000);
	for (c = nears; c < nears + ARRAY_SIZE(nears); c++) {
		unsigned char *buf = cliff(c->good, PROT_READ | PROT_WRITE);
		size_t n = 0;

		expect_ret(lseek(fd, c->off, SEEK_SET), c->off);
		if (c->good)
			n = expect_cut(read(fd, buf, c->len), c->good);
		else
			expect_errno(read(fd, buf, c->len), EFAULT);
		expect_pattern(buf, n, c->off, 3);
		expect_ret(lseek(fd, 0, SEEK_CUR), c->off + n);
	}
}
END_TEST

START_TEST(write_near_half_way)
{
	unsigned char *all = xmalloc(8001);
	int fd = fresh(0, 4000, 7);
	const struct near *c;

	for (c = nears; c < nears + ARRAY_SIZE(nears); c++) {
		unsigned char *buf = cliff(c->good, PROT_READ | PROT_WRITE);
		size_t end = c->off + c->good, n = 0;

		fill(all, 8000, 0, 3);
		expect_ret(pwrite(fd, all, 8000, 0), 8000);
		fill(buf, c->good, c->off, 4);
		expect_ret(lseek(fd, c->off, SEEK_SET), c->off);
		if (c->good)
			n = expect_cut(write(fd, buf, c->len), c->good);
		else
			expect_errno(write(fd, buf, c->len), EFAULT);
		expect_ret(lseek(fd, 0, SEEK_CUR), c->off + n);
		expect_ret(pread(fd, all, 8001, 0), 8000);
		expect_pattern(all, c->off, 0, 3);
		expect_pattern(all + c->off, n, c->off, 4);
		/* No byte that could not be had is taken for a 0. */
		expect_pattern(all + end, 8000 - end, end, 3);
	}
}
END_TEST

START_TEST(vector_with_a_bad_piece)
{
	unsigned char a[6000], b[6000], out[20000];
	struct iovec iov[3] = {
		{ a, sizeof(a) }, { cliff(0, PROT_READ), 6000 }, { b, sizeof(b) },
	};
	int fd = dev_open(0, O_RDWR);

	fill(a, sizeof(a), 0, 1);
	expect_ret(writev(fd, iov, 3), sizeof(a));
	expect_ret(lseek(fd, 0, SEEK_END), sizeof(a));
	expect_ret(pwrite(fd, "x", 1, 18000), 1);
	expect_ret(pread(fd, out, sizeof(out), 0), 18001);
	expect_pattern(out, sizeof(a), 0, 1);
	expect_bytes(out + sizeof(a), 12000, sizeof(a), 0);
	memset(a, 0, sizeof(a));
	expect_ret(preadv(fd, iov, 3, 0), sizeof(a));
	expect_pattern(a, sizeof(a), 0, 1);
}
END_TEST

START_TEST(read_only_buffer)
{
	unsigned char *in = cliff(100, PROT_READ);
	int fd = dev_open(0, O_RDWR);

	expect_ret(write(fd, in, 100), 100);
	expect_errno(pread(fd, in, 100, 0), EFAULT);
}
END_TEST

/* --- signals --- */

struct victim {
	int fd;
	unsigned char *buf;
	size_t page;
};

static void read_long(void *arg)
{
	struct victim *v = arg;

	pread(v->fd, v->buf, MAX_RW, 0);
	pause();
}

START_TEST(kill_a_reader)
{
	struct victim v = { .page = sysconf(_SC_PAGESIZE) };
	unsigned char *first, *last;
	bool stopped = false;
	int round, status;

	if (sizeof(long) < 8)
		skip("a 32-bit process has no room for a buffer of 2 GiB");
	v.fd = dev_open(0, O_RDWR);
	expect_ret(pwrite(v.fd, "x", 1, MAX_RW), 1);
	/* Pages of their own at both ends tell how far a read came. */
	v.buf = wide(MAX_RW);
	first = v.buf;
	last = v.buf + MAX_RW - v.page;
	expect(mmap(first, v.page, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == first,
	       "mmap: %s", strerror(errno));
	expect(mmap(last, v.page, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == last,
	       "mmap: %s", strerror(errno));
	/* On a busy machine the kill may come after the read: then once more. */
	for (round = 0; round < 20 && !stopped; round++) {
		pid_t pid;

		memset(first, 0xee, v.page);
		memset(last, 0xee, v.page);
		pid = spawn(read_long, &v);
		while (*(volatile unsigned char *)first == 0xee)
			;
		sys(kill(pid, SIGKILL));
		expect_ret(waitpid(pid, &status, 0), pid);
		stopped = *last == 0xee;
	}
	expect(stopped, "%d reads of 2 GiB all went on to their end after SIGKILL",
	       round);
	expect_ret(pwrite(v.fd, "y", 1, 0), 1);
}
END_TEST

/* As much as takes longer than the kill takes to come. */
#define LONG_WRITE repeat(16 * MiB)

static void write_long(void *arg)
{
	struct victim *v = arg;

	*v->buf = 1;
	if (write(v->fd, v->buf + v->page, LONG_WRITE) == LONG_WRITE)
		*v->buf = 2;
	pause();
}

START_TEST(kill_a_writer)
{
	struct victim v = { .page = sysconf(_SC_PAGESIZE) };
	unsigned char *out = xmalloc(LONG_WRITE);
	bool stopped = false;
	int round, status;

	v.buf = shared(v.page + LONG_WRITE);
	fill(v.buf + v.page, LONG_WRITE, 0, 1);
	for (round = 0; round < 60 && !stopped; round++) {
		ssize_t size;
		pid_t pid;

		v.fd = fresh(0, 64, 1000);
		*v.buf = 0;
		pid = spawn(write_long, &v);
		while (!*(volatile unsigned char *)v.buf)
			;
		/* Later from round to round, until it is inside the write. */
		nap_ms(round);
		sys(kill(pid, SIGKILL));
		expect_ret(waitpid(pid, &status, 0), pid);
		size = sys(lseek(v.fd, 0, SEEK_END));
		expect_ret(pread(v.fd, out, LONG_WRITE, 0), size);
		expect_pattern(out, size, 0, 1);
		stopped = size > 0 && size < LONG_WRITE;
		expect_ret(pwrite(v.fd, "x", 1, LONG_WRITE - 1), 1);
		expect_ret(pread(v.fd, out, LONG_WRITE, 0), LONG_WRITE);
		if (size < LONG_WRITE)
			expect_bytes(out + size, LONG_WRITE - 1 - size, size, 0);
		close(v.fd);
	}
	expect(stopped, "SIGKILL stopped none of %d writes of %d bytes half-way",
	       round, LONG_WRITE);
	diag("stopped half-way in round %d", round);
}
END_TEST

static volatile sig_atomic_t alarms;

static void count_alarm(int sig)
{
	(void)sig;
	alarms++;
}

START_TEST(other_signals)
{
	struct sigaction sa = { .sa_handler = count_alarm };
	struct itimerval tick = { { 0, 1000 }, { 0, 1000 } };
	size_t len = 64 * MiB;
	unsigned char *buf = wide(len);
	int fd = dev_open(0, O_RDWR), round;

	expect_ret(pwrite(fd, "x", 1, len), 1);
	sys(sigaction(SIGALRM, &sa, NULL));
	sys(setitimer(ITIMER_REAL, &tick, NULL));
	for (round = 0; round < 2000 && alarms < 20; round++)
		expect_ret(pread(fd, buf, len, 0), len);
	len = 4 * MiB;
	for (round = 0; round < 20; round++)
		expect_ret(pwrite(fd, buf, len, 0), len);
	expect(alarms >= 20, "only %d signals came", (int)alarms);
}
END_TEST

/* Waits for the lock behind a long read, and is killed there. */
struct waiter {
	struct victim v;
	bool started;
	bool over;
	bool gave_up;
};

static void hold_lock(void *arg)
{
	struct waiter *w = arg;

	pread(w->v.fd, w->v.buf, MAX_RW, 0);
	__atomic_store_n(&w->over, true, __ATOMIC_SEQ_CST);
}

static void wait_for_lock(void *arg)
{
	struct waiter *w = arg;

	__atomic_store_n(&w->started, true, __ATOMIC_SEQ_CST);
	pwrite(w->v.fd, "y", 1, 10);
	pause();
}

static bool sleeps(pid_t pid)
{
	char path[64], state = '?';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(f);
	return state == 'D';
}

START_TEST(kill_a_waiter)
{
	struct waiter *w = shared(sizeof(*w));
	bool died_waiting = false;
	int round, status;

	if (sizeof(long) < 8)
		skip("a 32-bit process has no room for a buffer of 2 GiB");
	w->v.fd = dev_open(0, O_RDWR);
	w->v.buf = wide(MAX_RW);
	expect_ret(pwrite(w->v.fd, "x", 1, MAX_RW), 1);
	for (round = 0; round < 10 && !died_waiting; round++) {
		pid_t reader, writer;
		bool waiting = false;

		w->over = w->started = false;
		w->v.buf[0] = 0xee;
		reader = spawn(hold_lock, w);
		while (*(volatile unsigned char *)w->v.buf == 0xee &&
		       !__atomic_load_n(&w->over, __ATOMIC_SEQ_CST))
			;
		writer = spawn(wait_for_lock, w);
		while (!__atomic_load_n(&w->over, __ATOMIC_SEQ_CST)) {
			waiting = sleeps(writer);
			if (waiting)
				break;
		}
		sys(kill(writer, SIGKILL));
		expect_ret(waitpid(writer, &status, 0), writer);
		died_waiting = waiting &&
			       !__atomic_load_n(&w->over, __ATOMIC_SEQ_CST);
		sys(kill(reader, SIGKILL));
		expect_ret(waitpid(reader, &status, 0), reader);
	}
	expect(died_waiting, "in %d rounds no process that waited for the device died before the device was free",
	       round);
	expect_ret(pwrite(w->v.fd, "z", 1, 0), 1);
}
END_TEST

static const struct test tests[] = {
	{ &write_from_nowhere, "a write from a bad address: EFAULT, nothing changed" },
	{ &read_to_nowhere, "a read to a bad address: EFAULT, position kept" },
	{ &write_half_way, "a write whose buffer ends: the count so far, nothing stale" },
	{ &write_cut_over_the_end, "a write cut short past the end leaves zeros behind it" },
	{ &read_half_way, "a read whose buffer ends: the count so far" },
	{ &read_near_half_way, "a short read whose buffer ends: the count so far" },
	{ &write_near_half_way, "a short write whose buffer ends: what follows stays" },
	{ &vector_with_a_bad_piece, "a vector with a bad piece ends before it" },
	{ &read_only_buffer, "a read-only buffer can be written from, not read into" },
	{ &kill_a_reader, "SIGKILL ends a long read", 0, 180 },
	{ &kill_a_writer, "SIGKILL ends a long write, what it wrote is there", 0, 180 },
	{ &kill_a_waiter, "SIGKILL ends a wait for the device", 0, 180 },
	{ &other_signals, "other signals cut no transfer short", 0, 120 },
};

TEST_MAIN("fault", tests)
