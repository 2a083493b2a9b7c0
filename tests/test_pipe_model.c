// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Random reads and writes on pipes of every capacity, against models of what
 * has to come out: exact to the byte and to the return value where one process
 * does everything; each byte in its place where one process writes and another
 * reads; each record of each writer once, and in order for each reader, where
 * eight write and eight read.
 *
 * SCULL_PIPE_OPS is how many operations, reads and writes that moved bytes, all
 * cases do together; half of them are from eight processes a side.
 */
#include "pipes.h"

#include <endian.h>

#define SIDE 8
#define DEFAULT_OPS 60000

static const int large[] = { 4000, 4096, 65536, 1048576 };

#define SMALL 300
#define CAPACITIES (SMALL + (int)ARRAY_SIZE(large))

static int capacity_at(int i)
{
	return i < SMALL ? i + 1 : large[i - SMALL];
}

/* What the cases did; their processes share it. */
static struct tally {
	long alone, pair, eight;	/* operations */
	long waiting;			/* of these, from calls that may block */
	long refused;			/* calls that would have blocked */
	long crossed;			/* operations across the wrap */
	double crossed_eight;		/* the same, reckoned: see below */
} *total;

static long ops_wanted(void)
{
	return env_number("SCULL_PIPE_OPS", DEFAULT_OPS);
}

/* Of @all operations, those for a pipe of this capacity: large ones take long. */
static long share_of(long all, int capacity)
{
	long ops = all / CAPACITIES;

	if (capacity > 4096)
		ops /= capacity / 4096;
	return ops < 40 ? 40 : ops;
}

static void add(long *count, long n)
{
	__atomic_fetch_add(count, n, __ATOMIC_RELAXED);
}

/* Most sizes are about the capacity, so that many operations cross the wrap. */
static size_t some_size(struct chance *c, size_t capacity)
{
	switch (chance_below(c, 8)) {
	case 0:
		return 1 + chance_below(c, capacity < 16 ? capacity : 16);
	case 1:
		return 1 + chance_below(c, 2 * capacity + 3);
	case 2:
		return 1 + chance_below(c, UNIT(capacity));
	case 3:
		return capacity;
	default:
		return capacity / 2 + 1 + chance_below(c, (capacity + 1) / 2);
	}
}

/* The same bytes in one to three pieces, some of them empty. */
static int pieces(struct chance *c, struct iovec iov[3], void *buf, size_t len)
{
	size_t a = chance_below(c, len + 1), b = a + chance_below(c, len - a + 1);

	if (chance_below(c, 4)) {
		iov[0] = (struct iovec){ buf, len };
		return 1;
	}
	iov[0] = (struct iovec){ buf, a };
	iov[1] = (struct iovec){ (char *)buf + a, b - a };
	iov[2] = (struct iovec){ (char *)buf + b, len - b };
	return 3;
}

static bool crosses(uint64_t pos, size_t len, size_t capacity)
{
	return pos % capacity + len > capacity;
}

/* --- one process --- */

struct alone {
	struct chance c;
	int fd;
	size_t capacity;
	uint64_t in, out;
	unsigned char *buf;
	unsigned int seed;
	long ops, refused, crossed;
};

static void alone_write(struct alone *a)
{
	size_t len = some_size(&a->c, a->capacity);
	size_t room = a->capacity - (a->in - a->out), want;
	size_t unit = UNIT(a->capacity);
	struct iovec iov[3];
	int n;

	fill(a->buf, len, a->in, a->seed);
	n = pieces(&a->c, iov, a->buf, len);
	if (room < (len < unit ? len : unit)) {
		expect_errno(writev(a->fd, iov, n), EAGAIN);
		a->refused++;
		return;
	}
	want = len < room ? len : room;
	expect_ret(writev(a->fd, iov, n), want);
	a->ops++;
	a->crossed += crosses(a->in, want, a->capacity);
	a->in += want;
}

static void alone_read(struct alone *a)
{
	size_t len = some_size(&a->c, a->capacity);
	size_t used = a->in - a->out, want = len < used ? len : used;
	struct iovec iov[3];
	int n = pieces(&a->c, iov, a->buf, len);

	if (!used) {
		expect_errno(readv(a->fd, iov, n), EAGAIN);
		a->refused++;
		return;
	}
	expect_ret(readv(a->fd, iov, n), want);
	expect_pattern(a->buf, want, a->out, a->seed);
	a->ops++;
	a->crossed += crosses(a->out, want, a->capacity);
	a->out += want;
}

static void alone_on(int capacity, long ops)
{
	struct alone a = {
		.c = chance_new(),
		.fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, capacity),
		.capacity = capacity,
		.buf = xmalloc(2 * capacity + 4),
		.seed = capacity,
	};

	while (a.ops < ops) {
		size_t used = a.in - a.out;
		short events = poll_now(a.fd, POLLIN | POLLOUT);

		expect(!!(events & POLLIN) == !!used &&
		       !!(events & POLLOUT) ==
				(a.capacity - used >= UNIT(a.capacity)),
		       "poll says 0x%x with %zu of %zu bytes used", events,
		       used, a.capacity);
		if (chance_below(&a.c, 2))
			alone_write(&a);
		else
			alone_read(&a);
	}
	while (a.out < a.in)
		alone_read(&a);
	add(&total->alone, a.ops);
	add(&total->refused, a.refused);
	add(&total->crossed, a.crossed);
	free(a.buf);
	close(a.fd);
}

START_TEST(alone)
{
	int i;

	seed_rnd();
	for (i = 0; i < CAPACITIES; i++)
		alone_on(capacity_at(i), share_of(ops_wanted() / 4,
						  capacity_at(i)));
}
END_TEST

/* --- one process a side --- */

struct pair {
	struct chance c[2];
	int capacity;
	long ops;
	uint64_t end;		/* how many bytes there will be, when known */
	unsigned int seed;
};

/* One process's end: waiting and not on the same pipe. */
struct end {
	int fd[2];		/* without and with O_NONBLOCK */
	struct chance c;
	long ops, waiting, refused, crossed;
	double reckoned;
};

static struct end end_open(int flags, struct chance c)
{
	struct end end = { .c = c };

	end.fd[0] = pipe_open(0, flags);
	end.fd[1] = pipe_open(0, flags | O_NONBLOCK);
	return end;
}

static void end_close(struct end *end, long *ops)
{
	add(ops, end->ops);
	add(&total->waiting, end->waiting);
	add(&total->refused, end->refused);
	add(&total->crossed, end->crossed);
	close(end->fd[0]);
	close(end->fd[1]);
}

/* Does this call ask for O_NONBLOCK? */
static int mood(struct end *end)
{
	return chance_below(&end->c, 3) == 0;
}

/* After a refusal: some wait for the poll's word, some just try again. */
static void refused(struct end *end, int fd, short events)
{
	struct pollfd p = { fd, events };

	expect(errno == EAGAIN, "refused with %s", strerror(errno));
	end->refused++;
	if (chance_below(&end->c, 2))
		poll(&p, 1, 100);
}

static void pair_write(struct pair *pair)
{
	struct end end = end_open(O_WRONLY, pair->c[0]);
	int capacity = pair->capacity, unit = UNIT(capacity);
	unsigned char *buf = xmalloc(2 * capacity + 4);
	uint64_t pos = 0;

	while (end.ops < pair->ops) {
		bool last = end.ops == pair->ops - 1;
		size_t len = some_size(&end.c, capacity);
		int nonblock = last ? 0 : mood(&end), n;
		struct iovec iov[3];
		ssize_t ret;

		if (last) {
			len = unit;
			__atomic_store_n(&pair->end, pos + len, __ATOMIC_SEQ_CST);
		}
		fill(buf, len, pos, pair->seed);
		n = pieces(&end.c, iov, buf, len);
		ret = writev(end.fd[nonblock], iov, n);
		if (ret < 0 && nonblock) {
			refused(&end, end.fd[1], POLLOUT);
			continue;
		}
		sys(ret);
		expect(ret >= (ssize_t)len || ret >= unit,
		       "a write of %zu took %zd, less than %d", len, ret, unit);
		end.ops++;
		end.waiting += !nonblock;
		end.crossed += crosses(pos, ret, capacity);
		pos += ret;
	}
	end_close(&end, &total->pair);
	free(buf);
}

static void pair_read(struct pair *pair)
{
	struct end end = end_open(O_RDONLY, pair->c[1]);
	int capacity = pair->capacity;
	unsigned char *buf = xmalloc(2 * capacity + 4);
	uint64_t pos = 0;

	do {
		size_t len = some_size(&end.c, capacity);
		int nonblock = mood(&end), n;
		struct iovec iov[3];
		ssize_t ret;

		n = pieces(&end.c, iov, buf, len);
		ret = readv(end.fd[nonblock], iov, n);
		if (ret < 0 && nonblock) {
			refused(&end, end.fd[1], POLLIN);
			continue;
		}
		sys(ret);
		expect(ret > 0 && ret <= (ssize_t)len, "a read of %zu gave %zd",
		       len, ret);
		/* In order, and cut into the pieces that were asked for. */
		expect_pattern(buf, ret, pos, pair->seed);
		end.ops++;
		end.waiting += !nonblock;
		end.crossed += crosses(pos, ret, capacity);
		pos += ret;
	} while (pos < __atomic_load_n(&pair->end, __ATOMIC_SEQ_CST));
	expect(pos == pair->end, "%llu bytes came of %llu",
	       (unsigned long long)pos, (unsigned long long)pair->end);
	end_close(&end, &total->pair);
	free(buf);
}

static void pair_side(int me, void *arg)
{
	if (me)
		pair_write(arg);
	else
		pair_read(arg);
}

START_TEST(pair)
{
	struct pair *pair = shared(sizeof(*pair));
	int i, keeper;

	seed_rnd();
	for (i = 0; i < CAPACITIES; i++) {
		int capacity = capacity_at(i);

		*pair = (struct pair){
			.c = { chance_new(), chance_new() },
			.capacity = capacity,
			.ops = share_of(ops_wanted() / 4, capacity) / 2,
			.end = UINT64_MAX,
			.seed = capacity,
		};
		keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, capacity);
		together(2, pair_side, pair);
		expect(!(poll_now(keeper, POLLIN) & POLLIN),
		       "capacity %d: bytes are left", capacity);
		close(keeper);
	}
}
END_TEST

/* --- eight processes a side --- */

/*
 * What goes through are records of one size: 8 bytes that name the writer and
 * the number in its sequence and carry a check sum, or 4; or single bytes, for
 * which only their totals can be compared. Who reads when is left to chance, so
 * nobody knows the order in which two readers read; but each must see the
 * records of each writer in order, and together they must see each once.
 *
 * Nor does anybody outside know where in the ring an operation was. At a place
 * left to chance one of L bytes crosses the wrap of C bytes with a probability
 * of (L - g)/C, where g is what all places are multiples of; these are added up.
 */
#define TURN_BITS 5

struct seen {
	uint64_t n, sum, mix;
};

struct eight {
	struct chance c[2 * SIDE];
	int capacity;
	int record;
	bool partial;		/* a write may be taken in part */
	long ops;		/* of each writer */
	uint64_t written[SIDE];
	struct seen seen[SIDE];
	uint64_t bytes[256];
	double reckoned[2 * SIDE];
	bool over;
};

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185ull;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44dull;
	return x ^ x >> 33;
}

static uint64_t record_of(int size, int writer, uint64_t seq)
{
	uint64_t word;

	switch (size) {
	case 8:
		word = (uint64_t)writer << 40 | seq;
		return word | (scramble(word) & 0xffff) << 48;
	case 4:
		word = (uint64_t)writer << 21 | (seq & 0x1fffff);
		return word | (scramble(word) & 0xff) << 24;
	default:
		return (uint64_t)writer << TURN_BITS | (seq & ((1 << TURN_BITS) - 1));
	}
}

static void reckon(struct end *end, const struct eight *e, size_t len)
{
	int grain = e->capacity % e->record ? 1 : e->record;
	double chance = (double)(len - grain) / e->capacity;

	end->reckoned += chance < 1 ? chance : 1;
}

/* A number of whole records. */
static size_t some_records(struct end *end, const struct eight *e, size_t most)
{
	size_t len = some_size(&end->c, e->capacity);

	if (len > most)
		len = most - chance_below(&end->c, most / 2 + 1);
	len -= len % e->record;
	return len ?: (size_t)e->record;
}

static void eight_write(struct eight *e, int me)
{
	struct end end = end_open(O_WRONLY, e->c[me]);
	int record = e->record, unit = UNIT(e->capacity);
	size_t most = e->partial ? 2 * e->capacity : unit;
	unsigned char *buf = xmalloc(2 * e->capacity + 16);
	uint64_t seq = 0;

	while (end.ops < e->ops) {
		size_t len = some_records(&end, e, most), at;
		int nonblock = mood(&end);
		ssize_t ret;

		for (at = 0; at < len; at += record) {
			uint64_t word = htole64(record_of(record, me,
							  seq + at / record));

			memcpy(buf + at, &word, record);
		}
		ret = write(end.fd[nonblock], buf, len);
		if (ret < 0 && nonblock) {
			refused(&end, end.fd[1], POLLOUT);
			continue;
		}
		sys(ret);
		expect(ret == (ssize_t)len || (ret >= unit && ret < (ssize_t)len),
		       "a write of %zu took %zd", len, ret);
		expect(ret % record == 0,
		       "%zd bytes were taken where all are multiples of %d",
		       ret, record);
		end.ops++;
		end.waiting += !nonblock;
		reckon(&end, e, ret);
		seq += ret / record;
	}
	e->written[me] = seq;
	e->reckoned[me] = end.reckoned;
	end_close(&end, &total->eight);
	free(buf);
}

static void see(struct eight *e, struct seen mine[SIDE], uint64_t next[SIDE],
		const unsigned char *buf)
{
	uint64_t word = 0, seq;
	int writer;

	memcpy(&word, buf, e->record);
	word = le64toh(word);
	if (e->record == 8) {
		writer = word >> 40 & 0xff;
		seq = word & 0xffffffffff;
	} else {
		writer = word >> 21 & 7;
		seq = word & 0x1fffff;
	}
	expect(writer < SIDE && word == record_of(e->record, writer, seq),
	       "no writer wrote the record %016llx", (unsigned long long)word);
	expect(seq >= next[writer],
	       "record %llu of writer %d comes after its record %llu",
	       (unsigned long long)seq, writer,
	       (unsigned long long)next[writer] - 1);
	next[writer] = seq + 1;
	mine[writer].n++;
	mine[writer].sum += seq;
	mine[writer].mix += scramble(seq);
}

static void eight_read(struct eight *e, int me)
{
	struct end end = end_open(O_RDONLY, e->c[me]);
	unsigned char *buf = xmalloc(2 * e->capacity + 16);
	struct seen mine[SIDE] = { 0 };
	uint64_t next[SIDE] = { 0 }, bytes[256] = { 0 };
	int i;

	while (!__atomic_load_n(&e->over, __ATOMIC_SEQ_CST)) {
		size_t len = some_records(&end, e, 2 * e->capacity), at;
		int nonblock = mood(&end);
		ssize_t ret = read(end.fd[nonblock], buf, len);

		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0 && nonblock) {
			refused(&end, end.fd[1], POLLIN);
			continue;
		}
		sys(ret);
		expect(ret > 0 && ret % e->record == 0,
		       "a read of %zu gave %zd where all are multiples of %d",
		       len, ret, e->record);
		for (at = 0; at < (size_t)ret; at += e->record) {
			if (e->record == 1)
				bytes[buf[at]]++;
			else
				see(e, mine, next, buf + at);
		}
		end.ops++;
		end.waiting += !nonblock;
		reckon(&end, e, ret);
	}
	for (i = 0; i < SIDE; i++) {
		__atomic_fetch_add(&e->seen[i].n, mine[i].n, __ATOMIC_RELAXED);
		__atomic_fetch_add(&e->seen[i].sum, mine[i].sum, __ATOMIC_RELAXED);
		__atomic_fetch_add(&e->seen[i].mix, mine[i].mix, __ATOMIC_RELAXED);
	}
	for (i = 0; i < 256; i++)
		__atomic_fetch_add(&e->bytes[i], bytes[i], __ATOMIC_RELAXED);
	e->reckoned[me] = end.reckoned;
	end_close(&end, &total->eight);
	free(buf);
}

struct worker {
	struct eight *e;
	int me;
};

static void wake_up(int sig)
{
}

static void eight_side(void *arg)
{
	struct worker *w = arg;

	if (w->me < SIDE)
		eight_write(w->e, w->me);
	else
		eight_read(w->e, w->me);
}

static void compare_records(const struct eight *e, int writer)
{
	struct seen want = { 0 };
	uint64_t seq;

	for (seq = 0; seq < e->written[writer]; seq++) {
		uint64_t named = e->record == 4 ? seq & 0x1fffff : seq;

		want.n++;
		want.sum += named;
		want.mix += scramble(named);
	}
	expect(!memcmp(&want, &e->seen[writer], sizeof(want)),
	       "capacity %d: writer %d wrote %llu records, %llu came, with sum %llx for %llx",
	       e->capacity, writer, (unsigned long long)want.n,
	       (unsigned long long)e->seen[writer].n,
	       (unsigned long long)e->seen[writer].sum,
	       (unsigned long long)want.sum);
}

static void compare_bytes(const struct eight *e)
{
	uint64_t want[256] = { 0 }, seq;
	int i;

	for (i = 0; i < SIDE; i++)
		for (seq = 0; seq < e->written[i]; seq++)
			want[record_of(1, i, seq)]++;
	for (i = 0; i < 256; i++)
		expect(want[i] == e->bytes[i],
		       "capacity %d: byte 0x%02x was written %llu times and came %llu times",
		       e->capacity, i, (unsigned long long)want[i],
		       (unsigned long long)e->bytes[i]);
}

/* When the writers are through and the pipe is empty, readers are waiting. */
static void end_readers(struct eight *e, int keeper, const pid_t pids[SIDE])
{
	int i, status;

	wait_until(!(poll_now(keeper, POLLIN) & POLLIN), 60,
		   "capacity %d: bytes are left that no reader reads",
		   e->capacity);
	__atomic_store_n(&e->over, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < SIDE; i++) {
		wait_until((kill(pids[i], SIGUSR1),
			    sys(waitpid(pids[i], &status, WNOHANG))), 60,
			   "a signal does not end the wait of a reader");
		expect(!status, "a reader ended with status 0x%x", status);
	}
}

static void eight_on(struct eight *e)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, e->capacity);
	struct worker w = { .e = e };
	pid_t pids[2 * SIDE];
	int i;

	for (i = 0; i < 2 * SIDE; i++)
		e->c[i] = chance_new();
	for (i = 0; i < 2 * SIDE; i++) {
		w.me = i;
		pids[i] = spawn(eight_side, &w);
	}
	for (i = 0; i < SIDE; i++)
		join(pids[i]);
	end_readers(e, keeper, pids + SIDE);
	if (e->record == 1)
		compare_bytes(e);
	else
		for (i = 0; i < SIDE; i++)
			compare_records(e, i);
	for (i = 0; i < 2 * SIDE; i++)
		total->crossed_eight += e->reckoned[i];
	close(keeper);
}

/* Mostly records as long as the capacity allows, for these say most. */
static int some_record(int capacity)
{
	int longest = capacity < 4 ? 1 : capacity < 8 ? 4 : 8;

	if (below(4))
		return longest;
	/* Sequence numbers of records of 4 bytes are few. */
	return longest == 1 || capacity > SMALL || below(2) ? 1 : 4;
}

START_TEST(eight)
{
	struct eight *e = shared(sizeof(*e));
	struct sigaction sa = { .sa_handler = wake_up };
	int i;

	seed_rnd();
	sys(sigaction(SIGUSR1, &sa, NULL));
	for (i = 0; i < CAPACITIES; i++) {
		int capacity = capacity_at(i);
		long ops = share_of(ops_wanted() / 2, capacity);

		memset(e, 0, sizeof(*e));
		e->capacity = capacity;
		e->record = some_record(capacity);
		e->partial = capacity % e->record == 0;
		/* Readers do about as many. */
		e->ops = ops / 2 / SIDE + 1;
		eight_on(e);
	}
}
END_TEST

/* --- all together --- */

START_TEST(mix)
{
	long all = total->alone + total->pair + total->eight;
	double crossed = total->crossed + total->crossed_eight;

	if (!total->alone || !total->pair || !total->eight)
		skip("only some of the cases were run");
	diag("%ld operations: %ld from one process, %ld from one a side, %ld from %d a side; %ld from calls that may wait; %ld refused besides",
	     all, total->alone, total->pair, total->eight, SIDE, total->waiting,
	     total->refused);
	diag("%.0f of them (%.0f %%) across the wrap: %ld counted, %.0f reckoned",
	     crossed, 100 * crossed / all, total->crossed, total->crossed_eight);
	expect(3 * crossed >= all, "too few operations cross the wrap");
	expect(2 * total->eight >= 9 * all / 10,
	       "too few operations are from %d processes a side", SIDE);
}
END_TEST

static struct test tests[] = {
	{ &alone, "one process, every capacity: return values, bytes and poll" },
	{ &pair, "one process a side, every capacity: each byte in its place" },
	{ &eight, "eight processes a side, every capacity: each record once, in order" },
	{ &mix, "half the operations from eight a side, a third across the wrap" },
};

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tests[i].limit = 300 + ops_wanted() / 1000;
	total = shared(sizeof(*total));
	return run_tests(argc, argv, "pipe_model", tests, ARRAY_SIZE(tests));
}
