// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * The counters in sysfs: each event is counted once, and they add up however
 * many processes there are.
 */
#include "access.h"
#include "attributes.h"
#include "pipes.h"

#define ALICE 1101
#define BOB 1102

/* --- before and after --- */

static const char *const names[] = {
	"reads", "read_bytes", "short_reads", "writes", "write_bytes",
	"short_writes", "again", "sleeps", "wakeups", "refused", "trims",
};

/* In the order of @names; 0 for one that the device has not. */
struct counts {
	unsigned long long value[ARRAY_SIZE(names)];
};

static struct counts counts_of(const char *device)
{
	struct counts counts = { };
	char path[64];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), SYSFS "/%s/stats/%s", device,
			 names[i]);
		if (access(path, F_OK))
			continue;
		counts.value[i] = attribute(path + strlen(SYSFS "/"));
	}
	return counts;
}

static const char *device;
static struct counts before;

static void watch(const char *name)
{
	attributes_possible();
	device = name;
	before = counts_of(name);
}

/*
 * Since watch() or the last call of this, the counters have grown by what @want
 * says, "name=number name=number", and all others are as they were.
 */
static void expect_counted(const char *want)
{
	struct counts now = counts_of(device);
	char copy[256], *word, *rest = copy;
	unsigned long long due;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		len = strlen(names[i]);
		due = 0;
		snprintf(copy, sizeof(copy), "%s", want);
		for (rest = copy; (word = strsep(&rest, " "));)
			if (!strncmp(word, names[i], len) && word[len] == '=')
				due = strtoull(word + len + 1, NULL, 10);
		expect(now.value[i] - before.value[i] == due,
		       "%s: %s grew by %llu, expected \"%s\"", device, names[i],
		       now.value[i] - before.value[i], want);
	}
	before = now;
}

/* --- one after the other --- */

static char buf[100000];

START_TEST(bare_transfers)
{
	struct iovec vec[2] = { { buf, 30 }, { buf + 30, 70 } };
	int fd;

	watch("scull0");
	fd = dev_open(0, O_RDWR);
	expect_counted("");
	expect_ret(write(fd, buf, 100), 100);
	expect_counted("writes=1 write_bytes=100");
	expect_ret(pwritev(fd, vec, 2, 50), 100);
	expect_counted("writes=1 write_bytes=100");
	expect_ret(pread(fd, buf, 64, 0), 64);
	expect_counted("reads=1 read_bytes=64");
	expect_ret(preadv(fd, vec, 2, 10), 100);
	expect_counted("reads=1 read_bytes=100");
	/* At the end of the device: less than was asked for, then nothing. */
	expect_ret(pread(fd, buf, 100, 100), 50);
	expect_counted("reads=1 read_bytes=50 short_reads=1");
	expect_ret(pread(fd, buf, 100, 150), 0);
	expect_counted("reads=1 short_reads=1");
	expect_ret(preadv(fd, vec, 2, 100), 50);
	expect_counted("reads=1 read_bytes=50 short_reads=1");
}
END_TEST

START_TEST(bare_failures)
{
	char *bad = cliff(400, PROT_READ | PROT_WRITE);
	struct iovec vec = { buf, 100 };
	char want[64];
	ssize_t n;
	int fd;

	fd = dev_open(0, O_RDWR);
	expect_ret(pwrite(fd, buf, 500, 0), 500);
	watch("scull0");
	n = expect_cut(pwrite(fd, bad, 500, 0), 400);
	snprintf(want, sizeof(want), "writes=1 write_bytes=%zd short_writes=1", n);
	expect_counted(want);
	n = expect_cut(pread(fd, bad, 500, 0), 400);
	snprintf(want, sizeof(want), "reads=1 read_bytes=%zd short_reads=1", n);
	expect_counted(want);
	/* What gives an error moves nothing and counts nothing. */
	expect_errno(pwrite(fd, bad + 400, 100, 0), EFAULT);
	expect_errno(pread(fd, bad + 400, 100, 0), EFAULT);
	expect_counted("");
	expect_errno(pwritev2(fd, &vec, 1, 100000, RWF_NOWAIT), EAGAIN);
	expect_counted("again=1");
	expect_ret(pwritev2(fd, &vec, 1, 0, RWF_NOWAIT), 100);
	expect_counted("writes=1 write_bytes=100");
}
END_TEST

START_TEST(trims_and_refusals)
{
	watch("scull0");
	close(dev_open(0, O_RDWR));
	close(dev_open(0, O_RDONLY));
	close(dev_open(0, O_WRONLY | O_APPEND));
	expect_counted("");
	close(dev_open(0, O_WRONLY));
	expect_counted("trims=1");
	close(dev_open(0, O_RDWR | O_TRUNC));
	expect_counted("trims=1");
	expect_errno(open(dev_path(0), O_RDWR | O_DIRECT), EINVAL);
	expect_counted("refused=1");
}
END_TEST

START_TEST(refused_single)
{
	int fd;

	begin(SINGLE);
	watch("scullsingle");
	fd = open_device(SINGLE, O_RDWR);
	expect_errno(open_device(SINGLE, O_RDONLY), EBUSY);
	expect_errno(open_device(SINGLE, O_RDONLY), EBUSY);
	expect_counted("refused=2");
	expect_number("scullsingle", "opens", 1);
	expect_ret(write(fd, buf, 10), 10);
	close(fd);
	expect_counted("writes=1 write_bytes=10");
}
END_TEST

START_TEST(waiting_wuid)
{
	struct actor alice, bob;
	int fd;

	begin(WUID);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	watch("scullwuid");
	fd = ask(&alice, do_open, WUID, O_RDWR);
	expect_errno(ask(&bob, do_open, WUID, O_RDWR | O_NONBLOCK), EAGAIN);
	expect_counted("refused=1");
	wait_in_open(&bob, WUID, O_RDWR);
	expect_counted("sleeps=1");
	expect_ret(ask(&alice, do_close, fd, 0), 0);
	expect(answer(&bob) >= 0, "open: %s", strerror(errno));
	expect_counted("wakeups=1");
}
END_TEST

static void start_session(void *unused)
{
	sys(setsid());
}

START_TEST(refused_priv)
{
	struct terminal t = new_pty();
	struct actor actor, daemon;
	long fd;

	begin(PRIV);
	watch("scullpriv");
	actor = hire(on_terminal, &t);
	fd = ask(&actor, do_open, PRIV, O_RDWR);
	expect_ret(ask(&actor, do_put, fd, (long)"text"), 4);
	expect_counted("writes=1 write_bytes=4");
	fd = ask(&actor, do_open, PRIV, O_WRONLY);
	expect(fd >= 0, "open: %s", strerror(errno));
	expect_counted("trims=1");
	daemon = hire(start_session, NULL);
	expect_errno(ask(&daemon, do_open, PRIV, O_RDWR), EINVAL);
	expect_counted("refused=1");
}
END_TEST

START_TEST(pipe_transfers)
{
	struct iovec vec[2] = { { buf, 30 }, { buf + 30, 70 } };
	int fd;

	watch("scullpipe0");
	fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 1000);
	expect_errno(read(fd, buf, 10), EAGAIN);
	expect_counted("again=1");
	expect_ret(write(fd, buf, 100), 100);
	expect_counted("writes=1 write_bytes=100");
	expect_ret(writev(fd, vec, 2), 100);
	expect_counted("writes=1 write_bytes=100");
	expect_ret(read(fd, buf, 64), 64);
	expect_counted("reads=1 read_bytes=64");
	expect_ret(readv(fd, vec, 2), 100);
	expect_counted("reads=1 read_bytes=100");
	expect_ret(read(fd, buf, 100), 36);
	expect_counted("reads=1 read_bytes=36 short_reads=1");
	expect_ret(write(fd, buf, 600), 600);
	expect_counted("writes=1 write_bytes=600");
	expect_errno(write(fd, buf, 600), EAGAIN);
	expect_counted("again=1");
	close(fd);
	fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 5000);
	expect_ret(write(fd, buf, 6000), 5000);
	expect_counted("writes=1 write_bytes=5000 short_writes=1");
	expect_errno(open(pipe_path(0), O_RDWR | O_DIRECT), EINVAL);
	expect_counted("refused=1");
}
END_TEST

static void read_one(void *unused)
{
	expect_ret(read(pipe_open(0, O_RDONLY), buf, 1), 1);
}

static void write_one(void *unused)
{
	expect_ret(write(pipe_open(0, O_WRONLY), buf, 1), 1);
}

START_TEST(pipe_sleepers)
{
	pid_t pid;
	int fd;

	watch("scullpipe0");
	fd = pipe_fresh(0, O_RDWR, 1000);
	pid = spawn(read_one, NULL);
	wait_asleep(pid, SYS_read);
	expect_counted("sleeps=1");
	expect_ret(write(fd, buf, 1), 1);
	join(pid);
	expect_counted("wakeups=1 writes=1 write_bytes=1 reads=1 read_bytes=1");
	expect_ret(write(fd, buf, 1000), 1000);
	pid = spawn(write_one, NULL);
	wait_asleep(pid, SYS_write);
	expect_counted("sleeps=1 writes=1 write_bytes=1000");
	expect_ret(read(fd, buf, 1), 1);
	join(pid);
	expect_counted("wakeups=1 writes=1 write_bytes=1 reads=1 read_bytes=1");
	/* A signal is no wakeup: nobody had anything for him. */
	expect_ret(read(fd, buf, 1000), 1000);
	pid = spawn(read_one, NULL);
	wait_asleep(pid, SYS_read);
	kill_and_join(pid);
	expect_counted("sleeps=1 reads=1 read_bytes=1000");
}
END_TEST

/* --- eight processes at once --- */

#define PROCESSES 8
#define ROOM 20000
#define LONGEST 700

struct traffic {
	unsigned long long calls, bytes, shorts;
};

/* What the calls of all processes gave, each process in a slot of its own. */
struct tally {
	struct traffic read, write;
	unsigned long long again;
};

static void note(struct tally *mine, struct traffic *way, size_t count,
		 ssize_t ret)
{
	if (ret < 0) {
		expect(errno == EAGAIN, "%s: %s",
		       way == &mine->read ? "read" : "write", strerror(errno));
		mine->again++;
		return;
	}
	way->calls++;
	way->bytes += ret;
	way->shorts += ret < (ssize_t)count;
}

static void add_traffic(struct traffic *sum, const struct traffic *more)
{
	sum->calls += more->calls;
	sum->bytes += more->bytes;
	sum->shorts += more->shorts;
}

static void move_bare(int me, void *arg)
{
	struct tally *mine = (struct tally *)arg + me;
	int fd = dev_open(0, O_RDWR), i, times = repeat(4000);
	struct iovec vec = { xmalloc(LONGEST), 0 };
	struct chance chance;

	for (i = 0; i <= me; i++)
		chance = chance_new();
	for (i = 0; i < times; i++) {
		off_t off = chance_below(&chance, ROOM);

		vec.iov_len = 1 + chance_below(&chance, LONGEST);
		switch (chance_below(&chance, 4)) {
		case 0:
			note(mine, &mine->read, vec.iov_len,
			     pread(fd, vec.iov_base, vec.iov_len, off));
			break;
		case 1:
			note(mine, &mine->write, vec.iov_len,
			     pwrite(fd, vec.iov_base, vec.iov_len, off));
			break;
		case 2:
			note(mine, &mine->read, vec.iov_len,
			     preadv2(fd, &vec, 1, off, RWF_NOWAIT));
			break;
		case 3:
			note(mine, &mine->write, vec.iov_len,
			     pwritev2(fd, &vec, 1, off, RWF_NOWAIT));
			break;
		}
	}
}

static void move_pipe(int me, void *arg)
{
	struct tally *mine = (struct tally *)arg + me;
	int fd = pipe_open(0, O_RDWR | O_NONBLOCK), i, times = repeat(4000);
	char *bytes = xmalloc(LONGEST);
	struct chance chance;

	for (i = 0; i <= me; i++)
		chance = chance_new();
	for (i = 0; i < times; i++) {
		size_t len = 1 + chance_below(&chance, LONGEST);

		if (chance_below(&chance, 2))
			note(mine, &mine->read, len, read(fd, bytes, len));
		else
			note(mine, &mine->write, len,
			     write(fd, bytes, len));
	}
}

/* The counters grew by what all calls together gave. */
static struct tally expect_tally(const struct tally *all)
{
	struct tally sum = { };
	char want[256];
	int i;

	for (i = 0; i < PROCESSES; i++) {
		add_traffic(&sum.read, &all[i].read);
		add_traffic(&sum.write, &all[i].write);
		sum.again += all[i].again;
	}
	snprintf(want, sizeof(want),
		 "reads=%llu read_bytes=%llu short_reads=%llu writes=%llu write_bytes=%llu short_writes=%llu again=%llu",
		 sum.read.calls, sum.read.bytes, sum.read.shorts,
		 sum.write.calls, sum.write.bytes, sum.write.shorts, sum.again);
	diag("%s", want);
	expect_counted(want);
	return sum;
}

START_TEST(together_bare)
{
	struct tally *all = shared(PROCESSES * sizeof(*all));

	watch("scull0");
	seed_rnd();
	together(PROCESSES, move_bare, all);
	expect_tally(all);
	expect_number("scull0", "opens", 0);
}
END_TEST

/*
 * Counting is an instruction or two of a call. Two processors are inside it at the
 * same time only if they do little else, and do it often.
 */
#define TINY_READS 400000

static void read_tiny(int me, void *arg)
{
	int fd = dev_open(0, O_RDONLY), i, times = repeat(TINY_READS);
	char byte;

	for (i = 0; i < times; i++)
		expect_ret(pread(fd, &byte, 1, 0), 1);
}

START_TEST(together_tiny)
{
	unsigned long long due = repeat(TINY_READS) * 1ull * PROCESSES;
	int fd = dev_open(0, O_RDWR);
	char want[64];

	expect_ret(pwrite(fd, "x", 1, 0), 1);
	watch("scull0");
	together(PROCESSES, read_tiny, NULL);
	snprintf(want, sizeof(want), "reads=%llu read_bytes=%llu", due, due);
	expect_counted(want);
	close(fd);
}
END_TEST

/* What went into the pipe came out, or is still in it. */
START_TEST(together_pipe)
{
	struct tally *all = shared(PROCESSES * sizeof(*all)), sum;
	int fd = pipe_fresh(0, O_RDWR, 3000);

	watch("scullpipe0");
	seed_rnd();
	together(PROCESSES, move_pipe, all);
	sum = expect_tally(all);
	expect_number("scullpipe0", "used", sum.write.bytes - sum.read.bytes);
	expect_number("scullpipe0", "opens", 1);
	close(fd);
}
END_TEST

/* Sleepers too: what four write, four read, and all of it. */
#define PIECES 3000

static void move_blocking(int me, void *arg)
{
	long *taken = arg;
	int fd, i, times = repeat(PIECES);
	char bytes[64] = "";
	ssize_t n;

	if (me % 2) {
		fd = pipe_open(0, O_WRONLY);
		for (i = 0; i < times; i++)
			expect_ret(write(fd, bytes, sizeof(bytes)),
				   sizeof(bytes));
		return;
	}
	fd = pipe_open(0, O_RDONLY);
	for (i = 0; i < times; i++) {
		n = sys(read(fd, bytes, sizeof(bytes)));
		__atomic_add_fetch(taken, n, __ATOMIC_SEQ_CST);
	}
}

START_TEST(together_blocking)
{
	unsigned long long due = repeat(PIECES) * 64ull * PROCESSES / 2;
	struct counts then, now;
	long *taken = shared(sizeof(*taken));
	int fd = pipe_fresh(0, O_RDWR, 256);

	attributes_possible();
	then = counts_of("scullpipe0");
	together(PROCESSES, move_blocking, taken);
	now = counts_of("scullpipe0");
	/* Each read takes a whole write: both have 64 bytes, and so has 256. */
	expect(*taken == (long)due, "%ld bytes were read of %llu", *taken, due);
	expect_ret(now.value[1] - then.value[1], due);
	expect_ret(now.value[4] - then.value[4], due);
	expect_ret(now.value[0] - then.value[0], due / 64);
	expect_ret(now.value[3] - then.value[3], due / 64);
	expect(now.value[7] - then.value[7] >= now.value[8] - then.value[8],
	       "%llu wakeups of %llu sleeps", now.value[8] - then.value[8],
	       now.value[7] - then.value[7]);
	expect_number("scullpipe0", "used", 0);
	close(fd);
}
END_TEST

static const struct test tests[] = {
	{ &bare_transfers, "a bare device: reads, writes, bytes, short reads" },
	{ &bare_failures, "a bare device: bad addresses, EAGAIN" },
	{ &trims_and_refusals, "trims, and opens that are refused" },
	{ &refused_single, "scullsingle: opens that are refused" },
	{ &waiting_wuid, "scullwuid: opens that wait" },
	{ &refused_priv, "scullpriv: all private devices count in one place" },
	{ &pipe_transfers, "a pipe: reads, writes, bytes, short ones, EAGAIN" },
	{ &pipe_sleepers, "a pipe: sleeps and wakeups" },
	{ &together_bare, "eight processes at a bare device add up", 0, 180 },
	{ &together_tiny, "eight processes that read a byte at a time add up", 0, 180 },
	{ &together_pipe, "eight processes at a pipe add up", 0, 180 },
	{ &together_blocking, "eight processes that sleep add up", 0, 180 },
};

TEST_MAIN("stats", tests)
