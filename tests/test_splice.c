// SPDX-License-Identifier: GPL-2.0
/*
 * vm: cpus=1
 *
 * splice and sendfile between the bare devices, pipes and files.
 */
#include "harness.h"

#include <sys/sendfile.h>

#define LEN 300000

static int scratch(void)
{
	return sys(memfd_create("scratch", 0));
}

/* A memory file of patterned bytes. */
static int patterned(size_t len, unsigned int seed)
{
	unsigned char *buf = xmalloc(len);
	int fd = scratch();

	fill(buf, len, 0, seed);
	expect_ret(write(fd, buf, len), len);
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	free(buf);
	return fd;
}

static void expect_content(int fd, size_t len, unsigned int seed)
{
	unsigned char *buf = xmalloc(len + 1);

	expect_ret(pread(fd, buf, len + 1, 0), len);
	expect_pattern(buf, len, 0, seed);
	free(buf);
}

START_TEST(sendfile_into)
{
	int fd = fresh(0, _i, 7), in = patterned(LEN, 1);
	size_t left = LEN;

	while (left)
		left -= sys(sendfile(fd, in, NULL, left));
	expect_content(fd, LEN, 1);
	expect_ret(lseek(fd, 0, SEEK_CUR), LEN);
	expect_ret(lseek(in, 0, SEEK_CUR), LEN);
}
END_TEST

START_TEST(sendfile_from)
{
	unsigned char *buf = xmalloc(LEN);
	int fd = fresh(0, _i, 7), out = scratch();
	off_t off = 0;

	fill(buf, LEN, 0, 2);
	expect_ret(write(fd, buf, LEN), LEN);
	if (kernel_before(6, 0) && sendfile(out, fd, &off, LEN) == -1 &&
	    errno == EINVAL)
		skip("before 6.0 the kernel lets no char device be sent from");
	sys(ftruncate(out, 0));
	sys(lseek(out, 0, SEEK_SET));
	for (off = 0; off < LEN;)
		expect(sys(sendfile(out, fd, &off, LEN)) > 0,
		       "sendfile ended at %lld", (long long)off);
	expect_ret(sendfile(out, fd, &off, LEN), 0);
	expect_content(out, LEN, 2);
}
END_TEST

START_TEST(sendfile_to_device)
{
	unsigned char *buf = xmalloc(LEN);
	int from = fresh(0, 4000, 7), to;
	off_t off = 0;

	if (scull_nr_devs() < 2)
		skip("there is only one device");
	to = fresh(1, 4096, 3);
	fill(buf, LEN, 0, 3);
	expect_ret(write(from, buf, LEN), LEN);
	if (kernel_before(6, 0) && sendfile(to, from, &off, 1) == -1 &&
	    errno == EINVAL)
		skip("before 6.0 the kernel lets no char device be sent from");
	for (off = 0, sys(lseek(to, 0, SEEK_SET)); off < LEN;)
		expect(sys(sendfile(to, from, &off, LEN)) > 0,
		       "sendfile ended at %lld", (long long)off);
	expect_content(to, LEN, 3);
}
END_TEST

START_TEST(splice_from)
{
	unsigned char *buf = xmalloc(LEN);
	int fd = fresh(0, _i, 7), fds[2];
	size_t done = 0;
	off_t off = 0;

	fill(buf, LEN, 0, 4);
	expect_ret(write(fd, buf, LEN), LEN);
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	sys(pipe(fds));
	while (done < LEN) {
		/* By the position and by an offset of our own, in turn. */
		bool own = done / 7777 % 2;
		ssize_t n;

		off = done;
		n = sys(splice(fd, own ? &off : NULL, fds[1], NULL, 7777, 0));
		expect(n > 0, "splice ended at %zu", done);
		expect_ret(read(fds[0], buf, LEN), n);
		expect_pattern(buf, n, done, 4);
		done += n;
		if (own)
			expect_ret(off, done);
		expect_ret(lseek(fd, done, SEEK_SET), done);
	}
	expect_ret(splice(fd, NULL, fds[1], NULL, 100, 0), 0);
}
END_TEST

START_TEST(splice_a_hole)
{
	unsigned char buf[65536];
	int fd = dev_open(0, O_RDWR), fds[2];
	size_t done = 0;

	expect_ret(pwrite(fd, "x", 1, 99999), 1);
	sys(pipe(fds));
	while (done < 100000) {
		ssize_t n = sys(splice(fd, NULL, fds[1], NULL, 65536, 0));
		ssize_t zeros = n;

		expect(n > 0, "splice ended at %zu", done);
		expect_ret(read(fds[0], buf, sizeof(buf)), n);
		done += n;
		if (done == 100000)
			expect(buf[--zeros] == 'x', "the last byte is 0x%02x",
			       buf[zeros]);
		expect_bytes(buf, zeros, done - n, 0);
	}
}
END_TEST

START_TEST(splice_into)
{
	unsigned char buf[5000];
	int fd = fresh(0, _i, 7), fds[2];
	size_t done;
	off_t off;

	sys(pipe(fds));
	for (done = 0; done < LEN; done += sizeof(buf)) {
		bool own = done / sizeof(buf) % 2;
		size_t left = sizeof(buf);

		fill(buf, sizeof(buf), done, 5);
		expect_ret(write(fds[1], buf, sizeof(buf)), sizeof(buf));
		off = done;
		if (!own)
			sys(lseek(fd, done, SEEK_SET));
		while (left) {
			ssize_t n = sys(splice(fds[0], NULL, fd,
					       own ? &off : NULL, left, 0));

			expect(n > 0, "splice ended at %zu", done);
			left -= n;
		}
		if (own)
			expect_ret(off, done + sizeof(buf));
		else
			expect_ret(lseek(fd, 0, SEEK_CUR), done + sizeof(buf));
	}
	expect_content(fd, LEN, 5);
}
END_TEST

START_TEST(splice_at_odd_offsets)
{
	unsigned char buf[3000];
	int fd = fresh(0, 100, 7), fds[2];
	off_t off = 12345;

	sys(pipe(fds));
	fill(buf, sizeof(buf), 0, 6);
	expect_ret(write(fds[1], buf, sizeof(buf)), sizeof(buf));
	expect_ret(splice(fds[0], NULL, fd, &off, sizeof(buf), 0), sizeof(buf));
	expect_ret(lseek(fd, 0, SEEK_END), 15345);
	off = 12346;
	expect_ret(splice(fd, &off, fds[1], NULL, 9999, 0), sizeof(buf) - 1);
	expect_ret(read(fds[0], buf, sizeof(buf)), sizeof(buf) - 1);
	expect_pattern(buf, sizeof(buf) - 1, 1, 6);
}
END_TEST

static const struct test tests[] = {
	{ &sendfile_into, "sendfile from a file, quantum 4000", 4000 },
	{ &sendfile_into, "sendfile from a file, quantum 17", 17 },
	{ &sendfile_from, "sendfile to a file, quantum 4000", 4000 },
	{ &sendfile_from, "sendfile to a file, quantum 17", 17 },
	{ &sendfile_to_device, "sendfile from device to device" },
	{ &splice_from, "splice to a pipe, quantum 4000", 4000 },
	{ &splice_from, "splice to a pipe, quantum 17", 17 },
	{ &splice_a_hole, "splice of a hole to a pipe" },
	{ &splice_into, "splice from a pipe, quantum 4000", 4000 },
	{ &splice_into, "splice from a pipe, quantum 17", 17 },
	{ &splice_at_odd_offsets, "splice both ways at odd offsets" },
};

TEST_MAIN("splice", tests)
