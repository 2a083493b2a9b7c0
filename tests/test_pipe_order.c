// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * What the pipe's indices promise between processors: who sees that bytes are
 * there sees the bytes, and who sees room does not overwrite what is still to be
 * read. One process writes numbered records and another reads them, each on a
 * processor of its own and as fast as it can, in pipes so small that they always
 * work on neighbouring bytes; each byte is checked. A call that finds nothing to
 * do is made again, so that no sleep and no lock orders what the
 * indices alone have to.
 *
 * That says most where stores may become visible in another order than they
 * were made, on arm64 for one. An emulator makes memory as weakly ordered as the
 * machine that it runs on, and no weaker.
 */
#include "pipes.h"

#include <sched.h>

/*
 * So many, or as many as fit into this time: where two processors share one of
 * the host's, each hand-over may have to wait for the host.
 */
#define RECORDS 20000
#define MILLISECONDS 2000

struct flow {
	int capacity;
	int waits;		/* calls sleep in place of trying again */
	uint64_t end;		/* how many records there will be, when known */
	bool polled;
	bool done;
	bool told;		/* who polls for room has heard of it */
};

/* A record for each pipe: 1 to 8 bytes of the number, the least of them first. */
static size_t record_of(int capacity)
{
	return capacity < 8 ? 1 : capacity % 8 ? 7 : 8;
}

static void on_processor(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sys(sched_setaffinity(0, sizeof(set), &set));
}

static void put(uint64_t number, unsigned char *record, size_t len)
{
	while (len--) {
		*record++ = number;
		number >>= 8;
	}
}

static void write_all(struct flow *f)
{
	int fd = pipe_open(0, f->waits ? O_WRONLY : O_WRONLY | O_NONBLOCK);
	size_t len = record_of(f->capacity);
	long long stop = now_ms() + repeat(MILLISECONDS);
	uint64_t most = repeat(RECORDS), i;
	bool last = false;

	for (i = 0; !last; i++) {
		unsigned char record[8];
		ssize_t ret;

		last = i + 1 == most || now_ms() > stop;
		if (last)
			__atomic_store_n(&f->end, i + 1, __ATOMIC_SEQ_CST);
		put(i, record, len);
		do
			ret = write(fd, record, len);
		while (ret < 0 && errno == EAGAIN && !sched_yield());
		expect_ret(ret, len);
	}
}

static void read_all(struct flow *f)
{
	int fd = pipe_open(0, f->waits ? O_RDONLY : O_RDONLY | O_NONBLOCK);
	size_t len = record_of(f->capacity);
	uint64_t i;

	for (i = 0; i < __atomic_load_n(&f->end, __ATOMIC_SEQ_CST); i++) {
		unsigned char want[8], got[8];
		ssize_t ret;

		memset(got, 0xee, sizeof(got));
		do
			ret = read(fd, got, len);
		while (ret < 0 && errno == EAGAIN && !sched_yield());
		/* A write of so little comes whole. */
		expect_ret(ret, len);
		put(i, want, len);
		expect(!memcmp(got, want, len),
		       "record %llu begins with 0x%02x, expected 0x%02x",
		       (unsigned long long)i, got[0], want[0]);
	}
	diag("%llu records", (unsigned long long)i);
}

/* Told again and again that the pipe is ready, as it is all the time. */
static void poll_all(struct flow *f, short events)
{
	int fd = pipe_open(0, O_RDWR);

	while (!__atomic_load_n(&f->done, __ATOMIC_SEQ_CST)) {
		struct pollfd p = { fd, events };

		expect_ret(poll(&p, 1, 60000), 1);
		expect(p.revents == events, "poll says 0x%x", p.revents);
	}
}

static void take_part(int me, void *arg)
{
	struct flow *f = arg;

	on_processor(me);
	switch (me) {
	case 0:
		read_all(f);
		/*
		 * Pollers get their last word: there is room for a record until
		 * who wants that has seen it, and then there is a byte.
		 */
		__atomic_store_n(&f->done, true, __ATOMIC_SEQ_CST);
		if (f->polled)
			wait_until(__atomic_load_n(&f->told, __ATOMIC_SEQ_CST),
				   60, "a poll for room does not return");
		expect_ret(write(pipe_open(0, O_WRONLY), "", 1), 1);
		break;
	case 1:
		write_all(f);
		break;
	case 2:
		poll_all(f, POLLIN);
		break;
	default:
		poll_all(f, POLLOUT);
		__atomic_store_n(&f->told, true, __ATOMIC_SEQ_CST);
	}
}

static void run(int capacity, int waits, int processes)
{
	struct flow *f = shared(sizeof(*f));
	int keeper;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip("one processor sees its own stores in order");
	*f = (struct flow){ capacity, waits, UINT64_MAX, processes > 2 };
	keeper = pipe_fresh(0, O_RDWR, capacity);
	together(processes, take_part, f);
	close(keeper);
}

START_TEST(at_once)
{
	run(_i, 0, 2);
}
END_TEST

START_TEST(polled)
{
	run(_i, 0, 4);
}
END_TEST

START_TEST(asleep)
{
	run(_i, 1, 4);
}
END_TEST

static const struct test tests[] = {
	{ &at_once, "records arrive as written, capacity 1", 1, 300 },
	{ &at_once, "records arrive as written, capacity 8", 8, 300 },
	{ &at_once, "records arrive as written, capacity 61", 61, 300 },
	{ &at_once, "records arrive as written, capacity 4096", 4096, 300 },
	{ &polled, "the same beside two who poll, capacity 8", 8, 300 },
	{ &polled, "the same beside two who poll, capacity 61", 61, 300 },
	{ &polled, "the same beside two who poll, capacity 4096", 4096, 300 },
	{ &asleep, "the same where calls wait, capacity 8", 8, 300 },
	{ &asleep, "the same where calls wait, capacity 61", 61, 300 },
};

TEST_MAIN("pipe_order", tests)
