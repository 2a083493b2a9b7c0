// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Eight processes append to one device at once: nothing is lost or torn.
 */
#include "harness.h"

#define WRITERS 8
#define RECORDS 150
#define MOST 2000

struct record {
	uint16_t writer;
	uint16_t number;
	uint16_t len;		/* with this header */
	uint16_t check;
	unsigned char data[MOST];
} __attribute__((packed));

#define HEADER offsetof(struct record, data)

enum how { APPEND_MODE, APPEND_FLAG, BOTH, SHARED_OPEN };

struct plan {
	enum how how;
	int fd;
	uint64_t seed;
	size_t written[WRITERS];
};

static void append_records(int me, void *arg)
{
	struct plan *plan = arg;
	bool by_flag = plan->how == APPEND_FLAG || (plan->how == BOTH && me % 2);
	struct record rec;
	int fd, i;

	fd = plan->how == SHARED_OPEN ? plan->fd :
	     dev_open(0, by_flag ? O_RDWR : O_RDWR | O_APPEND);
	/* Each its own lengths. */
	for (i = 0; i < me; i++)
		rnd();
	for (i = 0; i < RECORDS; i++) {
		struct iovec iov[2] = { { &rec, HEADER }, { rec.data } };

		rec.writer = me;
		rec.number = i;
		rec.len = HEADER + 1 + below(MOST);
		rec.check = me * 251 + i * 31 + rec.len;
		iov[1].iov_len = rec.len - HEADER;
		fill(rec.data, iov[1].iov_len, i, me);
		expect_ret(pwritev2(fd, iov, 2, by_flag ? 0 : -1,
				    by_flag ? RWF_APPEND : 0), rec.len);
		plan->written[me] += rec.len;
	}
}

START_TEST(appending)
{
	struct plan *plan = shared(sizeof(*plan));
	int next[WRITERS] = { }, fd, i;
	size_t total = 0, at = 0;
	unsigned char *buf;

	seed_rnd();
	fd = fresh(0, _i % 2 ? 4000 : 61, 7);
	plan->how = _i / 2;
	plan->fd = dev_open(0, O_RDWR | O_APPEND);
	together(WRITERS, append_records, plan);
	for (i = 0; i < WRITERS; i++)
		total += plan->written[i];
	expect_ret(lseek(fd, 0, SEEK_END), total);
	buf = xmalloc(total);
	expect_ret(pread(fd, buf, total, 0), total);
	while (at < total) {
		struct record *rec = (struct record *)(buf + at);

		expect(rec->writer < WRITERS && rec->len > HEADER &&
		       rec->check == (uint16_t)(rec->writer * 251 +
						rec->number * 31 + rec->len),
		       "no record begins at %zu", at);
		expect(rec->number == next[rec->writer],
		       "at %zu: record %d of writer %d where %d was due", at,
		       rec->number, rec->writer, next[rec->writer]);
		next[rec->writer]++;
		expect_pattern(rec->data, rec->len - HEADER, rec->number,
			       rec->writer);
		at += rec->len;
	}
	for (i = 0; i < WRITERS; i++)
		expect(next[i] == RECORDS, "%d of %d records of writer %d",
		       next[i], RECORDS, i);
}
END_TEST

static const struct test tests[] = {
	{ &appending, "8 processes with O_APPEND, quantum 61", 2 * APPEND_MODE },
	{ &appending, "8 processes with O_APPEND, quantum 4000", 2 * APPEND_MODE + 1 },
	{ &appending, "8 processes with RWF_APPEND, quantum 61", 2 * APPEND_FLAG },
	{ &appending, "8 processes with RWF_APPEND, quantum 4000", 2 * APPEND_FLAG + 1 },
	{ &appending, "O_APPEND and RWF_APPEND mixed", 2 * BOTH + 1 },
	{ &appending, "8 processes on one descriptor with O_APPEND", 2 * SHARED_OPEN + 1 },
};

TEST_MAIN("append", tests)
