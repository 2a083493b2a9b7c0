// SPDX-License-Identifier: GPL-2.0
/* lseek() on the bare devices: positions, and data and holes against a model. */
#include "harness.h"

START_TEST(set_cur_end)
{
	int fd = dev_open(0, O_RDWR);
	char byte;

	expect_ret(lseek(fd, 0, SEEK_END), 0);
	expect_ret(write(fd, "0123456789", 10), 10);
	expect_ret(lseek(fd, 4, SEEK_SET), 4);
	expect_ret(read(fd, &byte, 1), 1);
	expect(byte == '4', "read '%c' at 4", byte);
	expect_ret(lseek(fd, 2, SEEK_CUR), 7);
	expect_ret(lseek(fd, -7, SEEK_CUR), 0);
	expect_ret(lseek(fd, -3, SEEK_END), 7);
	expect_ret(lseek(fd, 90, SEEK_END), 100);
	expect_ret(read(fd, &byte, 1), 0);
	expect_ret(lseek(fd, 0, SEEK_CUR), 100);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(lseek(fd, 0, SEEK_END), 101);
	expect_ret(pread(fd, &byte, 1, 50), 1);
	expect(byte == 0, "read 0x%02x in the hole", byte);
	expect_errno(lseek(fd, 0, 77), EINVAL);
}
END_TEST

START_TEST(own_position)
{
	int a = dev_open(0, O_RDWR), b = dev_open(0, O_RDWR);

	expect_ret(write(a, "abc", 3), 3);
	expect_ret(lseek(b, 0, SEEK_CUR), 0);
	expect_ret(lseek(a, 0, SEEK_CUR), 3);
}
END_TEST

START_TEST(seek_in_an_empty_device)
{
	int fd = dev_open(0, O_RDWR);

	expect_errno(lseek(fd, 0, SEEK_DATA), ENXIO);
	expect_errno(lseek(fd, 0, SEEK_HOLE), ENXIO);
	expect_errno(lseek(fd, 5, SEEK_DATA), ENXIO);
}
END_TEST

START_TEST(data_and_hole_edges)
{
	int fd = fresh(0, 100, 10);

	expect_ret(pwrite(fd, "x", 1, 5250), 1);
	expect_ret(lseek(fd, 0, SEEK_HOLE), 0);
	expect_ret(lseek(fd, 0, SEEK_DATA), 5200);
	expect_ret(lseek(fd, 0, SEEK_CUR), 5200);
	expect_ret(lseek(fd, 5230, SEEK_DATA), 5230);
	expect_ret(lseek(fd, 5230, SEEK_HOLE), 5251);
	expect_ret(lseek(fd, 5250, SEEK_HOLE), 5251);
	expect_errno(lseek(fd, 5251, SEEK_DATA), ENXIO);
	expect_errno(lseek(fd, 5251, SEEK_HOLE), ENXIO);
	expect_errno(lseek(fd, -1, SEEK_DATA), ENXIO);
	expect_errno(lseek(fd, -1, SEEK_HOLE), ENXIO);
	expect_errno(lseek(fd, LLONG_MAX, SEEK_DATA), ENXIO);
	expect_ret(lseek(fd, 0, SEEK_CUR), 5251);
	/* The quantum that the device ends in counts to the end only. */
	expect_ret(pwrite(fd, "x", 1, 5300), 1);
	expect_ret(lseek(fd, 5200, SEEK_HOLE), 5301);
}
END_TEST

/* Where the model has data (or a hole) from @off on, or its size. */
static size_t next_in_model(const struct model *m, size_t off, bool data)
{
	while (off < m->size && m->there[off / m->quantum] != data)
		off = (off / m->quantum + 1) * m->quantum;
	return off < m->size ? off : m->size;
}

START_TEST(against_a_model)
{
	unsigned char buf[1000];
	size_t room = 40000, off;
	struct model *m;
	int fd, i, q, qs;

	seed_rnd();
	q = 1 + below(_i);
	qs = 1 + below(9);
	diag("quantum %d, qset %d", q, qs);
	fd = fresh(0, q, qs);
	m = model_new(q, qs, room);
	for (i = 0; i < 60; i++) {
		size_t len = 1 + below(below(4) ? 5 : sizeof(buf));

		off = below(room - len);
		fill(buf, len, off, i);
		expect_ret(pwrite(fd, buf, len, off), len);
		model_write(m, off, buf, len);
		if (i % 6)
			continue;
		for (off = 0; off < m->size; off += 1 + below(20)) {
			size_t data = next_in_model(m, off, true);

			if (data == m->size)
				expect_errno(lseek(fd, off, SEEK_DATA), ENXIO);
			else
				expect_ret(lseek(fd, off, SEEK_DATA), data);
			expect_ret(lseek(fd, off, SEEK_HOLE),
				   next_in_model(m, off, false));
		}
	}
	model_compare(m, fd);
}
END_TEST

START_TEST(failed_write_is_no_data)
{
	int fd = dev_open(0, O_RDWR);
	char *bad = cliff(0, PROT_READ);

	expect_ret(pwrite(fd, "x", 1, 100000), 1);
	expect_errno(pwrite(fd, bad, 100, 0), EFAULT);
	expect_ret(lseek(fd, 0, SEEK_DATA), 100000);
	expect_errno(pwrite(fd, bad, 100, 500000), EFAULT);
	expect_ret(lseek(fd, 0, SEEK_END), 100001);
	expect_ret(lseek(fd, 100000, SEEK_HOLE), 100001);
}
END_TEST

static const struct test tests[] = {
	{ &set_cur_end, "SEEK_SET, SEEK_CUR, SEEK_END, past the end too" },
	{ &own_position, "each open has its own position" },
	{ &seek_in_an_empty_device, "an empty device has neither data nor hole" },
	{ &data_and_hole_edges, "SEEK_DATA and SEEK_HOLE at the edges" },
	{ &against_a_model, "SEEK_DATA and SEEK_HOLE against a model, quanta up to 16", 16, 120 },
	{ &against_a_model, "SEEK_DATA and SEEK_HOLE against a model, quanta up to 4000", 4000 },
	{ &failed_write_is_no_data, "a write that failed left no data" },
};

TEST_MAIN("seek", tests)
