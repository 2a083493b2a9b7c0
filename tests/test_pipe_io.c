// SPDX-License-Identifier: GPL-2.0
/* Opening, reading and writing a pipe in one process, and what is refused. */
#include "pipes.h"

#define CAPACITY 4096

static unsigned char buf[3 * CAPACITY];

START_TEST(as_loaded)
{
	int fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	int capacity = sys(ioctl(fd, SCULL_P_IOCQSIZE));
	unsigned char *all = xmalloc(2 * capacity);

	fill(all, 2 * capacity, 0, 1);
	expect_ret(write(fd, all, 2 * capacity), capacity);
	expect_errno(write(fd, all, 1), EAGAIN);
	memset(all, 0, 2 * capacity);
	expect_ret(read(fd, all, 2 * capacity), capacity);
	expect_pattern(all, capacity, 0, 1);
	expect_errno(read(fd, all, 1), EAGAIN);
}
END_TEST

START_TEST(each_its_own)
{
	int n = scull_param("scull_p_nr_devs", 0), i;
	int fds[256];

	if (n < 2)
		skip("there is only one pipe");
	for (i = 0; i < n; i++) {
		unsigned char byte = i;

		fds[i] = pipe_open(i, O_RDWR | O_NONBLOCK);
		expect_ret(write(fds[i], &byte, 1), 1);
	}
	for (i = 0; i < n; i++) {
		expect_ret(read(fds[i], buf, sizeof(buf)), 1);
		expect(buf[0] == i, "pipe %d holds what was written to %d", i,
		       buf[0]);
	}
}
END_TEST

/* Whoever opens it sees the same bytes; each byte goes to one reader. */
START_TEST(shared_by_all)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	int a = pipe_open(0, O_WRONLY), b = pipe_open(0, O_RDWR);
	int c = pipe_open(0, O_RDONLY), d = dup(c);

	expect_ret(write(a, "one ", 4), 4);
	expect_ret(write(b, "two ", 4), 4);
	expect_ret(write(keeper, "three", 5), 5);
	expect_ret(read(c, buf, 2), 2);
	expect_ret(read(b, buf + 2, 4), 4);
	expect_ret(read(d, buf + 6, 3), 3);
	expect_ret(read(keeper, buf + 9, 100), 4);
	expect(!memcmp(buf, "one two three", 13), "came: %.13s", buf);
}
END_TEST

START_TEST(last_close)
{
	int flags = _i, fd, other;

	/* Somebody has it open all the time: what was written stays. */
	other = pipe_open(0, O_RDWR | O_NONBLOCK);
	fd = pipe_open(0, flags | O_NONBLOCK);
	expect_ret(write(other, "kept", 4), 4);
	close(fd);
	fd = pipe_open(0, O_RDONLY | O_NONBLOCK);
	close(other);
	expect_ret(read(fd, buf, 2), 2);
	other = dup(fd);
	close(fd);
	expect_ret(read(other, buf + 2, 9), 2);
	expect(!memcmp(buf, "kept", 4), "came: %.4s", buf);
	close(other);

	/* Nobody has it open: it is gone. */
	fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	expect_ret(write(fd, "lost", 4), 4);
	close(fd);
	fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	expect_errno(read(fd, buf, 9), EAGAIN);
	expect_ret(write(fd, "new", 3), 3);
	expect_ret(read(fd, buf, 9), 3);
	expect(!memcmp(buf, "new", 3), "came: %.3s", buf);
}
END_TEST

static void open_and_close(int me, void *arg)
{
	static const int flags[] = { O_RDWR, O_RDONLY, O_WRONLY };
	int i;

	for (i = 0; i < 300; i++) {
		int fd = pipe_open(0, flags[(i + me) % 3] | O_NONBLOCK);
		unsigned char seen[64];
		ssize_t n;

		if ((i + me) % 3 == 0) {
			memset(seen, me + 1, sizeof(seen));
			n = write(fd, seen, sizeof(seen));
			expect(n == sizeof(seen) || (n < 0 && errno == EAGAIN),
			       "write gave %zd", n);
		}
		if ((i + me) % 3 < 2) {
			n = read(fd, seen, sizeof(seen));
			expect(n > 0 || (n < 0 && errno == EAGAIN),
			       "read gave %zd", n);
			while (n-- > 0)
				expect(seen[n] >= 1 && seen[n] <= 4,
				       "byte 0x%02x was written by nobody",
				       seen[n]);
		}
		close(fd);
	}
}

/* First opens and last closes, so also buffers that come and go. */
START_TEST(opens_and_closes)
{
	together(4, open_and_close, NULL);
	expect_errno(read(pipe_open(0, O_RDWR | O_NONBLOCK), buf, 1), EAGAIN);
}
END_TEST

/* A call that moves nothing is no operation at all, whatever the pipe holds. */
START_TEST(nothing)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct iovec none[2] = { { buf, 0 }, { NULL, 0 } };

	expect_ret(read(fd, buf, 0), 0);
	expect_ret(write(fd, buf, 0), 0);
	expect_ret(readv(fd, none, 2), 0);
	expect_ret(writev(fd, none, 2), 0);
	expect_ret(poll_now(fd, POLLIN | POLLOUT), POLLOUT);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	expect_ret(write(fd, buf, 0), 0);
	expect_ret(read(fd, buf, 0), 0);
	expect_ret(writev(fd, none, 2), 0);
	expect_ret(poll_now(fd, POLLIN | POLLOUT), POLLIN);
}
END_TEST

START_TEST(access_mode)
{
	int keeper = pipe_open(0, O_RDWR);
	int in = pipe_open(0, O_WRONLY), out = pipe_open(0, O_RDONLY);

	expect_errno(read(in, buf, 1), EBADF);
	expect_errno(write(out, "x", 1), EBADF);
	expect_ret(write(in, "x", 1), 1);
	expect_ret(read(out, buf, 1), 1);
	close(keeper);
}
END_TEST

START_TEST(no_seeking)
{
	int fd = pipe_open(0, O_RDWR);
	off_t off = 0;
	int fds[2], whence;

	expect_ret(write(fd, "abc", 3), 3);
	for (whence = SEEK_SET; whence <= SEEK_HOLE; whence++)
		expect_errno(lseek(fd, 0, whence), ESPIPE);
	expect_errno(pread(fd, buf, 1, 0), ESPIPE);
	expect_errno(pwrite(fd, buf, 1, 0), ESPIPE);
	sys(pipe(fds));
	/* The kernel's answer to this one is EINVAL or ESPIPE. */
	expect_ret(splice(fd, &off, fds[1], NULL, 1, 0), -1);
	expect_ret(read(fd, buf, 9), 3);
}
END_TEST

START_TEST(refused)
{
	int fd = pipe_open(0, O_RDWR);
	int n;

	expect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	       errno == ENODEV, "mmap: %s", strerror(errno));
	expect_errno(ftruncate(fd, 0), EINVAL);
	expect_errno(ioctl(fd, FIONREAD, &n), ENOTTY);
	expect_errno(open(pipe_path(0), O_RDWR | O_DIRECT), EINVAL);
	expect_errno(open(pipe_path(0), O_RDONLY | O_DIRECTORY), ENOTDIR);
}
END_TEST

/* Flags that mean something for files: here they are without effect. */
START_TEST(flags)
{
	int fd = pipe_open(0, O_RDWR | O_NONBLOCK), other;

	expect_ret(write(fd, "abc", 3), 3);
	other = pipe_open(0, O_WRONLY | O_TRUNC | O_APPEND | O_CREAT | O_NONBLOCK);
	expect_ret(write(other, "def", 3), 3);
	close(other);
	other = pipe_open(0, O_WRONLY | O_SYNC | O_NONBLOCK);
	close(other);
	expect_ret(read(fd, buf, 9), 6);
	expect(!memcmp(buf, "abcdef", 6), "came: %.6s", buf);
}
END_TEST

START_TEST(without_waiting)
{
	struct iovec one = { buf, 1 }, all = { buf, CAPACITY };
	struct iovec half = { buf, CAPACITY / 2 };
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);

	/* The descriptor waits, these calls do not. */
	expect_errno(preadv2(fd, &one, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_ret(pwritev2(fd, &half, 1, -1, RWF_NOWAIT), CAPACITY / 2);
	expect_errno(pwritev2(fd, &all, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_ret(pwritev2(fd, &half, 1, -1, RWF_NOWAIT), CAPACITY / 2);
	expect_errno(pwritev2(fd, &one, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_ret(preadv2(fd, &one, 1, -1, RWF_NOWAIT), 1);
	expect_ret(pwritev2(fd, &one, 1, -1, RWF_NOWAIT), 1);
	expect_ret(preadv2(fd, &all, 1, -1, RWF_NOWAIT), CAPACITY);
	expect_errno(preadv2(fd, &all, 1, -1, RWF_NOWAIT), EAGAIN);
	expect_errno(preadv2(fd, &one, 1, 0, RWF_NOWAIT), ESPIPE);
}
END_TEST

/* O_NONBLOCK belongs to the open file and may change while it is open. */
START_TEST(nonblock_by_fcntl)
{
	int fd = pipe_open(0, O_RDWR), other = dup(fd);

	set_nonblock(fd, true);
	expect_errno(read(fd, buf, 1), EAGAIN);
	expect_errno(read(other, buf, 1), EAGAIN);
	set_nonblock(other, false);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(read(fd, buf, 9), 1);
}
END_TEST

/* What a write takes, by its size and by how much room there is. */
START_TEST(how_much_fits)
{
	static const int capacities[] = { 1, 2, 100, 4095, 4096, 4097, 8192, 12288 };
	size_t i, len, room;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		size_t capacity = capacities[i], unit = UNIT(capacity);
		unsigned char *in = xmalloc(2 * capacity + 1);
		int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, capacity);
		size_t step = capacity / 40 + 1;

		for (room = 0; room <= capacity; room += step) {
			for (len = 1; len <= 2 * capacity; len += step) {
				size_t need = len < unit ? len : unit;
				size_t rest = capacity - room;

				if (rest)
					expect_ret(write(fd, in, rest), rest);
				if (room < need)
					expect_errno(write(fd, in, len), EAGAIN);
				else
					expect_ret(write(fd, in, len),
						   len < room ? len : room);
				if (room >= need)
					rest += len < room ? len : room;
				if (rest)
					expect_ret(read(fd, in, 2 * capacity), rest);
			}
		}
		close(fd);
		free(in);
	}
}
END_TEST

START_TEST(vectors)
{
	unsigned char in[1000], out[1000];
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 1000);
	struct iovec iov[1000];
	int i;

	fill(in, 1000, 0, 1);
	for (i = 0; i < 1000; i++)
		iov[i] = (struct iovec){ in + i, 1 };
	expect_ret(writev(fd, iov, 300), 300);
	/* Over the wrap, and no part of one that does not fit. */
	expect_ret(read(fd, out, 250), 250);
	expect_ret(writev(fd, iov + 300, 700), 700);
	expect_errno(writev(fd, iov, 251), EAGAIN);
	for (i = 0; i < 1000; i++)
		iov[i].iov_base = out + i;
	expect_ret(readv(fd, iov + 250, 750), 750);
	expect_pattern(out, 1000, 0, 1);
}
END_TEST

static int queried(void)
{
	int fd = pipe_open(0, O_RDONLY | O_NONBLOCK);
	int n = sys(ioctl(fd, SCULL_P_IOCQSIZE));

	close(fd);
	return n;
}

/* How many bytes the pipe takes. */
static long long measured(int fd)
{
	long long n = 0;

	for (;;) {
		ssize_t ret = write(fd, buf, sizeof(buf));

		if (ret < 0)
			ret = write(fd, buf, 1);
		if (ret < 0)
			return n;
		n += ret;
	}
}

/* The new size counts for the next first open, not for a pipe that is open. */
START_TEST(size_by_ioctl)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 1000), other;

	expect_ret(queried(), 1000);
	expect_ret(ioctl(fd, SCULL_P_IOCTSIZE, 77), 0);
	expect_ret(ioctl(fd, SCULL_P_IOCQSIZE), 77);
	expect_ret(measured(fd), 1000);
	other = pipe_open(0, O_RDWR | O_NONBLOCK);
	expect_errno(write(other, "x", 1), EAGAIN);
	close(fd);
	expect_ret(ioctl(other, SCULL_P_IOCQSIZE), 77);
	close(other);
	fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	expect_ret(measured(fd), 77);
	if (scull_param("scull_p_nr_devs", 0) > 1) {
		other = pipe_open(1, O_RDWR | O_NONBLOCK);
		expect_ret(measured(other), 77);
	}
	expect_ret(ioctl(fd, SCULL_IOCRESET), 0);
	expect_ret(queried(), SCULL_P_BUFFER);
}
END_TEST

START_TEST(size_range)
{
	static const int bad[] = { 0, -1, INT_MIN, 16 * MiB + 1, INT_MAX };
	static const int good[] = { 1, 2, 4000, 16 * MiB };
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 50);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_errno(ioctl(fd, SCULL_P_IOCTSIZE, bad[i]), EINVAL);
		expect_ret(queried(), 50);
	}
	close(fd);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, good[i]);
		expect_ret(queried(), good[i]);
		expect_ret(measured(fd), good[i]);
		close(fd);
	}
}
END_TEST

static void change_size(void *arg)
{
	int fd = *(int *)arg;

	expect_errno(ioctl(fd, SCULL_P_IOCTSIZE, 99), EPERM);
	expect_errno(ioctl(fd, SCULL_IOCRESET), EPERM);
	expect_ret(ioctl(fd, SCULL_P_IOCQSIZE), 50);
}

START_TEST(size_unprivileged)
{
	int fd = pipe_fresh(0, O_RDWR, 50);

	run_as(65534, change_size, &fd);
	expect_ret(queried(), 50);
}
END_TEST

static const struct test tests[] = {
	{ &as_loaded, "holds as many bytes as it says" },
	{ &each_its_own, "each pipe has its own bytes" },
	{ &shared_by_all, "all openers share the bytes, each goes to one reader" },
	{ &last_close, "the last close drops what it holds, O_RDWR", O_RDWR },
	{ &last_close, "the last close drops what it holds, O_WRONLY", O_WRONLY },
	{ &last_close, "the last close drops what it holds, O_RDONLY", O_RDONLY },
	{ &opens_and_closes, "four processes open and close" },
	{ &nothing, "reads and writes of 0 bytes" },
	{ &access_mode, "only as it was opened" },
	{ &no_seeking, "no seeking, no pread, no pwrite" },
	{ &refused, "mmap, ftruncate, FIONREAD, O_DIRECT" },
	{ &flags, "O_TRUNC, O_APPEND, O_CREAT, O_SYNC change nothing" },
	{ &without_waiting, "RWF_NOWAIT" },
	{ &nonblock_by_fcntl, "O_NONBLOCK by fcntl" },
	{ &how_much_fits, "a write takes all, what fits, or nothing", 0, 120 },
	{ &vectors, "readv and writev" },
	{ &size_by_ioctl, "a new size counts from the next first open on" },
	{ &size_range, "sizes from 1 to 16 MiB" },
	{ &size_unprivileged, "only CAP_SYS_ADMIN changes the size" },
};

TEST_MAIN("pipe_io", tests)
