// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on demand: which calls a rule is for, when it fires, what it does to each
 * kind of call on each kind of device, and that it does nothing else. What a call
 * says that it wrote is there, what it says it did not is not.
 */
#include "access.h"
#include "attributes.h"
#include "faults.h"
#include "pipes.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/time.h>

#define ALICE 1101
#define BOB 1102

#define CAPACITY 8192

/* --- devices and calls --- */

enum { BARE, PIPE, GUARDED };

static const char *const devices[] = { "scull0", "scullpipe0", "sculluid" };

enum { OPEN, READ, WRITE, IOCTL, POLL, FSYNC, SEEK, OPS };

static const struct {
	const char *name;
	long nr;
} ops[OPS] = {
	[OPEN]	= { "open", SYS_openat },
	[READ]	= { "read", SYS_read },
	[WRITE]	= { "write", SYS_write },
	[IOCTL]	= { "ioctl", SYS_ioctl },
	[POLL]	= { "poll", SYS_ppoll },
	[FSYNC]	= { "fsync", SYS_fsync },
	[SEEK]	= { "seek", SYS_LSEEK },
};

/* What devices hold before a call, and what a call writes. */
#define TEXT "0123456789"
#define NEWS "abcdefghij"
#define LEN 10

static int which;
static const char *device;
static int fd;			/* for the calls that are to fail */
static int peek = -1;		/* to look at what the device holds */
static char buf[100000], more[100000];

static int get(int flags)
{
	switch (which) {
	case BARE:
		return open(dev_path(0), flags);
	case PIPE:
		return open(pipe_path(0), flags);
	default:
		return open_device(UID, flags);
	}
}

static void start(int kind)
{
	faults_possible();
	which = kind;
	device = devices[kind];
	if (kind == PIPE)
		pipe_set_capacity(CAPACITY);
	if (kind == GUARDED)
		begin(UID);
	fd = sys(get(O_RDWR));
	peek = sys(get(O_RDWR | O_NONBLOCK));
}

static bool can(int op)
{
	return which != PIPE || op != SEEK;
}

/* The device holds this and nothing else; a pipe does not hold it any more then. */
static void expect_holds(const char *text)
{
	ssize_t n, len = strlen(text);
	char got[64] = "";

	n = which == PIPE ? read(peek, got, sizeof(got)) :
			    pread(peek, got, sizeof(got), 0);
	if (n < 0 && errno == EAGAIN)
		n = 0;
	expect(n == len && !memcmp(got, text, len),
	       "%s holds \"%.*s\", expected \"%s\"", device, (int)(n < 0 ? 0 : n),
	       got, text);
}

/* What it holds before a call. */
static const char *held_before(int op)
{
	return which != PIPE || op == READ || op == POLL ? TEXT : "";
}

static void before(int op)
{
	const char *text = held_before(op);
	char rest[64];

	if (which == PIPE) {
		while (read(peek, rest, sizeof(rest)) > 0)
			;
		expect_ret(write(peek, text, strlen(text)), strlen(text));
		return;
	}
	sys(close(get(O_WRONLY)));
	expect_ret(pwrite(peek, text, LEN, 0), LEN);
	sys(lseek(fd, 0, SEEK_SET));
}

/* Makes the call. Only @patient ones wait in poll. */
static long long perform(int op, bool patient)
{
	const struct timespec none = { 0, 0 };
	struct pollfd p = { fd, POLLIN | POLLOUT };
	int new;

	switch (op) {
	case OPEN:
		new = get(O_RDWR);
		return new < 0 ? new : close(new);
	case READ:
		memset(buf, 0, LEN);
		return syscall(SYS_read, fd, buf, LEN);
	case WRITE:
		return syscall(SYS_write, fd, NEWS, LEN);
	case IOCTL:
		return ioctl(fd, SCULL_IOCQQUANTUM);
	case POLL:
		new = syscall(SYS_ppoll, &p, 1, patient ? NULL : &none, NULL, 0);
		return new < 0 ? new : p.revents;
	case FSYNC:
		return fsync(fd);
	default:
		return lseek(fd, LEN / 2, SEEK_SET);
	}
}

static long long good(int op)
{
	static const long long good[OPS] = {
		[READ] = LEN, [WRITE] = LEN, [IOCTL] = SCULL_QUANTUM,
		[POLL] = POLLIN | POLLOUT, [SEEK] = LEN / 2,
	};

	return good[op];
}

/* The call gave this, or failed with this errno. */
static void gave_at(int line, int op, long long ret, long long want, int err)
{
	int seen = errno;

	if (err ? ret == -1 && seen == err : ret == want)
		return;
	fail_at(__FILE__, line, "%s of %s gave %lld (%s), expected %lld (%s)",
		ops[op].name, device, ret, ret == -1 ? strerror(seen) : "-",
		err ? -1 : want, err ? strerror(err) : "-");
}

#define expect_gave(op, ret, want) gave_at(__LINE__, op, ret, want, 0)
#define expect_fails(op, err) gave_at(__LINE__, op, perform(op, false), 0, err)

/* What a good call leaves behind. */
static void good_after(int op)
{
	if (op == READ)
		expect(!memcmp(buf, TEXT, LEN), "%s gave \"%.10s\"", device,
		       buf);
	if (op == WRITE)
		expect_holds(NEWS);
	else if (which != PIPE || op != READ)
		expect_holds(held_before(op));
}

#define expect_good(op)							\
	do {								\
		expect_gave(op, perform(op, false), good(op));		\
		good_after(op);						\
	} while (0)

/* A call did nothing: neither bytes nor the position have moved. */
static void expect_untouched(int op)
{
	expect_holds(held_before(op));
	if (which != PIPE)
		expect_ret(lseek(fd, 0, SEEK_CUR), 0);
}

#define for_each_op(op)							\
	for (op = 0; op < OPS; op++)					\
		if (can(op))

/* --- calls in a process of their own --- */

static struct call {
	int op;
	long long ret;
	int err;
	int caught;
	char got[LEN];
} *call;

static void caught(int sig)
{
	__atomic_fetch_add(&call->caught, 1, __ATOMIC_SEQ_CST);
}

static void handle(int sig, int flags)
{
	struct sigaction sa = { .sa_handler = caught, .sa_flags = flags };

	call = call ?: shared(sizeof(*call));
	call->caught = 0;
	sys(sigaction(sig, &sa, NULL));
}

static void make_call(void *unused)
{
	handle(SIGUSR1, 0);
	call->ret = perform(call->op, true);
	call->err = errno;
	memcpy(call->got, buf, LEN);
}

static pid_t begin_call(int op)
{
	call = call ?: shared(sizeof(*call));
	call->op = op;
	return spawn(make_call, NULL);
}

static bool kept_waiting(int op, pid_t pid)
{
	return op == POLL ? asleep_in(pid, ops[op].nr) :
			    held_in(pid, ops[op].nr);
}

#define expect_kept(op, pid)						\
	wait_until(kept_waiting(op, pid), 30, "%s of %s does not wait",	\
		   ops[op].name, device)

static void ended_at(int line, int op, pid_t pid)
{
	int status = join_within(pid, 30);

	if (status == -1)
		fail_at(__FILE__, line, "%s of %s still waits", ops[op].name,
			device);
	expect(!status, "the caller ended with status 0x%x", status);
	memcpy(buf, call->got, LEN);
	errno = call->err;
}

#define expect_ends(op, pid, want)					\
	do {								\
		ended_at(__LINE__, op, pid);				\
		gave_at(__LINE__, op, call->ret, want, 0);		\
	} while (0)

/* The files that were open when a process died are closed a moment later. */
static void expect_opens(int n)
{
	wait_until(number_of(device, "opens") == (unsigned long long)n, 30,
		   "%s has %llu opens, expected %d", device,
		   number_of(device, "opens"), n);
}

/* --- what rules do --- */

START_TEST(errors)
{
	char want[64];
	int op;

	start(_i);
	for_each_op(op) {
		before(op);
		set_rules(device, "%s EIO", ops[op].name);
		if (op == POLL)
			expect(perform(op, false) & POLLERR, "no POLLERR");
		else
			expect_fails(op, EIO);
		snprintf(want, sizeof(want), "%s EIO  # matched 1 fired 1\n",
			 ops[op].name);
		expect_rules(device, want);
		clear_rules(device);
		expect_rules(device, "");
		expect_untouched(op);
		before(op);
		expect_good(op);
	}
	expect_opens(2);
}
END_TEST

static const struct {
	const char *name;
	int value;
} errnos[] = {
#define E(name) { #name, name }
	E(EPERM), E(ENOENT), E(EINTR), E(EIO), E(ENXIO), E(E2BIG), E(EBADF),
	E(EAGAIN), E(ENOMEM), E(EACCES), E(EFAULT), E(EBUSY), E(EEXIST),
	E(ENODEV), E(EINVAL), E(ENFILE), E(EMFILE), E(ENOTTY), E(EFBIG),
	E(ENOSPC), E(ESPIPE), E(EROFS), E(EPIPE), E(EDOM), E(ERANGE),
	E(ENODATA), E(ETIME), E(ECOMM), E(EPROTO), E(EBADMSG), E(EOVERFLOW),
	E(EILSEQ), E(EMSGSIZE), E(EOPNOTSUPP), E(ENETDOWN), E(ECONNRESET),
	E(ENOBUFS), E(ETIMEDOUT), E(EHOSTDOWN), E(EALREADY), E(EINPROGRESS),
	E(ESTALE), E(EREMOTEIO), E(EDQUOT), E(ENOMEDIUM), E(ECANCELED),
#undef E
};

START_TEST(all_errnos)
{
	size_t i;
	int op;

	start(BARE);
	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		set_rules(device, "open %1$s\nread %1$s\nwrite %1$s\n"
				  "ioctl %1$s\nfsync %1$s\nseek %1$s",
			  errnos[i].name);
		for (op = 0; op < OPS; op++)
			if (op != POLL)
				expect_fails(op, errnos[i].value);
	}
}
END_TEST

START_TEST(shortened)
{
	struct iovec vec[2] = { { buf, 2 }, { buf + 2, LEN - 2 } };
	int fds[2];

	start(_i);
	before(READ);
	set_rules(device, "read short=3");
	expect_gave(READ, perform(READ, false), 3);
	expect(!memcmp(buf, "012", 3), "came: %.3s", buf);
	memset(buf, 0, LEN);
	expect_ret(readv(fd, vec, 2), 3);
	expect(!memcmp(buf, "345", 3), "came: %.3s", buf);
	sys(pipe(fds));
	expect_ret(splice(fd, NULL, fds[1], NULL, LEN, 0), 3);
	expect_ret(read(fds[0], buf, LEN), 3);
	expect(!memcmp(buf, "678", 3), "came: %.3s", buf);
	expect_gave(READ, perform(READ, false), 1);
	expect_rules(device, "read short=3  # matched 4 fired 4\n");

	clear_rules(device);
	before(WRITE);
	set_rules(device, "write short=3");
	expect_gave(WRITE, perform(WRITE, false), 3);
	expect_holds(which == PIPE ? "abc" : "abc3456789");
	memcpy(buf, NEWS, LEN);
	expect_ret(writev(fd, vec, 2), 3);
	expect_holds(which == PIPE ? "abc" : "abcabc6789");
	/* Nobody asked for more than that. */
	expect_ret(write(fd, "x", 1), 1);
	expect_holds(which == PIPE ? "x" : "abcabcx789");

	/* What is longer than any call shortens none. */
	set_rules(device, "read short=11\nwrite short=10");
	before(READ);
	expect_good(READ);
	set_rules(device, "read short=11\nwrite short=11");
	before(WRITE);
	set_rules(device, "write short=10");
	expect_good(WRITE);
}
END_TEST

START_TEST(delayed)
{
	static const char *const texts[] = { "delay=30ms", "delay=0.03s" };
	long long began, took;
	size_t i;
	int op;

	start(_i);
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		for_each_op(op) {
			before(op);
			set_rules(device, "%s %s", ops[op].name, texts[i]);
			began = now_ms();
			expect_gave(op, perform(op, true), good(op));
			took = now_ms() - began;
			expect(took >= 30, "%s with %s took %lld ms",
			       ops[op].name, texts[i], took);
			clear_rules(device);
			good_after(op);
		}
	}
	/* They add up, and an error comes late too. */
	set_rules(device, "ioctl delay=25ms\nioctl delay=25ms\nioctl EIO");
	began = now_ms();
	expect_fails(IOCTL, EIO);
	took = now_ms() - began;
	expect(took >= 50, "two delays took %lld ms", took);
	expect_rules(device, "ioctl delay=25ms  # matched 1 fired 1\n"
			     "ioctl delay=25ms  # matched 1 fired 1\n"
			     "ioctl EIO  # matched 1 fired 1\n");
}
END_TEST

/* What lets go a call that hangs. */
enum { BY_HOLD, BY_RULES, WAYS };

static void let_go(int way)
{
	if (way == BY_HOLD)
		sys(fault_put(device, "hold", "0"));
	else
		clear_rules(device);
}

START_TEST(hanging)
{
	char want[64];
	int op, way;
	pid_t pid;

	start(_i);
	for (way = 0; way < WAYS; way++) {
		for_each_op(op) {
			before(op);
			set_rules(device, "%s next=1 hang", ops[op].name);
			snprintf(want, sizeof(want),
				 "%s next=1 hang  # matched 1 fired 1\n",
				 ops[op].name);
			pid = begin_call(op);
			wait_until(!strcmp(fault_text(device, "rules"), want),
				   30, "%s of %s does not hang", ops[op].name,
				   device);
			expect_kept(op, pid);
			/* Neither more rules nor another fault's end ends it. */
			sys(fault_put(device, "rules", "+open nth=1000 EIO"));
			sys(fault_put(device, "limit", "1000"));
			sys(fault_put(device, "limit", "none"));
			expect_kept(op, pid);
			let_go(way);
			expect_ends(op, pid, good(op));
			clear_rules(device);
			good_after(op);
		}
	}
}
END_TEST

START_TEST(hanging_killed)
{
	pid_t pid;
	int op;

	start(_i);
	for_each_op(op) {
		before(op);
		set_rules(device, "%s hang", ops[op].name);
		pid = begin_call(op);
		expect_kept(op, pid);
		if (op != POLL) {
			sys(kill(pid, SIGUSR1));
			nap_ms(20);
			expect(kept_waiting(op, pid),
			       "a signal ended %s of %s", ops[op].name, device);
		}
		kill_and_join(pid);
		clear_rules(device);
		expect_untouched(op);
		expect_opens(2);
	}
}
END_TEST

START_TEST(poll_hangs)
{
	struct timespec moment = { 0, 20000000 };
	struct pollfd p;

	start(_i);
	before(POLL);
	p = (struct pollfd){ fd, POLLIN | POLLOUT };
	set_rules(device, "poll hang");
	expect_ret(poll_now(fd, POLLIN | POLLOUT), 0);
	expect_ret(ppoll(&p, 1, &moment, NULL), 0);
	clear_rules(device);
	expect_good(POLL);
}
END_TEST

enum { BY_POLL, BY_EPOLL, BY_EDGE, POLLERS };

static void poll_for_data(void *how)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p = { fd, POLLIN };
	int ep;

	if ((intptr_t)how == BY_POLL) {
		expect_ret(syscall(SYS_ppoll, &p, 1, NULL, NULL, 0), 1);
		expect_ret(p.revents, POLLIN);
		return;
	}
	if ((intptr_t)how == BY_EDGE)
		ev.events |= EPOLLET;
	ep = sys(epoll_create1(0));
	sys(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	expect_ret(epoll_pwait(ep, &ev, 1, -1, NULL), 1);
	expect_ret(ev.events, EPOLLIN);
}

/* Who sleeps in poll already when the rules come is asked, and told, like others. */
START_TEST(poll_sleeps)
{
	static const char *const rules[] = {
		"poll hang", "poll next=1 eagain=2", "poll delay=20ms",
	};
	intptr_t how;
	pid_t pid;
	size_t r;

	start(PIPE);
	for (r = 0; r < ARRAY_SIZE(rules); r++) {
		for (how = 0; how < POLLERS; how++) {
			pid = spawn(poll_for_data, (void *)how);
			wait_asleep(pid, how == BY_POLL ? SYS_ppoll :
							  SYS_epoll_pwait);
			set_rules(device, "%s", rules[r]);
			expect_ret(write(peek, "x", 1), 1);
			if (!r) {
				wait_until(strcmp(fault_text(device, "rules"),
						  "poll hang  # matched 0 fired 0\n"),
					   30, "the poller is not asked");
				wait_asleep(pid, how == BY_POLL ? SYS_ppoll :
								  SYS_epoll_pwait);
				clear_rules(device);
			}
			expect(join_within(pid, 30) == 0,
			       "with \"%s\" who polls is never told", rules[r]);
			clear_rules(device);
			expect_ret(read(peek, buf, 10), 1);
		}
	}
}
END_TEST

START_TEST(again)
{
	char want[64];
	int op, i;

	start(_i);
	for_each_op(op) {
		before(op);
		set_rules(device, "%s next=1 eagain=3", ops[op].name);
		for (i = 0; i < 3; i++) {
			if (op == POLL)
				expect_ret(perform(op, false), 0);
			else
				expect_fails(op, EAGAIN);
		}
		expect_gave(op, perform(op, false), good(op));
		clear_rules(device);
		good_after(op);
		before(op);

		/* Twice out of four: at 4 and 5, 8 and 9. */
		set_rules(device, "%s every=4 eagain=2", ops[op].name);
		for (i = 1; i <= 9; i++) {
			if (which == PIPE && op == READ)
				expect_ret(write(peek, TEXT, LEN), LEN);
			if (i < 4 || (i > 5 && i < 8))
				expect_gave(op, perform(op, false),
					    which != PIPE && op == READ &&
					    i > 1 ? 0 : good(op));
			else if (op == POLL)
				expect_ret(perform(op, false), 0);
			else
				expect_fails(op, EAGAIN);
			if (which == PIPE && op == WRITE)
				read(peek, more, sizeof(more));
		}
		snprintf(want, sizeof(want),
			 "%s every=4 eagain=2  # matched 9 fired 4\n",
			 ops[op].name);
		expect_rules(device, want);
		clear_rules(device);
		if (which == PIPE)
			read(peek, more, sizeof(more));
	}
	/* Who waits in poll is told in the end. */
	before(POLL);
	set_rules(device, "poll eagain=3 next=1");
	expect_gave(POLL, perform(POLL, true), good(POLL));
	expect_rules(device, "poll eagain=3 next=1  # matched 4 fired 3\n");
}
END_TEST

START_TEST(interrupted)
{
	char want[64];
	int op;

	start(_i);
	for_each_op(op) {
		before(op);
		handle(SIGALRM, 0);
		set_rules(device, "%s signal", ops[op].name);
		expect_fails(op, EINTR);
		expect_ret(call->caught, 1);
		clear_rules(device);
		expect_untouched(op);

		/* With SA_RESTART it is made again, all but poll, as signal(7) says. */
		before(op);
		handle(SIGUSR1, SA_RESTART);
		set_rules(device, "%s signal=USR1 next=1", ops[op].name);
		if (op == POLL)
			expect_fails(op, EINTR);
		else
			expect_gave(op, perform(op, false), good(op));
		expect_ret(call->caught, 1);
		snprintf(want, sizeof(want),
			 "%s signal=USR1 next=1  # matched %d fired 1\n",
			 ops[op].name, op == POLL ? 1 : 2);
		expect_rules(device, want);
		clear_rules(device);
		if (op != POLL)
			good_after(op);
	}
}
END_TEST

static const struct {
	const char *name;
	int sig;
} signals[] = {
#define S(name) { #name, SIG##name }
	S(HUP), S(INT), S(QUIT), S(USR1), S(USR2), S(PIPE), S(ALRM), S(TERM),
	S(CHLD), S(CONT), S(TSTP), S(WINCH), S(URG), S(IO), S(STOP),
#undef S
};

static void read_there(void *unused)
{
	expect_ret(read(fd, buf, LEN), LEN);
}

START_TEST(all_signals)
{
	size_t i;
	int status;
	pid_t pid;

	start(BARE);
	for (i = 0; i < ARRAY_SIZE(signals) - 1; i++) {
		before(READ);
		handle(signals[i].sig, 0);
		set_rules(device, "read signal=%s%s", i % 2 ? "SIG" : "",
			  signals[i].name);
		expect_fails(READ, EINTR);
		expect(call->caught == 1, "SIG%s was caught %d times",
		       signals[i].name, call->caught);
	}
	/* Without a handler it is stopped before the call, which goes on then. */
	signal(SIGCONT, SIG_DFL);
	before(READ);
	set_rules(device, "read next=1 signal=STOP");
	pid = spawn(read_there, NULL);
	expect_ret(waitpid(pid, &status, WUNTRACED), pid);
	expect(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP,
	       "status 0x%x in place of a stop", status);
	expect_rules(device, "read next=1 signal=STOP  # matched 1 fired 1\n");
	sys(kill(pid, SIGCONT));
	expect_ret(join_within(pid, 30), 0);
	/* And one that nobody handles kills. */
	set_rules(device, "read signal=TERM");
	signal(SIGTERM, SIG_DFL);
	pid = spawn(read_there, NULL);
	status = join_within(pid, 30);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM,
	       "status 0x%x in place of a death", status);
}
END_TEST

/* The call is made in the end, or was interrupted; no other errno comes out. */
static void expect_made_or_interrupted(int op, const char *how)
{
	long long ret = perform(op, false);

	expect(ret == good(op) || (ret == -1 && errno == EINTR),
	       "%s with a signal that is %s gave %lld (%s)", ops[op].name, how,
	       ret, strerror(errno));
}

/* A signal that does not arrive interrupts no device of the kernel's. */
START_TEST(not_interrupted)
{
	sigset_t set, pending;
	int op;

	start(_i);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	for_each_op(op) {
		before(op);
		set_rules(device, "%s signal=WINCH next=1", ops[op].name);
		expect_made_or_interrupted(op, "ignored by default");
		clear_rules(device);
		before(op);
		signal(SIGALRM, SIG_IGN);
		set_rules(device, "%s signal next=1", ops[op].name);
		expect_made_or_interrupted(op, "ignored");
		clear_rules(device);
		before(op);
		handle(SIGUSR2, 0);
		sys(sigprocmask(SIG_BLOCK, &set, NULL));
		set_rules(device, "%s signal=USR2 next=1", ops[op].name);
		expect_made_or_interrupted(op, "blocked");
		clear_rules(device);
		sys(sigpending(&pending));
		expect(sigismember(&pending, SIGUSR2), "it is not pending");
		sys(sigprocmask(SIG_UNBLOCK, &set, NULL));
		expect_ret(call->caught, 1);
	}
}
END_TEST

/* --- a bit --- */

static int bits_between(const char *a, const char *b, size_t len, size_t *where)
{
	int bits = 0;
	size_t i;

	*where = 0;
	for (i = 0; i < len; i++) {
		if (a[i] == b[i])
			continue;
		bits += __builtin_popcount((unsigned char)(a[i] ^ b[i]));
		*where = i;
	}
	return bits;
}

enum { BY_READ, BY_READV, BY_SPLICE, STREAMED, BY_PREAD = STREAMED, BY_PREADV,
       BY_SENDFILE, PATHS };

static const char *const paths[PATHS] = {
	"read", "readv", "splice", "pread", "preadv", "sendfile",
};

static ssize_t read_by(int path, char *to, size_t len)
{
	struct iovec vec[3] = { { to, 1 }, { to + 1, len / 2 },
				{ to + 1 + len / 2, len - 1 - len / 2 } };
	static int fds[2] = { -1, -1 }, file = -1;
	off_t off = 0;
	ssize_t n;

	if (which != PIPE)
		sys(lseek(fd, 0, SEEK_SET));
	switch (path) {
	case BY_READ:
		return read(fd, to, len);
	case BY_READV:
		return readv(fd, vec, 3);
	case BY_PREAD:
		return pread(fd, to, len, 0);
	case BY_PREADV:
		return preadv(fd, vec, 3, 0);
	case BY_SPLICE:
		if (fds[0] < 0)
			sys(pipe(fds));
		n = splice(fd, NULL, fds[1], NULL, len, 0);
		return n > 0 ? read(fds[0], to, n) : n;
	default:
		if (file < 0)
			file = sys(memfd_create("copy", 0));
		sys(lseek(file, 0, SEEK_SET));
		n = sendfile(file, fd, &off, len);
		return n > 0 ? pread(file, to, n, 0) : n;
	}
}

static bool has_path(int path)
{
	if (path == BY_SENDFILE && kernel_before(6, 0))
		return false;
	return which != PIPE || path < STREAMED;
}

/* Before 6.5 what is spliced cannot be changed any more: it comes as it is. */
static int bits_due(int path)
{
	return !((path == BY_SPLICE || path == BY_SENDFILE) &&
		 kernel_before(6, 5));
}

#define FLIPS 60

START_TEST(corrupted)
{
	const size_t len = 2000;
	size_t where, low, high;
	int path, i, bits;
	ssize_t n;

	start(_i);
	fill(more, len, 0, 1);
	if (which != PIPE)
		expect_ret(pwrite(fd, more, len, 0), len);
	for (path = 0; path < PATHS; path++) {
		if (!has_path(path))
			continue;
		low = high = 0;
		set_rules(device, "read corrupt");
		for (i = 0; i < FLIPS; i++) {
			if (which == PIPE)
				expect_ret(write(fd, more, len), len);
			n = read_by(path, buf, len);
			expect(n == (ssize_t)len, "%s gave %zd: %s",
			       paths[path], n, strerror(errno));
			bits = bits_between(buf, more, len, &where);
			expect(bits == bits_due(path), "by %s %d bits differ",
			       paths[path], bits);
			low += where < len / 2;
			high += where >= len / 2;
		}
		expect(!bits_due(path) ||
		       (low > FLIPS / 6 && high > FLIPS / 6),
		       "by %s: %zu bits in one half and %zu in the other",
		       paths[path], low, high);
		/* The device has the right ones. */
		clear_rules(device);
		if (which == PIPE)
			expect_ret(write(fd, more, len), len);
		expect_ret(read_by(path, buf, len), len);
		expect(!memcmp(buf, more, len), "the device has wrong bytes");
	}
}
END_TEST

/* Small reads, one that ends early, and one of nothing. */
START_TEST(corrupted_little)
{
	size_t where;
	int i;

	start(_i);
	before(READ);
	set_rules(device, "read corrupt");
	for (i = 0; i < LEN; i++) {
		expect_ret(read(fd, buf, 1), 1);
		expect_ret(bits_between(buf, TEXT + i, 1, &where), 1);
	}
	clear_rules(device);
	before(READ);
	memset(buf, 'x', 100);
	set_rules(device, "read corrupt");
	expect_ret(read(fd, buf, 100), LEN);
	expect_ret(bits_between(buf, TEXT, LEN, &where), 1);
	expect_bytes(buf + LEN, 100 - LEN, LEN, 'x');
	memset(buf, 'x', 100);
	set_nonblock(fd, true);
	if (which == PIPE)
		expect_errno(read(fd, buf, 100), EAGAIN);
	else
		expect_ret(read(fd, buf, 100), 0);
	expect_bytes(buf, 100, 0, 'x');
}
END_TEST

/* Bytes that cannot all be given: what came has the bit, if it fits. */
START_TEST(corrupted_and_cut)
{
	char *edge = cliff(5, PROT_READ | PROT_WRITE);
	size_t where, n;

	start(_i);
	before(READ);
	set_rules(device, "read corrupt");
	n = expect_cut(read(fd, edge, LEN), 5);
	expect_ret(bits_between(edge, TEXT, n, &where), n > 0);
}
END_TEST

START_TEST(same_bits)
{
	const size_t len = 500;
	size_t seen[2][20], where;
	int round, i;

	start(BARE);
	fill(more, len, 0, 1);
	expect_ret(pwrite(fd, more, len, 0), len);
	for (round = 0; round < 3; round++) {
		set_rules(device, "read corrupt seed=%d", round < 2 ? 5 : 6);
		for (i = 0; i < 20; i++) {
			expect_ret(pread(fd, buf, len, 0), len);
			expect_ret(bits_between(buf, more, len, &where), 1);
			seen[round > 0][i] = where;
		}
		if (round == 1)
			expect(!memcmp(seen[0], seen[1], sizeof(seen[0])),
			       "the same seed flips other bits");
	}
	expect(memcmp(seen[0], seen[1], sizeof(seen[0])), "another seed flips the same bits");
}
END_TEST

/* --- when --- */

/* Which of @n reads of a byte fail: 'x', and which do not: '.'. */
static const char *reads(int n)
{
	static char text[5000];
	ssize_t ret;
	int i;

	for (i = 0; i < n; i++) {
		ret = pread(fd, buf, 1, 0);
		expect(ret == 1 || (ret == -1 && errno == EIO),
		       "read gave %zd: %s", ret, strerror(errno));
		text[i] = ret == 1 ? '.' : 'x';
	}
	text[n] = '\0';
	return text;
}

static const struct {
	const char *when, *pattern;
	int fired;
} whens[] = {
	{ "", "xxxxxxxxxx", 10 },
	{ "nth=1", "x.........", 1 },
	{ "nth=3", "..x.......", 1 },
	{ "nth=10", ".........x", 1 },
	{ "nth=11", "..........", 0 },
	{ "nth=18446744073709551615", "..........", 0 },
	{ "every=1", "xxxxxxxxxx", 10 },
	{ "every=2", ".x.x.x.x.x", 5 },
	{ "every=3", "..x..x..x.", 3 },
	{ "every=10", ".........x", 1 },
	{ "next=3", "xxx.......", 3 },
	{ "next=2 every=3", "..x..x....", 2 },
	{ "every=3 next=20", "..x..x..x.", 3 },
	{ "nth=4 next=1", "...x......", 1 },
	{ "p=0", "..........", 0 },
	{ "p=1", "xxxxxxxxxx", 10 },
	{ "p=1.0", "xxxxxxxxxx", 10 },
	{ "p=1.000000000 every=5", "....x....x", 2 },
	{ "p=0.000000000 nth=1", "..........", 0 },
	{ "p=1 next=2", "xx........", 2 },
	{ "from=0", "xxxxxxxxxx", 10 },
	{ "from=0 every=4", "...x...x..", 2 },
};

static void expect_fires(const char *rule, const char *pattern)
{
	const char *seen;

	set_rules(device, "%s", rule);
	seen = reads(strlen(pattern));
	expect(!strcmp(seen, pattern), "with \"%s\" reads went %s, expected %s",
	       rule, seen, pattern);
}

START_TEST(fires_when)
{
	char rule[64], want[128];
	size_t i;

	start(BARE);
	expect_ret(pwrite(fd, "x", 1, 0), 1);
	for (i = 0; i < ARRAY_SIZE(whens); i++) {
		const char *when = whens[i].when, *blank = *when ? " " : "";

		/* Where the words stand makes no difference. */
		snprintf(rule, sizeof(rule), "read EIO%s%s", blank, when);
		expect_fires(rule, whens[i].pattern);
		snprintf(rule, sizeof(rule), "read%s%s EIO", blank, when);
		expect_fires(rule, whens[i].pattern);
		snprintf(want, sizeof(want), "%s  # matched 10 fired %d\n",
			 rule, whens[i].fired);
		expect_rules(device, want);
	}
}
END_TEST

#define MANY 4000

static char *pattern_of(const char *words)
{
	set_rules("scull0", "read EIO %s", words);
	return strdup(reads(MANY));
}

static int count(const char *text, char what)
{
	int n = 0;

	for (; *text; text++)
		n += *text == what;
	return n;
}

START_TEST(by_chance)
{
	char *one, *same, *first, *other, *half;
	int n;

	start(BARE);
	expect_ret(pwrite(fd, "x", 1, 0), 1);
	one = pattern_of("p=0.25");
	/* Four standard deviations are 110. */
	n = count(one, 'x');
	expect(n > 850 && n < 1150, "p=0.25 fired at %d of %d", n, MANY);
	same = pattern_of("p=0.25");
	first = pattern_of("seed=1 p=0.25");
	other = pattern_of("p=0.25 seed=2");
	expect(!strcmp(one, same), "the same rules fire at other calls");
	expect(!strcmp(one, first), "the seed is not 1 by default");
	expect(strcmp(one, other), "another seed fires at the same calls");
	n = count(other, 'x');
	expect(n > 850 && n < 1150, "p=0.25 fired at %d of %d", n, MANY);
	half = pattern_of("p=0.5 seed=77");
	n = count(half, 'x');
	expect(n > 1870 && n < 2130, "p=0.5 fired at %d of %d", n, MANY);
	half = pattern_of("p=0.000000001");
	n = count(half, 'x');
	expect(n < 2, "p=0.000000001 fired at %d of %d", n, MANY);
	/* Two rules do not throw the same dice. */
	set_rules(device, "read p=0.5 seed=3 EIO\nread p=0.5 seed=4 EIO");
	n = count(reads(MANY), 'x');
	expect(n > 2850 && n < 3150, "of two rules, %d of %d", n, MANY);
}
END_TEST

/* A call that begins before the offset ends there; the next one fails. */
START_TEST(from_offset)
{
	int append;

	start(_i);
	fill(buf, 300, 0, 1);
	expect_ret(pwrite(fd, buf, 300, 0), 300);
	set_rules(device, "read from=100 EIO");
	expect_ret(read(fd, buf, 60), 60);
	expect_ret(read(fd, buf, 60), 40);
	expect_pattern(buf, 40, 60, 1);
	expect_errno(read(fd, buf, 60), EIO);
	expect_ret(lseek(fd, 0, SEEK_CUR), 100);
	expect_errno(pread(fd, buf, 1, 100), EIO);
	expect_errno(pread(fd, buf, 1, 5000), EIO);
	expect_ret(pread(fd, buf, 300, 99), 1);
	expect_ret(pread(fd, buf, 1, 99), 1);
	/* Only what begins there is counted. */
	expect_rules(device, "read from=100 EIO  # matched 3 fired 3\n");

	/* Cut at 100, fails at 200, and goes on. */
	set_rules(device, "read from=200 nth=1 EIO\nread from=100 short=7");
	sys(lseek(fd, 0, SEEK_SET));
	expect_ret(read(fd, buf, 300), 100);
	expect_ret(read(fd, buf, 300), 7);
	expect_ret(pread(fd, buf, 300, 195), 5);
	expect_errno(pread(fd, buf, 300, 200), EIO);

	set_rules(device, "write from=100 ENOSPC");
	fill(buf, 300, 0, 2);
	expect_ret(pwrite(fd, buf, 300, 0), 100);
	expect_errno(pwrite(fd, buf, 1, 100), ENOSPC);
	expect_errno(pwrite(fd, buf, 1, 100000), ENOSPC);
	expect_ret(pwrite(fd, buf + 50, 50, 50), 50);
	/* An append begins at the end. */
	append = sys(get(O_RDWR | O_APPEND));
	expect_errno(write(append, buf, 10), ENOSPC);
	set_rules(device, "write from=310 ENOSPC");
	expect_ret(write(append, buf, 8), 8);
	expect_ret(write(append, buf, 8), 2);
	expect_errno(write(append, buf, 8), ENOSPC);
	expect_ret(lseek(fd, 0, SEEK_END), 310);
	clear_rules(device);
	expect_ret(pread(fd, buf, 400, 0), 310);
	expect_pattern(buf, 100, 0, 2);
	expect_pattern(buf + 100, 200, 100, 1);
}
END_TEST

/* Of a stream, an offset is how much went that way since there are faults. */
START_TEST(from_in_stream)
{
	start(PIPE);
	fill(buf, 200, 0, 1);
	expect_ret(write(fd, buf, 50), 50);
	expect_ret(read(fd, more, 20), 20);
	set_rules(device, "write from=20 EIO\nread from=40 EIO");
	expect_ret(write(fd, buf + 50, 15), 15);
	expect_ret(write(fd, buf + 65, 15), 5);
	expect_errno(write(fd, buf, 15), EIO);
	expect_ret(read(fd, more, 30), 30);
	expect_pattern(more, 30, 20, 1);
	expect_ret(read(fd, more, 30), 10);
	expect_pattern(more, 10, 50, 1);
	expect_errno(read(fd, more, 30), EIO);
	/* Other rules do not begin anew, none at all do. */
	set_rules(device, "write from=30 EIO\nread from=45 EIO");
	expect_ret(write(fd, buf + 70, 15), 10);
	expect_errno(write(fd, buf, 15), EIO);
	expect_ret(read(fd, more, 30), 5);
	expect_pattern(more, 5, 60, 1);
	expect_errno(read(fd, more, 30), EIO);
	clear_rules(device);
	set_rules(device, "write from=5 EIO");
	expect_ret(write(fd, buf + 80, 30), 5);
	expect_errno(write(fd, buf, 15), EIO);
	clear_rules(device);
	expect_ret(read(fd, more, 100), 20);
	expect_pattern(more, 20, 65, 1);
}
END_TEST

/* --- whose calls --- */

static int scull_node(void)
{
	if (faccessat(nodes(), "bare", F_OK, 0)) {
		sys(mknodat(nodes(), "bare", S_IFCHR,
			    makedev(scull_major(), scull_first_minor())));
		sys(fchmodat(nodes(), "bare", 0666, 0));
	}
	return nodes();
}

static long do_open_bare(long flags, long unused)
{
	return openat(scull_node(), "bare", flags);
}

static long do_read(long from, long len)
{
	return pread(from, buf, len, 0);
}

static long do_name(long name, long unused)
{
	return prctl(PR_SET_NAME, name);
}

START_TEST(by_user)
{
	struct actor alice, bob;
	long alices, bobs, passed;

	start(BARE);
	expect_ret(pwrite(fd, TEXT, LEN, 0), LEN);
	scull_node();
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	alices = sys(ask(&alice, do_open_bare, O_RDONLY, 0));
	bobs = sys(ask(&bob, do_open_bare, O_RDONLY, 0));
	set_rules(device, "read uid=%d EIO\nopen EACCES uid=%d", ALICE, ALICE);
	expect_errno(ask(&alice, do_read, alices, LEN), EIO);
	expect_errno(ask(&alice, do_open_bare, O_RDONLY, 0), EACCES);
	expect_ret(ask(&bob, do_read, bobs, LEN), LEN);
	expect(ask(&bob, do_open_bare, O_RDONLY, 0) >= 0, "open: %s",
	       strerror(errno));
	expect_ret(pread(fd, buf, LEN, 0), LEN);
	/* Who opened it counts, not who reads. */
	passed = copy_fd(&alice, alices);
	expect_errno(read(passed, buf, LEN), EIO);
	expect_rules(device, "read uid=1101 EIO  # matched 2 fired 2\n"
			     "open EACCES uid=1101  # matched 1 fired 1\n");
	set_rules(device, "read uid=0 EIO");
	expect_errno(pread(fd, buf, LEN, 0), EIO);
	expect_ret(read(passed, buf, LEN), LEN);
	expect_ret(ask(&alice, do_read, alices, LEN), LEN);
}
END_TEST

/* Everything that can be wrong for one user is all right for another. */
START_TEST(others_unharmed)
{
	struct actor bob;
	long bobs;
	int i;

	start(BARE);
	expect_ret(pwrite(fd, TEXT, LEN, 0), LEN);
	scull_node();
	bob = hire_user(BOB);
	bobs = sys(ask(&bob, do_open_bare, O_RDWR, 0));
	set_rules(device, "read uid=0 hang\nread uid=0 corrupt\n"
			  "read uid=0 delay=3600s\nread uid=0 short=1\n"
			  "write uid=0 from=3 EIO\nwrite uid=0 eagain=100\n"
			  "open uid=0 signal=TERM\npoll uid=0 hang");
	for (i = 0; i < 20; i++) {
		expect_ret(ask(&bob, do_put, bobs, (long)NEWS), LEN);
		expect_ret(ask(&bob, do_compare, bobs, (long)NEWS), 1);
		expect_ret(ask(&bob, do_size, bobs, 0), LEN);
		expect(ask(&bob, do_open_bare, O_RDONLY, 0) >= 0, "open: %s",
		       strerror(errno));
	}
}
END_TEST

START_TEST(by_name)
{
	struct actor a, b;
	long from_a, from_b;

	start(BARE);
	expect_ret(pwrite(fd, TEXT, LEN, 0), LEN);
	a = hire(NULL, NULL);
	b = hire(NULL, NULL);
	from_a = sys(ask(&a, do_open_bare, O_RDONLY, 0));
	from_b = sys(ask(&b, do_open_bare, O_RDONLY, 0));
	sys(ask(&a, do_name, (long)"fifteen-letters", 0));
	sys(ask(&b, do_name, (long)"fifteen-letter", 0));
	set_rules(device, "read comm=fifteen-letters EIO");
	expect_errno(ask(&a, do_read, from_a, LEN), EIO);
	expect_ret(ask(&b, do_read, from_b, LEN), LEN);
	expect_ret(pread(fd, buf, LEN, 0), LEN);
	set_rules(device, "read comm=fifteen-letter EIO uid=0");
	expect_ret(ask(&a, do_read, from_a, LEN), LEN);
	expect_errno(ask(&b, do_read, from_b, LEN), EIO);
	set_rules(device, "read comm=fifteen-letter EIO uid=%d", BOB);
	expect_ret(ask(&b, do_read, from_b, LEN), LEN);
	/* A rule is for who calls, whoever opened it. */
	set_rules(device, "read comm=x EIO");
	expect_ret(ask(&a, do_read, from_a, LEN), LEN);
	sys(ask(&a, do_name, (long)"x", 0));
	expect_errno(ask(&a, do_read, from_a, LEN), EIO);
}
END_TEST

/* --- many devices, many rules --- */

START_TEST(other_devices)
{
	int other = dev_open(1, O_RDWR), pipe = pipe_open(0, O_RDWR);

	start(BARE);
	set_rules("scull0", "read EIO\nwrite EIO\nopen EIO\nseek EIO\nioctl EIO\nfsync EIO\npoll EIO");
	sys(fault_put("scull0", "limit", "0"));
	expect_ret(pwrite(other, TEXT, LEN, 0), LEN);
	expect_ret(pread(other, buf, LEN, 0), LEN);
	expect_ret(lseek(other, 0, SEEK_END), LEN);
	expect_ret(ioctl(other, SCULL_IOCQQUANTUM), SCULL_QUANTUM);
	expect_ret(fsync(other), 0);
	expect_ret(poll_now(other, POLLIN), POLLIN);
	close(dev_open(1, O_RDONLY));
	expect_ret(write(pipe, TEXT, LEN), LEN);
	expect_ret(read(pipe, buf, LEN), LEN);
	close(pipe_open(0, O_RDWR));
	expect_rules("scull0", "read EIO  # matched 0 fired 0\n"
			       "write EIO  # matched 0 fired 0\n"
			       "open EIO  # matched 0 fired 0\n"
			       "seek EIO  # matched 0 fired 0\n"
			       "ioctl EIO  # matched 0 fired 0\n"
			       "fsync EIO  # matched 0 fired 0\n"
			       "poll EIO  # matched 0 fired 0\n");
	expect_rules("scull1", "");
	sys(fault_put("scull0", "hold", "1"));
	expect_ret(pread(other, buf, LEN, 0), LEN);
	/* Each has its own. */
	sys(fault_put("scull0", "hold", "0"));
	set_rules("scull1", "read ENOMEM");
	expect_errno(pread(other, buf, LEN, 0), ENOMEM);
	expect_errno(pread(fd, buf, LEN, 0), EIO);
	clear_rules("scull0");
	expect_errno(pread(other, buf, LEN, 0), ENOMEM);
	expect_rules("scull1", "read ENOMEM  # matched 2 fired 2\n");
}
END_TEST

/* The most that a device has. */
#define RULES 16

/* Each rule of an operation is asked in turn, up to one that ends the call. */
START_TEST(several_rules)
{
	long long began, took;

	start(BARE);
	expect_ret(pwrite(fd, TEXT, LEN, 0), LEN);
	set_rules(device, "read delay=15ms\n"
			  "read short=5\n"
			  "write EIO\n"
			  "read short=3\n"
			  "read delay=15ms every=3\n"
			  "read nth=3 ENXIO\n"
			  "read nth=3 ENOMEM\n"
			  "read short=4\n");
	expect_ret(pread(fd, buf, LEN, 0), 3);
	expect_ret(pread(fd, buf, 2, 0), 2);
	began = now_ms();
	expect_errno(pread(fd, buf, LEN, 0), ENXIO);
	took = now_ms() - began;
	expect(took >= 30, "two delays took %lld ms", took);
	expect_rules(device, "read delay=15ms  # matched 3 fired 3\n"
			     "read short=5  # matched 3 fired 3\n"
			     "write EIO  # matched 0 fired 0\n"
			     "read short=3  # matched 3 fired 3\n"
			     "read delay=15ms every=3  # matched 3 fired 1\n"
			     "read nth=3 ENXIO  # matched 3 fired 1\n"
			     "read nth=3 ENOMEM  # matched 2 fired 0\n"
			     "read short=4  # matched 2 fired 2\n");
}
END_TEST

START_TEST(added_rules)
{
	start(BARE);
	expect_ret(pwrite(fd, "x", 1, 0), 1);
	/* To nothing, too. */
	sys(fault_put(device, "rules", "+read every=3 EIO"));
	expect(!strcmp(reads(5), "..x.."), "not at every third");
	sys(fault_put(device, "rules", "+ write EIO\n\n # no rule\nseek EIO\n"));
	expect_rules(device, "read every=3 EIO  # matched 5 fired 1\n"
			     "write EIO  # matched 0 fired 0\n"
			     "seek EIO  # matched 0 fired 0\n");
	/* The old one goes on where it was. */
	expect(!strcmp(reads(4), "x..x"), "it did not go on");
	expect_fails(WRITE, EIO);
	sys(fault_put(device, "rules", "+"));
	expect_rules(device, "read every=3 EIO  # matched 9 fired 3\n"
			     "write EIO  # matched 1 fired 1\n"
			     "seek EIO  # matched 0 fired 0\n");
	/* All anew. */
	set_rules(device, "read every=3 EIO");
	expect_rules(device, "read every=3 EIO  # matched 0 fired 0\n");
	expect(!strcmp(reads(4), "..x."), "it did not begin anew");
}
END_TEST

START_TEST(as_written)
{
	char text[8192], want[4096] = "";
	int i;

	start(BARE);
	set_rules(device, "  read   every=3\tEIO # each third\n\n# nothing\n   \n"
			  "open\tp=0.5 seed=7   uid=1000 comm=cat next=2 ENOMEM#why");
	expect_rules(device, "read every=3 EIO  # matched 0 fired 0\n"
			     "open p=0.5 seed=7 uid=1000 comm=cat next=2 ENOMEM  # matched 0 fired 0\n");
	/* What it shows it takes. */
	snprintf(text, sizeof(text), "%s", fault_text(device, "rules"));
	set_rules(device, "%s", text);
	expect_rules(device, text);
	set_rules(device, "# nothing but this\n");
	expect_rules(device, "");
	/* As many as there may be, each as long as it may be. */
	for (*text = '\0', i = 0; i < RULES; i++) {
		snprintf(text + strlen(text), 200, "ioctl nth=%081d EIO\n", 1);
		snprintf(want + strlen(want), 200,
			 "ioctl nth=%081d EIO  # matched 0 fired 0\n", 1);
	}
	set_rules(device, "%s", text);
	expect_rules(device, want);
	expect_errno(fault_put(device, "rules", "+read EIO"), EINVAL);
	expect_rules(device, want);
	for (i = 0; i < RULES; i++)
		expect_fails(IOCTL, EIO);
	expect_gave(IOCTL, perform(IOCTL, false), good(IOCTL));
}
END_TEST

/* --- what is refused --- */

/* Text that is no rule, and the word that @error has to name. */
static const struct {
	const char *text, *word;
} bad_rules[] = {
	{ "fly EIO", "fly" },
	{ "mmap EIO", "mmap" },
	{ "EIO read", "EIO" },
	{ "nth=3 read EIO", "nth=3" },
	{ "READ EIO", "READ" },
	{ "read", "read" },
	{ "read nth=3", "nth=3" },
	{ "read EFOO", "EFOO" },
	{ "read eio", "eio" },
	{ "read E", "E" },
	{ "read EIO=3", "EIO=3" },
	{ "read EIO ENXIO", "ENXIO" },
	{ "read EIO short=3", "short" },
	{ "read hang hang", "hang" },
	{ "read often EIO", "often" },
	{ "read sometimes=3 EIO", "sometimes" },
	{ "read write EIO", "write" },
	{ "read EIO;write EIO", "EIO;write" },
	{ "read nth EIO", "nth" },
	{ "read nth= EIO", "nth" },
	{ "read nth=0 EIO", "nth=0" },
	{ "read nth=-1 EIO", "nth=-1" },
	{ "read nth=x EIO", "nth=x" },
	{ "read nth=3x EIO", "nth=3x" },
	{ "read nth=1.5 EIO", "nth=1.5" },
	{ "read nth=99999999999999999999 EIO", "nth=9999" },
	{ "read nth=2 nth=3 EIO", "nth=3" },
	{ "read nth=2 every=2 EIO", "every=2" },
	{ "read every=2 nth=2 EIO", "nth=2" },
	{ "read every=0 EIO", "every=0" },
	{ "read next=0 EIO", "next=0" },
	{ "read next=two EIO", "next=two" },
	{ "read p=1.1 EIO", "p=1.1" },
	{ "read p=2 EIO", "p=2" },
	{ "read p=-0.5 EIO", "p=-0.5" },
	{ "read p= EIO", "p=" },
	{ "read p=. EIO", "p=." },
	{ "read p=0.1234567891 EIO", "p=0.1234567891" },
	{ "read p=0.5x EIO", "p=0.5x" },
	{ "read p=1/2 EIO", "p=1/2" },
	{ "read p=1.000000001 EIO", "p=1.000000001" },
	{ "read p=0.5 seed=x EIO", "seed=x" },
	{ "read from=x EIO", "from=x" },
	{ "read from=-1 EIO", "from=-1" },
	{ "open from=3 EIO", "from" },
	{ "poll from=3 EIO", "from" },
	{ "ioctl from=3 EIO", "from" },
	{ "read uid=root EIO", "uid=root" },
	{ "read uid=-1 EIO", "uid=-1" },
	{ "read uid=4294967295 EIO", "uid=4294967295" },
	{ "read uid=4294967296 EIO", "uid=4294967296" },
	{ "read comm= EIO", "comm=" },
	{ "read comm=sixteen-letters- EIO", "comm=sixteen-letters-" },
	{ "read short EIO", "short" },
	{ "read short=0", "short=0" },
	{ "read short=-1", "short=-1" },
	{ "read short=many", "short=many" },
	{ "open short=3", "short" },
	{ "ioctl short=3", "short" },
	{ "poll short=3", "short" },
	{ "seek short=3", "short" },
	{ "fsync short=3", "short" },
	{ "write corrupt", "corrupt" },
	{ "open corrupt", "corrupt" },
	{ "poll corrupt", "corrupt" },
	{ "read corrupt=3", "corrupt=3" },
	{ "read hang=3", "hang=3" },
	{ "read delay=5", "delay=5" },
	{ "read delay=ms", "delay=ms" },
	{ "read delay=s", "delay=s" },
	{ "read delay=", "delay=" },
	{ "read delay=5m", "delay=5m" },
	{ "read delay=-1s", "delay=-1s" },
	{ "read delay=3601s", "delay=3601s" },
	{ "read delay=3600001ms", "delay=3600001ms" },
	{ "read delay=99999999999999999999s", "delay=9999" },
	{ "read eagain", "eagain" },
	{ "read eagain=0", "eagain=0" },
	{ "read eagain=x", "eagain=x" },
	{ "read signal=", "signal=" },
	{ "read signal=FOO", "signal=FOO" },
	{ "read signal=KILL", "signal=KILL" },
	{ "read signal=14", "signal=14" },
	{ "read \001 EIO", "" },
};

static void expect_no_error(void)
{
	const char *error = fault_text(device, "error");

	expect(!*error || !strcmp(error, "\n"), "an error is left: \"%s\"",
	       error);
}

/* It is refused, and a line says where and which word. */
static void expect_refused(const char *text, const char *line, const char *word)
{
	const char *error;

	expect(fault_put(device, "rules", text) && errno == EINVAL,
	       "\"%s\" is not refused with EINVAL", text);
	error = fault_text(device, "error");
	expect(!strncmp(error, line, strlen(line)) && strstr(error, word) &&
	       strchr(error, '\n') == error + strlen(error) - 1,
	       "\"%s\" gave \"%s\", expected a line with %s and \"%s\"", text,
	       error, line, word);
}

START_TEST(bad_rule)
{
	char text[256];
	size_t i;

	start(BARE);
	expect_ret(pwrite(fd, "x", 1, 0), 1);
	for (i = 0; i < ARRAY_SIZE(bad_rules); i++) {
		set_rules(device, "read every=2 EIO\nwrite nth=2 EIO");
		expect_no_error();
		expect(!strcmp(reads(3), ".x."), "not every second");
		snprintf(text, sizeof(text),
			 "write EIO\n# nothing\n%s\nread EIO\n",
			 bad_rules[i].text);
		expect_refused(text, "line 3: ", bad_rules[i].word);
		snprintf(text, sizeof(text), "+%s", bad_rules[i].text);
		expect_refused(text, "line 1: ", bad_rules[i].word);
		/* The old ones are there, and go on. */
		expect_rules(device, "read every=2 EIO  # matched 3 fired 1\n"
				     "write nth=2 EIO  # matched 0 fired 0\n");
		expect(!strcmp(reads(2), "x."), "the old rules did not go on");
		sys(fault_put(device, "rules", "+read EIO"));
		expect_no_error();
	}
}
END_TEST

START_TEST(too_much)
{
	char text[2 * RULES * 20 + 200] = "";
	int i;

	start(BARE);
	set_rules(device, "read nth=5 EIO");
	for (i = 0; i <= RULES; i++)
		strcat(text, "write EIO\n");
	expect_refused(text, "line 17: ", "");
	/* Comments and empty lines are no rules. */
	text[strlen(text) - strlen("write EIO\n")] = '\0';
	strcat(text, "# write EIO\n\n");
	sys(fault_put(device, "rules", text));
	set_rules(device, "read nth=5 EIO");
	/* A rule of 96 characters. */
	snprintf(text, sizeof(text), "ioctl nth=%082d EIO", 1);
	expect_refused(text, "line 1: ", "");
	expect_rules(device, "read nth=5 EIO  # matched 0 fired 0\n");
}
END_TEST

START_TEST(pipe_rules)
{
	start(PIPE);
	set_rules(device, "read from=100 EIO");
	expect_refused("seek EIO", "line 1: ", "seek");
	expect_rules(device, "read from=100 EIO  # matched 0 fired 0\n");
}
END_TEST

START_TEST(bad_values)
{
	static const char *const limits[] = {
		"x", "-1", "1 2", "12x", "0x10", "no", "nonesuch", "1.5", "\n",
		"99999999999999999999", "9223372036854775808",
	};
	static const char *const holds[] = { "2", "x", "-1", "\n" };
	size_t i;

	start(_i);
	sys(fault_put(device, "limit", "123\n"));
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		expect_errno(fault_put(device, "limit", limits[i]), EINVAL);
		expect_fault_text(device, "limit", "123\n");
	}
	sys(fault_put(device, "limit", "0"));
	expect_fault_text(device, "limit", "0\n");
	sys(fault_put(device, "limit", "none\n"));
	expect_fault_text(device, "limit", "none\n");
	for (i = 0; i < ARRAY_SIZE(holds); i++) {
		expect_errno(fault_put(device, "hold", holds[i]), EINVAL);
		expect_fault_text(device, "hold", "0\n");
	}
	sys(fault_put(device, "hold", "1\n"));
	expect_fault_text(device, "hold", "1\n");
}
END_TEST

static const struct {
	const char *file;
	mode_t mode;
	const char *text;
} files[] = {
	{ "rules", 0600, "read EIO" },
	{ "limit", 0600, "100" },
	{ "hold", 0600, "1" },
	{ "error", 0400, "x" },
};

static void look_as_user(void *unused)
{
	char path[96];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/faults/%s", device,
			 files[i].file);
		expect_errno(attribute_open(path, O_RDONLY), EACCES);
		expect_errno(attribute_open(path, O_WRONLY), EACCES);
	}
}

static void put_without_capability(void *unused)
{
	struct user root = { 0, 0, 0, ALL_CAPS & ~CAP(SYS_ADMIN) };
	size_t i;

	become(&root);
	for (i = 0; i < 3; i++)
		expect_errno(fault_put(device, files[i].file, files[i].text),
			     EPERM);
}

START_TEST(privilege)
{
	char path[128];
	struct stat st;
	size_t i;

	start(_i);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), SYSFS "/%s/faults/%s", device,
			 files[i].file);
		sys(stat(path, &st));
		expect((st.st_mode & 07777) == files[i].mode, "mode of %s is 0%o",
		       path, st.st_mode & 07777);
		expect_ret(st.st_uid, 0);
	}
	run_as(ALICE, look_as_user, NULL);
	join(spawn(put_without_capability, NULL));
	expect_rules(device, "");
	expect_fault_text(device, "limit", "none\n");
	expect_fault_text(device, "hold", "0\n");
}
END_TEST

/* --- limit --- */

START_TEST(limit_of_bytes)
{
	int append;

	start(_i);
	expect_fault_text(device, "limit", "none\n");
	sys(fault_put(device, "limit", "100"));
	expect_fault_text(device, "limit", "100\n");
	fill(buf, 300, 0, 1);
	expect_ret(write(fd, buf, 60), 60);
	expect_ret(write(fd, buf + 60, 60), 40);
	expect_errno(write(fd, buf + 100, 60), ENOSPC);
	expect_ret(lseek(fd, 0, SEEK_CUR), 100);
	set_nonblock(fd, true);
	expect_errno(write(fd, buf + 100, 1), ENOSPC);
	expect_errno(pwrite(fd, buf, 1, 5000), ENOSPC);
	append = sys(get(O_RDWR | O_APPEND));
	expect_errno(write(append, buf, 10), ENOSPC);
	/* What is there can be written over, all paths, up to the end. */
	fill(buf, 300, 0, 2);
	expect_ret(pwrite(fd, buf, 100, 0), 100);
	expect_ret(pwrite(fd, buf + 99, 50, 99), 1);
	expect_ret(pread(fd, more, 300, 0), 100);
	expect_pattern(more, 100, 0, 2);
	/* More room: it goes on, without a gap. */
	sys(fault_put(device, "limit", "120"));
	expect_ret(write(append, buf + 100, 15), 15);
	expect_ret(write(append, buf + 115, 15), 5);
	expect_errno(write(append, buf, 1), ENOSPC);
	expect_ret(pread(fd, more, 300, 0), 120);
	expect_pattern(more, 120, 0, 2);
	/* Less than there is: none of that is lost, and all can be written over. */
	sys(fault_put(device, "limit", "50"));
	expect_ret(pread(fd, more, 300, 0), 120);
	expect_pattern(more, 120, 0, 2);
	fill(buf, 300, 0, 3);
	expect_ret(pwrite(fd, buf, 300, 0), 120);
	expect_errno(pwrite(fd, buf, 1, 120), ENOSPC);
	/* A trim, and what is left of the limit is smaller. */
	sys(close(get(O_WRONLY)));
	expect_ret(pwrite(fd, buf, 300, 0), 50);
	expect_ret(lseek(fd, 0, SEEK_END), 50);
	sys(fault_put(device, "limit", "0"));
	sys(close(get(O_WRONLY)));
	expect_errno(pwrite(fd, buf, 1, 0), ENOSPC);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
	sys(fault_put(device, "limit", "none"));
	expect_ret(pwrite(fd, buf, 300, 0), 300);
}
END_TEST

/* A hole counts as if it were written; other paths know the limit, too. */
START_TEST(limit_elsewhere)
{
	struct iovec vec[2] = { { buf, 30 }, { buf + 30, 70 } };
	int fds[2], file;
	off_t off = 0;

	start(_i);
	fill(buf, 300, 0, 1);
	sys(fault_put(device, "limit", "1000000"));
	expect_ret(pwrite(fd, buf, 100, 999990), 10);
	expect_ret(lseek(fd, 0, SEEK_END), 1000000);
	expect_errno(pwrite(fd, buf, 100, 1000000), ENOSPC);
	expect_ret(pwrite(fd, buf, 100, 500), 100);
	memset(more, 'x', 200);
	expect_ret(pread(fd, more, 200, 450), 200);
	expect_bytes(more, 50, 450, 0);
	expect_pattern(more + 50, 100, 0, 1);
	expect_bytes(more + 150, 50, 600, 0);

	sys(close(get(O_WRONLY)));
	sys(fault_put(device, "limit", "80"));
	expect_ret(pwritev(fd, vec, 2, 0), 80);
	expect_errno(pwritev(fd, vec, 2, 80), ENOSPC);
	expect_errno(pwritev2(fd, vec, 2, 0, RWF_APPEND), ENOSPC);
	expect_ret(pwritev2(fd, vec, 2, 10, RWF_NOWAIT), 70);
	sys(close(get(O_WRONLY)));
	sys(pipe(fds));
	expect_ret(write(fds[1], buf, 100), 100);
	expect_ret(splice(fds[0], NULL, fd, &off, 100, 0), 80);
	expect_errno(splice(fds[0], NULL, fd, &off, 20, 0), ENOSPC);
	sys(close(get(O_WRONLY)));
	file = sys(memfd_create("bytes", 0));
	expect_ret(pwrite(file, buf, 100, 0), 100);
	sys(lseek(fd, 0, SEEK_SET));
	off = 0;
	expect_ret(sendfile(fd, file, &off, 100), 80);
	expect_ret(pread(fd, more, 300, 0), 80);
	expect_pattern(more, 80, 0, 1);
}
END_TEST

START_TEST(limit_of_pipe)
{
	int nonblock;

	start(PIPE);
	nonblock = pipe_open(0, O_WRONLY | O_NONBLOCK);
	sys(fault_put(device, "limit", "100"));
	fill(buf, 10000, 0, 1);
	expect_ret(write(fd, buf, 60), 60);
	/* Also one that would have to be whole. */
	expect_ret(write(fd, buf + 60, 60), 40);
	expect_errno(write(fd, buf, 60), ENOSPC);
	expect_errno(write(nonblock, buf, 60), ENOSPC);
	expect_ret(read(fd, more, 30), 30);
	expect_pattern(more, 30, 0, 1);
	expect_ret(write(nonblock, buf + 100, 60), 30);
	expect_errno(write(fd, buf, 1), ENOSPC);
	expect_ret(read(fd, more, 200), 100);
	expect_pattern(more, 100, 30, 1);
	expect_ret(write(fd, buf, 7000), 100);
	/* Less than is in it: nothing is lost. */
	sys(fault_put(device, "limit", "20"));
	expect_errno(write(fd, buf, 1), ENOSPC);
	expect_ret(read(fd, more, 79), 79);
	expect_errno(write(fd, buf, 1), ENOSPC);
	expect_ret(read(fd, more + 79, 2), 2);
	expect_ret(write(fd, buf + 100, 50), 1);
	expect_ret(read(fd, more + 81, 50), 20);
	expect_pattern(more, 101, 0, 1);
	sys(fault_put(device, "limit", "0"));
	expect_errno(write(fd, buf, 1), ENOSPC);
	expect_errno(read(peek, more, 1), EAGAIN);
	/* More than fits anyway: as without. */
	sys(fault_put(device, "limit", "10000"));
	expect_ret(write(fd, buf, 10000), CAPACITY);
	expect_errno(write(nonblock, buf, 1), EAGAIN);
	expect_ret(read(fd, more, 10000), CAPACITY);
	/* Just what fits: ENOSPC where it would wait. */
	sys(fault_put(device, "limit", "8192"));
	expect_ret(write(fd, buf, 10000), CAPACITY);
	expect_errno(write(fd, buf, 1), ENOSPC);
	sys(fault_put(device, "limit", "none"));
	expect_errno(write(nonblock, buf, 1), EAGAIN);
}
END_TEST

static void write_more(void *unused)
{
	call->ret = write(fd, buf, 100);
	call->err = errno;
}

/* Who waited for room when the limit came is let go, and tells what he wrote. */
START_TEST(limit_and_waiters)
{
	ssize_t n;
	pid_t pid;

	start(PIPE);
	call = shared(sizeof(*call));
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	pid = spawn(write_more, NULL);
	wait_asleep(pid, SYS_write);
	sys(fault_put(device, "limit", "50"));
	expect_ret(read(peek, more, CAPACITY), CAPACITY);
	expect_ret(join_within(pid, 30), 0);
	expect(call->ret > 0 || (call->ret == -1 && call->err == ENOSPC),
	       "write gave %lld: %s", call->ret, strerror(call->err));
	n = read(peek, more, sizeof(more));
	expect((n < 0 ? 0 : n) == (call->ret < 0 ? 0 : call->ret),
	       "%lld bytes were written, %zd were there", call->ret, n);
}
END_TEST

/* --- hold --- */

START_TEST(held)
{
	pid_t pid;
	int op;

	start(_i);
	for_each_op(op) {
		before(op);
		set_nonblock(fd, op % 2);
		sys(fault_put(device, "hold", "1"));
		pid = begin_call(op);
		expect_kept(op, pid);
		/* Rules that come and go are not its business. */
		set_rules(device, "ioctl nth=1000 EIO");
		clear_rules(device);
		nap_ms(10);
		expect_kept(op, pid);
		sys(fault_put(device, "hold", "0"));
		expect_ends(op, pid, good(op));
		good_after(op);
		before(op);
		sys(fault_put(device, "hold", "1"));
		pid = begin_call(op);
		expect_kept(op, pid);
		kill_and_join(pid);
		sys(fault_put(device, "hold", "0"));
		expect_untouched(op);
	}
	/* Who is let go has yet to face the rules. */
	sys(fault_put(device, "hold", "1"));
	set_rules(device, "ioctl EIO");
	pid = begin_call(IOCTL);
	expect_kept(IOCTL, pid);
	expect_rules(device, "ioctl EIO  # matched 0 fired 0\n");
	sys(fault_put(device, "hold", "0"));
	ended_at(__LINE__, IOCTL, pid);
	gave_at(__LINE__, IOCTL, call->ret, 0, EIO);
	expect_rules(device, "ioctl EIO  # matched 1 fired 1\n");
	expect_opens(2);
}
END_TEST

START_TEST(hold_and_close)
{
	int other;

	start(_i);
	other = sys(get(O_RDWR));
	sys(fault_put(device, "hold", "1"));
	/* Nobody waits to close. */
	expect_ret(close(other), 0);
	expect_opens(2);
	expect_ret(poll_now(fd, POLLIN | POLLOUT), 0);
	sys(fault_put(device, "hold", "0"));
	expect_ret(poll_now(fd, POLLOUT), POLLOUT);
}
END_TEST

static struct snare *snare;

static void write_and_stall(void *unused)
{
	snare_set(snare, 1);
	expect_ret(write(fd, snare->mem, 1), 1);
}

/* A process in the middle of writing a byte, until snare_fill() brings it. */
static pid_t stalled_writer(void)
{
	pid_t pid;

	snare_possible();
	snare = shared(sizeof(*snare));
	pid = spawn(write_and_stall, NULL);
	snare_wait(snare, pid);
	return pid;
}

/* Who has begun already is neither held nor asked. */
START_TEST(hold_comes_late)
{
	char page[65536] = "x";
	pid_t pid;

	start(_i);
	pid = stalled_writer();
	sys(fault_put(device, "hold", "1"));
	set_rules(device, "write EIO");
	snare_fill(snare, 0, page);
	expect_ret(join_within(pid, 30), 0);
	expect_rules(device, "write EIO  # matched 0 fired 0\n");
	sys(fault_put(device, "hold", "0"));
	expect_holds("x");
}
END_TEST

static void write_too_far(void *unused)
{
	expect_errno(pwrite(fd, "abcde", 5, 10), ENOSPC);
}

/* A limit is for those, too, who wait for their turn when it comes. */
START_TEST(limit_comes_late)
{
	char page[65536] = "x";
	pid_t first, second;

	start(_i);
	first = stalled_writer();
	second = spawn(write_too_far, NULL);
	wait_until(held_in(second, SYS_pwrite64), 30,
		   "a write does not wait for the one before it");
	sys(fault_put(device, "limit", "5"));
	snare_fill(snare, 0, page);
	expect_ret(join_within(first, 30), 0);
	expect_ret(join_within(second, 30), 0);
	sys(fault_put(device, "limit", "none"));
	expect_holds("x");
}
END_TEST

/* --- calls that must not wait --- */

START_TEST(without_waiting)
{
	struct iovec vec = { buf, LEN };
	static const char *const waits[] = {
		"read delay=3600s", "read hang", "read nth=1 hang",
	};
	off_t at = _i == PIPE ? -1 : 0;
	char want[96];
	size_t i;

	start(_i);
	before(READ);
	for (i = 0; i < ARRAY_SIZE(waits); i++) {
		set_rules(device, "%s", waits[i]);
		expect_errno(preadv2(fd, &vec, 1, at, RWF_NOWAIT), EAGAIN);
		expect_errno(preadv2(fd, &vec, 1, at, RWF_NOWAIT), EAGAIN);
		snprintf(want, sizeof(want), "%s  # matched 0 fired 0\n",
			 waits[i]);
		expect_rules(device, want);
	}
	set_rules(device, "write hang");
	expect_errno(pwritev2(fd, &vec, 1, at, RWF_NOWAIT), EAGAIN);
	clear_rules(device);
	sys(fault_put(device, "hold", "1"));
	expect_errno(preadv2(fd, &vec, 1, at, RWF_NOWAIT), EAGAIN);
	expect_errno(pwritev2(fd, &vec, 1, at, RWF_NOWAIT), EAGAIN);
	sys(fault_put(device, "hold", "0"));
	/* What does not wait happens. */
	set_rules(device, "read nth=1 EIO\nread short=4");
	expect_errno(preadv2(fd, &vec, 1, at, RWF_NOWAIT), EIO);
	expect_ret(preadv2(fd, &vec, 1, at, RWF_NOWAIT), 4);
	expect(!memcmp(buf, TEXT, 4), "came: %.4s", buf);
}
END_TEST

/* O_NONBLOCK does not keep from being late. */
START_TEST(late_nonblock)
{
	long long began, took;

	start(_i);
	before(READ);
	set_nonblock(fd, true);
	set_rules(device, "read delay=20ms");
	began = now_ms();
	expect_good(READ);
	took = now_ms() - began;
	expect(took >= 20, "it took %lld ms", took);
}
END_TEST

/* --- what calls say is true --- */

#define TOTAL 40000

static const char storm_rules[] =
	"write every=3 short=5\n"
	"write every=7 EIO\n"
	"write p=0.2 short=1\n"
	"write every=11 eagain=2\n"
	"write every=13 signal=USR1\n"
	"read every=4 short=3\n"
	"read every=5 eagain=2\n"
	"read every=9 signal=USR1\n"
	"read p=0.1 ENOMEM seed=9\n";

static bool expected_error(ssize_t n)
{
	return n < 0 && (errno == EIO || errno == EAGAIN || errno == EINTR ||
			 errno == ENOMEM);
}

static void write_all(void *unused)
{
	size_t at = 0;
	ssize_t n;

	handle(SIGUSR1, 0);
	fill(buf, TOTAL, 0, 3);
	while (at < TOTAL) {
		n = write(fd, buf + at, TOTAL - at < 300 ? TOTAL - at : 300);
		expect(n > 0 || expected_error(n), "write gave %zd: %s", n,
		       strerror(errno));
		at += n > 0 ? n : 0;
	}
}

static void read_all(void)
{
	size_t at = 0;
	ssize_t n;

	handle(SIGUSR1, 0);
	while (at < TOTAL) {
		n = read(fd, more + at, TOTAL - at < 200 ? TOTAL - at : 200);
		expect(n > 0 || expected_error(n), "read gave %zd: %s", n,
		       strerror(errno));
		at += n > 0 ? n : 0;
	}
	expect_pattern(more, TOTAL, 0, 3);
}

/* Whoever goes on after each failure, from where he is, moves all bytes once. */
START_TEST(nothing_lost)
{
	pid_t pid;

	start(_i);
	set_rules(device, "%s", storm_rules);
	pid = spawn(write_all, NULL);
	if (which == PIPE) {
		read_all();
		expect_ret(join_within(pid, 30), 0);
		return;
	}
	join(pid);
	sys(lseek(fd, 0, SEEK_SET));
	read_all();
	clear_rules(device);
	expect_ret(pread(fd, more, sizeof(more), 0), TOTAL);
	expect_pattern(more, TOTAL, 0, 3);
}
END_TEST

/* --- while others change the rules --- */

static const char *const changes[] = {
	"read EIO\nwrite hang\npoll hang", "read hang", "\n",
	"read p=0.5 delay=1ms\nwrite every=2 eagain=5\npoll eagain=2",
	"read corrupt\nwrite short=2\nopen p=0.3 hang",
	"+ioctl hang", "+read nth=100 EIO", "bad", "poll EIO\nfsync hang\nopen EIO",
	"read delay=3600s", "read from=10 hang\nwrite from=500 EIO",
};

struct storm {
	int over;
};

static void change_rules(struct storm *storm)
{
	static const char *const limits[] = { "none", "0", "50", "5000" };
	int i;

	for (i = 0; i < repeat(600); i++) {
		fault_put(device, "rules", changes[below(ARRAY_SIZE(changes))]);
		if (!below(4))
			sys(fault_put(device, "hold", "1"));
		if (!below(4))
			sys(fault_put(device, "limit", limits[below(4)]));
		fault_text(device, "rules");
		fault_text(device, "error");
		if (below(2))
			sys(fault_put(device, "hold", "0"));
	}
	__atomic_store_n(&storm->over, 1, __ATOMIC_SEQ_CST);
	heal();
}

/* Whatever a call gives, it ends. */
static void weather(int me, void *arg)
{
	struct storm *storm = arg;
	char bytes[600] = "";
	int i;

	for (i = 0; i < 1000 * me; i++)
		rnd();
	if (!me) {
		change_rules(storm);
		return;
	}
	fd = get(O_RDWR | O_NONBLOCK);
	while (fd < 0 || !__atomic_load_n(&storm->over, __ATOMIC_SEQ_CST)) {
		switch (fd < 0 ? 0 : below(9)) {
		case 0:
			close(fd);
			fd = get(O_RDWR | O_NONBLOCK);
			break;
		case 1:
		case 2:
			read(fd, bytes, 1 + below(sizeof(bytes)));
			break;
		case 3:
		case 4:
			write(fd, bytes, 1 + below(sizeof(bytes)));
			break;
		case 5:
			poll_now(fd, POLLIN | POLLOUT);
			break;
		case 6:
			perform(IOCTL, false);
			break;
		case 7:
			if (which != PIPE)
				fsync(fd);
			break;
		default:
			lseek(fd, below(1000), SEEK_SET);
		}
	}
}

START_TEST(rules_in_a_storm)
{
	int op;

	start(_i);
	seed_rnd();
	/*
	 * Calls are never patched to ask nobody, or the other way round: an
	 * emulated processor may die of that (QEMU before 8.1).
	 */
	set_rules("scull1", "open nth=1000000 EIO");
	together(6, weather, shared(sizeof(struct storm)));
	for_each_op(op) {
		before(op);
		expect_good(op);
	}
	expect_opens(2);
}
END_TEST

static void make_ioctl(void *unused)
{
	expect_ret(perform(IOCTL, true), good(IOCTL));
}

static void make_fsync(void *unused)
{
	expect_ret(perform(FSYNC, true), 0);
}

#define CROWD 20

START_TEST(crowd_let_go)
{
	pid_t pids[CROWD];
	int i, way;

	start(_i);
	for (way = 0; way < WAYS; way++) {
		set_rules(device, "ioctl hang\nfsync delay=3600s");
		for (i = 0; i < CROWD; i++)
			pids[i] = spawn(i % 2 ? make_ioctl : make_fsync, NULL);
		for (i = 0; i < CROWD; i++)
			expect_kept(i % 2 ? IOCTL : FSYNC, pids[i]);
		let_go(way);
		for (i = 0; i < CROWD; i++)
			expect(join_within(pids[i], 30) == 0,
			       "process %d of %d still waits", i, CROWD);
	}
}
END_TEST

#define FOR_KINDS(code, what)						\
	{ &code, "a bare device: " what, BARE, 120 },			\
	{ &code, "a pipe: " what, PIPE, 120 },				\
	{ &code, "sculluid: " what, GUARDED, 120 }
#define FOR_STORES(code, what)						\
	{ &code, "a bare device: " what, BARE, 120 },			\
	{ &code, "sculluid: " what, GUARDED, 120 }

static const struct test tests[] = {
	FOR_KINDS(errors, "each call fails with EIO, and nothing is done"),
	{ &all_errnos, "each errno by its name" },
	FOR_KINDS(shortened, "short reads and writes"),
	FOR_KINDS(delayed, "each call is late"),
	FOR_KINDS(hanging, "each call hangs until it is let go"),
	FOR_KINDS(hanging_killed, "each call that hangs can be killed"),
	FOR_KINDS(poll_hangs, "poll that hangs says nothing"),
	{ &poll_sleeps, "a pipe: who sleeps in poll when rules come" },
	FOR_KINDS(again, "each call gives EAGAIN several times"),
	FOR_KINDS(interrupted, "a signal interrupts each call, or it is made again"),
	{ &all_signals, "each signal by its name" },
	FOR_KINDS(not_interrupted, "a signal that does not arrive"),
	FOR_KINDS(corrupted, "one bit of what is read, by each path"),
	FOR_KINDS(corrupted_little, "one bit of little, none of nothing"),
	FOR_KINDS(corrupted_and_cut, "one bit of what came before a bad address"),
	{ &same_bits, "the same seed flips the same bits" },
	{ &fires_when, "nth, every, next, p, from: at which calls" },
	{ &by_chance, "p: about as many, the same for the same seed", 0, 120 },
	FOR_STORES(from_offset, "from: cut there, failing behind"),
	{ &from_in_stream, "from of a pipe: bytes since there are faults" },
	{ &by_user, "uid: who opened it" },
	{ &others_unharmed, "uid: nothing happens to others" },
	{ &by_name, "comm: who calls" },
	{ &other_devices, "nothing happens to other devices" },
	{ &several_rules, "several rules, up to one that ends the call" },
	{ &added_rules, "+ adds rules, and the old ones go on" },
	{ &as_written, "rules and their counts are shown as written" },
	{ &bad_rule, "a bad rule is refused, its word named, the old ones kept" },
	{ &too_much, "too many rules, one that is too long" },
	{ &pipe_rules, "a pipe has no position" },
	FOR_KINDS(bad_values, "limit and hold refuse what is no value"),
	FOR_KINDS(privilege, "for root with CAP_SYS_ADMIN only"),
	FOR_STORES(limit_of_bytes, "limit: short, then ENOSPC; append, overwrite, trim"),
	FOR_STORES(limit_elsewhere, "limit: holes, vectors, splice, sendfile"),
	{ &limit_of_pipe, "a pipe: limit: short, then ENOSPC, blocking or not" },
	{ &limit_and_waiters, "a pipe: limit, and a writer who waits" },
	FOR_KINDS(held, "hold: each call waits, and goes on"),
	FOR_KINDS(hold_and_close, "hold: close does not wait, poll says nothing"),
	FOR_KINDS(hold_comes_late, "hold: who has begun is not held"),
	FOR_STORES(limit_comes_late, "limit: who waits for his turn is held to it"),
	FOR_KINDS(without_waiting, "RWF_NOWAIT: EAGAIN in place of waiting"),
	FOR_KINDS(late_nonblock, "O_NONBLOCK: late all the same"),
	FOR_KINDS(nothing_lost, "what calls say they moved was moved"),
	FOR_KINDS(rules_in_a_storm, "rules change while others work"),
	FOR_KINDS(crowd_let_go, "a crowd that hangs is let go at once"),
};

int main(int argc, char **argv)
{
	before_cases = heal;
	return run_tests(argc, argv, "inject", tests, ARRAY_SIZE(tests));
}
