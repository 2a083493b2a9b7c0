// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Each read and write is atomic against each write: nobody sees half of one.
 * And readers, writers and trims that meet at random leave only what was
 * written, or zeros.
 */
#include "harness.h"

#define LEN 40000
#define ROUNDS 300

struct race {
	int quantum;
	int left;		/* writers still at work */
	long long seen[2];	/* reads that met the one and the other */
};

static bool going(struct race *r)
{
	return __atomic_load_n(&r->left, __ATOMIC_SEQ_CST) > 0;
}

static void over(struct race *r)
{
	__atomic_sub_fetch(&r->left, 1, __ATOMIC_SEQ_CST);
}

/* Processes 0 and 1 write, the others read. */
static void whole_writes(int me, void *arg)
{
	struct race *r = arg;
	unsigned char *buf = xmalloc(LEN);
	int fd = dev_open(0, O_RDWR), i;

	if (me < 2) {
		struct iovec iov[3] = {
			{ buf, 1 }, { buf + 1, LEN / 2 },
			{ buf + 1 + LEN / 2, LEN / 2 - 1 },
		};

		memset(buf, 'A' + me, LEN);
		for (i = 0; i < ROUNDS; i++)
			expect_ret(i % 2 ? pwrite(fd, buf, LEN, 10) :
				   pwritev(fd, iov, 3, 10), LEN);
		over(r);
		return;
	}
	do {
		expect_ret(pread(fd, buf, LEN, 10), LEN);
		expect(*buf == 'A' || *buf == 'B', "read 0x%02x", *buf);
		expect_bytes(buf, LEN, 10, *buf);
		r->seen[*buf - 'A']++;
	} while (going(r));
}

START_TEST(no_half_writes)
{
	struct race *r = shared(sizeof(*r));
	unsigned char *buf = xmalloc(LEN);
	int fd = fresh(0, _i, 5);

	memset(buf, 'A', LEN);
	expect_ret(pwrite(fd, buf, LEN, 10), LEN);
	r->left = 2;
	together(4, whole_writes, r);
	diag("readers met %lld and %lld", r->seen[0], r->seen[1]);
}
END_TEST

/* One extends, the others see the end before it or after it. */
static void extend(int me, void *arg)
{
	struct race *r = arg;
	unsigned char *buf = xmalloc(LEN);
	int fd = dev_open(0, O_RDWR), i;
	off_t at = 0;

	if (!me) {
		for (i = 0; i < ROUNDS; i++) {
			size_t len = 1 + i * 37 % 5000;

			memset(buf, i % 255 + 1, len);
			expect_ret(pwrite(fd, buf, len, at), len);
			at += len;
		}
		over(r);
		return;
	}
	for (i = 0; i < ROUNDS; i++) {
		size_t len = 1 + i * 37 % 5000;
		ssize_t n;

		do {
			n = sys(pread(fd, buf, len, at));
		} while (!n);
		expect(n == (ssize_t)len, "write %d: %zd of its %zu bytes", i,
		       n, len);
		expect_bytes(buf, len, at, i % 255 + 1);
		at += len;
	}
}

START_TEST(extending)
{
	struct race *r = shared(sizeof(*r));

	close(fresh(0, _i, 5));
	r->left = 1;
	together(3, extend, r);
}
END_TEST

/*
 * What any process writes at an offset is a matter of the offset only: a byte
 * that is read is that one or 0, whatever was trimmed and extended meanwhile.
 */
static void mix(int me, void *arg)
{
	const size_t room = 30000;
	struct race *r = arg;
	unsigned char *buf = xmalloc(room), *want = xmalloc(room);
	int fd = dev_open(0, O_RDWR), i;

	for (i = 0; i < me * 100; i++)
		rnd();
	fill(want, room, 0, 1);
	for (i = 0; i < ROUNDS * 2 || (me >= 3 && going(r)); i++) {
		size_t off = below(room), len = 1 + below(room - off), n, j;

		if (me == 0 && !(i % 4)) {
			dev_trim(0);
		} else if (me == 1) {
			expect_ret(pwrite(fd, want + off, len, off), len);
		} else if (me == 2) {
			n = sys(lseek(fd, 0, SEEK_END));
			if (n < room)
				sys(pwrite(fd, want + n, 1 + below(room - n), n));
		} else {
			n = sys(pread(fd, buf, len, off));
			for (j = 0; j < n; j++)
				expect(!buf[j] || buf[j] == want[off + j],
				       "byte at %zu is 0x%02x, expected 0x%02x or 0",
				       off + j, buf[j], want[off + j]);
			/* Where data and holes are is anybody's guess here. */
			lseek(fd, off, i % 2 ? SEEK_DATA : SEEK_HOLE);
		}
	}
	if (me < 3)
		over(r);
}

START_TEST(trims_and_extends)
{
	struct race *r = shared(sizeof(*r));
	int fd = dev_open(0, O_RDWR);

	seed_rnd();
	sys(ioctl(fd, SCULL_IOCTQUANTUM, _i));
	sys(ioctl(fd, SCULL_IOCTQSET, 5));
	dev_trim(0);
	r->left = 3;
	together(6, mix, r);
	/* And all is well afterwards. */
	dev_trim(0);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

/* Trims give each its own sizes while all of the above goes on. */
static void resize(int me, void *arg)
{
	struct race *r = arg;
	int fd = dev_open(0, O_RDWR), i;
	unsigned char buf[5000];

	for (i = 0; i < ROUNDS; i++) {
		if (me == 0) {
			sys(ioctl(fd, SCULL_IOCTQUANTUM, 1 + i % 97));
			sys(ioctl(fd, SCULL_IOCTQSET, 1 + i % 13));
			dev_trim(0);
		} else if (me == 1) {
			fill(buf, sizeof(buf), 0, 1);
			expect_ret(pwrite(fd, buf, sizeof(buf), 0),
				   sizeof(buf));
		} else {
			ssize_t n = sys(pread(fd, buf, sizeof(buf), 0));

			expect(!n || n == sizeof(buf), "read %zd bytes", n);
			expect_pattern(buf, n, 0, 1);
		}
	}
	over(r);
}

START_TEST(resizing)
{
	struct race *r = shared(sizeof(*r));

	r->left = 4;
	together(4, resize, r);
}
END_TEST

static const struct test tests[] = {
	{ &no_half_writes, "no reader sees half of a write, quantum 4000", 4000, 120 },
	{ &no_half_writes, "no reader sees half of a write, quantum 512", 512, 120 },
	{ &extending, "a read that races an extending write sees all or nothing, quantum 4000", 4000, 120 },
	{ &extending, "a read that races an extending write sees all or nothing, quantum 100", 100, 120 },
	{ &trims_and_extends, "reads while others extend and trim, quantum 4000", 4000, 120 },
	{ &trims_and_extends, "reads while others extend and trim, quantum 64", 64, 120 },
	{ &resizing, "trims that change quantum and qset under readers and writers", 0, 120 },
};

TEST_MAIN("atomic", tests)
