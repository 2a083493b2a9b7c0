// SPDX-License-Identifier: GPL-2.0
/* io_uring on the bare devices. */
#include "faults.h"
#include "harness.h"

#include <liburing.h>

#define DEPTH 64
#define PIECE 3001

static void ring_or_skip(struct io_uring *ring)
{
	int err = io_uring_queue_init(DEPTH, ring, 0);

	if (err == -ENOSYS || err == -EPERM)
		skip("this kernel has no io_uring, or it is disabled");
	expect(!err, "io_uring_queue_init: %s", strerror(-err));
}

/* Submits what is prepared; each has to give its own wanted result. */
static void finish(struct io_uring *ring, int n, int want)
{
	struct io_uring_cqe *cqe;
	int i;

	expect_ret(io_uring_submit(ring), n);
	for (i = 0; i < n; i++) {
		int err = io_uring_wait_cqe(ring, &cqe);

		expect(!err, "io_uring_wait_cqe: %s", strerror(-err));
		expect(cqe->res == want, "request %lld gave %d, expected %d",
		       (long long)cqe->user_data, cqe->res, want);
		io_uring_cqe_seen(ring, cqe);
	}
}

static struct io_uring_sqe *next(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	expect(sqe, "the ring has no room for another request");
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, int i, int flags)
{
	sqe->user_data = i;
	sqe->flags |= flags;
}

START_TEST(read_write)
{
	unsigned char *in = xmalloc(DEPTH * PIECE);
	unsigned char *out = xmalloc(DEPTH * PIECE);
	int fd = fresh(0, 4000, 7), round, i;
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	/* First into empty quanta, then over them. */
	for (round = 0; round < 4; round++) {
		fill(in, DEPTH * PIECE, 0, round);
		for (i = 0; i < DEPTH; i++) {
			sqe = next(&ring);
			io_uring_prep_write(sqe, fd, in + i * PIECE, PIECE,
					    i * PIECE);
			tag(sqe, i, _i);
		}
		finish(&ring, DEPTH, PIECE);
		expect_ret(lseek(fd, 0, SEEK_END), DEPTH * PIECE);
		memset(out, 0, DEPTH * PIECE);
		for (i = 0; i < DEPTH; i++) {
			sqe = next(&ring);
			io_uring_prep_read(sqe, fd, out + i * PIECE, PIECE,
					   i * PIECE);
			tag(sqe, i, _i);
		}
		finish(&ring, DEPTH, PIECE);
		expect_pattern(out, DEPTH * PIECE, 0, round);
	}
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(vectors)
{
	unsigned char *in = xmalloc(DEPTH * PIECE);
	unsigned char *out = xmalloc(DEPTH * PIECE);
	struct iovec iov[DEPTH][2];
	int fd = fresh(0, 1000, 3), i;
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	fill(in, DEPTH * PIECE, 0, 1);
	for (i = 0; i < DEPTH; i++) {
		iov[i][0] = (struct iovec){ in + i * PIECE, 7 };
		iov[i][1] = (struct iovec){ in + i * PIECE + 7, PIECE - 7 };
		sqe = next(&ring);
		io_uring_prep_writev(sqe, fd, iov[i], 2, i * PIECE);
		tag(sqe, i, _i);
	}
	finish(&ring, DEPTH, PIECE);
	for (i = 0; i < DEPTH; i++) {
		iov[i][0] = (struct iovec){ out + i * PIECE, 2000 };
		iov[i][1] = (struct iovec){ out + i * PIECE + 2000, PIECE - 2000 };
		sqe = next(&ring);
		io_uring_prep_readv(sqe, fd, iov[i], 2, i * PIECE);
		tag(sqe, i, _i);
	}
	finish(&ring, DEPTH, PIECE);
	expect_pattern(out, DEPTH * PIECE, 0, 1);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(fixed_buffers)
{
	unsigned char *buf = xmalloc(DEPTH * PIECE);
	struct iovec iov = { buf, DEPTH * PIECE };
	int fd = fresh(0, 4000, 7), i, err;
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	err = io_uring_register_buffers(&ring, &iov, 1);
	expect(!err, "io_uring_register_buffers: %s", strerror(-err));
	fill(buf, DEPTH * PIECE, 0, 1);
	for (i = 0; i < DEPTH; i++) {
		sqe = next(&ring);
		io_uring_prep_write_fixed(sqe, fd, buf + i * PIECE, PIECE,
					  i * PIECE, 0);
		tag(sqe, i, _i);
	}
	finish(&ring, DEPTH, PIECE);
	memset(buf, 0, DEPTH * PIECE);
	for (i = 0; i < DEPTH; i++) {
		sqe = next(&ring);
		io_uring_prep_read_fixed(sqe, fd, buf + i * PIECE, PIECE,
					 i * PIECE, 0);
		tag(sqe, i, _i);
	}
	finish(&ring, DEPTH, PIECE);
	expect_pattern(buf, DEPTH * PIECE, 0, 1);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(position)
{
	unsigned char in[PIECE], out[PIECE];
	int fd = dev_open(0, O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	fill(in, PIECE, 0, 1);
	expect_ret(lseek(fd, 500, SEEK_SET), 500);
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, in, PIECE, -1);
	finish(&ring, 1, PIECE);
	expect_ret(lseek(fd, 0, SEEK_CUR), 500 + PIECE);
	expect_ret(lseek(fd, 500, SEEK_SET), 500);
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, out, PIECE, -1);
	finish(&ring, 1, PIECE);
	expect_pattern(out, PIECE, 0, 1);
	expect_ret(lseek(fd, 0, SEEK_CUR), 500 + PIECE);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(append)
{
	unsigned char out[DEPTH * 10 + 1];
	int fd = dev_open(0, O_RDWR), i, seen = 0;
	static const char text[] = "0123456789";
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ring_or_skip(&ring);
	for (i = 0; i < DEPTH; i++) {
		sqe = next(&ring);
		io_uring_prep_write(sqe, fd, text, 10, 0);
		sqe->rw_flags = RWF_APPEND;
		tag(sqe, i, _i);
	}
	finish(&ring, DEPTH, 10);
	expect_ret(pread(fd, out, sizeof(out), 0), DEPTH * 10);
	for (i = 0; i < DEPTH; i++)
		seen += !memcmp(out + i * 10, text, 10);
	expect(seen == DEPTH, "%d of %d appended whole", seen, DEPTH);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(errors)
{
	int fd = dev_open(0, O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char *bad = cliff(0, PROT_READ);

	ring_or_skip(&ring);
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, bad, 100, 0);
	finish(&ring, 1, -EFAULT);
	sqe = next(&ring);
	io_uring_prep_read(sqe, fd, bad, 100, 0);
	finish(&ring, 1, 0);
	/* Without waiting, what needs memory is refused. */
	sqe = next(&ring);
	io_uring_prep_write(sqe, fd, "x", 1, 0);
	sqe->rw_flags = RWF_NOWAIT;
	finish(&ring, 1, -EAGAIN);
	sqe = next(&ring);
	io_uring_prep_fsync(sqe, fd, 0);
	finish(&ring, 1, 0);
	io_uring_queue_exit(&ring);
}
END_TEST

/* --- faults on demand --- */

static int read_flags;

/* Prepares a read of @len bytes into @to. */
static void prepare_read(struct io_uring *ring, int fd, void *to, int len)
{
	struct io_uring_sqe *sqe = next(ring);

	io_uring_prep_read(sqe, fd, to, len, 0);
	tag(sqe, 0, read_flags);
}

static void expect_nothing_ends(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	io_uring_get_events(ring);
	expect(io_uring_peek_cqe(ring, &cqe), "a request ended with %d",
	       cqe->res);
}

/* A request that is made to wait is left to a worker, and counted once. */
START_TEST(waits)
{
	static const struct {
		const char *rules, *asked;
	} ways[] = {
		{ "read hang", "read hang  # matched 1 fired 1\n" },
		{ "read delay=3600s", "read delay=3600s  # matched 1 fired 1\n" },
		{ NULL },
	};
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	char out[10] = "";
	int fd, err;
	size_t i;

	faults_possible();
	read_flags = _i;
	fd = dev_open(0, O_RDWR);
	expect_ret(pwrite(fd, "0123456789", 10, 0), 10);
	ring_or_skip(&ring);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		if (ways[i].rules)
			set_rules("scull0", "%s", ways[i].rules);
		else
			sys(fault_put("scull0", "hold", "1"));
		prepare_read(&ring, fd, out, 10);
		expect_ret(io_uring_submit(&ring), 1);
		if (ways[i].rules)
			wait_until(!strcmp(fault_text("scull0", "rules"),
					   ways[i].asked), 30,
				   "the rules are \"%s\"",
				   fault_text("scull0", "rules"));
		expect_nothing_ends(&ring);
		sys(fault_put("scull0", "hold", "0"));
		err = io_uring_wait_cqe(&ring, &cqe);
		expect(!err, "io_uring_wait_cqe: %s", strerror(-err));
		expect_ret(cqe->res, 10);
		io_uring_cqe_seen(&ring, cqe);
		expect(!memcmp(out, "0123456789", 10), "came: %.10s", out);
		clear_rules("scull0");
	}
	/* With the device all that it keeps waiting goes. */
	set_rules("scull0", "read hang");
	prepare_read(&ring, fd, out, 10);
	expect_ret(io_uring_submit(&ring), 1);
	wait_until(!strcmp(fault_text("scull0", "rules"), ways[0].asked), 30,
		   "it does not hang");
	sys(attribute_put("unplug", "scull0"));
	err = io_uring_wait_cqe(&ring, &cqe);
	expect(!err, "io_uring_wait_cqe: %s", strerror(-err));
	expect_ret(cqe->res, -ENODEV);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(fails)
{
	struct io_uring ring;
	char out[10] = "";
	int fd, i, bits;

	faults_possible();
	read_flags = _i;
	fd = dev_open(0, O_RDWR);
	expect_ret(pwrite(fd, "0123456789", 10, 0), 10);
	ring_or_skip(&ring);
	set_rules("scull0", "read nth=1 EIO\nread nth=1 short=3\nread nth=2 corrupt");
	prepare_read(&ring, fd, out, 10);
	finish(&ring, 1, -EIO);
	prepare_read(&ring, fd, out, 10);
	finish(&ring, 1, 3);
	expect(!memcmp(out, "012", 3), "came: %.3s", out);
	prepare_read(&ring, fd, out, 10);
	finish(&ring, 1, 10);
	for (i = 0, bits = 0; i < 10; i++)
		bits += __builtin_popcount((unsigned char)(out[i] ^ ('0' + i)));
	expect_ret(bits, 1);
	expect_rules("scull0", "read nth=1 EIO  # matched 3 fired 1\n"
			       "read nth=1 short=3  # matched 2 fired 1\n"
			       "read nth=2 corrupt  # matched 2 fired 1\n");
	io_uring_queue_exit(&ring);
}
END_TEST

static void hang_in_worker(void *unused)
{
	struct io_uring ring;
	char out[10];

	ring_or_skip(&ring);
	prepare_read(&ring, dev_open(0, O_RDWR), out, 10);
	expect_ret(io_uring_submit(&ring), 1);
	pause();
}

/* Nobody has to let go the workers of who is killed. */
START_TEST(killed)
{
	struct io_uring ring;
	pid_t pid;

	faults_possible();
	ring_or_skip(&ring);
	io_uring_queue_exit(&ring);
	set_rules("scull0", "read hang");
	pid = spawn(hang_in_worker, NULL);
	wait_until(!strcmp(fault_text("scull0", "rules"),
			   "read hang  # matched 1 fired 1\n"), 30,
		   "it does not hang");
	sys(kill(pid, SIGKILL));
	expect_ret(waitpid(pid, NULL, 0), pid);
	wait_until(!number_of("scull0", "opens"), 30,
		   "what it had open is not closed");
}
END_TEST

static const struct test tests[] = {
	{ &read_write, "64 writes and reads at once" },
	{ &read_write, "64 writes and reads at once, by workers", IOSQE_ASYNC },
	{ &vectors, "writev and readv" },
	{ &vectors, "writev and readv, by workers", IOSQE_ASYNC },
	{ &fixed_buffers, "registered buffers" },
	{ &fixed_buffers, "registered buffers, by workers", IOSQE_ASYNC },
	{ &position, "at the position" },
	{ &append, "RWF_APPEND, 64 at once" },
	{ &append, "RWF_APPEND, 64 at once, by workers", IOSQE_ASYNC },
	{ &errors, "bad address, RWF_NOWAIT, fsync" },
	{ &fails, "faults: an errno, a short read, a wrong bit" },
	{ &fails, "faults: the same, by workers", IOSQE_ASYNC },
	{ &waits, "faults: hang, delay, hold, unplug" },
	{ &waits, "faults: hang, delay, hold, unplug, by workers", IOSQE_ASYNC },
	{ &killed, "faults: who hangs in a worker is killed" },
};

int main(int argc, char **argv)
{
	before_cases = heal;
	return run_tests(argc, argv, "uring", tests, ARRAY_SIZE(tests));
}
