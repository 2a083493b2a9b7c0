// SPDX-License-Identifier: GPL-2.0
/*
 * Pipes loaded with scull_p_fifo=1 behave as fifo(7) and pipe(7) say: each case
 * runs on a FIFO of mkfifo(3) and on a pipe of ours, with the same expectations.
 * Where the two differ on purpose, the case says so.
 *
 * Loads the module anew for that, and afterwards as it was.
 */
#include "faults.h"
#include "pipes.h"

#include <sys/epoll.h>

enum { FIFO, SCULL };

#define PAGES 16		/* the capacity of a FIFO */
#define MOST (PAGES * 64 * KiB)

static int capacity;		/* of both */
static unsigned char buf[2 * MOST];
static char path[128];

/* --- the one or the other --- */

static void remove_fifo(void)
{
	unlink(path);
}

static void choose(int which)
{
	const char *tmp = getenv("TMPDIR") ?: "/tmp";

	capacity = PAGES * sysconf(_SC_PAGESIZE);
	expect(capacity <= MOST, "a FIFO holds %d bytes", capacity);
	if (which == SCULL) {
		snprintf(path, sizeof(path), "%s", pipe_path(0));
		pipe_set_capacity(capacity);
		return;
	}
	snprintf(path, sizeof(path), "%s/scull-test-fifo.%d", tmp, (int)getpid());
	sys(mkfifo(path, 0600));
	atexit(remove_fifo);
}

static int get(int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		fail_case("open %s with flags 0%o: %s", path, flags,
			  strerror(errno));
	return fd;
}

/* Both ends, without waiting for the other. */
static void get_both(int *in, int *out)
{
	*out = get(O_RDONLY | O_NONBLOCK);
	*in = get(O_WRONLY);
	set_nonblock(*out, false);
}

struct opener {
	int flags;
	long long ret;
	int err;
	bool opened;
	bool leave;
	bool left;
};

static void open_it(void *arg)
{
	struct opener *o = arg;
	int fd = open(path, o->flags);

	o->ret = fd;
	o->err = errno;
	__atomic_store_n(&o->opened, true, __ATOMIC_SEQ_CST);
	while (fd >= 0 && !__atomic_load_n(&o->leave, __ATOMIC_SEQ_CST))
		nap_ms(2);
	close(fd);
	__atomic_store_n(&o->left, true, __ATOMIC_SEQ_CST);
}

static struct opener *opener(int flags)
{
	struct opener *o = shared(sizeof(*o));

	o->flags = flags;
	return o;
}

/* A child that opens it, and has to wait. */
static pid_t waiting_open(struct opener *o)
{
	pid_t pid = spawn(open_it, o);

	wait_asleep(pid, SYS_openat);
	return pid;
}

static void expect_opened(struct opener *o)
{
	wait_until(__atomic_load_n(&o->opened, __ATOMIC_SEQ_CST), 30,
		   "the open with flags 0%o still waits", o->flags);
	expect(o->ret >= 0, "the open failed: %s", strerror(o->err));
}

static void expect_left(struct opener *o, pid_t pid)
{
	__atomic_store_n(&o->leave, true, __ATOMIC_SEQ_CST);
	expect_ret(join_within(pid, 30), 0);
}

/* --- opening --- */

START_TEST(reader_first)
{
	struct opener *o = opener(O_RDONLY);
	pid_t pid;

	choose(_i);
	pid = waiting_open(o);
	/* At once, for the reader is there. */
	get(O_WRONLY);
	expect_opened(o);
	expect_left(o, pid);
}
END_TEST

START_TEST(writer_first)
{
	struct opener *o = opener(O_WRONLY);
	pid_t pid;

	choose(_i);
	pid = waiting_open(o);
	get(O_RDONLY);
	expect_opened(o);
	expect_left(o, pid);
}
END_TEST

START_TEST(several_wait)
{
	struct opener *o[6];
	pid_t pids[6];
	int i;

	choose(_i);
	for (i = 0; i < 6; i++) {
		o[i] = opener(O_RDONLY);
		pids[i] = waiting_open(o[i]);
	}
	get(O_WRONLY | O_NONBLOCK);
	for (i = 0; i < 6; i++) {
		expect_opened(o[i]);
		expect_left(o[i], pids[i]);
	}
}
END_TEST

/* O_RDWR waits for nobody, and is the other side of whoever waits. */
START_TEST(both_ends)
{
	struct opener *r = opener(O_RDONLY), *w = opener(O_WRONLY);
	pid_t reader, writer;
	int fd;

	choose(_i);
	fd = get(O_RDWR);
	expect_ret(write(fd, "self", 4), 4);
	expect_ret(read(fd, buf, 9), 4);
	/* Its own writing end keeps the end of file away. */
	expect_ret(poll_now(fd, POLLIN | POLLOUT), POLLOUT);
	set_nonblock(fd, true);
	expect_errno(read(fd, buf, 1), EAGAIN);
	close(get(O_RDONLY));
	close(get(O_WRONLY));
	close(fd);

	reader = waiting_open(r);
	fd = get(O_RDWR);
	expect_opened(r);
	expect_left(r, reader);
	close(fd);
	writer = waiting_open(w);
	fd = get(O_RDWR);
	expect_opened(w);
	expect_left(w, writer);
}
END_TEST

START_TEST(without_waiting)
{
	int in, out;

	choose(_i);
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	out = get(O_RDONLY | O_NONBLOCK);
	expect_errno(open(path, O_WRONLY | O_NONBLOCK | O_DIRECTORY), ENOTDIR);
	in = get(O_WRONLY | O_NONBLOCK);
	expect_ret(write(in, "x", 1), 1);
	expect_ret(read(out, buf, 9), 1);
	expect_errno(read(out, buf, 9), EAGAIN);
	/* A reader that has gone is none. */
	close(out);
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	close(in);
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	close(get(O_RDWR | O_NONBLOCK));
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
}
END_TEST

/* The other side came and went: that is enough for who waited for it. */
START_TEST(came_and_went)
{
	struct opener *o = opener(O_RDONLY);
	pid_t pid;

	choose(_i);
	pid = waiting_open(o);
	close(get(O_WRONLY | O_NONBLOCK));
	expect_opened(o);
	expect_left(o, pid);

	o = opener(O_WRONLY);
	pid = waiting_open(o);
	close(get(O_RDONLY | O_NONBLOCK));
	expect_opened(o);
	expect_left(o, pid);
}
END_TEST

static int caught;

static void catch(int sig)
{
	caught++;
}

static void open_catching(void *arg)
{
	struct opener *o = arg;
	struct sigaction sa = {
		.sa_handler = catch,
		.sa_flags = o->leave ? SA_RESTART : 0,
	};

	o->leave = true;
	sys(sigaction(SIGUSR1, &sa, NULL));
	open_it(o);
}

START_TEST(open_interrupted)
{
	struct opener *o = opener(O_RDONLY);
	int i, out;
	pid_t pid;

	choose(_i);
	pid = spawn(open_catching, o);
	wait_asleep(pid, SYS_openat);
	sys(kill(pid, SIGUSR1));
	expect_ret(join_within(pid, 30), 0);
	errno = o->err;
	expect_errno(o->ret, EINTR);

	/* With SA_RESTART it goes on. */
	o = opener(O_WRONLY);
	o->leave = true;
	pid = spawn(open_catching, o);
	for (i = 0; i < 5; i++) {
		wait_asleep(pid, SYS_openat);
		sys(kill(pid, SIGUSR1));
	}
	out = get(O_RDONLY);
	expect_ret(join_within(pid, 30), 0);
	expect(o->ret >= 0, "the open failed: %s", strerror(o->err));
	close(out);
}
END_TEST

START_TEST(open_killed)
{
	choose(_i);
	kill_and_join(waiting_open(opener(O_RDONLY)));
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	kill_and_join(waiting_open(opener(O_WRONLY)));
	/* Neither is there a writer. */
	kill_and_join(waiting_open(opener(O_RDONLY)));
}
END_TEST

/* --- the end of file --- */

START_TEST(end_of_file)
{
	int in, out, other, i;

	choose(_i);
	/* No writer yet, and not to wait. */
	out = get(O_RDONLY | O_NONBLOCK);
	expect_ret(read(out, buf, 9), 0);
	in = get(O_WRONLY);
	expect_errno(read(out, buf, 9), EAGAIN);
	other = get(O_WRONLY);
	expect_ret(write(in, "hello", 5), 5);
	close(in);
	expect_ret(read(out, buf, 3), 3);
	expect_ret(write(other, "world", 5), 5);
	close(other);
	/* First all that was written, then the end, again and again. */
	expect_ret(read(out, buf, 9), 7);
	expect(!memcmp(buf, "loworld", 7), "came: %.7s", buf);
	set_nonblock(out, false);
	for (i = 0; i < 3; i++)
		expect_ret(read(out, buf, 9), 0);
	/* Until there is a writer again. */
	in = get(O_WRONLY);
	expect_ret(write(in, "more", 4), 4);
	expect_ret(read(out, buf, 9), 4);
	close(in);
	expect_ret(read(out, buf, 9), 0);
}
END_TEST

struct reading {
	int fd, unwanted;
	long long ret;
};

static void read_it(void *arg)
{
	struct reading *r = arg;

	close(r->unwanted);
	r->ret = read(r->fd, buf, 9);
}

START_TEST(end_while_waiting)
{
	struct reading *r[4];
	pid_t pids[4];
	int in, out, i;

	choose(_i);
	get_both(&in, &out);
	for (i = 0; i < 4; i++) {
		r[i] = shared(sizeof(**r));
		*r[i] = (struct reading){ out, in };
		pids[i] = spawn(read_it, r[i]);
		wait_asleep(pids[i], SYS_read);
	}
	close(in);
	for (i = 0; i < 4; i++) {
		expect_ret(join_within(pids[i], 30), 0);
		expect_ret(r[i]->ret, 0);
	}
}
END_TEST

/* A descriptor that was handed down keeps its end open; being killed closes. */
static void hold_writing_end(void *arg)
{
	for (;;)
		pause();
}

START_TEST(writer_killed)
{
	struct reading *r = shared(sizeof(*r));
	pid_t holder, reader;
	int in, out;

	choose(_i);
	get_both(&in, &out);
	holder = spawn(hold_writing_end, NULL);
	*r = (struct reading){ out, in };
	reader = spawn(read_it, r);
	wait_asleep(reader, SYS_read);
	close(in);
	nap_ms(20);
	expect(asleep_in(reader, SYS_read),
	       "an end of file while a writer is there");
	kill_and_join(holder);
	expect_ret(join_within(reader, 30), 0);
	expect_ret(r->ret, 0);
}
END_TEST

/* The last write and the close that follows it: no byte is missed. */
struct race {
	int round;		/* the writer may begin this one */
};

#define RACES 400

static void race(int me, void *arg)
{
	struct race *r = arg;
	int round;

	for (round = 1; round <= repeat(RACES); round++) {
		int fd, len = 1 + round * 7919 % 5000, got = 0;
		ssize_t n;

		if (me) {
			wait_until(__atomic_load_n(&r->round, __ATOMIC_SEQ_CST) ==
				   round, 60, "the reader does not begin");
			fd = get(O_WRONLY);
			fill(buf, len, 0, round);
			for (got = 0; got < len; got += n)
				n = sys(write(fd, buf + got, len - got));
			close(fd);
			continue;
		}
		/* Sometimes the reader waits in open, sometimes in read. */
		__atomic_store_n(&r->round, round, __ATOMIC_SEQ_CST);
		fd = get(O_RDONLY);
		while ((n = sys(read(fd, buf + got, sizeof(buf) - got))) > 0)
			got += n;
		expect(got == len, "round %d: %d bytes of %d came before the end",
		       round, got, len);
		expect_pattern(buf, got, 0, round);
		close(fd);
	}
}

START_TEST(last_write)
{
	choose(_i);
	together(2, race, shared(sizeof(struct race)));
}
END_TEST

#define HASTY_WRITERS 100000

/*
 * Writers come, write a byte each and go, while a reader looks all the time. Who
 * opened it before the reader looked has not gone unless his byte is there. A
 * timer holds the reader up wherever he is, maybe between two steps of his look.
 */
static void hasty(int me, void *arg)
{
	static const struct itimerval often = { { 0, 100 }, { 0, 100 } };
	struct sigaction act = { .sa_handler = catch, .sa_flags = SA_RESTART };
	int *opened = arg, before, came = 0, fd, i, times = repeat(HASTY_WRITERS);
	ssize_t n;

	if (me) {
		for (i = 1; i <= times; i++) {
			fd = get(O_WRONLY);
			__atomic_store_n(opened, i, __ATOMIC_SEQ_CST);
			expect_ret(write(fd, "x", 1), 1);
			close(fd);
		}
		return;
	}
	fd = get(O_RDONLY | O_NONBLOCK);
	sys(sigaction(SIGALRM, &act, NULL));
	sys(setitimer(ITIMER_REAL, &often, NULL));
	while (came < times) {
		before = __atomic_load_n(opened, __ATOMIC_SEQ_CST);
		n = read(fd, buf, sizeof(buf));
		if (n < 0)
			expect(errno == EAGAIN, "read: %s", strerror(errno));
		else if (n == 0)
			expect(came >= before,
			       "the end came after %d bytes of at least %d",
			       came, before);
		else
			came += n;
	}
	close(fd);
}

START_TEST(hasty_writers)
{
	choose(_i);
	together(2, hasty, shared(sizeof(int)));
}
END_TEST

/* --- nobody left to read --- */

START_TEST(broken_pipe)
{
	int in, out;

	choose(_i);
	signal(SIGPIPE, catch);
	get_both(&in, &out);
	expect_ret(write(in, "x", 1), 1);
	close(out);
	caught = 0;
	expect_errno(write(in, "x", 1), EPIPE);
	expect_ret(caught, 1);
	set_nonblock(in, true);
	expect_errno(write(in, "x", 1), EPIPE);
	expect_ret(caught, 2);
	/* Nothing is no write. */
	expect_ret(write(in, "x", 0), 0);
	expect_ret(caught, 2);
	/* A reader comes: it goes on, and what was there is there. */
	out = get(O_RDONLY);
	expect_ret(write(in, "y", 1), 1);
	expect_ret(read(out, buf, 9), 2);
	expect(!memcmp(buf, "xy", 2), "came: %.2s", buf);
}
END_TEST

struct writing {
	int fd, unwanted;
	size_t len;
	long long ret;
	int err, signals;
	bool catches;
};

static void write_it(void *arg)
{
	struct writing *w = arg;

	close(w->unwanted);
	if (w->catches)
		signal(SIGPIPE, catch);
	w->ret = write(w->fd, buf, w->len);
	w->err = errno;
	w->signals = caught;
}

static pid_t full_and_writing(struct writing *w, bool catches)
{
	pid_t pid;

	get_both(&w->fd, &w->unwanted);
	expect_ret(write(w->fd, buf, capacity), capacity);
	w->len = 100;
	w->catches = catches;
	pid = spawn(write_it, w);
	wait_asleep(pid, SYS_write);
	return pid;
}

START_TEST(broken_while_waiting)
{
	struct writing *w = shared(sizeof(*w));
	int status;
	pid_t pid;

	choose(_i);
	pid = full_and_writing(w, true);
	close(w->unwanted);
	expect_ret(join_within(pid, 30), 0);
	errno = w->err;
	expect_errno(w->ret, EPIPE);
	expect_ret(w->signals, 1);
	close(w->fd);

	/* Without a handler the signal kills. */
	pid = full_and_writing(w, false);
	close(w->unwanted);
	status = join_within(pid, 30);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE,
	       "the writer ended with status 0x%x", status);
}
END_TEST

/*
 * The intended difference: a write of more than there is room for goes on in a
 * FIFO until all of it is in. Ours takes what fits and says how much that is.
 */
START_TEST(large_write)
{
	struct writing *w = shared(sizeof(*w));
	pid_t pid;

	choose(_i);
	get_both(&w->fd, &w->unwanted);
	w->len = capacity + 1000;
	w->catches = true;
	pid = spawn(write_it, w);
	if (_i == FIFO) {
		wait_asleep(pid, SYS_write);
		expect_ret(read(w->unwanted, buf, capacity), capacity);
		expect_ret(join_within(pid, 30), 0);
		expect_ret(w->ret, capacity + 1000);
		expect_ret(read(w->unwanted, buf, capacity), 1000);
		return;
	}
	expect_ret(join_within(pid, 30), 0);
	expect_ret(w->ret, capacity);
	expect_ret(read(w->unwanted, buf, 2 * capacity), capacity);
}
END_TEST

/* --- poll --- */

START_TEST(poll_reader)
{
	short in = POLLIN | POLLRDNORM;
	int writer, out, other;

	choose(_i);
	/* No writer yet is no hangup. */
	out = get(O_RDONLY | O_NONBLOCK);
	expect_ret(poll_now(out, in | POLLOUT), 0);
	writer = get(O_WRONLY);
	expect_ret(poll_now(out, in | POLLOUT), 0);
	other = get(O_WRONLY);
	close(other);
	expect_ret(poll_now(out, in), 0);
	expect_ret(write(writer, "ab", 2), 2);
	expect_ret(poll_now(out, in), in);
	close(writer);
	/* A FIFO tells of the hangup too, ours once there is nothing else. */
	expect_ret(poll_now(out, in) & ~POLLHUP, in);
	expect_ret(read(out, buf, 1), 1);
	expect_ret(poll_now(out, in) & ~POLLHUP, in);
	expect_ret(read(out, buf, 1), 1);
	expect_ret(poll_now(out, in), POLLHUP);
	expect_ret(read(out, buf, 1), 0);
	expect_ret(poll_now(out, in), POLLHUP);
	writer = get(O_WRONLY);
	expect_ret(poll_now(out, in), 0);
	close(writer);
	expect_ret(poll_now(out, in), POLLHUP);
}
END_TEST

/*
 * The end of all that came before it opened is none of its business with a FIFO;
 * a scullpipe, which remembers nothing of single openers, tells it all the same.
 */
START_TEST(poll_late_reader)
{
	int early, late, in;

	choose(_i);
	early = get(O_RDONLY | O_NONBLOCK);
	close(get(O_WRONLY));
	expect_ret(poll_now(early, POLLIN), POLLHUP);
	late = get(O_RDONLY | O_NONBLOCK);
	expect_ret(poll_now(late, POLLIN), _i == SCULL ? POLLHUP : 0);
	expect_ret(poll_now(early, POLLIN), POLLHUP);
	in = get(O_WRONLY);
	close(in);
	expect_ret(poll_now(late, POLLIN), POLLHUP);
}
END_TEST

START_TEST(poll_writer)
{
	short out = POLLOUT | POLLWRNORM;
	int in, reader;

	choose(_i);
	get_both(&in, &reader);
	expect_ret(poll_now(in, out | POLLIN), out);
	expect_ret(write(in, buf, capacity), capacity);
	expect_ret(poll_now(in, out | POLLIN), 0);
	close(reader);
	expect_ret(poll_now(in, out), POLLERR);
	reader = get(O_RDONLY);
	expect_ret(poll_now(in, out), 0);
	expect_ret(read(reader, buf, capacity), capacity);
	expect_ret(poll_now(in, out), out);
	close(reader);
	expect_ret(poll_now(in, out), out | POLLERR);
}
END_TEST

struct polling {
	int fd, unwanted;
	short events, got;
};

static void poll_it(void *arg)
{
	struct polling *p = arg;
	struct pollfd f = { p->fd, p->events };

	close(p->unwanted);
	expect_ret(syscall(SYS_ppoll, &f, 1, NULL, NULL, 0), 1);
	p->got = f.revents;
}

START_TEST(poll_waits)
{
	struct polling *p = shared(sizeof(*p));
	int in, out;
	pid_t pid;

	choose(_i);
	get_both(&in, &out);
	*p = (struct polling){ out, in, POLLIN };
	pid = spawn(poll_it, p);
	wait_asleep(pid, SYS_ppoll);
	close(in);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(p->got, POLLHUP);
	close(out);

	get_both(&in, &out);
	expect_ret(write(in, buf, capacity), capacity);
	*p = (struct polling){ in, out, POLLOUT };
	pid = spawn(poll_it, p);
	wait_asleep(pid, SYS_ppoll);
	close(out);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(p->got, POLLERR);
}
END_TEST

static uint32_t told(int ep)
{
	struct epoll_event ev = { 0 };

	return sys(epoll_wait(ep, &ev, 1, 0)) ? ev.events : 0;
}

START_TEST(edge_triggered_end)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int ep = sys(epoll_create1(0)), in, out;

	choose(_i);
	get_both(&in, &out);
	sys(epoll_ctl(ep, EPOLL_CTL_ADD, out, &ev));
	expect_ret(told(ep), 0);
	close(in);
	expect_ret(told(ep), EPOLLHUP);
	expect_ret(told(ep), 0);
	close(ep);
	close(out);

	ev.events = EPOLLOUT | EPOLLET;
	ep = sys(epoll_create1(0));
	get_both(&in, &out);
	expect_ret(write(in, buf, capacity), capacity);
	sys(epoll_ctl(ep, EPOLL_CTL_ADD, in, &ev));
	expect_ret(told(ep), 0);
	close(out);
	expect_ret(told(ep), EPOLLERR);
}
END_TEST

/* Of what concerns all, all are told, also those who share other news. */
static void wait_exclusively(void *arg)
{
	struct polling *p = arg;
	struct epoll_event ev = { .events = p->events | EPOLLEXCLUSIVE };
	int ep = sys(epoll_create1(0));

	close(p->unwanted);
	sys(epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev));
	expect_ret(epoll_pwait(ep, &ev, 1, -1, NULL), 1);
	p->got = ev.events;
}

START_TEST(exclusive_end)
{
	struct polling *p = shared(4 * sizeof(*p));
	int in, out, side, i;
	pid_t pids[4];

	choose(_i);
	for (side = 0; side < 2; side++) {
		get_both(&in, &out);
		expect_ret(write(in, buf, capacity), capacity);
		if (!side)
			expect_ret(read(out, buf, capacity), capacity);
		for (i = 0; i < 4; i++) {
			p[i] = (struct polling){
				side ? in : out, side ? out : in,
				side ? EPOLLOUT : EPOLLIN,
			};
			pids[i] = spawn(wait_exclusively, &p[i]);
			wait_asleep(pids[i], SYS_epoll_pwait);
		}
		close(side ? out : in);
		for (i = 0; i < 4; i++) {
			expect(join_within(pids[i], 30) == 0,
			       "told are %d of 4 who wait for %s", i,
			       side ? "room" : "data");
			expect_ret(p[i].got, side ? EPOLLERR : EPOLLHUP);
		}
		close(side ? in : out);
	}
}
END_TEST

/* SIGIO tells of the end, too. */
START_TEST(signal_of_the_end)
{
	struct timespec none = { 0, 0 };
	siginfo_t info;
	sigset_t set;
	int in, out;

	choose(_i);
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sys(sigprocmask(SIG_BLOCK, &set, NULL));
	get_both(&in, &out);
	sys(fcntl(out, F_SETOWN, getpid()));
	sys(fcntl(out, F_SETSIG, SIGIO));
	sys(fcntl(out, F_SETFL, O_ASYNC));
	expect_errno(sigtimedwait(&set, &info, &none), EAGAIN);
	close(in);
	expect_ret(sigtimedwait(&set, &info, &none), SIGIO);
	expect_ret(info.si_code, POLL_IN);
	close(out);

	get_both(&in, &out);
	sys(fcntl(in, F_SETOWN, getpid()));
	sys(fcntl(in, F_SETSIG, SIGIO));
	sys(fcntl(in, F_SETFL, O_ASYNC));
	close(out);
	expect_ret(sigtimedwait(&set, &info, &none), SIGIO);
	expect_ret(info.si_code, POLL_OUT);
}
END_TEST

/* --- the rest --- */

/* What was written stays as long as anybody has it open, and no longer. */
START_TEST(what_stays)
{
	int in, out;

	choose(_i);
	get_both(&in, &out);
	expect_ret(write(in, "stays", 5), 5);
	close(out);
	out = get(O_RDONLY);
	close(in);
	expect_ret(read(out, buf, 2), 2);
	in = get(O_WRONLY);
	expect_ret(read(out, buf + 2, 9), 3);
	expect(!memcmp(buf, "stays", 5), "came: %.5s", buf);
	expect_ret(write(in, "gone", 4), 4);
	close(in);
	close(out);
	get_both(&in, &out);
	set_nonblock(out, true);
	expect_errno(read(out, buf, 9), EAGAIN);
}
END_TEST

START_TEST(splice_to_the_end)
{
	int in, out, fds[2];

	choose(_i);
	sys(pipe(fds));
	get_both(&in, &out);
	expect_ret(write(in, "hello", 5), 5);
	close(in);
	expect_ret(splice(out, NULL, fds[1], NULL, 100, 0), 5);
	expect_ret(splice(out, NULL, fds[1], NULL, 100, 0), 0);
	expect_ret(read(fds[0], buf, 9), 5);
}
END_TEST

START_TEST(splice_to_nobody)
{
	int in, out, fds[2];

	choose(_i);
	signal(SIGPIPE, catch);
	sys(pipe(fds));
	get_both(&in, &out);
	close(out);
	expect_ret(write(fds[1], "hello", 5), 5);
	caught = 0;
	expect_errno(splice(fds[0], NULL, in, NULL, 5, 0), EPIPE);
	expect_ret(caught, 1);
}
END_TEST

static void fsync_it(void *arg)
{
	struct reading *r = arg;

	close(r->unwanted);
	r->ret = fsync(r->fd) ? errno : 0;
}

/* Ours alone: no FIFO knows fsync. Nobody left to read is no reason to wait. */
START_TEST(sync_to_nobody)
{
	struct reading *r = shared(sizeof(*r));
	int in, out;
	pid_t pid;

	choose(SCULL);
	get_both(&in, &out);
	expect_ret(write(in, "x", 1), 1);
	*r = (struct reading){ in, out };
	pid = spawn(fsync_it, r);
	wait_asleep(pid, SYS_fsync);
	close(out);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(r->ret, EPIPE);
}
END_TEST

/* No FIFO can be pulled out. Several wait, for either end. */
START_TEST(unplugged)
{
	static const int flags[] = { O_RDONLY, O_WRONLY };
	struct opener *o[4];
	pid_t pids[4];
	size_t side;
	int i;

	faults_possible();
	choose(SCULL);
	for (side = 0; side < ARRAY_SIZE(flags); side++) {
		for (i = 0; i < 4; i++) {
			o[i] = opener(flags[side]);
			pids[i] = waiting_open(o[i]);
		}
		sys(attribute_put("unplug", "scullpipe0"));
		for (i = 0; i < 4; i++) {
			expect_ret(join_within(pids[i], 30), 0);
			errno = o[i]->err;
			expect_errno(o[i]->ret, ENODEV);
		}
		sys(attribute_put("plug", "scullpipe0"));
		/* None of them is counted. */
		expect_number("scullpipe0", "opens", 0);
		expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
		kill_and_join(waiting_open(opener(O_RDONLY)));
	}
}
END_TEST

/*
 * Six that come, work and go in no order, and wait in open, read and write.
 * Somebody who looks in now and then is the other side of who would wait forever.
 */
static void busy_side(int me, void *arg)
{
	static unsigned char b[MOST];
	int round;

	signal(SIGPIPE, catch);
	for (round = 0; round < 60; round++) {
		int fd = open(path, (me % 2 ? O_WRONLY : O_RDONLY) |
				    (round % 3 ? 0 : O_NONBLOCK));
		ssize_t n;

		if (fd < 0) {
			expect(me % 2 && errno == ENXIO, "open: %s",
			       strerror(errno));
			continue;
		}
		if (me % 2) {
			n = write(fd, b, 1 + (round * 7919 + me) % capacity);
			expect(n > 0 || errno == EPIPE || errno == EAGAIN,
			       "write gave %zd: %s", n, strerror(errno));
		} else {
			n = read(fd, b, 1 + (round * 7919 + me) % capacity);
			expect(n >= 0 || errno == EAGAIN, "read gave %zd: %s",
			       n, strerror(errno));
		}
		close(fd);
	}
}

static void busy_sides(void *arg)
{
	together(6, busy_side, NULL);
}

START_TEST(coming_and_going)
{
	int status;
	pid_t pid;

	choose(_i);
	pid = spawn(busy_sides, NULL);
	while (!sys(waitpid(pid, &status, WNOHANG))) {
		int fd = get(O_RDWR | O_NONBLOCK);

		nap_ms(1);
		read(fd, buf, sizeof(buf));
		write(fd, buf, 1);
		close(fd);
	}
	expect_ret(status, 0);
	/* Nobody is left, nor counted. */
	expect_errno(open(path, O_WRONLY | O_NONBLOCK), ENXIO);
	kill_and_join(waiting_open(opener(O_RDONLY)));
}
END_TEST

#define BOTH(fn, name)							\
	{ &fn, name " (mkfifo)", FIFO, 120 },				\
	{ &fn, name " (scullpipe)", SCULL, 120 }

static const struct test tests[] = {
	BOTH(reader_first, "a reader's open waits for a writer"),
	BOTH(writer_first, "a writer's open waits for a reader"),
	BOTH(several_wait, "one writer's open is enough for six readers"),
	BOTH(both_ends, "O_RDWR waits for nobody"),
	BOTH(without_waiting, "O_NONBLOCK: reading opens, writing gives ENXIO"),
	BOTH(came_and_went, "the other side came and went"),
	BOTH(open_interrupted, "a signal ends the wait of an open, or not"),
	BOTH(open_killed, "SIGKILL ends the wait of an open"),
	BOTH(end_of_file, "all bytes, then the end, until the next writer"),
	BOTH(end_while_waiting, "the last close ends the wait of readers"),
	BOTH(writer_killed, "a writer that is killed closes"),
	BOTH(last_write, "a last write just before the last close"),
	BOTH(hasty_writers, "a write and a close while the reader looks"),
	BOTH(broken_pipe, "EPIPE and SIGPIPE without a reader"),
	BOTH(broken_while_waiting, "EPIPE and SIGPIPE end the wait of a writer"),
	BOTH(large_write, "a write of more than fits"),
	BOTH(poll_reader, "poll of a reader: POLLHUP"),
	BOTH(poll_late_reader, "poll of a reader that came after the last writer"),
	BOTH(poll_writer, "poll of a writer: POLLERR"),
	BOTH(poll_waits, "the last close ends the wait of poll"),
	BOTH(edge_triggered_end, "EPOLLET: the last close is told"),
	BOTH(exclusive_end, "EPOLLEXCLUSIVE: the last close is told to all"),
	BOTH(signal_of_the_end, "SIGIO: the last close is told"),
	BOTH(what_stays, "what stays when one side goes"),
	BOTH(splice_to_the_end, "splice to the end of file"),
	BOTH(splice_to_nobody, "splice without a reader"),
	{ &sync_to_nobody, "the last reader's close ends the wait of fsync" },
	{ &unplugged, "unplug ends the wait of an open", SCULL },
	BOTH(coming_and_going, "six processes come and go"),
};

int main(int argc, char **argv)
{
	int was = scull_param("scull_p_fifo", -1), failed;
	bool again = !was && !scull_is_builtin();

	if (was < 0) {
		puts("1..0 # SKIP this module has no parameter scull_p_fifo");
		return 0;
	}
	if (!was)
		needs_module();
	if (again && module_reload("scull_p_fifo=1")) {
		puts("Bail out! the module cannot be loaded anew with scull_p_fifo=1");
		return 1;
	}
	before_cases = heal;
	failed = run_tests(argc, argv, "pipe_fifo", tests, ARRAY_SIZE(tests));
	if (again && module_reload("scull_p_fifo=0")) {
		puts("Bail out! the module cannot be loaded again as it was");
		return 1;
	}
	return failed;
}
