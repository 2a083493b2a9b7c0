// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring on the pipes: requests that cannot go on are left to the ring,
 * which has the pipe polled, and end when they can.
 */
#include "pipes.h"

#include <liburing.h>

#define DEPTH 64
#define CAPACITY 8192

static unsigned char buf[2 * CAPACITY];

static void ring_or_skip(struct io_uring *ring)
{
	int err = io_uring_queue_init(DEPTH, ring, 0);

	if (err == -ENOSYS || err == -EPERM)
		skip("this kernel has no io_uring, or it is disabled");
	expect(!err, "io_uring_queue_init: %s", strerror(-err));
}

static struct io_uring_sqe *next(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	expect(sqe, "the ring has no room for another request");
	return sqe;
}

static void submit(struct io_uring *ring, struct io_uring_sqe *sqe, int tag)
{
	sqe->user_data = tag;
	expect_ret(io_uring_submit(ring), 1);
}

/* The next request to end has to be this one, with this result. */
static void expect_end(struct io_uring *ring, int tag, int want)
{
	struct __kernel_timespec limit = { 30, 0 };
	struct io_uring_cqe *cqe;
	int err = io_uring_wait_cqe_timeout(ring, &cqe, &limit);

	expect(!err, "request %d does not end: %s", tag, strerror(-err));
	expect(cqe->user_data == (unsigned int)tag && cqe->res == want,
	       "request %lld ended with %d, expected %d with %d",
	       (long long)cqe->user_data, cqe->res, tag, want);
	io_uring_cqe_seen(ring, cqe);
}

static void expect_none(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	/* Lets the kernel finish what it has to finish first. */
	io_uring_get_events(ring);
	expect(io_uring_peek_cqe(ring, &cqe), "request %lld ended with %d",
	       (long long)cqe->user_data, cqe->res);
}

START_TEST(read_waits)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, buf, 100, -1);
	submit(&ring, sqe, 1);
	expect_none(&ring);
	expect_ret(write(fd, "hello", 5), 5);
	expect_end(&ring, 1, 5);
	expect(!memcmp(buf, "hello", 5), "came: %.5s", buf);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(write_waits)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	fill(buf, PIPE_BUF, 0, 1);
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, buf, PIPE_BUF, -1);
	submit(&ring, sqe, 1);
	expect_none(&ring);
	expect_ret(read(fd, buf + CAPACITY, PIPE_BUF - 1), PIPE_BUF - 1);
	expect_none(&ring);
	expect_ret(read(fd, buf + CAPACITY, CAPACITY - PIPE_BUF + 1),
		   CAPACITY - PIPE_BUF + 1);
	expect_end(&ring, 1, PIPE_BUF);
	expect_ret(read(fd, buf, CAPACITY), PIPE_BUF);
	expect_pattern(buf, PIPE_BUF, 0, 1);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(many_reads)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), i, seen = 0;
	struct __kernel_timespec limit = { 30, 0 };
	unsigned char bytes[DEPTH];
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	for (i = 0; i < DEPTH; i++) {
		sqe = next(&ring);
		io_uring_prep_read(sqe, fd, bytes + i, 1, -1);
		sqe->flags |= _i;
		submit(&ring, sqe, i);
	}
	/* One write serves all. */
	for (i = 0; i < DEPTH; i++)
		buf[i] = i;
	expect_ret(write(fd, buf, DEPTH), DEPTH);
	for (i = 0; i < DEPTH; i++) {
		int err = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);

		expect(!err, "%d of %d reads ended, then: %s", i, DEPTH,
		       strerror(-err));
		expect_ret(cqe->res, 1);
		io_uring_cqe_seen(&ring, cqe);
	}
	/* Each byte went to one of them. */
	memset(buf, 0, DEPTH);
	for (i = 0; i < DEPTH; i++)
		if (bytes[i] < DEPTH && !buf[bytes[i]]++)
			seen++;
	expect(seen == DEPTH, "%d of %d bytes came", seen, DEPTH);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(polls)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	sqe = next(&ring);
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	submit(&ring, sqe, 1);
	expect_none(&ring);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	expect_end(&ring, 1, POLLIN);
	sqe = next(&ring);
	io_uring_prep_poll_add(sqe, fd, POLLOUT);
	submit(&ring, sqe, 2);
	expect_none(&ring);
	expect_ret(read(fd, buf, PIPE_BUF - 1), PIPE_BUF - 1);
	expect_none(&ring);
	expect_ret(read(fd, buf, 1), 1);
	expect_end(&ring, 2, POLLOUT);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(cancelled)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), i;
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	for (i = 0; i < 2; i++) {
		sqe = next(&ring);
		io_uring_prep_read(sqe, fd, buf, 10, -1);
		sqe->flags |= i ? IOSQE_ASYNC : 0;
		submit(&ring, sqe, 1);
	}
	/* And one that the end of the ring itself has to cancel. */
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, buf, 10, -1);
	submit(&ring, sqe, 1);
	expect_none(&ring);
	io_uring_queue_exit(&ring);
	/* They are gone, and took nothing along. */
	wait_until(({ set_nonblock(fd, true);
		      write(fd, "x", 1) == 1 && read(fd, buf, 9) == 1; }), 30,
		   "a read that was cancelled took a byte");
}
END_TEST

/* A request that must not wait, on a pipe that would make it. */
START_TEST(without_waiting)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, buf, 10, -1);
	sqe->rw_flags = RWF_NOWAIT;
	submit(&ring, sqe, 1);
	expect_end(&ring, 1, -EAGAIN);
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, buf, CAPACITY, -1);
	sqe->rw_flags = RWF_NOWAIT;
	submit(&ring, sqe, 2);
	expect_end(&ring, 2, CAPACITY);
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, buf, 1, -1);
	sqe->rw_flags = RWF_NOWAIT;
	submit(&ring, sqe, 3);
	expect_end(&ring, 3, -EAGAIN);
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, buf, 2 * CAPACITY, -1);
	sqe->rw_flags = RWF_NOWAIT;
	submit(&ring, sqe, 4);
	expect_end(&ring, 4, CAPACITY);
	io_uring_queue_exit(&ring);
}
END_TEST

/* A writer and a reader, each with its ring and one request at a time. */
#define LEN (1000 * 1000)

static void stream(int me, void *arg)
{
	int fd = pipe_open(0, me ? O_WRONLY : O_RDONLY);
	struct __kernel_timespec limit = { 60, 0 };
	unsigned char *b = xmalloc(20000);
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	size_t pos = 0;
	int err;

	err = io_uring_queue_init(4, &ring, 0);
	expect(!err, "io_uring_queue_init: %s", strerror(-err));
	while (pos < LEN) {
		size_t len = 1 + pos * 7919 % 20000;

		if (len > LEN - pos)
			len = LEN - pos;
		sqe = next(&ring);
		if (me) {
			fill(b, len, pos, 1);
			io_uring_prep_write(sqe, fd, b, len, -1);
		} else {
			io_uring_prep_read(sqe, fd, b, len, -1);
		}
		expect_ret(io_uring_submit(&ring), 1);
		err = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
		expect(!err, "a request at %zu does not end: %s", pos,
		       strerror(-err));
		expect(cqe->res > 0 && cqe->res <= (int)len,
		       "a request of %zu gave %d", len, cqe->res);
		if (!me)
			expect_pattern(b, cqe->res, pos, 1);
		pos += cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	}
}

START_TEST(streams)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	struct io_uring ring;

	ring_or_skip(&ring);
	io_uring_queue_exit(&ring);
	together(2, stream, NULL);
	expect_errno(read(keeper, buf, 1), EAGAIN);
}
END_TEST

START_TEST(errors)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	expect_ret(write(fd, "x", 1), 1);
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, cliff(0, PROT_READ), 10, -1);
	submit(&ring, sqe, 1);
	expect_end(&ring, 1, -EFAULT);
	expect_ret(read(fd, buf, 9), 1);
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, cliff(0, PROT_READ), 10, -1);
	submit(&ring, sqe, 2);
	expect_end(&ring, 2, -EFAULT);
	sqe = next(&ring);
	io_uring_prep_fsync(sqe, fd, 0);
	submit(&ring, sqe, 3);
	expect_end(&ring, 3, 0);
	io_uring_queue_exit(&ring);
}
END_TEST

static const struct test tests[] = {
	{ &read_waits, "a read ends when there is data" },
	{ &write_waits, "a write ends when there is room for it" },
	{ &many_reads, "64 reads share one write" },
	{ &many_reads, "64 reads share one write, by workers", IOSQE_ASYNC },
	{ &polls, "poll requests" },
	{ &cancelled, "reads that are cancelled" },
	{ &without_waiting, "RWF_NOWAIT" },
	{ &streams, "a writer and a reader, capacity 1000", 1000, 300 },
	{ &streams, "a writer and a reader, capacity 65536", 65536, 120 },
	{ &errors, "bad addresses, fsync" },
};

TEST_MAIN("pipe_uring", tests)
