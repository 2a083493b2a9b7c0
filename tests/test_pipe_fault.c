// SPDX-License-Identifier: GPL-2.0
/*
 * What goes wrong on the way: bad addresses on both sides, of which no byte is
 * lost or doubled, and a buffer for which there is no memory.
 */
#include "pipes.h"

#define CAPACITY 8192

static unsigned char buf[2 * CAPACITY];

/* Near 0, the kernel's, and what no address can be. */
static void *volatile const nowhere[] = {
	NULL, (void *)8, (void *)-4096L,
	(void *)(1UL << (8 * sizeof(long) - 1)),
	(void *)(1UL << (8 * sizeof(long) - 2)),
};

START_TEST(write_from_nowhere)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	unsigned char *bad = cliff(0, PROT_READ);
	size_t len, i;

	for (len = 1; len <= 2 * CAPACITY; len = len * 3 + 1) {
		expect_errno(write(fd, bad, len), EFAULT);
		for (i = 0; i < ARRAY_SIZE(nowhere); i++)
			expect_errno(write(fd, nowhere[i], len), EFAULT);
		expect_errno(read(fd, buf, 1), EAGAIN);
	}
	expect_ret(write(fd, "good", 4), 4);
	expect_ret(read(fd, buf, 9), 4);
}
END_TEST

/* A write of at most PIPE_BUF is whole: if it cannot be, nothing is taken. */
START_TEST(write_small_part)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	size_t good, len;

	for (good = 1; good < PIPE_BUF; good = good * 2 + 1) {
		unsigned char *in = cliff(good, PROT_READ | PROT_WRITE);

		for (len = good + 1; len <= PIPE_BUF; len = len * 2 + 1)
			expect_errno(write(fd, in, len), EFAULT);
		expect_errno(write(fd, in, PIPE_BUF), EFAULT);
		expect_errno(read(fd, buf, 1), EAGAIN);
	}
	/* The same in pieces, of which only the last is bad. */
	for (good = 0; good < 3; good++) {
		struct iovec iov[4] = {
			{ buf, 100 }, { buf, 200 }, { buf, 300 }, { buf, 400 },
		};

		iov[good + 1].iov_base = cliff(0, PROT_READ);
		expect_errno(writev(fd, iov, 4), EFAULT);
		expect_errno(read(fd, buf, 1), EAGAIN);
	}
}
END_TEST

/* So it is where the ring wraps round within it, and the first part is good. */
START_TEST(write_small_round_the_end)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	size_t good = 1000, at = 0, step, i;
	const size_t before[] = { 1, good - 1, good, good + 1, 2 * good };
	unsigned char *in = cliff(good, PROT_READ | PROT_WRITE);

	for (i = 0; i < ARRAY_SIZE(before); i++) {
		step = (2 * CAPACITY - before[i] - at) % CAPACITY;
		fill(buf, step, 0, i);
		expect_ret(write(fd, buf, step), step);
		expect_ret(read(fd, buf, step), step);
		at = (at + step) % CAPACITY;

		expect_errno(write(fd, in, good + 1), EFAULT);
		expect_errno(write(fd, in, PIPE_BUF), EFAULT);
		expect_errno(read(fd, buf, 1), EAGAIN);
	}
	fill(in, good, 0, 9);
	expect_ret(write(fd, in, good), good);
	expect_ret(read(fd, buf, sizeof(buf)), good);
	expect_pattern(buf, good, 0, 9);
}
END_TEST

/* Of a larger one a part may be taken, and the count says which. */
START_TEST(write_large_part)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 65536);
	unsigned char *out = xmalloc(65536);
	size_t good;

	for (good = 1; good < 60000; good = good * 2 + 1) {
		unsigned char *in = cliff(good, PROT_READ | PROT_WRITE);
		ssize_t n;

		fill(in, good, 0, good);
		n = write(fd, in, good + PIPE_BUF);
		expect(n <= (ssize_t)good && n && (n > 0 || errno == EFAULT),
		       "write gave %zd where %zu bytes can be read", n, good);
		if (n < 0) {
			expect_errno(read(fd, out, 65536), EAGAIN);
			continue;
		}
		expect_ret(read(fd, out, 65536), n);
		expect_pattern(out, n, 0, good);
	}
}
END_TEST

START_TEST(read_to_nowhere)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	unsigned char *bad = cliff(0, PROT_READ | PROT_WRITE);
	unsigned char *locked = cliff(100, PROT_READ);
	size_t len, i;

	fill(buf, CAPACITY, 0, 1);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	for (len = 1; len <= 2 * CAPACITY; len = len * 3 + 1) {
		expect_errno(read(fd, bad, len), EFAULT);
		for (i = 0; i < ARRAY_SIZE(nowhere); i++)
			expect_errno(read(fd, nowhere[i], len), EFAULT);
		expect_errno(read(fd, locked, len), EFAULT);
		/* No room was made. */
		expect_errno(write(fd, "x", 1), EAGAIN);
	}
	expect_ret(read(fd, buf, sizeof(buf)), CAPACITY);
	expect_pattern(buf, CAPACITY, 0, 1);
}
END_TEST

/* A read gets what could be delivered, and the next goes on right there. */
START_TEST(read_part)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	uint64_t in = 0, out = 0;
	size_t good;

	for (good = 1; good < CAPACITY; good = good * 3 / 2 + 1) {
		unsigned char *to = cliff(good, PROT_READ | PROT_WRITE);
		ssize_t n;

		/* At different places of the ring. */
		fill(buf, CAPACITY, in, 2);
		n = sys(write(fd, buf, CAPACITY));
		in += n;
		expect_ret(in - out, CAPACITY);
		n = expect_cut(read(fd, to, CAPACITY), good);
		expect_pattern(to, n, out, 2);
		out += n;
		expect_ret(read(fd, buf, CAPACITY), in - out);
		expect_pattern(buf, in - out, out, 2);
		out = in;
		/* An odd step, so that the next round begins elsewhere. */
		fill(buf, 1001, in, 2);
		expect_ret(write(fd, buf, 1001), 1001);
		expect_ret(read(fd, buf, 1001), 1001);
		in += 1001;
		out += 1001;
	}
}
END_TEST

/* Readers and writers with bad addresses among good ones, all the time. */
struct faults {
	uint64_t end;
	int capacity;
	long faults[2];		/* calls that gave EFAULT */
	long cut[2];		/* calls that a bad address made shorter */
};

static void faulty(int me, void *arg)
{
	struct faults *f = arg;
	unsigned char *edge = cliff(f->capacity, PROT_READ | PROT_WRITE);
	int fd = pipe_open(0, me ? O_WRONLY : O_RDONLY);
	uint64_t pos = 0;
	long calls = 0;

	while (pos < f->end) {
		size_t most = calls++ % 3 ? f->capacity : 10;
		size_t good = calls * 7919 % most;
		/* Two of three calls ask for more than there is. */
		size_t len = calls % 3 ? good + 1 + calls % 500 : good + 1;
		unsigned char *at = edge + f->capacity - good;
		ssize_t n;

		if (calls % 3 == 0)
			at--, good++;
		if (len > f->end - pos)
			len = good = 1, at = edge;
		if (me)
			fill(at, good, pos, 5);
		n = me ? write(fd, at, len) : read(fd, at, len);
		if (n < 0 && errno == EFAULT && len > good) {
			f->faults[me]++;
			continue;
		}
		expect(sys(n) > 0 && n <= (ssize_t)good, "%zd bytes of %zu", n,
		       good);
		f->cut[me] += n == (ssize_t)good && len > good;
		if (!me)
			expect_pattern(at, n, pos, 5);
		pos += n;
	}
}

START_TEST(faults_both_sides)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	struct faults *f = shared(sizeof(*f));

	f->capacity = _i;
	f->end = _i < 10000 ? 300000 : 8 * MiB;
	together(2, faulty, f);
	expect_errno(read(keeper, buf, 1), EAGAIN);
	diag("%ld reads and %ld writes gave EFAULT, %ld and %ld came short",
	     f->faults[0], f->faults[1], f->cut[0], f->cut[1]);
	expect(f->faults[0] && f->faults[1] && f->cut[0],
	       "there was too little to see");
}
END_TEST

/* --- no memory for the buffer --- */

#define GROUP "scull-test-pipe"

static void make_group(const char *limit)
{
	const char *why = memcg_make(GROUP);

	if (why)
		skip("%s", why);
	expect(memcg_limit(GROUP, limit), "limit of %s: %s", limit,
	       strerror(errno));
}

static void enter_group(void)
{
	expect(memcg_enter(GROUP), "cgroup.procs: %s", strerror(errno));
}

struct poor {
	int flags;
	int most;		/* what the pipe holds that it cannot open */
	bool done;
};

/* Reading it again takes no memory. */
static long long group_holds(int fd)
{
	char text[32] = "";

	sys(pread(fd, text, sizeof(text) - 1, 0));
	return atoll(text);
}

/*
 * A process that may use 6 MiB opens a pipe of 16. What the kernel got of them
 * it gives back a moment after the open has failed; until then there is none
 * for the file that the next open needs, and open(2) itself calls the OOM killer
 * for that.
 */
static void poor_open(void *arg)
{
	struct poor *p = arg;
	const char *path = pipe_path(0);
	int round, fd, current;

	current = sys(open(CGROUPS "/" GROUP "/memory.current", O_RDONLY));
	group_holds(current);
	/* Its own pages, and those of the libraries, are not the group's. */
	sys(mlockall(MCL_CURRENT));
	enter_group();
	for (round = 0; round < 20; round++) {
		expect_errno(open(path, p->flags), ENOMEM);
		wait_until(group_holds(current) < MiB, 30,
			   "a failed open keeps %lld bytes",
			   group_holds(current));
	}
	pipe_set_capacity(MiB);
	fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	expect_ret(write(fd, "enough", 6), 6);
	expect_ret(read(fd, buf, 10), 6);
	close(fd);
	wait_until(group_holds(current) < MiB, 30,
		   "a closed pipe keeps %lld bytes", group_holds(current));
	pipe_set_capacity(p->most);
	expect_errno(open(path, p->flags), ENOMEM);
	p->done = true;
}

START_TEST(no_memory)
{
	struct poor *p = shared(sizeof(*p));
	int status, fd;
	pid_t pid;

	make_group("6M");
	p->flags = _i;
	p->most = 16 * MiB;
	pipe_set_capacity(p->most);
	pid = spawn(poor_open, p);
	status = join_within(pid, 60);
	expect(status != -1, "the open does not end");
	expect(!status && p->done, "the opener ended with status 0x%x", status);
	expect_ret(memcg_kills(GROUP), 0);
	/* Who has more can open it. */
	fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(read(fd, buf, 1), 1);
	close(fd);
	memcg_remove(GROUP);
}
END_TEST

/* The buffer is charged to who opens first, and given back at the last close. */
static void rich_open(void *arg)
{
	bool *done = arg;
	int fd;

	enter_group();
	sys(mlockall(MCL_CURRENT));
	fd = pipe_open(0, O_RDWR | O_NONBLOCK);
	__atomic_store_n(done, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(done, __ATOMIC_SEQ_CST))
		nap_ms(5);
	close(fd);
}

static long long charged(void)
{
	long long n = memcg_used(GROUP);

	expect(n >= 0, "memory.current: %s", strerror(errno));
	return n;
}

START_TEST(charged_to_opener)
{
	bool *done = shared(sizeof(*done));
	pid_t pid;

	make_group("max");
	pipe_set_capacity(16 * MiB);
	pid = spawn(rich_open, done);
	wait_until(__atomic_load_n(done, __ATOMIC_SEQ_CST), 30,
		   "the pipe is not opened");
	expect(charged() >= 16 * MiB, "%lld bytes are charged for 16 MiB",
	       charged());
	__atomic_store_n(done, false, __ATOMIC_SEQ_CST);
	join(pid);
	wait_until(charged() < 4 * MiB, 30, "%lld bytes are still charged",
		   charged());
	memcg_remove(GROUP);
}
END_TEST

static const struct test tests[] = {
	{ &write_from_nowhere, "a write from a bad address takes nothing" },
	{ &write_small_part, "a small write that ends at a bad address takes nothing" },
	{ &write_small_round_the_end, "nor if the ring wraps round within it" },
	{ &write_large_part, "a large write that ends at a bad address takes what it says" },
	{ &read_to_nowhere, "a read to a bad address loses nothing" },
	{ &read_part, "a read that ends at a bad address loses nothing" },
	{ &faults_both_sides, "bad addresses on both sides, capacity 300", 300, 120 },
	{ &faults_both_sides, "bad addresses on both sides, capacity 65536", 65536, 120 },
	{ &no_memory, "no memory for the buffer: ENOMEM, O_RDWR", O_RDWR, 120 },
	{ &no_memory, "no memory for the buffer: ENOMEM, O_WRONLY", O_WRONLY, 120 },
	{ &charged_to_opener, "the buffer is charged to who opens first", 0, 120 },
};

TEST_MAIN("pipe_fault", tests)
