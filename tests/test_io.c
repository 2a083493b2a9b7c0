// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers of the bare devices: what read and write move, over every boundary
 * of quanta and sets, in and around holes.
 */
#include "harness.h"

struct sizes {
	int quantum;
	int qset;
};

/* Small enough that every offset and every length can be tried. */
static const struct sizes small[] = { { 1, 1 }, { 1, 7 }, { 7, 1 }, { 7, 7 } };

/* Tried where something changes: at each end of a quantum. */
static const struct sizes large[] = {
	{ 4000, 1 }, { 4000, 7 }, { 4096, 7 }, { 65536, 1 }, { 65536, 7 },
	{ 1, 4000 }, { 7, 4096 }, { 1, 65536 }, { 7, 65536 },
};

START_TEST(every_transfer)
{
	const struct sizes *s = &small[_i];
	size_t set = s->quantum * s->qset, off, len;
	unsigned char in[3 * 49 + 1], out[5 * 49 + 1];
	int fd = fresh(0, s->quantum, s->qset);

	for (off = 0; off <= set; off++) {
		for (len = 1; len <= 3 * set; len++) {
			dev_trim(0);
			fill(in, len, off, len);
			expect_ret(pwrite(fd, in, len, off), len);
			memset(out, 0xee, sizeof(out));
			expect_ret(pread(fd, out, off + len + 1, 0), off + len);
			expect_bytes(out, off, 0, 0);
			expect_pattern(out + off, len, off, len);
			expect_bytes(out + off + len, 1, off + len, 0xee);
		}
	}
}
END_TEST

START_TEST(every_read)
{
	const struct sizes *s = &small[_i];
	size_t size = 3 * s->quantum * s->qset, off, len;
	unsigned char buf[3 * 49 + 2];
	int fd = fresh(0, s->quantum, s->qset);

	fill(buf, size, 0, 1);
	expect_ret(write(fd, buf, size), size);
	for (off = 0; off <= size + 1; off++) {
		for (len = 0; len <= size; len++) {
			size_t left = off < size ? size - off : 0;
			size_t want = len < left ? len : left;

			memset(buf, 0xee, sizeof(buf));
			expect_ret(pread(fd, buf, len, off), want);
			expect_pattern(buf, want, off, 1);
			expect_bytes(buf + want, sizeof(buf) - want,
				     off + want, 0xee);
		}
	}
}
END_TEST

/* Offsets one before, at and one after each boundary of three sets. */
static size_t boundaries(const struct sizes *s, size_t *at, size_t room)
{
	size_t set = (size_t)s->quantum * s->qset, n = 0, q;
	/* In a set of very many quanta, its first and its last ones. */
	size_t per_set = s->qset <= 7 ? s->qset : 2;
	int which;

	for (which = 0; which <= 3; which++) {
		for (q = 0; q < per_set; q++) {
			size_t b = which * set;

			if (q)
				b += s->qset <= 7 ? q * s->quantum :
						    set - s->quantum;
			if (b > 3 * set)
				continue;
			expect(n + 3 <= room, "too many boundaries");
			if (b)
				at[n++] = b - 1;
			at[n++] = b;
			at[n++] = b + 1;
		}
	}
	return n;
}

START_TEST(boundary_transfers)
{
	const struct sizes *s = &large[_i];
	size_t at[96], n, i, j, most = 3 * (size_t)s->quantum * s->qset + 2;
	unsigned char *in = xmalloc(most), *out = xmalloc(most + 1);
	int fd = fresh(0, s->quantum, s->qset), stride;

	n = boundaries(s, at, ARRAY_SIZE(at));
	/* All pairs where they are cheap, a part of them otherwise. */
	stride = s->qset == 65536 ? 29 : most > MiB ? 11 : most > 64 * KiB ? 3 : 1;
	for (i = 0; i < n; i++) {
		for (j = i + 1; j < n; j += j < i + 4 ? 1 : stride) {
			size_t off = at[i], len = at[j] - at[i];

			if (at[j] <= at[i])
				continue;
			dev_trim(0);
			fill(in, len, off, i);
			expect_ret(pwrite(fd, in, len, off), len);
			expect_ret(lseek(fd, 0, SEEK_END), off + len);
			expect_ret(pread(fd, out, len + 1, off), len);
			expect_pattern(out, len, off, i);
			if (!off)
				continue;
			expect_ret(pread(fd, out, off, 0), off);
			expect_bytes(out, off, 0, 0);
		}
	}
}
END_TEST

START_TEST(overwrite_in_place)
{
	const struct sizes *s = &large[_i];
	size_t size = 3 * (size_t)s->quantum * s->qset + 1, n;
	unsigned char *buf = xmalloc(size + 1);
	struct model *m = model_new(s->quantum, s->qset, size);
	int fd = fresh(0, s->quantum, s->qset), i;

	seed_rnd();
	fill(buf, size, 0, 1);
	expect_ret(write(fd, buf, size), size);
	model_write(m, 0, buf, size);
	for (i = 0; i < 50; i++) {
		size_t off = below(size);

		n = 1 + below(size - off);
		fill(buf, n, off, i);
		expect_ret(pwrite(fd, buf, n, off), n);
		model_write(m, off, buf, n);
	}
	model_compare(m, fd);
}
END_TEST

START_TEST(random_sparse)
{
	const size_t room = 200000;
	unsigned char *in = xmalloc(room), *out = xmalloc(room + 1);
	int fd, i, quantum, qset;
	struct model *m;

	seed_rnd();
	quantum = 1 + below(_i);
	qset = 1 + below(20);
	diag("quantum %d, qset %d", quantum, qset);
	m = model_new(quantum, qset, room);
	fd = fresh(0, quantum, qset);
	for (i = 0; i < 300; i++) {
		size_t off = below(room), len = 1 + below(room - off);
		size_t want;

		if (below(3))
			len = 1 + (len - 1) % 300;
		if (below(2)) {
			fill(in, len, off, i);
			expect_ret(pwrite(fd, in, len, off), len);
			model_write(m, off, in, len);
			continue;
		}
		want = off >= m->size ? 0 :
		       len < m->size - off ? len : m->size - off;
		expect_ret(pread(fd, out, len, off), want);
		expect(!memcmp(out, m->bytes + off, want),
		       "%zu bytes at %zu are not what was written", want, off);
	}
	model_compare(m, fd);
}
END_TEST

START_TEST(one_read_of_a_mib)
{
	unsigned char *buf = xmalloc(MiB);
	int fd = dev_open(0, O_RDWR);

	fill(buf, MiB, 0, 3);
	expect_ret(write(fd, buf, MiB), MiB);
	memset(buf, 0, MiB);
	expect_ret(pread(fd, buf, MiB, 0), MiB);
	expect_pattern(buf, MiB, 0, 3);
}
END_TEST

START_TEST(read_advances)
{
	unsigned char buf[9000];
	int fd = dev_open(0, O_RDWR);

	fill(buf, sizeof(buf), 0, 1);
	expect_ret(write(fd, buf, 5000), 5000);
	expect_ret(lseek(fd, 0, SEEK_CUR), 5000);
	expect_ret(write(fd, buf + 5000, 4000), 4000);
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	expect_ret(read(fd, buf, 4500), 4500);
	expect_pattern(buf, 4500, 0, 1);
	expect_ret(read(fd, buf, 9000), 4500);
	expect_pattern(buf, 4500, 4500, 1);
	expect_ret(read(fd, buf, 9000), 0);
	expect_ret(lseek(fd, 0, SEEK_CUR), 9000);
	expect_ret(pread(fd, buf, 10, 100), 10);
	expect_ret(lseek(fd, 0, SEEK_CUR), 9000);
}
END_TEST

START_TEST(nothing_to_do)
{
	char byte = 'x';
	int fd = dev_open(0, O_RDWR);

	expect_ret(read(fd, &byte, 0), 0);
	expect_ret(read(fd, &byte, 1), 0);
	expect_ret(pread(fd, &byte, 1, 1LL << 40), 0);
	expect_ret(write(fd, &byte, 0), 0);
	expect_ret(pwrite(fd, &byte, 0, 10000), 0);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
	expect_ret(write(fd, &byte, 1), 1);
	expect_ret(read(fd, &byte, 1), 0);
	expect_ret(pread(fd, &byte, 1, 1), 0);
	expect_ret(pread(fd, &byte, 0, 0), 0);
}
END_TEST

START_TEST(everybody_sees_it)
{
	char buf[] = "persistent", got[sizeof(buf)];
	int a = dev_open(0, O_RDWR), b = dev_open(0, O_RDONLY);

	expect_ret(write(a, buf, sizeof(buf)), sizeof(buf));
	expect_ret(read(b, got, sizeof(got)), sizeof(got));
	expect(!memcmp(buf, got, sizeof(buf)), "read \"%s\"", got);
	close(a);
	close(b);
	a = dev_open(0, O_RDONLY);
	memset(got, 0, sizeof(got));
	expect_ret(read(a, got, sizeof(got)), sizeof(got));
	expect(!memcmp(buf, got, sizeof(buf)), "read \"%s\" after close", got);
}
END_TEST

START_TEST(devices_are_separate)
{
	int n = scull_nr_devs(), dev, fd;
	unsigned char buf[100];

	for (dev = 0; dev < n; dev++) {
		fd = dev_open(dev, O_RDWR);
		fill(buf, sizeof(buf), 0, dev);
		expect_ret(write(fd, buf, 10 + dev), 10 + dev);
		close(fd);
	}
	for (dev = 0; dev < n; dev++) {
		fd = dev_open(dev, O_RDONLY);
		expect_ret(read(fd, buf, sizeof(buf)), 10 + dev);
		expect_pattern(buf, 10 + dev, 0, dev);
		close(fd);
	}
}
END_TEST

START_TEST(hole_of_a_gib)
{
	unsigned char *buf = wide(GiB), byte;
	int fd = dev_open(0, O_RDWR);
	long long before, after;

	expect_ret(pwrite(fd, "x", 1, GiB), 1);
	memset(buf, 0xee, 2 * MiB);
	before = number_in("/proc/meminfo", "SUnreclaim");
	expect_ret(read(fd, buf, GiB), GiB);
	after = number_in("/proc/meminfo", "SUnreclaim");
	expect_bytes(buf, 2 * MiB, 0, 0);
	expect_ret(read(fd, &byte, 1), 1);
	expect(byte == 'x', "last byte is 0x%02x", byte);
	/* A hole that became memory would take a GiB. */
	expect(after - before < 64 * 1024,
	       "reading took %lld KiB of kernel memory", after - before);
	expect_ret(lseek(fd, 0, SEEK_DATA), GiB / 4000 * 4000);
}
END_TEST

START_TEST(more_than_one_call_moves)
{
	size_t ask = 2 * GiB + 65536;
	unsigned char *buf;
	int fd = dev_open(0, O_RDWR);

	if (sizeof(long) < 8)
		skip("a 32-bit process has no room for a buffer of 2 GiB");
	buf = wide(ask);
	expect_ret(pwrite(fd, "x", 1, 3 * GiB), 1);
	memset(buf, 0xee, 2 * MiB);
	expect_ret(pread(fd, buf, ask, 0), MAX_RW);
	expect_bytes(buf, 2 * MiB, 0, 0);
}
END_TEST

START_TEST(extreme_sizes)
{
	static const struct sizes extremes[] = {
		{ 1, 65536 }, { 4 * MiB, 1 }, { 4 * MiB, 65536 },
	};
	const struct sizes *s = &extremes[_i];
	off_t set = (off_t)s->quantum * s->qset;
	unsigned char in[300], out[300];
	int fd = fresh(0, s->quantum, s->qset);

	fill(in, sizeof(in), set - 150, 1);
	expect_ret(pwrite(fd, in, sizeof(in), set - 150), sizeof(in));
	expect_ret(pread(fd, out, sizeof(out), set - 150), sizeof(out));
	expect_pattern(out, sizeof(out), set - 150, 1);
	expect_ret(lseek(fd, 0, SEEK_END), set + 150);
	expect_ret(lseek(fd, 0, SEEK_DATA),
		   (set - 150) / s->quantum * s->quantum);
}
END_TEST

static const struct test tests[] = {
	{ &every_transfer, "every write of up to three sets, quantum 1, qset 1", 0 },
	{ &every_transfer, "every write of up to three sets, quantum 1, qset 7", 1 },
	{ &every_transfer, "every write of up to three sets, quantum 7, qset 1", 2 },
	{ &every_transfer, "every write of up to three sets, quantum 7, qset 7", 3, 120 },
	{ &every_read, "every read of up to three sets, quantum 1, qset 1", 0 },
	{ &every_read, "every read of up to three sets, quantum 1, qset 7", 1 },
	{ &every_read, "every read of up to three sets, quantum 7, qset 1", 2 },
	{ &every_read, "every read of up to three sets, quantum 7, qset 7", 3, 120 },
	{ &boundary_transfers, "across every boundary, quantum 4000, qset 1", 0 },
	{ &boundary_transfers, "across every boundary, quantum 4000, qset 7", 1 },
	{ &boundary_transfers, "across every boundary, quantum 4096, qset 7", 2 },
	{ &boundary_transfers, "across every boundary, quantum 65536, qset 1", 3 },
	{ &boundary_transfers, "across every boundary, quantum 65536, qset 7", 4, 120 },
	{ &boundary_transfers, "across every boundary, quantum 1, qset 4000", 5 },
	{ &boundary_transfers, "across every boundary, quantum 7, qset 4096", 6 },
	{ &boundary_transfers, "across every boundary, quantum 1, qset 65536", 7, 120 },
	{ &boundary_transfers, "across every boundary, quantum 7, qset 65536", 8, 120 },
	{ &overwrite_in_place, "overwriting keeps what is around, quantum 4000, qset 7", 1 },
	{ &overwrite_in_place, "overwriting keeps what is around, quantum 7, qset 4096", 6 },
	{ &random_sparse, "random writes and reads against a model, quanta up to 40", 40 },
	{ &random_sparse, "random writes and reads against a model, quanta up to 5000", 5000 },
	{ &one_read_of_a_mib, "one read takes 1 MiB over quanta of 4000" },
	{ &read_advances, "read and write advance the position, pread does not" },
	{ &nothing_to_do, "0 bytes, and the end of the device" },
	{ &everybody_sees_it, "every opener sees the same bytes, after close too" },
	{ &devices_are_separate, "each device has its own bytes" },
	{ &hole_of_a_gib, "a hole of 1 GiB reads as zeros and takes no memory" },
	{ &more_than_one_call_moves, "one read moves at most MAX_RW_COUNT" },
	{ &extreme_sizes, "quantum 1, qset 65536 work", 0 },
	{ &extreme_sizes, "quantum 4 MiB, qset 1 work", 1 },
	{ &extreme_sizes, "quantum 4 MiB, qset 65536 work", 2 },
};

TEST_MAIN("io", tests)
