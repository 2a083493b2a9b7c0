// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on a bare device and a pipe that have random faults, against a
 * model that knows the rules: which of them match a call, which fire, what the call
 * gives then and what it moves. Each device has rules and a limit of its own, so one
 * shows that it is not harmed by the other's.
 *
 * All of that is compared to the last byte but for what the kernel's generator of
 * random numbers decides. Whether a rule with a probability has fired is taken from
 * its count, read after the call; then the call and the counts of all rules have to
 * be just what follows from that. Of a read that is to be corrupted, exactly one bit
 * has to differ, whichever. The end of each round, and some operations before,
 * take the faults away and compare everything that the devices hold.
 *
 * In every other round the rules are for root's files only, and a file that another
 * user opened looks at the bare device after each call: its calls are neither harmed
 * nor counted.
 *
 * Nothing here waits: delay, hang and hold are for test_inject to try.
 */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../scull.h"

#define ROOM		8192	/* bytes of the bare device that are used */
#define QUANTUM		1000
#define QSET		5
#define CAPACITY_MOST	8192
#define RULES		16
#define STRANGER	12345	/* a user with no rules of his own */
/* A limit that nothing reaches. */
#define ENDLESS		"4611686018427387904"

enum {
	FRESH, RULE, BAD, CLEAR, LIMIT, READ, WRITE, SEEK, POLL, IOCTL, SYNC,
	OPEN, TRIM, COUNTS, VERIFY, LIE,
};

static const struct kind kinds[] = {
	[FRESH]		= { "fresh", 2 },	/* capacity uid */
	/* dev op what arg nth every from next permille */
	[RULE]		= { "rule", 9 },
	[BAD]		= { "bad", 2 },		/* dev which */
	[CLEAR]		= { "clear", 1 },	/* dev */
	[LIMIT]		= { "limit", 2 },	/* dev bytes, -1 for none */
	[READ]		= { "read", 5 },	/* dev how off len pieces */
	[WRITE]		= { "write", 6 },	/* dev how off len data pieces */
	[SEEK]		= { "seek", 1 },	/* off */
	[POLL]		= { "poll", 1 },	/* dev */
	[IOCTL]		= { "ioctl", 1 },	/* dev */
	[SYNC]		= { "sync", 1 },	/* dev */
	[OPEN]		= { "open", 1 },	/* dev */
	[TRIM]		= { "trim", 0 },
	[COUNTS]	= { "counts", 1 },	/* dev */
	[VERIFY]	= { "verify", 0 },
	[LIE]		= { "lie", 1 },		/* place */
};

enum { STORE, PIPE, DEVS };

/* How bytes are moved; a pipe has no places. */
enum { HERE, PLACED, NOWAIT, SPLICED, APPEND = SPLICED, HOWS };

/* The operations of rules, in the order in which scripts number them. */
enum { OP_READ, OP_WRITE, OP_OPEN, OP_IOCTL, OP_POLL, OP_FSYNC, OP_SEEK, OPS };

static const char *const op_names[OPS] = {
	"read", "write", "open", "ioctl", "poll", "fsync", "seek",
};

enum { ERROR, SHORT, AGAIN, SIGNAL, CORRUPT, WHATS };

static const struct {
	const char *name;
	int value;
} errnos[] = {
	{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EINTR", EINTR },
	{ "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN }, { "ETIMEDOUT", ETIMEDOUT },
	{ "EPERM", EPERM }, { "ENODEV", ENODEV },
};

static const char *const bad_rules[] = {
	"read EFOO", "fly EIO", "read nth=2 every=2 EIO", "read short=0",
	"write corrupt", "open short=3", "read EIO EIO", "read p=1.5 EIO",
	"write EIO\nwrite nth=0 EIO", "read delay=5",
};

/* A rule as the model knows it; without the words that are 0, or -1 for @permille. */
struct rule {
	int op, what;
	long long arg, nth, every, from, next, permille;
	unsigned long long matched, fired, again;
};

/* What happens to a call. */
struct fault {
	int err;
	int signals;
	long long most;
	bool corrupt;
	bool any;		/* did a rule fire? */
};

struct counts {
	unsigned long long matched, fired;
};

static struct dev {
	const char *name;
	char path[PATH_MAX];
	int fd;
	int rules_fd, limit_fd;	/* in sysfs */
	struct rule rules[RULES];
	int count;
	long long limit;	/* -1: none */
	long long moved[2];	/* by OP_READ and OP_WRITE, while there are faults */
} devs[DEVS] = {
	[STORE]	= { .name = "scull", .fd = -1, .rules_fd = -1, .limit_fd = -1 },
	[PIPE]	= { .name = "scullpipe", .fd = -1, .rules_fd = -1, .limit_fd = -1 },
};

static int probe = -1;		/* the stranger's, of the bare device */
static int pipes[2] = { -1, -1 };

/* What the devices should hold. */
static struct model {
	unsigned char *store, *pipe;
	long long size, pos;
	long long capacity, in, out;
	bool root_only;		/* rules are for root's files, the probe looks */
	long long ops, faulty;	/* of this round, to steer by */
} m;

static unsigned char *buf, *want;
static volatile int caught;

/* --- the model of what devices hold --- */

static long long used(void)
{
	return m.in - m.out;
}

static long long unit(void)
{
	return at_most(m.capacity, PIPE_BUF);
}

static long long before_end(long long off, long long len)
{
	return off >= m.size ? 0 : at_most(len, m.size - off);
}

static void put_pipe(const unsigned char *from, long long n)
{
	long long i;

	for (i = 0; i < n; i++)
		m.pipe[(m.in + i) % CAPACITY_MOST] = from[i];
	m.in += n;
}

/* The next bytes of the pipe, which it has then no more. */
static void take_pipe(unsigned char *to, long long n)
{
	long long i;

	for (i = 0; i < n; i++)
		to[i] = m.pipe[(m.out + i) % CAPACITY_MOST];
	m.out += n;
}

static void put_store(long long off, const unsigned char *from, long long n)
{
	if (n <= 0)
		return;
	memcpy(m.store + off, from, n);
	if (off + n > m.size)
		m.size = off + n;
}

static void empty_store(void)
{
	memset(m.store, 0, ROOM);
	m.size = 0;
}

/* --- the model of faults --- */

static bool armed(const struct dev *d)
{
	return d->count || d->limit >= 0;
}

/* Whoever begins to have faults begins to count what he moves. */
static void changed(struct dev *d, bool before)
{
	if (!before)
		d->moved[OP_READ] = d->moved[OP_WRITE] = 0;
}

static bool draws(const struct rule *r)
{
	return r->permille > 0 && r->permille < 1000;
}

/* It will never fire again. */
static bool is_over(const struct rule *r)
{
	return !r->again &&
	       ((r->nth && r->matched >= (unsigned long long)r->nth) ||
		(r->next && r->fired >= (unsigned long long)r->next));
}

/*
 * Does it fire at the call that it has just matched? Where that is a matter of
 * chance, @seen tells what its count was then.
 */
static bool fires(struct rule *r, const struct counts *seen)
{
	if (r->again) {
		r->again--;
		return true;
	}
	if (r->nth && r->matched != (unsigned long long)r->nth)
		return false;
	if (r->every && r->matched % r->every)
		return false;
	if (r->next && r->fired >= (unsigned long long)r->next)
		return false;
	if (!r->permille || (draws(r) && seen->fired <= r->fired))
		return false;
	if (r->what == AGAIN)
		r->again = r->arg - 1;
	return true;
}

/* Returns whether the search for more ends here. */
static bool apply(const struct rule *r, struct fault *f)
{
	f->any = true;
	switch (r->what) {
	case ERROR:
		f->err = errnos[r->arg].value;
		return true;
	case SHORT:
		f->most = at_most(f->most, r->arg);
		return false;
	case AGAIN:
		f->err = EAGAIN;
		return true;
	case SIGNAL:
		f->err = EINTR;
		f->signals = 1;
		return true;
	default:
		f->corrupt = true;
		return false;
	}
}

/* What happens to a call of @len bytes at @pos, given what the rules show after. */
static struct fault judge(struct dev *d, int op, long long pos, long long len,
			  const struct counts *seen)
{
	struct fault f = { .most = len };
	int i;

	for (i = 0; i < d->count; i++) {
		struct rule *r = &d->rules[i];

		if (r->op != op)
			continue;
		if (op <= OP_WRITE && pos < r->from) {
			if (!is_over(r))
				f.most = at_most(f.most, r->from - pos);
			continue;
		}
		r->matched++;
		if (!fires(r, &seen[i]))
			continue;
		r->fired++;
		if (apply(r, &f))
			break;
	}
	return f;
}

/* --- the rules in the kernel --- */

/* 0, or the error that a file in sysfs gave for this text. */
static int put(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? errno : 0;
}

static void must_put(int fd, const char *text)
{
	int err = put(fd, text);

	if (err)
		differ("\"%s\" is not taken: %s", text, strerror(err));
}

/* The text of a rule, as it is written and shown. */
static void rule_text(const struct rule *r, char *text, size_t room)
{
	FILE *f = fmemopen(text, room, "w");

	fputs(op_names[r->op], f);
	if (m.root_only)
		fputs(" uid=0", f);
	if (r->nth)
		fprintf(f, " nth=%lld", r->nth);
	if (r->every)
		fprintf(f, " every=%lld", r->every);
	if (r->from)
		fprintf(f, " from=%lld", r->from);
	if (r->next)
		fprintf(f, " next=%lld", r->next);
	if (r->permille >= 0)
		fprintf(f, " p=%lld.%03lld seed=%lld", r->permille / 1000,
			r->permille % 1000, r->permille);
	switch (r->what) {
	case ERROR:
		fprintf(f, " %s", errnos[r->arg].name);
		break;
	case SHORT:
		fprintf(f, " short=%lld", r->arg);
		break;
	case AGAIN:
		fprintf(f, " eagain=%lld", r->arg);
		break;
	case SIGNAL:
		fputs(" signal=USR1", f);
		break;
	case CORRUPT:
		fputs(" corrupt", f);
	}
	fclose(f);
}

static void read_counts(struct dev *d, struct counts counts[RULES])
{
	char text[4096], *at = text;
	ssize_t n = pread(d->rules_fd, text, sizeof(text) - 1, 0);
	int i;

	if (n < 0)
		differ("rules of %s: %s", d->path, strerror(errno));
	text[n] = '\0';
	for (i = 0; i < d->count; i++) {
		at = strstr(at, "# matched ");
		if (!at || sscanf(at, "# matched %llu fired %llu",
				  &counts[i].matched, &counts[i].fired) != 2)
			differ("%s shows %d rules of %d", d->path, i,
			       d->count);
		at++;
	}
	if (strstr(at, "# matched "))
		differ("%s shows more than %d rules", d->path, d->count);
}

static void compare_counts(struct dev *d, const struct counts seen[RULES])
{
	int i;

	for (i = 0; i < d->count; i++) {
		const struct rule *r = &d->rules[i];
		char text[128];

		if (seen[i].matched == r->matched && seen[i].fired == r->fired)
			continue;
		rule_text(r, text, sizeof(text));
		differ("rule %d of %s, \"%s\": expected matched %llu fired %llu, found matched %llu fired %llu",
		       i + 1, d->path, text, r->matched, r->fired,
		       seen[i].matched, seen[i].fired);
	}
}

/* Every word of every rule, too. */
static void compare_rules(struct dev *d)
{
	char text[4096], *at = text, *line, rule[128], expected[192];
	ssize_t n = pread(d->rules_fd, text, sizeof(text) - 1, 0);
	int i;

	if (n < 0)
		differ("rules of %s: %s", d->path, strerror(errno));
	text[n] = '\0';
	for (i = 0; i < d->count; i++) {
		line = strsep(&at, "\n");
		rule_text(&d->rules[i], rule, sizeof(rule));
		snprintf(expected, sizeof(expected), "%s  # matched %llu fired %llu",
			 rule, d->rules[i].matched, d->rules[i].fired);
		if (!line || strcmp(line, expected))
			differ("rule %d of %s: expected \"%s\", found \"%s\"",
			       i + 1, d->path, expected, line ?: "");
	}
	if (at && *at)
		differ("%s has more rules than %d: \"%s\"", d->path, d->count,
		       at);
}

/* Is what happens to this call a matter of chance? */
static bool by_chance(const struct dev *d, int op)
{
	int i;

	for (i = 0; i < d->count; i++)
		if (d->rules[i].op == op && draws(&d->rules[i]))
			return true;
	return false;
}

/* What should have happened to the call that was just made. */
static struct fault judge_after(struct dev *d, int op, long long pos,
				long long len)
{
	struct counts seen[RULES] = { { 0 } };
	bool look = by_chance(d, op);
	struct fault f;

	if (look)
		read_counts(d, seen);
	f = judge(d, op, pos, len, seen);
	if (look)
		compare_counts(d, seen);
	if (caught != f.signals)
		differ("%d signals came, expected %d", caught, f.signals);
	caught = 0;
	m.faulty += f.any;
	return f;
}

static enum outcome outcome_of(const struct fault *f)
{
	return f->any ? CROSSED : DONE;
}

/* The same for a call that moves nothing. */
static enum outcome check_call(struct dev *d, int op, const char *what,
			       long long ret, long long want, int err)
{
	int seen = errno;
	struct fault f = judge_after(d, op, 0, 0);

	errno = seen;
	same_ret(what, ret, want, f.err ?: err);
	return outcome_of(&f);
}

static void clear_rules(struct dev *d)
{
	bool before = armed(d);

	must_put(d->rules_fd, "\n");
	d->count = 0;
	changed(d, before);
}

static void set_limit(struct dev *d, long long limit)
{
	bool before = armed(d);
	char text[32] = "none";

	if (limit >= 0)
		snprintf(text, sizeof(text), "%lld", limit);
	must_put(d->limit_fd, text);
	d->limit = limit;
	changed(d, before);
}

/* --- comparing --- */

static int bits_between(const unsigned char *a, const unsigned char *b, long long n)
{
	int bits = 0;
	long long i;

	for (i = 0; i < n; i++)
		bits += __builtin_popcount(a[i] ^ b[i]);
	return bits;
}

/* Before 6.5 what is spliced cannot be changed any more. */
static bool splice_is_final(void)
{
	static int final = -1;
	int major, minor;
	struct utsname u;

	if (final < 0) {
		uname(&u);
		final = sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
			(major < 6 || (major == 6 && minor < 5));
	}
	return final;
}

/* buf holds @n bytes that were read, want those that were due. */
static void compare_read(const char *what, long long at, long long n,
			 const struct fault *f, bool spliced)
{
	int bits;

	if (!f->corrupt || n <= 0 || (spliced && splice_is_final())) {
		same_bytes(what, at, buf, want, n < 0 ? 0 : n);
		return;
	}
	bits = bits_between(buf, want, n);
	if (bits != 1)
		differ("%s to be corrupted: %d bits of %lld bytes differ, expected 1",
		       what, bits, n);
}

static void compare_position(void)
{
	int i;

	/* A rule may have its say, and its count, in an lseek(). */
	for (i = 0; i < devs[STORE].count; i++)
		if (devs[STORE].rules[i].op == OP_SEEK)
			return;
	same_ret("position", lseek(devs[STORE].fd, 0, SEEK_CUR), m.pos, 0);
}

/* The stranger sees what there is. */
static void look(long long off, long long len)
{
	long long n;

	if (!m.root_only)
		return;
	off = off < 16 ? 0 : off - 16;
	n = before_end(off, len + 32);
	same_ret("what the stranger reads", pread(probe, buf, len + 32, off), n,
		 0);
	same_bytes("what the stranger reads", off, buf, m.store + off, n);
}

/* Without faults: all that the devices hold, the pipe for the last time. */
static void compare_all(void)
{
	long long n = used();

	same_ret("size", lseek(devs[STORE].fd, 0, SEEK_END), m.size, 0);
	same_ret("all of the bare device",
		 pread(devs[STORE].fd, buf, ROOM + 100, 0), m.size, 0);
	same_bytes("all of the bare device", 0, buf, m.store, m.size);
	same_ret("back", lseek(devs[STORE].fd, m.pos, SEEK_SET), m.pos, 0);
	same_ret("all of the pipe", read(devs[PIPE].fd, buf, CAPACITY_MOST + 1),
		 n, n ? 0 : EAGAIN);
	take_pipe(want, n);
	same_bytes("all of the pipe", m.out - n, buf, want, n);
}

/* --- the devices --- */

static void close_all(void)
{
	int i;

	for (i = 0; i < DEVS; i++) {
		if (devs[i].fd >= 0)
			close(devs[i].fd);
		devs[i].fd = -1;
	}
	if (probe >= 0)
		close(probe);
	probe = -1;
}

static int open_or_give_up(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		give_up("open %s: %s", path, strerror(errno));
	return fd;
}

/* As a file that the stranger opened, though he could not without root's rights. */
static int open_as_stranger(const char *path)
{
	int fd;

	if (setresuid(STRANGER, 0, 0))
		give_up("root is needed: %s", strerror(errno));
	fd = open_or_give_up(path, O_RDONLY);
	if (setresuid(0, 0, 0))
		give_up("setresuid: %s", strerror(errno));
	return fd;
}

/* The size is one for all pipes, so nobody else may set it until ours is open. */
static void open_all(long long capacity)
{
	int fd;

	close_all();
	fuzz_lock();
	devs[STORE].fd = fd = open_or_give_up(devs[STORE].path, O_RDWR);
	same_ret("SCULL_IOCTQUANTUM", ioctl(fd, SCULL_IOCTQUANTUM, QUANTUM), 0,
		 0);
	same_ret("SCULL_IOCTQSET", ioctl(fd, SCULL_IOCTQSET, QSET), 0, 0);
	same_ret("SCULL_P_IOCTSIZE",
		 ioctl(fd, SCULL_P_IOCTSIZE, (int)capacity), 0, 0);
	close(open_or_give_up(devs[STORE].path, O_WRONLY));
	devs[PIPE].fd = open_or_give_up(devs[PIPE].path, O_RDWR | O_NONBLOCK);
	fuzz_unlock();
	probe = open_as_stranger(devs[STORE].path);
}

/* --- operations --- */

static enum outcome run_fresh(long long capacity, long long root_only)
{
	int i;

	m.capacity = 0;
	if (capacity < 1 || capacity > CAPACITY_MOST)
		return SKIPPED;
	for (i = 0; i < DEVS; i++) {
		clear_rules(&devs[i]);
		set_limit(&devs[i], -1);
	}
	open_all(capacity);
	empty_store();
	m.root_only = root_only;
	m.capacity = capacity;
	m.in = m.out = m.pos = 0;
	m.ops = m.faulty = 0;
	caught = 0;
	return DONE;
}

static bool makes_sense(const struct rule *r, int dev)
{
	if (r->op < 0 || r->op >= OPS || r->what < 0 || r->what >= WHATS ||
	    r->nth < 0 || r->every < 0 || r->from < 0 || r->next < 0 ||
	    r->permille < -1 || r->permille > 1000 || (r->nth && r->every))
		return false;
	if ((r->op == OP_SEEK && dev == PIPE) ||
	    (r->op > OP_WRITE && (r->from || r->what == SHORT)) ||
	    (r->op != OP_READ && r->what == CORRUPT))
		return false;
	return r->what == ERROR ? r->arg >= 0 && r->arg < (int)ARRAY_SIZE(errnos) :
				  r->arg >= 1;
}

static enum outcome run_rule(int dev, const long long *a)
{
	struct dev *d = &devs[dev];
	struct rule r = {
		.op = a[1], .what = a[2], .arg = a[3], .nth = a[4],
		.every = a[5], .from = a[6], .next = a[7], .permille = a[8],
	};
	char text[128] = "+";
	bool before = armed(d);
	int err;

	if (!makes_sense(&r, dev))
		return SKIPPED;
	rule_text(&r, text + 1, sizeof(text) - 1);
	err = put(d->rules_fd, text);
	if (d->count == RULES) {
		if (err != EINVAL)
			differ("a rule too many, \"%s\": %s", text,
			       strerror(err));
		return DONE;
	}
	if (err)
		differ("rule \"%s\": %s", text, strerror(err));
	d->rules[d->count++] = r;
	changed(d, before);
	return DONE;
}

static enum outcome run_bad(int dev, long long which)
{
	struct dev *d = &devs[dev];
	char text[128];
	int err;

	if (which < 0 || which >= 2 * (int)ARRAY_SIZE(bad_rules))
		return SKIPPED;
	snprintf(text, sizeof(text), "%s%s", which % 2 ? "+" : "",
		 bad_rules[which / 2]);
	err = put(d->rules_fd, text);
	if (err != EINVAL)
		differ("bad rule \"%s\": expected %s, found %s", text,
		       strerror(EINVAL), strerror(err));
	compare_rules(d);
	return DONE;
}

static ssize_t read_store(int how, long long off, long long len, long long cut)
{
	struct iovec iov[4];
	off_t moving = off;
	ssize_t n;

	switch (how) {
	case HERE:
		if (!cut)
			return read(devs[STORE].fd, buf, len);
		return readv(devs[STORE].fd, iov, pieces(cut, iov, buf, len));
	case PLACED:
		if (!cut)
			return pread(devs[STORE].fd, buf, len, off);
		return preadv(devs[STORE].fd, iov, pieces(cut, iov, buf, len),
			      off);
	case NOWAIT:
		return preadv2(devs[STORE].fd, iov, pieces(cut, iov, buf, len),
			       off, RWF_NOWAIT);
	default:
		n = splice(devs[STORE].fd, &moving, pipes[1], NULL, len, 0);
		return n > 0 ? read(pipes[0], buf, n) : n;
	}
}

static ssize_t read_pipe(int how, long long len, long long cut)
{
	struct iovec iov[4];
	ssize_t n;

	if (how == SPLICED) {
		n = splice(devs[PIPE].fd, NULL, pipes[1], NULL, len,
			   SPLICE_F_NONBLOCK);
		return n > 0 ? read(pipes[0], buf, n) : n;
	}
	if (how == NOWAIT)
		return preadv2(devs[PIPE].fd, iov, pieces(cut, iov, buf, len),
			       -1, RWF_NOWAIT);
	if (cut)
		return readv(devs[PIPE].fd, iov, pieces(cut, iov, buf, len));
	return read(devs[PIPE].fd, buf, len);
}

static enum outcome run_read_pipe(int how, long long len, long long cut)
{
	struct dev *d = &devs[PIPE];
	long long n = read_pipe(how, len, cut), due;
	int err = errno;
	struct fault f;

	f = judge_after(d, OP_READ, d->moved[OP_READ], len);
	due = f.err ? 0 : at_most(f.most, used());
	errno = err;
	same_ret("read from the pipe", n, due, f.err ?: due ? 0 : EAGAIN);
	take_pipe(want, due);
	compare_read("read from the pipe", m.out - due, due, &f, how == SPLICED);
	if (armed(d))
		d->moved[OP_READ] += due;
	return outcome_of(&f);
}

static enum outcome run_read(int dev, int how, long long off, long long len,
			     long long cut)
{
	struct dev *d = &devs[dev];
	long long n, due;
	struct fault f;
	int err;

	if (how < 0 || how >= HOWS || off < 0 || off > 2 * ROOM || len < 1 ||
	    len > ROOM)
		return SKIPPED;
	if (dev == PIPE)
		return run_read_pipe(how, len, cut);
	if (how == HERE)
		off = m.pos;
	n = read_store(how, off, len, cut);
	err = errno;
	f = judge_after(d, OP_READ, off, len);
	due = f.err ? 0 : before_end(off, f.most);
	errno = err;
	same_ret("read", n, due, f.err);
	memcpy(want, m.store + at_most(off, ROOM), due);
	compare_read("read", off, due, &f, how == SPLICED);
	if (how == HERE)
		m.pos += due;
	compare_position();
	return outcome_of(&f);
}

static ssize_t write_to(int dev, int how, long long off, long long len,
			const unsigned char *data, long long cut)
{
	struct iovec iov[4];
	int fd = devs[dev].fd;

	if (how == APPEND && dev == STORE)
		return pwritev2(fd, iov, pieces(cut, iov, (void *)data, len),
				0, RWF_APPEND);
	if (how == PLACED && dev == STORE)
		return cut ? pwritev(fd, iov, pieces(cut, iov, (void *)data,
						     len), off) :
			     pwrite(fd, data, len, off);
	if (how == NOWAIT && dev == PIPE)
		return pwritev2(fd, iov, pieces(cut, iov, (void *)data, len),
				-1, RWF_NOWAIT);
	if (cut)
		return writev(fd, iov, pieces(cut, iov, (void *)data, len));
	return write(fd, data, len);
}

/* What a write to the pipe moves if faults let it move @most bytes, or its error. */
static long long taken(long long most, int *err)
{
	long long left = m.capacity;

	if (devs[PIPE].limit >= 0)
		left = devs[PIPE].limit - used();
	if (left <= 0) {
		*err = ENOSPC;
		return 0;
	}
	most = at_most(most, left);
	if (m.capacity - used() < at_most(most, unit())) {
		*err = EAGAIN;
		return 0;
	}
	return at_most(most, m.capacity - used());
}

/* The same of a write to the bare device at @off. */
static long long stored(long long off, long long most, int *err)
{
	long long limit = devs[STORE].limit;

	if (limit < 0)
		return most;
	if (limit < m.size)
		limit = m.size;
	if (off < limit)
		return at_most(most, limit - off);
	*err = ENOSPC;
	return 0;
}

static enum outcome run_write(int dev, int how, long long off, long long len,
			      long long data, long long cut)
{
	struct dev *d = &devs[dev];
	long long n, due = 0;
	struct fault f;
	int err;

	/* A bare device asked not to wait may have to, for memory. */
	if (how < 0 || how >= HOWS || (how == NOWAIT && dev == STORE) ||
	    off < 0 || len < 1)
		return SKIPPED;
	if (dev == PIPE)
		off = d->moved[OP_WRITE];
	else if (how == HERE)
		off = m.pos;
	else if (how == APPEND)
		off = m.size;
	if (len > ROOM || (dev == STORE && off + len > ROOM))
		return SKIPPED;
	n = write_to(dev, how, off, len, noise(data), cut);
	err = errno;
	f = judge_after(d, OP_WRITE, off, len);
	if (!f.err)
		due = dev == PIPE ? taken(f.most, &f.err) :
				    stored(off, f.most, &f.err);
	errno = err;
	same_ret("write", n, due, f.err);
	if (armed(d))
		d->moved[OP_WRITE] += due;
	if (dev == PIPE) {
		put_pipe(noise(data), due);
		return outcome_of(&f);
	}
	put_store(off, noise(data), due);
	if (how == HERE)
		m.pos += due;
	compare_position();
	look(off, len);
	return outcome_of(&f);
}

static enum outcome run_seek(long long off)
{
	struct dev *d = &devs[STORE];
	long long ret;
	struct fault f;
	int err;

	if (off < 0 || off > 2 * ROOM)
		return SKIPPED;
	ret = lseek(d->fd, off, SEEK_SET);
	err = errno;
	f = judge_after(d, OP_SEEK, 0, 0);
	errno = err;
	same_ret("lseek", ret, off, f.err);
	if (!f.err)
		m.pos = off;
	return outcome_of(&f);
}

static enum outcome run_poll(int dev)
{
	struct pollfd p = { devs[dev].fd, POLLIN | POLLOUT | POLLPRI };
	int ret = poll(&p, 1, 0), err = errno, events = 0;
	struct fault f;

	f = judge_after(&devs[dev], OP_POLL, 0, 0);
	if (dev == STORE || used())
		events |= POLLIN;
	if (dev == STORE || m.capacity - used() >= unit())
		events |= POLLOUT;
	if (f.err == EAGAIN)
		events = 0;
	else if (f.err)
		events = POLLERR;
	errno = err;
	same_ret("poll", ret, events != 0, f.signals ? EINTR : 0);
	if (ret > 0 && p.revents != events)
		differ("poll of %s: expected 0x%x, found 0x%x", devs[dev].path,
		       events, p.revents);
	return outcome_of(&f);
}

/* With bytes in the pipe it would wait. */
static enum outcome run_sync(int dev)
{
	if (dev == PIPE && used())
		return SKIPPED;
	return check_call(&devs[dev], OP_FSYNC, "fsync", fsync(devs[dev].fd), 0,
			  0);
}

static enum outcome run_open(int dev)
{
	int fd = open(devs[dev].path, O_RDWR | O_NONBLOCK), err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return check_call(&devs[dev], OP_OPEN, "open", fd < 0 ? fd : 0, 0, 0);
}

static enum outcome run_trim(void)
{
	int fd = open(devs[STORE].path, O_WRONLY), err = errno;
	enum outcome outcome;

	if (fd >= 0)
		close(fd);
	errno = err;
	outcome = check_call(&devs[STORE], OP_OPEN, "open to trim",
			     fd < 0 ? fd : 0, 0, 0);
	if (fd >= 0)
		empty_store();
	look(0, 0);
	return outcome;
}

static enum outcome run_counts(int dev)
{
	compare_rules(&devs[dev]);
	return DONE;
}

static enum outcome run_verify(void)
{
	int i;

	for (i = 0; i < DEVS; i++) {
		compare_rules(&devs[i]);
		clear_rules(&devs[i]);
		compare_rules(&devs[i]);
		set_limit(&devs[i], -1);
	}
	compare_all();
	return DONE;
}

static enum outcome run_lie(long long at)
{
	if (at < 0 || at >= m.size)
		return SKIPPED;
	m.store[at] ^= 0xff;
	return DONE;
}

static enum outcome run(const struct op *op)
{
	const long long *a = op->arg;
	int dev = a[0];

	if (op->kind != FRESH && !m.capacity)
		return SKIPPED;
	m.ops++;
	switch (op->kind) {
	case FRESH:
		return run_fresh(a[0], a[1]);
	case SEEK:
		return run_seek(a[0]);
	case TRIM:
		return run_trim();
	case VERIFY:
		return run_verify();
	case LIE:
		return run_lie(a[0]);
	}
	if (a[0] < 0 || a[0] >= DEVS)
		return SKIPPED;
	switch (op->kind) {
	case RULE:
		return run_rule(dev, a);
	case BAD:
		return run_bad(dev, a[1]);
	case CLEAR:
		clear_rules(&devs[dev]);
		return DONE;
	case LIMIT:
		if (a[1] < -1)
			return SKIPPED;
		set_limit(&devs[dev], a[1]);
		return DONE;
	case READ:
		return run_read(dev, a[1], a[2], a[3], a[4]);
	case WRITE:
		return run_write(dev, a[1], a[2], a[3], a[4], a[5]);
	case POLL:
		return run_poll(dev);
	case IOCTL:
		return check_call(&devs[dev], OP_IOCTL, "unknown ioctl",
				  ioctl(devs[dev].fd, _IO('k', 15)), 0, ENOTTY);
	case SYNC:
		return run_sync(dev);
	case OPEN:
		return run_open(dev);
	case COUNTS:
		return run_counts(dev);
	}
	return SKIPPED;
}

/* --- making them up --- */

static long long some_capacity(void)
{
	static const int common[] = { 4000, 4095, 4096, 4097, 8192 };

	return chance(50) ? common[below(ARRAY_SIZE(common))] :
	       chance(20) ? between(1, 8) : between(9, 2000);
}

static void first(struct op *op)
{
	*op = (struct op){ FRESH, { some_capacity(), chance(50) } };
}

static struct op make_rule(int dev)
{
	struct rule r = { .permille = -1, .arg = between(1, 5) };
	int dice = below(100);

	/* Mostly of calls that are often made. */
	r.op = dice < 40 ? OP_READ : dice < 80 ? OP_WRITE :
	       between(OP_OPEN, dev == PIPE ? OP_FSYNC : OP_SEEK);
	do
		r.what = below(WHATS);
	while ((r.what == CORRUPT && r.op != OP_READ) ||
	       (r.what == SHORT && r.op > OP_WRITE));
	if (r.what == ERROR)
		r.arg = below(ARRAY_SIZE(errnos));
	if (r.what == SHORT)
		r.arg = between(1, chance(50) ? 20 : 400);
	if (chance(10))
		r.nth = between(1, 40);
	else if (chance(60))
		r.every = between(1, 5);
	if (r.op <= OP_WRITE && chance(20))
		r.from = between(1, dev == PIPE ? 5000 : ROOM);
	if (chance(15))
		r.next = between(1, 50);
	if (chance(15))
		r.permille = chance(20) ? 1000 * below(2) : between(1, 999);
	return (struct op){ RULE, { dev, r.op, r.what, r.arg, r.nth, r.every,
				    r.from, r.next, r.permille } };
}

/* Small for the most part, so that many calls fit. */
static long long some_length(void)
{
	return chance(80) ? between(1, 100) : between(1, 1500);
}

static long long some_place(void)
{
	return chance(70) ? below(m.size + 20) : below(ROOM);
}

static struct op make_read(void)
{
	int dev = below(DEVS), how = below(HOWS);
	long long off = some_place();

	if (dev == STORE && how == HERE && m.pos >= m.size && chance(80))
		return (struct op){ SEEK, { some_place() } };
	return (struct op){ READ, { dev, how, off, some_length(),
				    some_cut() } };
}

static struct op make_write(void)
{
	int dev = below(DEVS), how = below(HOWS);
	long long len = some_length(), off = below(ROOM - len);

	if (dev == STORE && how == NOWAIT)
		how = PLACED;
	if (dev == STORE && chance(70) && m.size < off)
		off = at_most(m.size, ROOM - len);
	if (dev == STORE && how == HERE && m.pos + len > ROOM)
		return (struct op){ SEEK, { some_place() } };
	if (dev == STORE && how == APPEND && m.size + len > ROOM)
		return (struct op){ TRIM };
	return (struct op){ WRITE, { dev, how, off, len, below(1 << 30),
				     some_cut() } };
}

static void next(struct op *op)
{
	static const int others[] = { POLL, IOCTL, SYNC, OPEN, COUNTS };
	int dev = below(DEVS), dice = below(1000);
	bool few = m.faulty * 100 < m.ops * 45;

	if (few && dice < 30 && devs[dev].count > RULES / 2)
		*op = (struct op){ CLEAR, { dev } };
	else if (few && dice < 250 && devs[dev].count < RULES / 3)
		*op = make_rule(dev);
	else if (dice < 400)
		*op = make_read();
	else if (dice < 800)
		*op = make_write();
	else if (dice < 850)
		*op = (struct op){ SEEK, { some_place() } };
	else if (dice < 970)
		*op = (struct op){ others[below(4)], { dev } };
	else if (dice < 974)
		*op = (struct op){ TRIM };
	else if (dice < 982)
		*op = make_rule(dev);
	else if (dice < 988)
		*op = (struct op){ CLEAR, { dev } };
	else if (dice < 994)
		*op = (struct op){ LIMIT, { dev, chance(40) ? -1 :
					    below(dev == PIPE ? m.capacity + 50 :
								ROOM) } };
	else if (dice < 996)
		*op = (struct op){ BAD, { dev, below(2 * ARRAY_SIZE(bad_rules)) } };
	else if (dice < 998)
		*op = (struct op){ COUNTS, { dev } };
	else
		*op = (struct op){ VERIFY };
}

static bool lie(struct op *op)
{
	*op = (struct op){ LIE, { below(m.size) } };
	return m.size > 0;
}

static void catch(int sig)
{
	caught++;
}

static int open_fault(const char *name, const char *number, const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/class/scull/%s%s/faults/%s", name,
		 number, file);
	return open_or_give_up(path, O_RDWR);
}

/* The number at the end of the bare device's name is that of the pipe, too. */
static void find_devices(const char *path)
{
	const char *number = path + strlen(path);
	int i;

	while (number > path && isdigit(number[-1]))
		number--;
	if (access(path, F_OK))
		give_up("open %s: %s", path, strerror(errno));
	if (!*number)
		give_up("%s: no bare device", path);
	snprintf(devs[STORE].path, sizeof(devs[STORE].path), "%s", path);
	snprintf(devs[PIPE].path, sizeof(devs[PIPE].path), "%.*spipe%s",
		 (int)(number - path), path, number);
	for (i = 0; i < DEVS; i++) {
		close(devs[i].rules_fd);
		close(devs[i].limit_fd);
		devs[i].rules_fd = open_fault(devs[i].name, number, "rules");
		devs[i].limit_fd = open_fault(devs[i].name, number, "limit");
	}
}

/*
 * While a device that nobody uses has a limit that nobody reaches, calls are never
 * patched to ask nobody, or the other way round: that takes long, and an emulated
 * processor may die of it (QEMU before 8.1).
 */
static void limit_bystander(const char *limit)
{
	int fd = open("/sys/class/scull/scullpriv/faults/limit", O_WRONLY);

	put(fd, limit);
	close(fd);
}

static void attach(const char *path)
{
	struct sigaction sa = { .sa_handler = catch };

	find_devices(path);
	limit_bystander(ENDLESS);
	if (buf)
		return;
	sigaction(SIGUSR1, &sa, NULL);
	buf = room_for(2 * ROOM + CAPACITY_MOST);
	want = room_for(2 * ROOM + CAPACITY_MOST);
	m.store = room_for(ROOM);
	m.pipe = room_for(CAPACITY_MOST);
	if (pipe2(pipes, O_NONBLOCK))
		give_up("a pipe is needed: %s", strerror(errno));
}

/* A round that came to its end has left no fault, one that did not may have. */
static void detach(void)
{
	int i;

	for (i = 0; i < DEVS; i++) {
		put(devs[i].rules_fd, "\n");
		put(devs[i].limit_fd, "none");
	}
	limit_bystander("none");
}

static const struct fuzz fuzz_inject = {
	.name		= "fuzz_inject",
	.about		= "Runs random operations on bare devices and pipes with random faults, and\n"
			  "compares them with a model that knows the rules. Takes what the devices hold\n"
			  "and changes the sizes of all.",
	.edge		= "a fault",
	.device		= "/dev/scull%d",
	.kinds		= kinds,
	.count		= ARRAY_SIZE(kinds),
	.check		= VERIFY,
	.attach		= attach,
	.first		= first,
	.next		= next,
	.lie		= lie,
	.run		= run,
};

int main(int argc, char **argv)
{
	int status = fuzz_main(argc, argv, &fuzz_inject);

	detach();
	return status;
}
