// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * One open file shared by eight processes or threads: its position loses no
 * update, as with a regular file.
 */
#include "harness.h"

#define SHARERS 8
#define RECORDS 4000

struct shared_open {
	int fd;
	int failures;
	uint32_t count[SHARERS];
	uint8_t seen[RECORDS];
};

/* Odd, so that records lie across quanta and sets. */
struct record {
	uint32_t number;
	uint32_t again;
	unsigned char more[5];
} __attribute__((packed));

static void read_some(int me, void *arg)
{
	struct shared_open *s = arg;
	struct record rec;

	for (;;) {
		ssize_t n = sys(read(s->fd, &rec, sizeof(rec)));

		if (!n)
			break;
		expect(n == sizeof(rec), "read gave %zd bytes", n);
		expect(rec.number < RECORDS && rec.number == rec.again,
		       "a torn record: %u and %u", rec.number, rec.again);
		__atomic_add_fetch(&s->seen[rec.number], 1, __ATOMIC_SEQ_CST);
		s->count[me]++;
	}
}

static void put_records(int fd)
{
	struct record *all = xmalloc(RECORDS * sizeof(*all));
	uint32_t i;

	for (i = 0; i < RECORDS; i++)
		all[i] = (struct record){ i, i, "five" };
	expect_ret(write(fd, all, RECORDS * sizeof(*all)),
		   RECORDS * sizeof(*all));
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	free(all);
}

static void expect_once(struct shared_open *s, const char *what)
{
	uint32_t i;

	for (i = 0; i < RECORDS; i++)
		expect(s->seen[i] == 1, "record %u was %s %u times", i, what,
		       s->seen[i]);
}

START_TEST(reading)
{
	struct shared_open *s = shared(sizeof(*s));

	s->fd = fresh(0, 100, 3);
	put_records(s->fd);
	together(SHARERS, read_some, s);
	expect_once(s, "read");
	expect_ret(lseek(s->fd, 0, SEEK_CUR), RECORDS * sizeof(struct record));
}
END_TEST

static void write_some(int me, void *arg)
{
	struct shared_open *s = arg;
	uint32_t i;

	for (i = me; i < RECORDS; i += SHARERS) {
		struct record rec = { i, i, "five" };

		expect_ret(write(s->fd, &rec, sizeof(rec)), sizeof(rec));
	}
}

static void expect_all_written(struct shared_open *s)
{
	struct record *all = xmalloc(RECORDS * sizeof(*all));
	size_t len = RECORDS * sizeof(*all), i;

	expect_ret(lseek(s->fd, 0, SEEK_CUR), len);
	expect_ret(lseek(s->fd, 0, SEEK_END), len);
	expect_ret(pread(s->fd, all, len, 0), len);
	for (i = 0; i < RECORDS; i++) {
		expect(all[i].number < RECORDS && all[i].number == all[i].again,
		       "a torn record: %u and %u", all[i].number, all[i].again);
		s->seen[all[i].number]++;
	}
	expect_once(s, "written");
	free(all);
}

START_TEST(writing)
{
	struct shared_open *s = shared(sizeof(*s));

	s->fd = fresh(0, 100, 3);
	together(SHARERS, write_some, s);
	expect_all_written(s);
}
END_TEST

struct thread {
	struct shared_open *s;
	int me;
};

static void *write_in_thread(void *arg)
{
	struct thread *t = arg;

	write_some(t->me, t->s);
	return NULL;
}

START_TEST(threads)
{
	struct shared_open *s = shared(sizeof(*s));
	struct thread args[SHARERS];
	pthread_t ids[SHARERS];
	int i;

	s->fd = fresh(0, 100, 3);
	for (i = 0; i < SHARERS; i++) {
		args[i] = (struct thread){ s, i };
		expect(!pthread_create(&ids[i], NULL, write_in_thread, &args[i]),
		       "no thread %d", i);
	}
	for (i = 0; i < SHARERS; i++)
		pthread_join(ids[i], NULL);
	expect_all_written(s);
}
END_TEST

static void step(int me, void *arg)
{
	struct shared_open *s = arg;
	int i;

	(void)me;
	for (i = 0; i < RECORDS; i++)
		sys(lseek(s->fd, 3, SEEK_CUR));
}

START_TEST(seeking)
{
	struct shared_open *s = shared(sizeof(*s));

	s->fd = dev_open(0, O_RDWR);
	together(SHARERS, step, s);
	expect_ret(lseek(s->fd, 0, SEEK_CUR), 3L * SHARERS * RECORDS);
}
END_TEST

/* Some read, some write over what is there: each step is one record. */
static void mixed(int me, void *arg)
{
	struct shared_open *s = arg;
	struct record rec = { me, me, "five" };
	struct iovec iov[2] = { { &rec, 6 }, { (char *)&rec + 6, 7 } };
	int i;

	for (i = 0; i < RECORDS / SHARERS; i++) {
		if (me % 2)
			expect_ret(readv(s->fd, iov, 2), sizeof(rec));
		else
			expect_ret(writev(s->fd, iov, 2), sizeof(rec));
		s->count[me] += rec.number == rec.again;
	}
}

START_TEST(both)
{
	struct shared_open *s = shared(sizeof(*s));
	int me;

	s->fd = fresh(0, 100, 3);
	put_records(s->fd);
	together(SHARERS, mixed, s);
	expect_ret(lseek(s->fd, 0, SEEK_CUR), RECORDS * sizeof(struct record));
	for (me = 0; me < SHARERS; me++)
		expect(s->count[me] == RECORDS / SHARERS,
		       "process %d met %u whole records of %u", me,
		       s->count[me], RECORDS / SHARERS);
}
END_TEST

static const struct test tests[] = {
	{ &reading, "8 processes read each byte once" },
	{ &writing, "8 processes write and lose nothing" },
	{ &threads, "8 threads write and lose nothing" },
	{ &seeking, "8 processes seek and lose no step" },
	{ &both, "8 processes read and write, each its own record" },
};

TEST_MAIN("share", tests)
