// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Being told that a pipe can be read or written: poll, select, epoll in each of
 * its ways, and SIGIO. The pipes are in the book's mode: no end of file.
 */
#include "pipes.h"

#include <sys/epoll.h>
#include <sys/select.h>

#define CAPACITY 8192
#define IN (POLLIN | POLLRDNORM)
#define OUT (POLLOUT | POLLWRNORM)
#define ALL (IN | OUT | POLLPRI | POLLRDHUP)

static unsigned char buf[2 * CAPACITY];

/* --- levels --- */

static void expect_levels(int fd, short want)
{
	struct epoll_event ev = { .events = ALL }, got;
	fd_set r, w, x;
	struct timeval none = { 0, 0 };
	int ep = sys(epoll_create1(0)), n;

	expect_ret(poll_now(fd, ALL), want);
	expect_ret(poll_now(fd, POLLIN), want & POLLIN);
	expect_ret(poll_now(fd, POLLOUT), want & POLLOUT);

	sys(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	n = sys(epoll_wait(ep, &got, 1, 0));
	expect(n == !!want, "epoll_wait gave %d where 0x%x holds", n, want);
	if (n)
		expect(got.events == (uint32_t)want, "epoll says 0x%x, poll 0x%x",
		       got.events, want);
	close(ep);

	FD_ZERO(&r);
	FD_SET(fd, &r);
	w = x = r;
	sys(select(fd + 1, &r, &w, &x, &none));
	expect(!!FD_ISSET(fd, &r) == !!(want & POLLIN) &&
	       !!FD_ISSET(fd, &w) == !!(want & POLLOUT) && !FD_ISSET(fd, &x),
	       "select and poll disagree: poll says 0x%x", want);
}

START_TEST(levels)
{
	int both = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	int in, out, unit = UNIT(_i), used;
	unsigned char *b = xmalloc(_i);

	if (scull_param("scull_p_fifo", 0))
		skip("the pipes work as fifo(7) says");
	in = pipe_open(0, O_WRONLY);
	out = pipe_open(0, O_RDONLY);
	for (used = 0;;) {
		int step = _i < 200 ? 1 : _i / 100 + 1;
		short can = (used ? IN : 0) | (_i - used >= unit ? OUT : 0);

		expect_levels(both, can);
		expect_levels(in, can & OUT);
		expect_levels(out, can & IN);
		if (used == _i)
			break;
		if (step > _i - used)
			step = _i - used;
		for (; step; step--, used++)
			expect_ret(write(both, b, 1), 1);
	}
	/* Alone at either end: nothing more is said. */
	close(both);
	close(in);
	expect_levels(out, IN);
	expect_ret(read(out, b, _i), _i);
	expect_levels(out, 0);
	in = pipe_open(0, O_WRONLY);
	close(out);
	expect_levels(in, OUT);
}
END_TEST

/* --- waiting --- */

struct wait {
	int fd;
	short events;
	int how;		/* SYS_ppoll, SYS_pselect6, SYS_epoll_pwait */
	int got;
};

static void wait_for(void *arg)
{
	struct wait *w = arg;
	struct pollfd p = { w->fd, w->events };
	struct epoll_event ev = { .events = w->events };
	fd_set set;
	bool reads = w->events & POLLIN;
	int ep;

	switch (w->how) {
	case SYS_ppoll:
		expect_ret(syscall(SYS_ppoll, &p, 1, NULL, NULL, 0), 1);
		w->got = p.revents;
		break;
	case SYS_pselect6:
		FD_ZERO(&set);
		FD_SET(w->fd, &set);
		expect_ret(syscall(SYS_pselect6, w->fd + 1, reads ? &set : NULL,
				   reads ? NULL : &set, NULL, NULL, NULL), 1);
		w->got = w->events;
		break;
	default:
		ep = sys(epoll_create1(0));
		sys(epoll_ctl(ep, EPOLL_CTL_ADD, w->fd, &ev));
		expect_ret(syscall(SYS_epoll_pwait, ep, &ev, 1, -1, NULL, 0), 1);
		w->got = ev.events;
	}
}

START_TEST(waits_for_data)
{
	struct wait *w = shared(sizeof(*w));
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	pid_t pid;

	*w = (struct wait){ fd, POLLIN, _i };
	pid = spawn(wait_for, w);
	wait_asleep(pid, _i);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(w->got, POLLIN);
}
END_TEST

START_TEST(waits_for_room)
{
	struct wait *w = shared(sizeof(*w));
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	pid_t pid;

	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	*w = (struct wait){ fd, POLLOUT, _i };
	pid = spawn(wait_for, w);
	wait_asleep(pid, _i);
	expect_ret(read(fd, buf, PIPE_BUF - 1), PIPE_BUF - 1);
	nap_ms(20);
	expect(asleep_in(pid, _i), "less than PIPE_BUF ended the wait");
	expect_ret(read(fd, buf, 1), 1);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(w->got, POLLOUT);
}
END_TEST

/* All who poll are told, and who reads meanwhile too. */
static void read_one(void *arg)
{
	expect_ret(read(*(int *)arg, buf, 1), 1);
}

START_TEST(all_are_told)
{
	struct wait *w = shared(10 * sizeof(*w));
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), i;
	pid_t pids[10], reader;

	for (i = 0; i < 10; i++) {
		w[i] = (struct wait){ fd, POLLIN,
				      i % 2 ? SYS_ppoll : SYS_epoll_pwait };
		pids[i] = spawn(wait_for, &w[i]);
		wait_asleep(pids[i], w[i].how);
	}
	reader = spawn(read_one, &fd);
	wait_asleep(reader, SYS_read);
	expect_ret(write(fd, "xy", 2), 2);
	expect_ret(join_within(reader, 30), 0);
	for (i = 0; i < 10; i++)
		expect_ret(join_within(pids[i], 30), 0);
}
END_TEST

START_TEST(time_passes)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY);
	struct pollfd p = { fd, POLLIN };
	long long start = now_ms();

	expect_ret(poll(&p, 1, 50), 0);
	expect(now_ms() - start >= 49, "poll came back early");
	expect_ret(p.revents, 0);
}
END_TEST

/* --- epoll's other ways --- */

static int edge(int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int ep = sys(epoll_create1(0));

	sys(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	return ep;
}

/* The events of what is told now, 0 if nothing is. */
static uint32_t told(int ep)
{
	struct epoll_event ev = { 0 };

	return sys(epoll_wait(ep, &ev, 1, 0)) ? ev.events : 0;
}

/* Every write is told to an edge-triggered reader, also if it read nothing. */
START_TEST(edges_of_writes)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY), i;
	int ep = edge(fd, EPOLLIN | EPOLLET);

	expect_ret(told(ep), 0);
	for (i = 0; i < 100; i++) {
		expect_ret(write(fd, buf, i % 7 + 1), i % 7 + 1);
		expect_ret(told(ep), EPOLLIN);
		expect_ret(told(ep), 0);
		/* A read is no news for a reader. */
		if (i % 3 == 0) {
			expect_ret(read(fd, buf, 1), 1);
			expect_ret(told(ep), 0);
		}
	}
}
END_TEST

/* Every read is told to an edge-triggered writer, also if there was room. */
START_TEST(edges_of_reads)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY), i;
	int ep = edge(fd, EPOLLOUT | EPOLLET);

	expect_ret(told(ep), EPOLLOUT);
	expect_ret(told(ep), 0);
	expect_ret(write(fd, buf, 1000), 1000);
	expect_ret(told(ep), 0);
	for (i = 0; i < 100; i++) {
		expect_ret(read(fd, buf, i % 7 + 1), i % 7 + 1);
		expect_ret(told(ep), EPOLLOUT);
		expect_ret(told(ep), 0);
	}
	/* Full, then room for the unit again. */
	while (write(fd, buf, 1000) > 0)
		;
	while (write(fd, buf, 1) > 0)
		;
	expect_ret(told(ep), 0);
	expect_ret(read(fd, buf, PIPE_BUF), PIPE_BUF);
	expect_ret(told(ep), EPOLLOUT);
}
END_TEST

START_TEST(one_shot)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT };
	int ep = edge(fd, ev.events);

	expect_ret(write(fd, "x", 1), 1);
	expect_ret(told(ep), EPOLLIN);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(told(ep), 0);
	sys(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	expect_ret(told(ep), EPOLLIN);
	expect_ret(read(fd, buf, 9), 2);
	sys(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	expect_ret(told(ep), 0);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(told(ep), EPOLLIN);
}
END_TEST

static void wait_exclusively(void *arg)
{
	struct epoll_event ev;
	int fd = *(int *)arg, ep = edge(fd, EPOLLIN | EPOLLEXCLUSIVE);

	expect_ret(epoll_pwait(ep, &ev, 1, -1, NULL), 1);
	expect_ret(read(fd, buf, 1), 1);
}

/* Each write is told to one of those who wait for it in turn. */
START_TEST(exclusive)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY), i, left = 4;
	pid_t pids[4];

	for (i = 0; i < 4; i++) {
		pids[i] = spawn(wait_exclusively, &fd);
		wait_asleep(pids[i], SYS_epoll_pwait);
	}
	for (; left; left--) {
		int status;
		pid_t pid;

		expect_ret(write(fd, "x", 1), 1);
		wait_until((pid = sys(waitpid(-1, &status, WNOHANG))), 30,
			   "none of %d is told", left);
		expect(!status, "status 0x%x", status);
	}
}
END_TEST

/* --- who was told may go on --- */

/*
 * One writer and one reader, which go on only when they are told that they may:
 * then no write of at most the unit may be refused, and no read. Ending needs
 * every one of them to be told in the end.
 */
struct duet {
	int capacity;
	uint64_t end;
	long told[2];
};

static void wait_in_one_way(int fd, int ep, bool writes, int way)
{
	short events = writes ? POLLOUT : POLLIN;
	struct pollfd p = { fd, events };
	struct epoll_event ev;
	fd_set set;

	switch (way) {
	case 0:
		expect_ret(poll(&p, 1, -1), 1);
		expect_ret(p.revents, events);
		break;
	case 1:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		expect_ret(select(fd + 1, writes ? NULL : &set,
				  writes ? &set : NULL, NULL, NULL), 1);
		break;
	default:
		expect_ret(epoll_wait(ep, &ev, 1, -1), 1);
		expect_ret(ev.events, events);
	}
}

static void duet(int me, void *arg)
{
	struct duet *d = arg;
	int fd = pipe_open(0, O_NONBLOCK | (me ? O_WRONLY : O_RDONLY));
	int ep = edge(fd, me ? EPOLLOUT : EPOLLIN), unit = UNIT(d->capacity);
	unsigned char *b = xmalloc(d->capacity);
	uint64_t pos = 0;
	long calls = 0;

	while (pos < d->end) {
		size_t len = 1 + calls * 7919 % (me ? unit : d->capacity);
		ssize_t n;

		if (len > d->end - pos)
			len = d->end - pos;
		wait_in_one_way(fd, ep, me, calls++ % 3);
		if (me)
			fill(b, len, pos, 1);
		n = me ? write(fd, b, len) : read(fd, b, len);
		expect(n > 0, "told that it may %s, and refused: %s",
		       me ? "write" : "read", strerror(errno));
		expect(!me || n == (ssize_t)len,
		       "a write of %zu, at most the unit, took %zd", len, n);
		if (!me)
			expect_pattern(b, n, pos, 1);
		pos += n;
	}
}

START_TEST(told_may_go_on)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	struct duet *d = shared(sizeof(*d));

	d->capacity = _i;
	d->end = _i < 2000 ? 500L * _i + 1000 : 2 * MiB;
	together(2, duet, d);
	expect_errno(read(keeper, buf, 1), EAGAIN);
}
END_TEST

/* Edge-triggered on both sides: each goes on until it is refused. */
static void edge_duet(int me, void *arg)
{
	struct duet *d = arg;
	int fd = pipe_open(0, O_NONBLOCK | (me ? O_WRONLY : O_RDONLY));
	int ep = edge(fd, (me ? EPOLLOUT : EPOLLIN) | EPOLLET);
	unsigned char *b = xmalloc(2 * d->capacity + 1);
	struct epoll_event ev;
	uint64_t pos = 0;
	long calls = 0;

	while (pos < d->end) {
		expect_ret(epoll_wait(ep, &ev, 1, -1), 1);
		d->told[me]++;
		for (;;) {
			size_t len = 1 + calls++ * 7919 % (2 * d->capacity + 1);
			ssize_t n;

			if (len > d->end - pos)
				len = d->end - pos;
			if (!len)
				break;
			if (me)
				fill(b, len, pos, 1);
			n = me ? write(fd, b, len) : read(fd, b, len);
			if (n < 0 && errno == EAGAIN)
				break;
			expect(sys(n) > 0, "%zd bytes", n);
			if (!me)
				expect_pattern(b, n, pos, 1);
			pos += n;
		}
	}
}

START_TEST(edge_triggered)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	struct duet *d = shared(sizeof(*d));

	d->capacity = _i;
	d->end = _i < 2000 ? 500L * _i + 1000 : 2 * MiB;
	together(2, edge_duet, d);
	expect_errno(read(keeper, buf, 1), EAGAIN);
	diag("the reader was told %ld times, the writer %ld times", d->told[0],
	     d->told[1]);
}
END_TEST

/* --- SIGIO --- */

static void send_signals(int fd, int sig)
{
	sys(fcntl(fd, F_SETOWN, getpid()));
	if (sig)
		sys(fcntl(fd, F_SETSIG, sig));
	sys(fcntl(fd, F_SETFL, sys(fcntl(fd, F_GETFL)) | O_ASYNC));
}

static void block_signal(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sys(sigprocmask(SIG_BLOCK, &set, NULL));
}

/* Takes one pending signal; false if there is none. */
static bool signal_came(int sig, siginfo_t *info)
{
	struct timespec none = { 0, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return sigtimedwait(&set, info, &none) == sig;
}

static void expect_signal(int sig, int fd, int code)
{
	long is = code == POLL_IN ? IN : OUT, not = code == POLL_IN ? OUT : IN;
	siginfo_t info;

	expect(signal_came(sig, &info), "no signal came, of code %d", code);
	expect(info.si_code == code, "the signal has code %d, expected %d",
	       info.si_code, code);
	expect(info.si_fd == fd, "the signal is about descriptor %d, not %d",
	       info.si_fd, fd);
	expect((info.si_band & is) == is && !(info.si_band & not),
	       "the signal has band 0x%lx", (long)info.si_band);
}

static void expect_silence(int sig)
{
	siginfo_t info;

	expect(!signal_came(sig, &info), "a signal with code %d came",
	       info.si_code);
}

START_TEST(signals)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	int fd = pipe_open(0, _i | O_NONBLOCK), sig = SIGRTMIN + 3, i;
	bool reads = _i != O_WRONLY, writes = _i != O_RDONLY;

	block_signal(sig);
	send_signals(fd, sig);
	expect_silence(sig);
	for (i = 0; i < 20; i++) {
		expect_ret(write(keeper, "abc", 3), 3);
		if (reads)
			expect_signal(sig, fd, POLL_IN);
		expect_silence(sig);
		expect_ret(read(keeper, buf, 1 + i % 3), 1 + i % 3);
		if (writes)
			expect_signal(sig, fd, POLL_OUT);
		expect_silence(sig);
	}
	/* Calls that move nothing are no news. */
	while (read(keeper, buf, CAPACITY) > 0)
		;
	while (signal_came(sig, &(siginfo_t){ 0 }))
		;
	expect_errno(read(keeper, buf, 1), EAGAIN);
	expect_ret(write(keeper, buf, 0), 0);
	expect_silence(sig);
	/* Told no more. */
	sys(fcntl(fd, F_SETFL, sys(fcntl(fd, F_GETFL)) & ~O_ASYNC));
	expect_ret(write(keeper, "x", 1), 1);
	expect_ret(read(keeper, buf, 1), 1);
	expect_silence(sig);
	/* Nor is who closed it. */
	send_signals(fd, sig);
	close(fd);
	expect_ret(write(keeper, "x", 1), 1);
	expect_ret(read(keeper, buf, 1), 1);
	expect_silence(sig);
}
END_TEST

START_TEST(plain_sigio)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);

	block_signal(SIGIO);
	send_signals(fd, 0);
	expect_ret(write(fd, "x", 1), 1);
	expect(signal_came(SIGIO, NULL), "no SIGIO came");
	expect_silence(SIGIO);
}
END_TEST

/* Several who asked: each is told. */
START_TEST(signals_to_all)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY), i;
	int sig = SIGRTMIN + 4, fds[5];
	unsigned int came = 0;
	siginfo_t info;

	block_signal(sig);
	for (i = 0; i < 5; i++) {
		fds[i] = pipe_open(0, O_RDONLY | O_NONBLOCK);
		send_signals(fds[i], sig);
	}
	expect_ret(write(keeper, "x", 1), 1);
	while (signal_came(sig, &info))
		for (i = 0; i < 5; i++)
			if (info.si_fd == fds[i])
				came |= 1 << i;
	expect(came == 0x1f, "told were 0x%x of 0x1f", came);
}
END_TEST

/* Reads and writes only when a signal says so, and is not stuck. */
static void signal_duet(int me, void *arg)
{
	struct duet *d = arg;
	int fd = pipe_open(0, O_NONBLOCK | (me ? O_WRONLY : O_RDONLY));
	unsigned char *b = xmalloc(d->capacity);
	uint64_t pos = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	block_signal(SIGIO);
	send_signals(fd, 0);
	while (pos < d->end) {
		size_t len = d->end - pos < (uint64_t)d->capacity ?
				     d->end - pos : (uint64_t)d->capacity;
		ssize_t n;

		if (me)
			fill(b, len, pos, 1);
		n = me ? write(fd, b, len) : read(fd, b, len);
		if (n < 0 && errno == EAGAIN) {
			expect_ret(sigwaitinfo(&set, NULL), SIGIO);
			d->told[me]++;
			continue;
		}
		expect(sys(n) > 0, "%zd bytes", n);
		if (!me)
			expect_pattern(b, n, pos, 1);
		pos += n;
	}
}

START_TEST(by_signals)
{
	int keeper = pipe_fresh(0, O_RDWR | O_NONBLOCK, _i);
	struct duet *d = shared(sizeof(*d));

	d->capacity = _i;
	d->end = 1000L * _i < 4 * MiB ? 1000L * _i : 4 * MiB;
	together(2, signal_duet, d);
	expect_errno(read(keeper, buf, 1), EAGAIN);
	diag("the reader was told %ld times, the writer %ld times", d->told[0],
	     d->told[1]);
}
END_TEST

static const struct test tests[] = {
	{ &levels, "what poll, select and epoll say, capacity 1", 1 },
	{ &levels, "what poll, select and epoll say, capacity 100", 100 },
	{ &levels, "what poll, select and epoll say, capacity 4096", 4096 },
	{ &levels, "what poll, select and epoll say, capacity 10000", 10000 },
	{ &waits_for_data, "poll waits for data", SYS_ppoll },
	{ &waits_for_data, "select waits for data", SYS_pselect6 },
	{ &waits_for_data, "epoll waits for data", SYS_epoll_pwait },
	{ &waits_for_room, "poll waits for room for the unit", SYS_ppoll },
	{ &waits_for_room, "select waits for room for the unit", SYS_pselect6 },
	{ &waits_for_room, "epoll waits for room for the unit", SYS_epoll_pwait },
	{ &all_are_told, "all who poll are told, and a reader too" },
	{ &time_passes, "poll ends in time" },
	{ &edges_of_writes, "EPOLLET: every write is told" },
	{ &edges_of_reads, "EPOLLET: every read is told" },
	{ &one_shot, "EPOLLONESHOT" },
	{ &exclusive, "EPOLLEXCLUSIVE" },
	{ &told_may_go_on, "who was told may go on, capacity 1", 1, 120 },
	{ &told_may_go_on, "who was told may go on, capacity 100", 100, 120 },
	{ &told_may_go_on, "who was told may go on, capacity 4096", 4096, 120 },
	{ &told_may_go_on, "who was told may go on, capacity 5000", 5000, 120 },
	{ &told_may_go_on, "who was told may go on, capacity 65536", 65536, 120 },
	{ &edge_triggered, "EPOLLET on both sides, capacity 1", 1, 120 },
	{ &edge_triggered, "EPOLLET on both sides, capacity 100", 100, 120 },
	{ &edge_triggered, "EPOLLET on both sides, capacity 5000", 5000, 120 },
	{ &edge_triggered, "EPOLLET on both sides, capacity 65536", 65536, 120 },
	{ &signals, "SIGIO with its reason, O_RDONLY", O_RDONLY },
	{ &signals, "SIGIO with its reason, O_WRONLY", O_WRONLY },
	{ &signals, "SIGIO with its reason, O_RDWR", O_RDWR },
	{ &plain_sigio, "SIGIO without F_SETSIG" },
	{ &signals_to_all, "SIGIO to all who asked for it" },
	{ &by_signals, "SIGIO on both sides, capacity 100", 100, 120 },
	{ &by_signals, "SIGIO on both sides, capacity 65536", 65536, 120 },
};

TEST_MAIN("pipe_poll", tests)
