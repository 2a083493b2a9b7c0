// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Whom a call wakes: somebody, when there is something to go on with; not
 * everybody; and never nobody, whatever becomes of who was woken.
 */
#include "pipes.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define CROWD 64
#define CAPACITY 8192

static unsigned char buf[2 * CAPACITY];

/* --- how many are woken --- */

struct crowd {
	int fd;
	int done;
	int times;		/* how often each reads or writes a byte */
	bool leave;
};

/*
 * Who has done its part stays where it is, so that nothing but the pipe ever
 * wakes it while wakes are counted.
 */
static void stay(struct crowd *c)
{
	sigset_t none;

	sigemptyset(&none);
	__atomic_fetch_add(&c->done, 1, __ATOMIC_SEQ_CST);
	for (;;)
		sigsuspend(&none);
}

static void crowd_read(void *arg)
{
	struct crowd *c = arg;
	int i;

	for (i = 0; i < c->times; i++)
		expect_ret(read(c->fd, buf, 1), 1);
	stay(c);
}

static void crowd_write(void *arg)
{
	struct crowd *c = arg;
	int i;

	for (i = 0; i < c->times; i++)
		expect_ret(write(c->fd, "x", 1), 1);
	stay(c);
}

static void gather(struct crowd *c, pid_t pids[CROWD], long nr)
{
	int i;

	for (i = 0; i < CROWD; i++) {
		pids[i] = spawn(nr == SYS_read ? crowd_read : crowd_write, c);
		wait_asleep(pids[i], nr);
	}
}

/* How often a process has gone to sleep in its life. */
static long sleeps_of(pid_t pid)
{
	char path[32];
	long n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	n = number_in(path, "voluntary_ctxt_switches");
	expect(n >= 0, "%s does not tell how often it slept", path);
	return n;
}

/*
 * How often a crowd that sleeps has been woken, at most: each wake ended a sleep,
 * and a new one followed. The kernel counts these for everybody; to trace wakes
 * would patch its code while another processor runs, which an emulator may
 * get wrong.
 */
static long sleeps_of_all(const pid_t pids[CROWD], long nr)
{
	long sum = 0;
	int i;

	for (i = 0; i < CROWD; i++) {
		wait_asleep(pids[i], nr);
		sum += sleeps_of(pids[i]);
	}
	return sum;
}

#define done_of(c) __atomic_load_n(&(c)->done, __ATOMIC_SEQ_CST)

/* 64 who wait, 64 single bytes: about 64 wakes, not one for each of each. */
START_TEST(no_herd)
{
	struct crowd *c = shared(sizeof(*c));
	pid_t pids[CROWD];
	long before, wakes;
	int i;

	c->fd = pipe_fresh(0, O_RDWR, CAPACITY);
	c->times = 1;
	if (_i == SYS_write)
		expect_ret(write(c->fd, buf, CAPACITY), CAPACITY);
	gather(c, pids, _i);
	before = sleeps_of_all(pids, _i);
	for (i = 0; i < CROWD; i++) {
		if (_i == SYS_read)
			expect_ret(write(c->fd, "x", 1), 1);
		else
			expect_ret(read(c->fd, buf, 1), 1);
	}
	wait_until(done_of(c) == CROWD, 30, "%d of %d came through",
		   done_of(c), CROWD);
	wakes = sleeps_of_all(pids, SYS_rt_sigsuspend) - before;
	diag("%ld wakes for %d waiting processes and %d bytes", wakes, CROWD,
	     CROWD);
	expect(wakes >= CROWD, "%ld wakes of %d processes were counted", wakes,
	       CROWD);
	expect(wakes <= 2 * CROWD, "%ld wakes, at most %d are allowed", wakes,
	       2 * CROWD);
	for (i = 0; i < CROWD; i++)
		kill_and_join(pids[i]);
}
END_TEST

/* On PREEMPT_RT who waits for a lock sleeps. */
static bool sleeps_for_locks(void)
{
	struct utsname u;

	sys(uname(&u));
	return strstr(u.version, "PREEMPT_RT");
}

/* So many readers have got a byte and were woken once, the others not at all. */
static void expect_served(const pid_t pids[CROWD], const long before[CROWD],
			  int bytes)
{
	int i, served = 0;

	for (i = 0; i < CROWD; i++) {
		bool got;
		long wakes;

		wait_until(asleep_in(pids[i], SYS_read) ||
			   asleep_in(pids[i], SYS_rt_sigsuspend), 30,
			   "reader %d does not sleep", i);
		got = !asleep_in(pids[i], SYS_read);
		wakes = sleeps_of(pids[i]) - before[i];
		served += got;
		expect(wakes == got || (got && wakes > 1 && sleeps_for_locks()),
		       "reader %d, who got %d bytes, was woken %ld times", i,
		       got, wakes);
	}
	expect(served == bytes, "%d readers have got one of %d bytes", served,
	       bytes);
}

/* One by one: each byte wakes the one who gets it, and nobody else. */
START_TEST(one_each)
{
	struct crowd *c = shared(sizeof(*c));
	pid_t pids[CROWD];
	long before[CROWD];
	int i;

	c->fd = pipe_fresh(0, O_RDWR, CAPACITY);
	c->times = 1;
	gather(c, pids, SYS_read);
	for (i = 0; i < CROWD; i++)
		before[i] = sleeps_of(pids[i]);
	for (i = 1; i <= CROWD; i++) {
		expect_ret(write(c->fd, "x", 1), 1);
		wait_until(done_of(c) == i, 30, "byte %d was not read", i);
		if (i == CROWD / 2)
			expect_served(pids, before, i);
	}
	expect_served(pids, before, CROWD);
	for (i = 0; i < CROWD; i++)
		kill_and_join(pids[i]);
}
END_TEST

/* --- and never nobody --- */

/* One publish of 64 bytes, or of room for them, is for 64 who wait. */
START_TEST(all_of_a_crowd)
{
	struct crowd *c = shared(sizeof(*c));
	pid_t pids[CROWD];
	int i;

	c->fd = pipe_fresh(0, O_RDWR, CAPACITY);
	c->times = 1;
	if (_i == SYS_write)
		expect_ret(write(c->fd, buf, CAPACITY), CAPACITY);
	gather(c, pids, _i);
	if (_i == SYS_read)
		expect_ret(write(c->fd, buf, CROWD), CROWD);
	else
		expect_ret(read(c->fd, buf, CROWD), CROWD);
	wait_until(done_of(c) == CROWD, 30,
		   "%d of %d came through, the others still wait",
		   done_of(c), CROWD);
	for (i = 0; i < CROWD; i++)
		kill_and_join(pids[i]);
}
END_TEST

struct want {
	int fd;
	size_t len;
	ssize_t ret;
};

static void write_some(void *arg)
{
	struct want *w = arg;

	w->ret = write(w->fd, buf, w->len);
}

static void read_some(void *arg)
{
	struct want *w = arg;

	w->ret = read(w->fd, buf, w->len);
}

static pid_t waiting(struct want *w, int fd, long nr, size_t len)
{
	pid_t pid;

	w->fd = fd;
	w->len = len;
	pid = spawn(nr == SYS_read ? read_some : write_some, w);
	wait_asleep(pid, nr);
	return pid;
}

/* Who wants more room than there is does not stand in the way of the others. */
START_TEST(needs_differ)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), i;
	struct want *w = shared(4 * sizeof(*w));
	pid_t large[3], small;

	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	for (i = 0; i < 3; i++)
		large[i] = waiting(&w[i], fd, SYS_write, PIPE_BUF);
	small = waiting(&w[3], fd, SYS_write, 1);
	expect_ret(read(fd, buf, 1), 1);
	expect(join_within(small, 30) == 0 && w[3].ret == 1,
	       "one byte of room, and the writer of one byte still waits");
	for (i = 0; i < 3; i++)
		expect(asleep_in(large[i], SYS_write),
		       "one byte of room is enough for a writer of %d",
		       PIPE_BUF);
	/* Room for one of them, and for the next when it is through. */
	for (i = 0; i < 3; i++) {
		int left;

		expect_ret(read(fd, buf, PIPE_BUF), PIPE_BUF);
		wait_until(sys(waitpid(-1, &left, WNOHANG)), 30,
			   "none of %d writers gets the room", 3 - i);
		expect_ret(left, 0);
	}
}
END_TEST

/*
 * Room for all of them at once, in the order in which they came: whoever is
 * through leaves some for the next, and may have to pass by one who needs more.
 */
START_TEST(room_for_several)
{
	static const size_t sizes[] = { 3000, 10, 4096, 1, 500, 20 };
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	size_t i;
	struct want *w = shared(ARRAY_SIZE(sizes) * sizeof(*w));
	pid_t pids[ARRAY_SIZE(sizes)];

	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		pids[i] = waiting(&w[i], fd, SYS_write, sizes[i]);
	/* All but the one of 4096. */
	expect_ret(read(fd, buf, 3531), 3531);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] == 4096)
			continue;
		expect(join_within(pids[i], 30) == 0 &&
		       w[i].ret == (ssize_t)sizes[i],
		       "there is room, and the writer of %zu bytes still waits",
		       sizes[i]);
	}
	expect(asleep_in(pids[2], SYS_write), "4096 bytes found room in none");
	expect_ret(read(fd, buf, 4096), 4096);
	expect_ret(join_within(pids[2], 30), 0);
}
END_TEST

static bool on_processor(int number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

/* Before everybody else on its processor, or as others are. */
static void before_others(bool on)
{
	struct sched_param param = { .sched_priority = on };

	sys(sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param));
}

/*
 * All on one processor, the test before the others: what it does in a row comes
 * before whoever it woke has run. He finds less than he was woken for and sleeps
 * again, but the next needs no more than that.
 */
START_TEST(overtaken)
{
	int fd = pipe_fresh(0, O_RDWR, PIPE_BUF);
	struct want *w = shared(2 * sizeof(*w));
	pid_t large, small;

	expect_ret(write(fd, buf, PIPE_BUF), PIPE_BUF);
	expect(on_processor(0), "there is no processor 0");
	large = waiting(&w[0], fd, SYS_write, PIPE_BUF);
	small = waiting(&w[1], fd, SYS_write, 1);
	before_others(true);
	expect_ret(read(fd, buf, PIPE_BUF), PIPE_BUF);
	expect_ret(write(fd, buf, 1), 1);
	before_others(false);
	expect(join_within(small, 30) == 0 && w[1].ret == 1,
	       "there is room, and the writer of one byte still waits");
	expect(asleep_in(large, SYS_write), "%d bytes found room in less",
	       PIPE_BUF);
}
END_TEST

/*
 * A call that is held up in its copy has the lock. Two that are woken wait
 * behind it; a third sleeps on. Whoever is killed then passes his wake on: in
 * the end the third has what is there.
 */
struct trap {
	struct snare snare;
	int fd;
	long nr;
};

static void trapped(void *arg)
{
	struct trap *t = arg;

	snare_set(&t->snare, 1);
	if (t->nr == SYS_read)
		read(t->fd, t->snare.mem, 1);
	else
		write(t->fd, t->snare.mem, 1);
}

static void move_byte(int fd, long nr)
{
	if (nr == SYS_read)
		expect_ret(write(fd, "x", 1), 1);
	else
		expect_ret(read(fd, buf, 1), 1);
}

START_TEST(killed_after_the_wake)
{
	struct trap *t = shared(sizeof(*t));
	struct want *w = shared(2 * sizeof(*w));
	pid_t first, second, third;

	snare_possible();
	t->fd = pipe_fresh(0, O_RDWR, CAPACITY);
	t->nr = _i;
	if (_i == SYS_write)
		expect_ret(write(t->fd, buf, CAPACITY), CAPACITY);
	first = spawn(trapped, t);
	wait_asleep(first, _i);
	second = waiting(&w[0], t->fd, _i, 1);
	third = waiting(&w[1], t->fd, _i, 1);
	move_byte(t->fd, _i);
	snare_wait(&t->snare, first);
	/* The second is woken by this, and has to wait for the first. */
	move_byte(t->fd, _i);
	kill_and_join(second);
	kill_and_join(first);
	expect(join_within(third, 30) == 0 && w[1].ret == 1,
	       "two were woken and killed, and nobody woke the third");
}
END_TEST

/*
 * The first fails in its copy and moves nothing: the next is woken for what is
 * still there.
 */
static void faulty(void *arg)
{
	struct want *w = arg;
	unsigned char *bad = cliff(0, PROT_READ);

	if (w->len == SYS_read)
		expect_errno(read(w->fd, bad, 1), EFAULT);
	else
		expect_errno(write(w->fd, bad, 1), EFAULT);
}

START_TEST(failed_after_the_wake)
{
	struct want *w = shared(2 * sizeof(*w));
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	pid_t first, second;

	if (_i == SYS_write)
		expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	w[0] = (struct want){ fd, _i };
	first = spawn(faulty, &w[0]);
	wait_asleep(first, _i);
	second = waiting(&w[1], fd, _i, 1);
	move_byte(fd, _i);
	expect_ret(join_within(first, 30), 0);
	expect(join_within(second, 30) == 0 && w[1].ret == 1,
	       "the first failed, and nobody woke the second");
}
END_TEST

/*
 * Killed at any moment around the wake, many times: as long as somebody waits
 * and there is something for him, he is on his way to it.
 */
#define RIVALS 6

static int rounds(void)
{
	return env_number("SCULL_PIPE_ROUNDS", repeat(150));
}

static void rival(void *arg)
{
	struct want *w = arg;

	for (;;) {
		if (w->len == SYS_read)
			expect_ret(read(w->fd, buf, 1), 1);
		else
			expect_ret(write(w->fd, "x", 1), 1);
	}
}

START_TEST(killed_at_random)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), i, round, status;
	struct want *w = shared(sizeof(*w));
	short still = _i == SYS_read ? POLLIN : POLLOUT;
	pid_t pids[RIVALS];

	seed_rnd();
	*w = (struct want){ fd, _i };
	if (_i == SYS_write) {
		/* Of capacity 1, so that any room is enough for POLLOUT. */
		close(fd);
		w->fd = fd = pipe_fresh(0, O_RDWR, 1);
		expect_ret(write(fd, "x", 1), 1);
	}
	set_nonblock(fd, false);
	for (i = 0; i < RIVALS; i++)
		pids[i] = spawn(rival, w);
	for (round = 0; round < rounds(); round++) {
		int victims = 1 + below(3);

		wait_asleep(pids[below(RIVALS)], _i);
		move_byte(fd, _i);
		for (i = 0; i < victims; i++)
			kill(pids[i], SIGKILL);
		if (below(2) && _i == SYS_read)
			move_byte(fd, _i);
		for (i = 0; i < victims; i++)
			expect_ret(waitpid(pids[i], &status, 0), pids[i]);
		wait_until(!(poll_now(fd, still) & still), 30,
			   "round %d: %d wait, and nobody takes what is there",
			   round, RIVALS - victims);
		for (i = 0; i < victims; i++)
			pids[i] = spawn(rival, w);
		/* Others are at the head of the queue next time. */
		for (i = RIVALS - 1; i > 0; i--) {
			int j = below(i + 1);
			pid_t pid = pids[i];

			pids[i] = pids[j];
			pids[j] = pid;
		}
	}
	for (i = 0; i < RIVALS; i++)
		kill_and_join(pids[i]);
}
END_TEST

/* --- back and forth --- */

static int turns(void)
{
	return env_number("SCULL_PIPE_TURNS", repeat(1000));
}

/* A byte back and forth: each turn sleeps and is woken, at both ends. */
static void player(int me, void *arg)
{
	int there = pipe_open(0, me ? O_RDONLY : O_WRONLY);
	int back = pipe_open(1, me ? O_WRONLY : O_RDONLY);
	unsigned char byte;
	int i;

	for (i = 0; i < turns(); i++) {
		if (!me)
			expect_ret(write(there, &(unsigned char){ i }, 1), 1);
		expect_ret(read(me ? there : back, &byte, 1), 1);
		expect_ret(byte, (unsigned char)i);
		if (me)
			expect_ret(write(back, &byte, 1), 1);
	}
}

START_TEST(ping_pong)
{
	int keep[2];

	if (scull_param("scull_p_nr_devs", 0) < 2)
		skip("there is only one pipe");
	keep[0] = pipe_fresh(0, O_RDWR, _i);
	keep[1] = pipe_open(1, O_RDWR);
	together(2, player, NULL);
	close(keep[0]);
	close(keep[1]);
}
END_TEST

/* Through a pipe of one byte: each side waits for the other at each byte. */
static void byte_by_byte(int me, void *arg)
{
	int fd = pipe_open(0, me % 2 ? O_WRONLY : O_RDONLY), i;
	unsigned char byte;

	for (i = 0; i < turns(); i++)
		expect_ret(me % 2 ? write(fd, "x", 1) : read(fd, &byte, 1), 1);
}

START_TEST(capacity_of_one)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, 1);

	together(_i, byte_by_byte, NULL);
	expect_errno(read(keeper, buf, 1), EAGAIN);
}
END_TEST

/* --- just as somebody goes to sleep --- */

/*
 * Two processes on two processors. One makes a call that has to wait, the other
 * lets it go on after a while: too early, and the first need not sleep; too late,
 * and it is asleep already. The while is made shorter each time the first slept
 * and longer each time it did not, so what lets it go on comes, over and over,
 * in the moment in which it goes to sleep. Who looks too early for whether
 * somebody is waiting, or for whether there is something to wait for, or whose
 * processor does, leaves it asleep.
 */
struct meeting {
	unsigned int begun;	/* rounds that the sleeper has begun */
	unsigned int ended;
	bool slept;		/* in the last of them */
	int fd;
	int how;
};

enum { BY_READ, BY_WRITE, BY_POLL_IN, BY_POLL_OUT };

#define load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store(p, value) __atomic_store_n((p), (value), __ATOMIC_RELEASE)

static int meetings(void)
{
	return env_number("SCULL_PIPE_MEETINGS", repeat(4000));
}

static long sleeps(void)
{
	struct rusage usage;

	sys(getrusage(RUSAGE_THREAD, &usage));
	return usage.ru_nvcsw;
}

static void wait_for_it(const struct meeting *m)
{
	struct pollfd p = { m->fd, m->how == BY_POLL_IN ? POLLIN : POLLOUT };

	if (m->how == BY_READ)
		expect_ret(read(m->fd, buf, 1), 1);
	else if (m->how == BY_WRITE)
		expect_ret(write(m->fd, "x", 1), 1);
	else
		expect_ret(poll(&p, 1, -1), 1);
}

static void sleeper(void *arg)
{
	struct meeting *m = arg;
	unsigned int i;

	on_processor(1);
	for (i = 1; i <= (unsigned int)meetings(); i++) {
		long before = sleeps();

		store(&m->begun, i);
		wait_for_it(m);
		m->slept = sleeps() != before;
		if (m->how == BY_POLL_IN)
			expect_ret(read(m->fd, buf, 1), 1);
		else if (m->how == BY_POLL_OUT)
			expect_ret(write(m->fd, "x", 1), 1);
		store(&m->ended, i);
	}
}

/* Looks all the time at first: the other process is quick. */
#define watch(cond, ...)						\
	do {								\
		int looks_ = 0;						\
		while (!(cond) && looks_ < 100000)			\
			looks_++;					\
		wait_until(cond, 30, __VA_ARGS__);			\
	} while (0)

START_TEST(just_then)
{
	struct meeting *m = shared(sizeof(*m));
	bool out = _i == BY_WRITE || _i == BY_POLL_OUT;
	long slept = 0, delay = 0, step;
	volatile long waste;
	unsigned int i;
	pid_t pid;

	if (!on_processor(1) || !on_processor(0))
		skip("there is only one processor");
	seed_rnd();
	m->fd = pipe_fresh(0, O_RDWR, 1);
	m->how = _i;
	if (out)
		expect_ret(write(m->fd, "x", 1), 1);
	pid = spawn(sleeper, m);
	for (i = 1; i <= (unsigned int)meetings(); i++) {
		watch(load(&m->begun) == i, "round %u does not begin", i);
		for (waste = 0; waste < delay; waste++)
			;
		move_byte(m->fd, out ? SYS_write : SYS_read);
		watch(load(&m->ended) == i,
		      "round %u: who waits was not woken (%ld slept before)",
		      i, slept);
		slept += m->slept;
		step = below(1 + delay / 16 + 8);
		delay += m->slept ? -step : step;
		if (delay < 0)
			delay = 0;
	}
	join(pid);
	diag("%ld of %d slept; the last delay was %ld", slept, meetings(),
	     delay);
}
END_TEST

static const struct test tests[] = {
	{ &no_herd, "64 readers and 64 bytes: at most 128 wakes", SYS_read },
	{ &no_herd, "64 writers and room for 64 bytes: at most 128 wakes", SYS_write },
	{ &one_each, "one byte, one wake" },
	{ &all_of_a_crowd, "64 readers share one write", SYS_read },
	{ &all_of_a_crowd, "64 writers share the room of one read", SYS_write },
	{ &needs_differ, "a large write does not keep a small one waiting" },
	{ &room_for_several, "room for several writers gets to each of them" },
	{ &overtaken, "a writer who was overtaken passes his wake on" },
	{ &killed_after_the_wake, "a reader killed after its wake passes it on", SYS_read },
	{ &killed_after_the_wake, "a writer killed after its wake passes it on", SYS_write },
	{ &failed_after_the_wake, "a reader that fails after its wake passes it on", SYS_read },
	{ &failed_after_the_wake, "a writer that fails after its wake passes it on", SYS_write },
	{ &killed_at_random, "readers killed at random strand nobody", SYS_read, 300 },
	{ &killed_at_random, "writers killed at random strand nobody", SYS_write, 300 },
	{ &ping_pong, "back and forth, capacity 1", 1, 300 },
	{ &ping_pong, "back and forth, capacity 65536", 65536, 300 },
	{ &capacity_of_one, "one byte at a time, one a side", 2, 300 },
	{ &capacity_of_one, "one byte at a time, four a side", 8, 300 },
	{ &just_then, "a byte comes just as its reader goes to sleep", BY_READ, 300 },
	{ &just_then, "room comes just as its writer goes to sleep", BY_WRITE, 300 },
	{ &just_then, "a byte comes just as a poller goes to sleep", BY_POLL_IN, 300 },
	{ &just_then, "room comes just as a poller goes to sleep", BY_POLL_OUT, 300 },
};

TEST_MAIN("pipe_wake", tests)
