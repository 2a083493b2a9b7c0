// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Calls that wait: for what, how long, and what ends the wait.
 */
#include "pipes.h"

#define CAPACITY 8192

static unsigned char buf[2 * CAPACITY];

/* A call in a process of its own, and how it ended. */
struct call {
	int fd;
	long nr;		/* SYS_read, SYS_write, SYS_fsync */
	size_t len;
	unsigned int seed;	/* of what it writes at 0 */
	bool handler;		/* catches SIGUSR1 */
	bool restart;		/* ... with SA_RESTART */
	long long ret;
	int err;
	bool done;
	int caught;
	unsigned char seen[2 * CAPACITY];
};

static struct call *handled;

static void caught(int sig)
{
	__atomic_fetch_add(&handled->caught, 1, __ATOMIC_SEQ_CST);
}

static void do_call(void *arg)
{
	struct call *c = arg;
	struct sigaction sa = {
		.sa_handler = caught,
		.sa_flags = c->restart ? SA_RESTART : 0,
	};

	handled = c;
	if (c->handler)
		sys(sigaction(SIGUSR1, &sa, NULL));
	if (c->nr == SYS_write)
		fill(c->seen, c->len, 0, c->seed);
	c->ret = syscall(c->nr, c->fd, c->seen, c->len);
	c->err = errno;
	__atomic_store_n(&c->done, true, __ATOMIC_SEQ_CST);
}

static struct call *call_new(int fd, long nr, size_t len)
{
	struct call *c = shared(sizeof(*c));

	c->fd = fd;
	c->nr = nr;
	c->len = len;
	return c;
}

/* Starts the call and sees that it waits. */
static pid_t begin(struct call *c)
{
	pid_t pid = spawn(do_call, c);

	wait_asleep(pid, c->nr);
	expect(!c->done, "system call %ld did not wait", c->nr);
	return pid;
}

static void expect_end(pid_t pid, const struct call *c, long long want)
{
	int status = join_within(pid, 30);

	expect(status != -1, "system call %ld still waits", c->nr);
	expect(!status, "the caller ended with status 0x%x", status);
	errno = c->err;
	expect_ret(c->ret, want);
}

/* Fills the pipe with what fill() gives from 0 on. */
static int full_pipe(int capacity, unsigned int seed)
{
	int fd = pipe_fresh(0, O_RDWR, capacity);
	unsigned char *all = xmalloc(capacity);

	fill(all, capacity, 0, seed);
	expect_ret(write(fd, all, capacity), capacity);
	free(all);
	return fd;
}

START_TEST(reader_waits)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct call *c = call_new(fd, SYS_read, 100);
	pid_t pid = begin(c);

	/* One byte is enough, whatever was asked for. */
	expect_ret(write(fd, "x", 1), 1);
	expect_end(pid, c, 1);
	expect(c->seen[0] == 'x', "it read 0x%02x", c->seen[0]);
}
END_TEST

/* In the book's way a reader waits for a writer that may come some day. */
START_TEST(reader_without_writer)
{
	int fd = pipe_fresh(0, O_RDONLY, CAPACITY), other, round;

	if (scull_param("scull_p_fifo", 0))
		skip("the pipes work as fifo(7) says");
	for (round = 0; round < 3; round++) {
		struct call *c = call_new(fd, SYS_read, 100);
		pid_t pid = begin(c);

		other = pipe_open(0, O_WRONLY);
		close(other);
		nap_ms(20);
		expect(asleep_in(pid, SYS_read),
		       "a writer that came and went ended the read");
		expect(!(poll_now(fd, POLLIN) & (POLLIN | POLLHUP)),
		       "poll tells of an end");
		other = pipe_open(0, O_WRONLY);
		expect_ret(write(other, "hello", 5), 5);
		close(other);
		expect_end(pid, c, 5);
	}
}
END_TEST

START_TEST(writer_without_reader)
{
	int fd, round;

	if (scull_param("scull_p_fifo", 0))
		skip("the pipes work as fifo(7) says");
	pipe_set_capacity(CAPACITY);
	fd = pipe_open(0, O_WRONLY);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	for (round = 0; round < 2; round++) {
		struct call *c = call_new(fd, SYS_write, 1);
		pid_t pid = begin(c);
		int other = pipe_open(0, O_RDONLY);

		expect_ret(read(other, buf, 1), 1);
		close(other);
		expect_end(pid, c, 1);
	}
}
END_TEST

START_TEST(writer_waits)
{
	int fd = full_pipe(CAPACITY, 1);
	struct call *c = call_new(fd, SYS_write, 100);
	pid_t pid;

	c->seed = 2;
	pid = begin(c);
	/* Room for a part of so small a write is no room. */
	expect_ret(read(fd, buf, 99), 99);
	nap_ms(20);
	expect(asleep_in(pid, SYS_write), "99 bytes of room ended the wait for 100");
	expect_ret(read(fd, buf + 99, 1), 1);
	expect_end(pid, c, 100);
	expect_ret(read(fd, buf + 100, CAPACITY), CAPACITY);
	expect_pattern(buf, CAPACITY, 0, 1);
	expect_pattern(buf + CAPACITY, 100, 0, 2);
}
END_TEST

/* A large write wants room for the unit, then takes what fits. */
START_TEST(large_writer_waits)
{
	int fd = full_pipe(CAPACITY, 1);
	struct call *c = call_new(fd, SYS_write, CAPACITY);
	pid_t pid;

	c->seed = 2;
	pid = begin(c);
	expect_ret(read(fd, buf, PIPE_BUF - 1), PIPE_BUF - 1);
	nap_ms(20);
	expect(asleep_in(pid, SYS_write), "less than PIPE_BUF ended the wait");
	expect_ret(read(fd, buf, 1), 1);
	expect_end(pid, c, PIPE_BUF);
	expect_ret(read(fd, buf, CAPACITY), CAPACITY);
	expect_pattern(buf, CAPACITY - PIPE_BUF, PIPE_BUF, 1);
	expect_pattern(buf + CAPACITY - PIPE_BUF, PIPE_BUF, 0, 2);
}
END_TEST

START_TEST(write_more_than_it_holds)
{
	int fd = pipe_fresh(0, O_RDWR, _i);
	unsigned char *more = xmalloc(_i + 1);

	/* No waiting for a reader: what fits is taken. */
	fill(more, _i + 1, 0, 3);
	expect_ret(write(fd, more, _i + 1), _i);
	memset(more, 0, _i + 1);
	expect_ret(read(fd, more, _i + 1), _i);
	expect_pattern(more, _i, 0, 3);
}
END_TEST

/* --- signals --- */

/* A signal that is caught ends a wait, or with SA_RESTART does not. */
static void signalled(long nr, bool restart)
{
	int fd = nr == SYS_read ? pipe_fresh(0, O_RDWR, CAPACITY) :
				  full_pipe(CAPACITY, 1);
	struct call *c = call_new(fd, nr, 10);
	int round;
	pid_t pid;

	c->handler = true;
	c->restart = restart;
	c->seed = 2;
	pid = begin(c);
	for (round = 1; round <= 5; round++) {
		sys(kill(pid, SIGUSR1));
		wait_until(__atomic_load_n(&c->caught, __ATOMIC_SEQ_CST) == round,
			   30, "the signal was not caught");
		if (!restart) {
			expect_end(pid, c, -1);
			expect(c->err == EINTR, "the wait ended with %s",
			       strerror(c->err));
			break;
		}
		wait_asleep(pid, nr);
	}
	/* Nothing was taken or put meanwhile. */
	if (nr == SYS_read) {
		expect_ret(write(fd, "0123456789", 10), 10);
		if (restart)
			expect_end(pid, c, 10);
		else
			expect_ret(read(fd, buf, CAPACITY), 10);
		return;
	}
	expect_ret(read(fd, buf, CAPACITY), CAPACITY);
	expect_pattern(buf, CAPACITY, 0, 1);
	if (restart)
		expect_end(pid, c, nr == SYS_write ? 10 : 0);
	set_nonblock(fd, true);
	if (restart && nr == SYS_write) {
		expect_ret(read(fd, buf, CAPACITY), 10);
		expect_pattern(buf, 10, 0, 2);
	}
	expect_errno(read(fd, buf, 1), EAGAIN);
}

START_TEST(signal_interrupts)
{
	signalled(_i, false);
}
END_TEST

START_TEST(signal_restarts)
{
	signalled(_i, true);
}
END_TEST

START_TEST(killed)
{
	int fd = _i == SYS_read ? pipe_fresh(0, O_RDWR, CAPACITY) :
				  full_pipe(CAPACITY, 1);
	int round;

	for (round = 0; round < 20; round++)
		kill_and_join(begin(call_new(fd, _i, 10)));
	set_nonblock(fd, true);
	if (_i == SYS_read) {
		expect_ret(write(fd, "abc", 3), 3);
		expect_ret(read(fd, buf, CAPACITY), 3);
	} else {
		expect_ret(read(fd, buf, 2 * CAPACITY), CAPACITY);
		expect_pattern(buf, CAPACITY, 0, 1);
	}
	expect_errno(read(fd, buf, 1), EAGAIN);
}
END_TEST

/* Stopped and continued: the wait goes on as if nothing had been. */
START_TEST(stopped)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), status;
	struct call *c = call_new(fd, SYS_read, 10);
	pid_t pid = begin(c);

	sys(kill(pid, SIGSTOP));
	expect_ret(waitpid(pid, &status, WUNTRACED), pid);
	expect(WIFSTOPPED(status), "status 0x%x", status);
	sys(kill(pid, SIGCONT));
	wait_asleep(pid, SYS_read);
	expect_ret(write(fd, "x", 1), 1);
	expect_end(pid, c, 1);
}
END_TEST

/*
 * A timer's signals come at any point of reads and writes. The counts that
 * the calls return say exactly what was moved.
 */
struct storm {
	uint64_t end;
	long interrupted[2];
};

static void nothing(int sig)
{
}

static void stormy(int me, void *arg)
{
	struct itimerval every = { { 0, 700 }, { 0, 700 } };
	struct sigaction sa = { .sa_handler = nothing };
	int fd = pipe_open(0, me ? O_WRONLY : O_RDONLY);
	unsigned char *b = xmalloc(60000);
	struct storm *s = arg;
	uint64_t pos = 0;
	long calls = 0;

	sys(sigaction(SIGALRM, &sa, NULL));
	sys(setitimer(ITIMER_REAL, &every, NULL));
	while (pos < s->end) {
		size_t len = 1 + calls++ * 7919 % 60000;
		ssize_t n;

		if (len > s->end - pos)
			len = s->end - pos;
		if (me)
			fill(b, len, pos, 5);
		n = me ? write(fd, b, len) : read(fd, b, len);
		if (n < 0 && errno == EINTR) {
			s->interrupted[me]++;
			continue;
		}
		expect(sys(n) > 0, "%zd bytes at %llu", n,
		       (unsigned long long)pos);
		if (!me)
			expect_pattern(b, n, pos, 5);
		pos += n;
	}
	memset(&every, 0, sizeof(every));
	setitimer(ITIMER_REAL, &every, NULL);
}

START_TEST(signal_storm)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	struct storm *s = shared(sizeof(*s));

	s->end = _i < 10000 ? 2 * MiB : 20 * MiB;
	together(2, stormy, s);
	expect_errno(read(keeper, buf, 1), EAGAIN);
	diag("%ld reads and %ld writes were interrupted", s->interrupted[0],
	     s->interrupted[1]);
}
END_TEST

/* --- in the middle of a copy --- */

struct held {
	struct snare snare;
	int fd;
	long nr;
	size_t before;		/* bytes ahead of the page that is missing */
	size_t len;
	long long ret;
	int err;
};

/*
 * The call meets a page that is there, then one that is not. Memory of the
 * first comes from the watcher, like that of the second later or never.
 */
static void held_call(void *arg)
{
	struct held *h = arg;
	long page = sysconf(_SC_PAGESIZE);

	snare_set(&h->snare, 16);
	h->ret = syscall(h->nr, h->fd, h->snare.mem + page - h->before, h->len);
	h->err = errno;
}

static pid_t hold_up(struct held *h, unsigned int seed)
{
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *first = xmalloc(page);
	pid_t pid = spawn(held_call, h);

	if (h->before) {
		fill(first + page - h->before, h->before, 0, seed);
		snare_wait(&h->snare, pid);
		snare_fill(&h->snare, 0, first);
	}
	snare_wait(&h->snare, pid);
	free(first);
	return pid;
}

static struct held *held_new(int fd, long nr, size_t before, size_t len)
{
	struct held *h = shared(sizeof(*h));

	snare_possible();
	h->fd = fd;
	h->nr = nr;
	h->before = before;
	h->len = len;
	return h;
}

START_TEST(kill_a_copying_reader)
{
	int fd = full_pipe(CAPACITY, 1), other = pipe_open(0, O_WRONLY);
	struct held *h = held_new(fd, SYS_read, _i, 6000);
	ssize_t n, at;
	pid_t pid;

	pid = hold_up(h, 0);
	/* It holds up other readers, but no writer and no poller. */
	set_nonblock(other, true);
	expect(poll_now(fd, POLLIN) & POLLIN, "poll sees no bytes");
	expect_errno(write(other, "x", 1), EAGAIN);
	kill_and_join(pid);
	/* It may have got a part. What it did not get is there, in order. */
	set_nonblock(fd, true);
	n = sys(read(fd, buf, sizeof(buf)));
	expect(n >= CAPACITY - _i && n <= CAPACITY, "%zd bytes are left", n);
	at = CAPACITY - n;
	expect_pattern(buf, n, at, 1);
	expect_ret(write(other, buf, CAPACITY), CAPACITY);
}
END_TEST

START_TEST(kill_a_copying_writer)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct held *h = held_new(fd, SYS_write, _i % 10000,
				  _i / 10000 ? 6000 : 3000);
	ssize_t n;
	pid_t pid;

	expect_ret(write(fd, "before", 6), 6);
	pid = hold_up(h, 1);
	/* It holds up other writers, but no reader. */
	expect_ret(read(fd, buf, 6), 6);
	kill_and_join(pid);
	set_nonblock(fd, true);
	if (h->len <= PIPE_BUF) {
		expect_errno(read(fd, buf, 1), EAGAIN);
	} else {
		n = read(fd, buf, sizeof(buf));
		expect(n <= (ssize_t)h->before && (n > 0 || errno == EAGAIN),
		       "%zd bytes of %zu came", n, h->before);
		if (n > 0)
			expect_pattern(buf, n, 0, 1);
	}
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	expect_ret(read(fd, buf, sizeof(buf)), CAPACITY);
}
END_TEST

/* Who waits behind a copy that is held up can be killed, and others go on. */
START_TEST(behind_a_copy)
{
	int fd = _i == SYS_read ? full_pipe(CAPACITY, 1) :
				  pipe_fresh(0, O_RDWR, CAPACITY);
	struct held *h = held_new(fd, _i, 0, 100);
	struct call *c = call_new(fd, _i, 10), *d = call_new(fd, _i, 10);
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *zeros = xmalloc(page);
	struct iovec one = { buf, 1 };
	pid_t holder = hold_up(h, 0), waiter, other;

	waiter = begin(c);
	other = begin(d);
	kill_and_join(waiter);
	if (_i == SYS_read)
		expect_errno(preadv2(fd, &one, 1, -1, RWF_NOWAIT), EAGAIN);
	else
		expect_errno(pwritev2(fd, &one, 1, -1, RWF_NOWAIT), EAGAIN);
	snare_fill(&h->snare, page, zeros);
	expect_end(other, d, 10);
	join(holder);
	errno = h->err;
	expect_ret(h->ret, 100);
	if (_i == SYS_read)
		expect_pattern(d->seen, 10, 100, 1);
	else
		expect_ret(read(fd, buf, sizeof(buf)), 110);
}
END_TEST

/* --- fsync --- */

START_TEST(fsync_waits)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct call *c = call_new(fd, SYS_fsync, 0);
	pid_t pid;

	/* Nothing in it: nothing to wait for. */
	expect_ret(fsync(fd), 0);
	expect_ret(fdatasync(fd), 0);
	expect_ret(write(fd, buf, 100), 100);
	if (_i)
		set_nonblock(fd, true);
	pid = begin(c);
	/* What is written later does not count, what was there must go. */
	expect_ret(write(fd, buf, 50), 50);
	expect_ret(read(fd, buf, 99), 99);
	nap_ms(20);
	expect(asleep_in(pid, SYS_fsync), "fsync ended with a byte unread");
	expect_ret(read(fd, buf, 1), 1);
	expect_end(pid, c, 0);
	c = call_new(fd, SYS_fdatasync, 0);
	pid = begin(c);
	expect_ret(read(fd, buf, CAPACITY), 50);
	expect_end(pid, c, 0);
}
END_TEST

START_TEST(fsync_many)
{
	int fd = full_pipe(CAPACITY, 1), i;
	struct call *c[8];
	pid_t pids[8];

	for (i = 0; i < 8; i++) {
		c[i] = call_new(fd, i % 2 ? SYS_fsync : SYS_fdatasync, 0);
		pids[i] = begin(c[i]);
	}
	expect_ret(read(fd, buf, CAPACITY - 1), CAPACITY - 1);
	for (i = 0; i < 8; i++)
		expect(!c[i]->done, "fsync ended with a byte unread");
	expect_ret(read(fd, buf, 1), 1);
	for (i = 0; i < 8; i++)
		expect_end(pids[i], c[i], 0);
}
END_TEST

/* The writer syncs after each write: what it wrote has been read then. */
struct synced {
	uint64_t read;
	bool over;
};

#define SYNCS 300

static void sync_each(int me, void *arg)
{
	int fd = pipe_open(0, me ? O_WRONLY : O_RDONLY);
	struct synced *s = arg;
	unsigned char b[700];
	uint64_t pos = 0;
	int i;

	for (i = 0; me && i < SYNCS; i++) {
		size_t len = 1 + i * 101 % 700;

		expect_ret(write(fd, b, len), len);
		pos += len;
		expect_ret(fsync(fd), 0);
		/* The reader counts what it has after it has it. */
		wait_until(__atomic_load_n(&s->read, __ATOMIC_SEQ_CST) == pos,
			   30, "%llu bytes read of %llu",
			   (unsigned long long)s->read, (unsigned long long)pos);
	}
	while (!me && pos < SYNCS * 701) {
		ssize_t n = sys(read(fd, b, 1 + pos % 650));

		pos = __atomic_add_fetch(&s->read, n, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&s->over, __ATOMIC_SEQ_CST))
			break;
	}
}

static void sync_writer(void *arg)
{
	sync_each(1, arg);
}

static void sync_reader(void *arg)
{
	sync_each(0, arg);
}

START_TEST(fsync_each)
{
	int keeper = pipe_fresh(0, O_RDWR, 1000);
	struct synced *s = shared(sizeof(*s));
	pid_t reader = spawn(sync_reader, s), writer = spawn(sync_writer, s);

	join(writer);
	__atomic_store_n(&s->over, true, __ATOMIC_SEQ_CST);
	expect_ret(write(keeper, "x", 1), 1);
	join(reader);
}
END_TEST

static const struct test tests[] = {
	{ &reader_waits, "a reader waits for the first byte" },
	{ &reader_without_writer, "a reader waits for the next writer" },
	{ &writer_without_reader, "a writer needs no reader" },
	{ &writer_waits, "a writer waits for room for all of it" },
	{ &large_writer_waits, "a large write waits for room for PIPE_BUF" },
	{ &write_more_than_it_holds, "a write of more than 100 bytes takes 100", 100 },
	{ &write_more_than_it_holds, "a write of more than 5000 bytes takes 5000", 5000 },
	{ &write_more_than_it_holds, "a write of more than 65536 bytes takes 65536", 65536 },
	{ &signal_interrupts, "a signal ends the wait of a read", SYS_read },
	{ &signal_interrupts, "a signal ends the wait of a write", SYS_write },
	{ &signal_interrupts, "a signal ends the wait of an fsync", SYS_fsync },
	{ &signal_restarts, "with SA_RESTART a read goes on", SYS_read },
	{ &signal_restarts, "with SA_RESTART a write goes on", SYS_write },
	{ &signal_restarts, "with SA_RESTART an fsync goes on", SYS_fsync },
	{ &killed, "SIGKILL ends the wait of a read", SYS_read },
	{ &killed, "SIGKILL ends the wait of a write", SYS_write },
	{ &killed, "SIGKILL ends the wait of an fsync", SYS_fsync },
	{ &stopped, "SIGSTOP and SIGCONT" },
	{ &signal_storm, "signals all the time, capacity 300", 300, 120 },
	{ &signal_storm, "signals all the time, capacity 65536", 65536, 120 },
	{ &kill_a_copying_reader, "SIGKILL of a reader before its first byte", 0 },
	{ &kill_a_copying_reader, "SIGKILL of a reader in the middle of a copy", 1000 },
	{ &kill_a_copying_writer, "SIGKILL of a writer before its first byte", 0 },
	{ &kill_a_copying_writer, "SIGKILL of a writer in the middle of a small copy", 1000 },
	{ &kill_a_copying_writer, "SIGKILL of a writer in the middle of a large copy", 11000 },
	{ &behind_a_copy, "readers behind a reader that is held up", SYS_read },
	{ &behind_a_copy, "writers behind a writer that is held up", SYS_write },
	{ &fsync_waits, "fsync waits for what is there to be read", false },
	{ &fsync_waits, "fsync waits with O_NONBLOCK too", true },
	{ &fsync_many, "eight fsync calls end with the last byte" },
	{ &fsync_each, "an fsync after each write" },
};

TEST_MAIN("pipe_block", tests)
