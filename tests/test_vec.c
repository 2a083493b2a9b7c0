// SPDX-License-Identifier: GPL-2.0
/* readv, writev and the flags of preadv2 and pwritev2 on the bare devices. */
#include "harness.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#define RWF_UNKNOWN (1 << 30)

static ssize_t write2(int fd, const void *buf, size_t len, off_t off, int flags)
{
	struct iovec iov = { (void *)buf, len };

	return pwritev2(fd, &iov, 1, off, flags);
}

static ssize_t read2(int fd, void *buf, size_t len, off_t off, int flags)
{
	struct iovec iov = { buf, len };

	return preadv2(fd, &iov, 1, off, flags);
}

/* Cuts @len bytes into at most @n pieces of any size, none among them. */
static int cut(struct iovec *iov, int n, unsigned char *buf, size_t len)
{
	size_t at = 0;
	int i;

	for (i = 0; i < n; i++) {
		size_t piece = i == n - 1 ? len - at :
			       below(2 * len / n + 1) * below(3);

		if (piece > len - at)
			piece = len - at;
		iov[i].iov_base = buf + at;
		iov[i].iov_len = piece;
		at += piece;
	}
	return n;
}

START_TEST(pieces)
{
	struct iovec iov[IOV_MAX];
	unsigned char in[20000], out[20000];
	int fd = fresh(0, _i, 3), round;

	seed_rnd();
	fill(in, sizeof(in), 0, 1);
	for (round = 0; round < 40; round++) {
		size_t len = 1 + below(sizeof(in)), off = below(5000);
		int n = 1 + below(round % 4 ? 20 : IOV_MAX);

		cut(iov, n, in, len);
		dev_trim(0);
		expect_ret(lseek(fd, off, SEEK_SET), off);
		if (round % 2) {
			expect_ret(writev(fd, iov, n), len);
			expect_ret(lseek(fd, 0, SEEK_CUR), off + len);
		} else {
			expect_ret(pwritev(fd, iov, n, off), len);
			expect_ret(lseek(fd, 0, SEEK_CUR), off);
		}
		expect_ret(lseek(fd, off, SEEK_SET), off);
		memset(out, 0, sizeof(out));
		n = cut(iov, 1 + below(20), out, sizeof(out));
		expect_ret(round % 2 ? readv(fd, iov, n) :
			   preadv(fd, iov, n, off), len);
		expect_pattern(out, len, 0, 1);
		expect_bytes(out + len, sizeof(out) - len, len, 0);
	}
}
END_TEST

START_TEST(too_many_pieces)
{
	struct iovec iov[IOV_MAX + 1] = { };
	int fd = dev_open(0, O_RDWR);

	expect_errno(writev(fd, iov, IOV_MAX + 1), EINVAL);
	expect_ret(writev(fd, iov, IOV_MAX), 0);
	expect_ret(readv(fd, iov, IOV_MAX), 0);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(flags_that_change_nothing)
{
	static const int flags[] = { RWF_DSYNC, RWF_SYNC, RWF_HIPRI, 0 };
	unsigned char buf[9000];
	int fd = dev_open(0, O_RDWR);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fill(buf, sizeof(buf), 0, i);
		expect_ret(write2(fd, buf, sizeof(buf), 0, flags[i]),
			   sizeof(buf));
		memset(buf, 0, sizeof(buf));
		expect_ret(read2(fd, buf, sizeof(buf), 0, flags[i] & RWF_HIPRI),
			   sizeof(buf));
		expect_pattern(buf, sizeof(buf), 0, i);
	}
	expect_ret(lseek(fd, 0, SEEK_END), sizeof(buf));
	/* Offset -1 means the position. */
	expect_ret(lseek(fd, 10, SEEK_SET), 10);
	expect_ret(write2(fd, "x", 1, -1, RWF_DSYNC), 1);
	expect_ret(lseek(fd, 0, SEEK_CUR), 11);
}
END_TEST

START_TEST(unknown_flag)
{
	int fd = dev_open(0, O_RDWR);
	char byte;

	expect_errno(write2(fd, "x", 1, 0, RWF_UNKNOWN), EOPNOTSUPP);
	expect_errno(read2(fd, &byte, 1, 0, RWF_UNKNOWN), EOPNOTSUPP);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(append_flag)
{
	unsigned char buf[100];
	int fd = dev_open(0, O_RDWR);

	expect_ret(write(fd, "0123456789", 10), 10);
	expect_ret(write2(fd, "abc", 3, 2, RWF_APPEND), 3);
	expect_ret(lseek(fd, 0, SEEK_CUR), 10);
	expect_ret(lseek(fd, 1, SEEK_SET), 1);
	expect_ret(write2(fd, "def", 3, -1, RWF_APPEND), 3);
	expect_ret(lseek(fd, 0, SEEK_CUR), 16);
	expect_ret(pread(fd, buf, sizeof(buf), 0), 16);
	expect(!memcmp(buf, "0123456789abcdef", 16), "read \"%.16s\"", buf);
}
END_TEST

START_TEST(append_mode)
{
	unsigned char buf[100];
	int fd, other = dev_open(0, O_RDWR);

	expect_ret(write(other, "0123456789", 10), 10);
	fd = dev_open(0, O_RDWR | O_APPEND);
	expect_ret(lseek(fd, 0, SEEK_CUR), 0);
	expect_ret(write(fd, "abc", 3), 3);
	expect_ret(lseek(fd, 0, SEEK_CUR), 13);
	expect_ret(pwrite(other, "x", 1, 20), 1);
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	/* As for files on Linux: the offset of pwrite is not heeded. */
	expect_ret(pwrite(fd, "def", 3, 5), 3);
	expect_ret(lseek(fd, 0, SEEK_CUR), 0);
	expect_ret(read(fd, buf, sizeof(buf)), 24);
	expect(!memcmp(buf, "0123456789abc\0\0\0\0\0\0\0xdef", 24),
	       "read \"%.13s\", then \"%.4s\"", buf, buf + 20);
	sys(fcntl(fd, F_SETFL, 0));
	expect_ret(pwrite(fd, "A", 1, 0), 1);
	expect_ret(lseek(fd, 0, SEEK_END), 24);
	sys(fcntl(fd, F_SETFL, O_APPEND));
	expect_ret(pwrite(fd, "Z", 1, 0), 1);
	expect_ret(lseek(fd, 0, SEEK_END), 25);
}
END_TEST

START_TEST(no_append_flag)
{
	int fd = dev_open(0, O_RDWR | O_APPEND);
	char buf[4];

	if (kernel_before(6, 9))
		skip("RWF_NOAPPEND came with kernel 6.9");
	expect_ret(write(fd, "abc", 3), 3);
	expect_ret(write2(fd, "X", 1, 1, RWF_NOAPPEND), 1);
	expect_ret(pread(fd, buf, 4, 0), 3);
	expect(!memcmp(buf, "aXc", 3), "read \"%.3s\"", buf);
}
END_TEST

START_TEST(nowait_write)
{
	unsigned char buf[300], out[300];
	int fd = fresh(0, 100, 2);

	/* All that would have to be allocated is refused at the first byte. */
	fill(buf, sizeof(buf), 0, 1);
	expect_errno(write2(fd, buf, 1, 0, RWF_NOWAIT), EAGAIN);
	expect_errno(write2(fd, buf, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_errno(write2(fd, buf, 300, 0, RWF_NOWAIT | RWF_APPEND), EAGAIN);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
	expect_errno(lseek(fd, 0, SEEK_DATA), ENXIO);

	expect_ret(pwrite(fd, buf, 250, 0), 250);
	fill(buf, sizeof(buf), 0, 2);
	expect_ret(write2(fd, buf, 250, 0, RWF_NOWAIT), 250);
	expect_ret(pread(fd, out, sizeof(out), 0), 250);
	expect_pattern(out, 250, 0, 2);
	/* The third quantum exists: no allocation up to its end. */
	expect_ret(write2(fd, buf + 250, 50, 250, RWF_NOWAIT), 50);
	expect_ret(lseek(fd, 0, SEEK_END), 300);
	expect_errno(write2(fd, buf, 2, 299, RWF_NOWAIT), EAGAIN);
	expect_errno(write2(fd, buf, 1, 10000, RWF_NOWAIT), EAGAIN);
	expect_errno(write2(fd, buf, 1, 0, RWF_NOWAIT | RWF_APPEND), EAGAIN);
	expect_ret(lseek(fd, 0, SEEK_END), 300);
	expect_ret(pread(fd, out, sizeof(out), 0), 300);
	expect_pattern(out, 300, 0, 2);
}
END_TEST

START_TEST(nowait_write_over_a_hole)
{
	unsigned char buf[500], out[500];
	int fd = fresh(0, 100, 2);

	fill(buf, sizeof(buf), 0, 1);
	expect_ret(pwrite(fd, buf, 100, 0), 100);
	expect_ret(pwrite(fd, buf + 400, 100, 400), 100);
	fill(out, sizeof(out), 0, 2);
	expect_errno(write2(fd, out, 500, 0, RWF_NOWAIT), EAGAIN);
	expect_ret(pread(fd, out, 500, 0), 500);
	expect_pattern(out, 100, 0, 1);
	expect_bytes(out + 100, 300, 100, 0);
	expect_pattern(out + 400, 100, 400, 1);
}
END_TEST

START_TEST(nowait_read)
{
	unsigned char buf[20000];
	int fd = dev_open(0, O_RDWR);

	expect_ret(read2(fd, buf, 10, 0, RWF_NOWAIT), 0);
	fill(buf, 100, 0, 1);
	expect_ret(pwrite(fd, buf, 100, 15000), 100);
	memset(buf, 0xee, sizeof(buf));
	expect_ret(read2(fd, buf, sizeof(buf), 0, RWF_NOWAIT), 15100);
	expect_bytes(buf, 15000, 0, 0);
	expect_pattern(buf + 15000, 100, 0, 1);
	expect_ret(read2(fd, buf, sizeof(buf), -1, RWF_NOWAIT), 15100);
	expect_ret(lseek(fd, 0, SEEK_CUR), 15100);
}
END_TEST

struct reader {
	int fd;
	unsigned char *buf;
	size_t len;
	ssize_t ret;
	bool done;
};

static void read_all(void *arg)
{
	struct reader *r = arg;

	r->ret = pread(r->fd, r->buf, r->len, 0);
	__atomic_store_n(&r->done, true, __ATOMIC_SEQ_CST);
}

START_TEST(nowait_behind_a_reader)
{
	struct reader *r = shared(sizeof(*r));
	bool refused = false;
	int round;

	if (sizeof(long) < 8)
		skip("a 32-bit process has no room for a buffer of 2 GiB");
	r->fd = dev_open(0, O_RDWR);
	r->len = 2 * GiB - 4 * KiB;
	r->buf = wide(r->len);
	expect_ret(pwrite(r->fd, "x", 1, 0), 1);
	expect_ret(pwrite(r->fd, "x", 1, r->len), 1);
	/* The read holds the lock for long; a slow machine may miss it once. */
	for (round = 0; round < 10 && !refused; round++) {
		pid_t pid;

		r->done = false;
		pid = spawn(read_all, r);
		while (!__atomic_load_n(&r->done, __ATOMIC_SEQ_CST)) {
			ssize_t ret = write2(r->fd, "y", 1, 0, RWF_NOWAIT);

			if (ret == 1)
				continue;
			expect_errno(ret, EAGAIN);
			refused = true;
			/* Readers do not lock each other out. */
			if (__atomic_load_n(&r->done, __ATOMIC_SEQ_CST))
				break;
			expect_ret(read2(r->fd, &(char){ 0 }, 1, 0, RWF_NOWAIT),
				   1);
			break;
		}
		join(pid);
		expect_ret(r->ret, r->len);
	}
	expect(refused, "no write with RWF_NOWAIT met the reader's lock in %d reads",
	       round);
	expect_ret(write2(r->fd, "z", 1, 0, RWF_NOWAIT), 1);
}
END_TEST

static const struct test tests[] = {
	{ &pieces, "readv and writev in pieces, quantum 7", 7 },
	{ &pieces, "readv and writev in pieces, quantum 1000", 1000 },
	{ &too_many_pieces, "IOV_MAX empty pieces, and one more" },
	{ &flags_that_change_nothing, "RWF_DSYNC, RWF_SYNC, RWF_HIPRI work" },
	{ &unknown_flag, "an unknown flag: EOPNOTSUPP" },
	{ &append_flag, "RWF_APPEND writes at the end" },
	{ &append_mode, "O_APPEND writes at the end, set by fcntl too" },
	{ &no_append_flag, "RWF_NOAPPEND overrides O_APPEND" },
	{ &nowait_write, "RWF_NOWAIT: EAGAIN where memory is needed, before the first byte" },
	{ &nowait_write_over_a_hole, "RWF_NOWAIT over a hole changes nothing" },
	{ &nowait_read, "RWF_NOWAIT reads, holes too" },
	{ &nowait_behind_a_reader, "RWF_NOWAIT: EAGAIN while the lock is taken", 0, 180 },
};

TEST_MAIN("vec", tests)
