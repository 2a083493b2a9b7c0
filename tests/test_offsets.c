// SPDX-License-Identifier: GPL-2.0
/*
 * Offsets of the bare devices up to and across the largest. On a 64-bit kernel
 * that is the largest loff_t, where the VFS itself refuses a write that names
 * an offset past it; such a write gets to the device by O_APPEND only.
 */
#include "harness.h"
#include "offsets.h"

static const int sizes[][2] = { { SCULL_QUANTUM, SCULL_QSET }, { 1, 1 }, { 7, 65536 } };

START_TEST(last_byte)
{
	int q = sizes[_i][0], qs = sizes[_i][1];
	int fd = fresh(0, q, qs);
	off_t limit = device_limit(q, qs);
	unsigned char buf[4] = { 0xee, 0xee, 0xee, 0xee };

	expect_ret(pwrite(fd, "z", 1, limit - 1), 1);
	expect_ret(lseek(fd, 0, SEEK_END), limit);
	expect_ret(pread(fd, buf, 1, limit - 1), 1);
	expect(buf[0] == 'z', "the last byte is 0x%02x", buf[0]);
	expect_ret(pread(fd, buf, 3, limit - 3), 3);
	expect(!buf[0] && !buf[1] && buf[2] == 'z',
	       "the last bytes are 0x%02x 0x%02x 0x%02x", buf[0], buf[1], buf[2]);
	expect_ret(lseek(fd, 0, SEEK_DATA), (limit - 1) / q * q);
	expect_ret(lseek(fd, limit - 1, SEEK_DATA), limit - 1);
	expect_ret(lseek(fd, limit - 1, SEEK_HOLE), limit);
	expect_ret(pread(fd, buf, 1, 0), 1);
	expect(!buf[0], "the first byte is 0x%02x", buf[0]);
}
END_TEST

START_TEST(write_at_the_limit)
{
	int q = sizes[_i][0], qs = sizes[_i][1];
	int fd = fresh(0, q, qs), append = dev_open(0, O_RDWR | O_APPEND);
	struct iovec one = { "z", 1 }, none = { "z", 0 };
	off_t limit = device_limit(q, qs);

	expect_ret(pwrite(fd, "z", 1, limit - 1), 1);
	if (limit < LLONG_MAX) {
		expect_errno(pwrite(fd, "z", 1, limit), EFBIG);
		expect_errno(pwritev(fd, &one, 1, limit), EFBIG);
		expect_ret(pwritev(fd, &none, 1, limit), 0);
		expect_errno(pwrite(fd, "z", 1, limit + 1), EFBIG);
	} else {
		expect_errno(pwrite(fd, "z", 1, limit), EINVAL);
	}
	expect_errno(write(append, "z", 1), EFBIG);
	expect_errno(writev(append, &one, 1), EFBIG);
	expect_ret(write(append, "z", 0), 0);
	expect_ret(lseek(fd, 0, SEEK_END), limit);
	/* And goes on working. */
	expect_ret(pwrite(fd, "y", 1, 0), 1);
}
END_TEST

START_TEST(write_across_the_limit)
{
	int q = sizes[_i][0], qs = sizes[_i][1];
	int fd = fresh(0, q, qs), append = dev_open(0, O_RDWR | O_APPEND);
	off_t limit = device_limit(q, qs);
	unsigned char buf[100], out[101];

	fill(buf, sizeof(buf), 0, 1);
	if (limit < LLONG_MAX)
		expect_ret(pwrite(fd, buf, sizeof(buf), limit - 60), 60);
	else
		expect_errno(pwrite(fd, buf, sizeof(buf), limit - 60), EINVAL);
	expect_ret(pwrite(fd, buf, 1, limit - 61), 1);
	dev_trim(0);
	expect_ret(pwrite(fd, "x", 1, limit - 61), 1);
	expect_ret(write(append, buf, sizeof(buf)), 60);
	expect_ret(lseek(fd, 0, SEEK_END), limit);
	expect_ret(lseek(append, 0, SEEK_CUR), limit);
	expect_ret(pread(fd, out, 60, limit - 60), 60);
	expect_pattern(out, 60, 0, 1);
}
END_TEST

START_TEST(overflow)
{
	off_t limit = device_limit(SCULL_QUANTUM, SCULL_QSET);
	int fd = dev_open(0, O_RDWR);
	char byte;

	expect_errno(pwrite(fd, "abc", 3, LLONG_MAX - 1), EINVAL);
	expect_errno(pread(fd, &byte, 1, LLONG_MAX), EINVAL);
	expect_ret(lseek(fd, limit - 5, SEEK_SET), limit - 5);
	expect_errno(lseek(fd, 6, SEEK_CUR), EINVAL);
	expect_errno(lseek(fd, LLONG_MAX, SEEK_CUR), EINVAL);
	expect_ret(lseek(fd, 0, SEEK_CUR), limit - 5);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(negative)
{
	int fd = dev_open(0, O_RDWR);
	char byte;

	expect_ret(write(fd, "abc", 3), 3);
	expect_errno(pwrite(fd, "x", 1, -1), EINVAL);
	expect_errno(pread(fd, &byte, 1, -1), EINVAL);
	expect_errno(pread(fd, &byte, 1, LLONG_MIN), EINVAL);
	expect_errno(lseek(fd, -1, SEEK_SET), EINVAL);
	expect_errno(lseek(fd, -4, SEEK_CUR), EINVAL);
	expect_errno(lseek(fd, -4, SEEK_END), EINVAL);
	expect_ret(lseek(fd, 0, SEEK_CUR), 3);
}
END_TEST

START_TEST(far_apart)
{
	off_t limit = device_limit(SCULL_QUANTUM, SCULL_QSET);
	int fd = dev_open(0, O_RDWR), bits = 0, bit;
	unsigned char byte;

	while (bits < 63 && 1LL << bits < limit)
		bits++;
	/* One byte at each power of two: a walk over a list would never end. */
	for (bit = 0; bit < bits; bit++) {
		byte = bit + 1;
		expect_ret(pwrite(fd, &byte, 1, 1LL << bit), 1);
	}
	for (bit = bits - 1; bit >= 0; bit--) {
		expect_ret(pread(fd, &byte, 1, 1LL << bit), 1);
		expect(byte == bit + 1, "byte at 2^%d is %d", bit, byte);
	}
	expect_ret(lseek(fd, 0, SEEK_END), (1LL << (bits - 1)) + 1);
	expect_ret(pread(fd, &byte, 1, (1LL << (bits - 2)) + 12345678), 1);
	expect(!byte, "a byte in a hole is %d", byte);
}
END_TEST

static const struct test tests[] = {
	{ &last_byte, "the last byte can be written and read", 0 },
	{ &last_byte, "the last byte can be written and read, quantum 1, qset 1", 1 },
	{ &last_byte, "the last byte can be written and read, quantum 7, qset 65536", 2 },
	{ &write_at_the_limit, "a write that starts at the limit is refused", 0 },
	{ &write_at_the_limit, "a write that starts at the limit is refused, quantum 1, qset 1", 1 },
	{ &write_across_the_limit, "a write across the limit is cut short", 0 },
	{ &write_across_the_limit, "a write across the limit is cut short, quantum 1, qset 1", 1 },
	{ &write_across_the_limit, "a write across the limit is cut short, quantum 7, qset 65536", 2 },
	{ &overflow, "offsets that overflow are refused" },
	{ &negative, "negative offsets are refused" },
	{ &far_apart, "bytes at every power of two" },
};

TEST_MAIN("offsets", tests)
