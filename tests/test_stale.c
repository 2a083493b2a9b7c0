// SPDX-License-Identifier: GPL-2.0
/*
 * vm: append=slub_debug=FZPU init_on_alloc=0 page_poison=1
 *
 * A byte that nobody wrote reads as 0, whatever was in the memory before. Here
 * the allocators fill free memory with bytes other than 0, and the tests leave
 * their own in it.
 */
#include "harness.h"

static const int quanta[] = { 4000, 1, 7, 64, 100, 512, 4096, 8192, 65536, 1000000 };

static void tell_poison(void)
{
	FILE *f = fopen("/sys/kernel/slab/kmalloc-4k/poison", "r");
	int on = 0;

	if (f && fscanf(f, "%d", &on) != 1)
		on = 0;
	if (f)
		fclose(f);
	diag("slab poisoning is %s", on ? "on" : "off");
}

/* Memory of this size that was written to and is free again. */
static void dirty(int quantum)
{
	unsigned char *buf = xmalloc(2 * MiB);
	int fd = fresh(0, quantum, 1000);
	size_t len = quantum < 64 ? 20000 : 2 * MiB;

	memset(buf, 0xa5, len);
	expect_ret(write(fd, buf, len), len);
	close(fd);
	free(buf);
	dev_trim(0);
}

START_TEST(sparse_write)
{
	unsigned char *out = xmalloc(70000);
	size_t i;

	tell_poison();
	for (i = 0; i < ARRAY_SIZE(quanta); i++) {
		int fd;

		dirty(quanta[i]);
		fd = fresh(0, quanta[i], 1000);
		expect_ret(pwrite(fd, "\xee", 1, 60000), 1);
		memset(out, 0x77, 70000);
		expect_ret(pread(fd, out, 70000, 0), 60001);
		expect_bytes(out, 60000, 0, 0);
		expect_bytes(out + 60000, 1, 60000, 0xee);
		close(fd);
	}
}
END_TEST

START_TEST(ends_of_quanta)
{
	unsigned char *out = xmalloc(4 * MiB);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(quanta); i++) {
		int q = quanta[i], fd;
		size_t size = 0;

		/* The first byte of one, the last of the next, one in a third. */
		dirty(q);
		fd = fresh(0, q, 2);
		expect_ret(pwrite(fd, "\xee", 1, 0), 1);
		expect_ret(pwrite(fd, "\xee", 1, 2 * q - 1), 1);
		expect_ret(pwrite(fd, "\xee", 1, 2 * q + q / 2), 1);
		size = 2 * q + q / 2 + 1;
		expect_ret(pread(fd, out, 4 * MiB, 0), size);
		out[0] = out[2 * q - 1] = out[size - 1] = 0;
		expect_bytes(out, size, 0, 0);
		/* What lies in the last quantum past the end counts later. */
		expect_ret(pwrite(fd, "\xee", 1, 3 * q - 1), 1);
		expect_ret(pread(fd, out, 4 * MiB, 0), 3 * q);
		out[0] = out[2 * q - 1] = out[size - 1] = out[3 * q - 1] = 0;
		expect_bytes(out, 3 * q, 0, 0);
		close(fd);
	}
}
END_TEST

START_TEST(cut_by_a_fault)
{
	unsigned char *out = xmalloc(400000);
	size_t i, good;

	for (i = 0; i < ARRAY_SIZE(quanta); i++) {
		for (good = 1; good < 20000; good = good * 3 + 1) {
			unsigned char *in = cliff(good, PROT_READ | PROT_WRITE);
			size_t n;
			int fd;

			if (good == 1)
				dirty(quanta[i]);
			memset(in, 0xee, good);
			fd = fresh(0, quanta[i], 1000);
			n = expect_cut(pwrite(fd, in, 200000, 10), good);
			expect_ret(lseek(fd, 0, SEEK_END), n ? 10 + n : 0);
			expect_ret(pwrite(fd, "\xee", 1, 300000), 1);
			expect_ret(pread(fd, out, 400000, 0), 300001);
			expect_bytes(out, 10, 0, 0);
			expect_bytes(out + 10, n, 10, 0xee);
			expect_bytes(out + 10 + n, 300000 - 10 - n, 10 + n, 0);
			close(fd);
		}
	}
}
END_TEST

#define STRIDE 5003
#define STEPS 400

/* One byte every STRIDE, while the others read all that there is. */
static void extend_sparsely(int me, void *arg)
{
	const size_t most = STEPS * STRIDE;
	int fd = dev_open(0, O_RDWR);
	unsigned char *out = xmalloc(most), *want = xmalloc(most);
	bool *done = arg;
	size_t at;
	ssize_t n;

	for (at = STRIDE - 1; at < most; at += STRIDE) {
		want[at] = 0xee;
		if (me)
			continue;
		expect_ret(pwrite(fd, "\xee", 1, at), 1);
	}
	if (!me) {
		__atomic_store_n(done, true, __ATOMIC_SEQ_CST);
		return;
	}
	do {
		n = sys(pread(fd, out, most, 0));
		expect(n % STRIDE == 0, "the device ends at %zd", n);
		for (at = 0; at < (size_t)n; at++)
			expect(out[at] == want[at],
			       "byte at %zu is 0x%02x, expected 0x%02x", at,
			       out[at], want[at]);
	} while (!__atomic_load_n(done, __ATOMIC_SEQ_CST));
}

START_TEST(race_with_extend)
{
	bool *done = shared(sizeof(*done));

	dirty(_i);
	close(fresh(0, _i, 1000));
	together(3, extend_sparsely, done);
}
END_TEST

static const struct test tests[] = {
	{ &sparse_write, "one byte at 60000, and 60000 zeros before it" },
	{ &ends_of_quanta, "around single bytes in quanta" },
	{ &cut_by_a_fault, "behind a write cut short by a fault", 0, 120 },
	{ &race_with_extend, "while a write extends, quantum 4000", 4000, 120 },
	{ &race_with_extend, "while a write extends, quantum 8192", 8192, 120 },
};

TEST_MAIN("stale", tests)
