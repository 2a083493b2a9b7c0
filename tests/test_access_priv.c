// SPDX-License-Identifier: GPL-2.0
/*
 * scullpriv: each session on a terminal has a device of its own, and what is in
 * it is for nobody else, not even for who comes after on the same terminal or on
 * one of the same number.
 */
#include "access.h"

#define SECRET ((long)"the secret")
#define SECRET_LEN 10
#define GONE 5			/* seconds until a device without owner is gone */

static int open_private(const struct actor *a)
{
	return ask(a, do_open, PRIV, O_RDWR);
}

static int hide_at(int line, const struct actor *a)
{
	int fd = open_private(a);

	if (fd < 0)
		fail_at(__FILE__, line, "open: %s", strerror(errno));
	expect_ret(ask(a, do_put, fd, SECRET), SECRET_LEN);
	return fd;
}

static void holds_at(int line, const struct actor *a, const char *text)
{
	int fd = open_private(a);

	if (fd < 0)
		fail_at(__FILE__, line, "open: %s", strerror(errno));
	if (ask(a, do_compare, fd, (long)text) != 1)
		fail_at(__FILE__, line, "the device holds %ld bytes, expected \"%s\"",
			ask(a, do_size, fd, 0), text);
	sys(ask(a, do_close, fd, 0));
}

static void without_at(int line, const struct actor *a, const char *who)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC | O_NONBLOCK,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (ask(a, do_open, PRIV, flags[i]) >= 0)
			fail_at(__FILE__, line, "%s has a device, expected EINVAL",
				who);
		if (errno != EINVAL)
			fail_at(__FILE__, line, "%s: %s, expected EINVAL", who,
				strerror(errno));
	}
}

/* Opens the device, writes the secret; the descriptor. */
#define hide(actor) hide_at(__LINE__, &(actor))
#define expect_holds(actor, text) holds_at(__LINE__, &(actor), text)
#define expect_empty(actor) holds_at(__LINE__, &(actor), "")
#define expect_without(actor) without_at(__LINE__, &(actor), #actor)

/* A session on this terminal. */
static struct actor hire_on(struct terminal *t)
{
	return hire(on_terminal, t);
}

/* How many private devices hold something, as /proc/scullmem shows them. */
static int in_proc(void)
{
	FILE *f = fopen("/proc/scullmem", "r");
	char line[256];
	long long size;
	int n = 0;

	expect(f, "/proc/scullmem: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Device scullpriv: qset %*d, q %*d, sz %lld",
			   &size) == 1 && size)
			n++;
	fclose(f);
	return n;
}

static void expect_gone(void)
{
	wait_until(!in_proc(), GONE, "%d private devices are left", in_proc());
}

static long do_ignore(long sig, long unused)
{
	return signal(sig, SIG_IGN) == SIG_ERR ? -1 : 0;
}

static void start_session(void *unused)
{
	sys(setsid());
}

/* Takes the terminal over: 1 even from another session, which root may. */
static long do_take(long terminal, long steal)
{
	int fd = open_terminal((struct terminal *)terminal);

	if (fd < 0 || ioctl(fd, TIOCSCTTY, steal))
		return -1;
	return fd;
}

static long do_give_up(long unused, long unused2)
{
	int fd = open("/dev/tty", O_RDWR);

	return fd < 0 ? -1 : ioctl(fd, TIOCNOTTY);
}

/* --- who has a device --- */

struct orphan {
	pid_t leader;
	bool over;
	int err;
};

static long do_leave_orphan(long arg, long unused)
{
	struct orphan *o = (struct orphan *)arg;
	pid_t pid;

	o->leader = getpid();
	pid = fork();
	if (pid)
		return pid;
	signal(SIGHUP, SIG_IGN);
	while (getppid() == o->leader)
		nap_ms(1);
	o->err = open_device(PRIV, O_RDWR) < 0 ? errno : 0;
	__atomic_store_n(&o->over, true, __ATOMIC_SEQ_CST);
	_exit(0);
}

static long do_leave_terminal_in_child(long unused, long unused2)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (do_give_up(0, 0))
			_exit(1);
		_exit(open_device(PRIV, O_RDWR) < 0 && errno == EINVAL ? 0 : 2);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

START_TEST(no_terminal)
{
	struct orphan *orphan = shared(sizeof(*orphan));
	struct terminal t = new_pty();
	struct actor daemon, leader;

	begin(PRIV);
	daemon = hire(start_session, NULL);
	expect_without(daemon);
	sys(ask(&daemon, do_open, PRIV, O_PATH));

	/* One that has a terminal open which is not its own. */
	sys(ask(&daemon, do_open, PRIV, O_PATH));
	leader = hire_on(&t);
	expect_empty(leader);
	expect_without(daemon);

	/* Those who gave it up: a process alone, then the session. */
	expect_ret(ask(&leader, do_leave_terminal_in_child, 0, 0), 0);
	expect_empty(leader);
	sys(ask(&leader, do_ignore, SIGHUP, 0));
	sys(ask(&leader, do_give_up, 0, 0));
	expect_without(leader);
	sys(ask(&leader, do_take, (long)&t, 0));
	expect_empty(leader);

	/* Whoever is left when the session's leader has gone. */
	sys(ask(&leader, do_leave_orphan, (long)orphan, 0));
	dismiss(&leader);
	wait_until(__atomic_load_n(&orphan->over, __ATOMIC_SEQ_CST), 30,
		   "the child of a session's leader hangs");
	expect(orphan->err == EINVAL, "open without the session's leader: %s",
	       strerror(orphan->err));
}
END_TEST

/* Another user, in the background: as su and & make them. */
static long do_look_as_user(long text, long flags)
{
	struct user user = PLAIN_USER(1001);
	pid_t pid = fork();
	int status;

	if (!pid) {
		int fd;

		setpgid(0, 0);
		become(&user);
		fd = open_device(PRIV, flags);
		_exit(fd < 0 ? 2 : do_compare(fd, text) != 1);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

START_TEST(session_shares)
{
	struct terminal t, t2;
	struct actor a, other;
	int fd, again, i;

	begin(PRIV);
	t = new_pty();
	t2 = new_pty();
	a = hire_on(&t);
	fd = hide(a);
	again = open_private(&a);
	expect_ret(ask(&a, do_compare, again, SECRET), 1);
	expect_ret(ask(&a, do_look_as_user, SECRET, O_RDONLY), 0);
	sys(ask(&a, do_close, fd, 0));
	sys(ask(&a, do_close, again, 0));

	/* It stays after the last close, whatever goes on elsewhere. */
	other = hire_on(&t2);
	for (i = 0; i < 10; i++) {
		expect_empty(other);
		expect(in_proc() == 1, "%d private devices hold something",
		       in_proc());
	}
	expect_holds(a, "the secret");
	/* And it trims, as any device. */
	fd = open_private(&a);
	expect_ret(ask(&a, do_look_as_user, (long)"", O_RDWR | O_TRUNC), 0);
	expect_ret(ask(&a, do_size, fd, 0), 0);
}
END_TEST

START_TEST(other_terminal)
{
	struct terminal t[4];
	struct actor a[4];
	char text[16];
	int i, fd;

	begin(PRIV);
	for (i = 0; i < 4; i++) {
		t[i] = new_pty();
		a[i] = hire_on(&t[i]);
	}
	fd = hide(a[0]);
	for (i = 1; i < 4; i++)
		expect_empty(a[i]);
	for (i = 1; i < 4; i++) {
		int own = copy_fd(&a[i], open_private(&a[i]));

		snprintf(text, sizeof(text), "session %d", i);
		expect_ret(do_put(own, (long)text), strlen(text));
		close(own);
	}
	for (i = 1; i < 4; i++) {
		int own = copy_fd(&a[i], open_private(&a[i]));

		snprintf(text, sizeof(text), "session %d", i);
		expect_ret(do_compare(own, (long)text), 1);
		close(own);
	}
	expect_ret(ask(&a[0], do_compare, fd, SECRET), 1);
	expect(in_proc() == 4, "/proc/scullmem lists %d private devices of 4",
	       in_proc());
}
END_TEST

/* --- the same terminal, later --- */

/* Opens ptys until one has that number. */
static struct terminal pty_numbered(int number)
{
	struct terminal tried[64], t;
	int i, n = 0;

	do {
		expect(n < 64, "no new pty got the number %d again", number);
		t = tried[n++] = new_pty();
	} while (t.number != number);
	for (i = 0; i < n - 1; i++)
		close(tried[i].master);
	return t;
}

/* _i: somebody elsewhere still has the first session's device open. */
START_TEST(recycled_number)
{
	struct terminal t;
	struct actor a;
	int round, held = -1, number;

	begin(PRIV);
	for (round = 0; round < 10; round++) {
		t = new_pty();
		number = t.number;
		a = hire_on(&t);
		held = hide(a);
		if (_i)
			held = copy_fd(&a, held);
		dismiss(&a);
		close(t.master);

		t = pty_numbered(number);
		a = hire_on(&t);
		expect_empty(a);
		if (_i) {
			expect_ret(do_compare(held, SECRET), 1);
			expect_empty(a);
			close(held);
		}
		dismiss(&a);
		close(t.master);
	}
	expect_gone();
}
END_TEST

/* The master stays, and with it all that the kernel has of the terminal. */
START_TEST(same_pty)
{
	struct terminal t;
	struct actor a;
	int round, held = -1;

	begin(PRIV);
	t = new_pty();
	for (round = 0; round < 10; round++) {
		a = hire_on(&t);
		expect_empty(a);
		if (held >= 0) {
			expect_ret(do_compare(held, SECRET), 1);
			close(held);
		}
		held = hide(a);
		if (_i)
			held = copy_fd(&a, held);
		else
			held = -1;
		dismiss(&a);
	}
	close(held);
	expect_gone();
}
END_TEST

START_TEST(recycled_session_number)
{
	struct terminal t;
	struct actor a, b;
	int held;

	begin(PRIV);
	t = new_pty();
	a = hire_on(&t);
	held = copy_fd(&a, hide(a));
	dismiss(&a);
	b = hire_as(a.pid, on_terminal, &t);
	expect_ret(b.pid, a.pid);
	expect_empty(b);
	expect_ret(do_compare(held, SECRET), 1);
	close(held);
	expect_empty(b);
}
END_TEST

START_TEST(second_devpts)
{
	struct terminal t, t2;
	struct actor a, b;
	int fs, dir, held, n = 0;

	begin(PRIV);
	fs = sys(syscall(SYS_fsopen, "devpts", 0));
	sys(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0));
	sys(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	dir = sys(syscall(SYS_fsmount, fs, 0, 0));
	t = new_pty();
	a = hire_on(&t);
	held = copy_fd(&a, hide(a));
	do {
		t2 = new_pty_in(dir, "ptmx", dir);
		expect(++n < 64, "the second devpts has no pty %d", t.number);
	} while (t2.number != t.number);
	b = hire_on(&t2);
	expect_empty(b);
	hide(b);
	expect_ret(pwrite(held, "The", 3, 0), 3);
	expect_holds(b, "the secret");
	expect_holds(a, "The secret");
	dismiss(&b);
	expect_holds(a, "The secret");
}
END_TEST

/* Terminals that are there all the time, for one login after the other. */
struct line {
	const char *what;
	const char *names[12];
};

static const struct line lines[] = {
	{ "virtual console", { "tty12", "tty11", "tty10", "tty9", "tty8", "tty7",
			       "tty6", "tty5", "tty4", "tty3", "tty2" } },
	{ "serial line", { "ttyS1", "ttyS2", "ttyS3", "ttyS0", "ttyAMA0" } },
};

/* The first that can be opened and that no session owns, or none. */
static bool find_line(const struct line *line, struct terminal *t)
{
	struct actor probe;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(line->names) && line->names[i]; i++) {
		*t = (struct terminal){ .master = -1 };
		t->dir = sys(open("/dev", O_PATH | O_DIRECTORY));
		snprintf(t->name, sizeof(t->name), "%s", line->names[i]);
		fd = open_terminal(t);
		if (fd >= 0) {
			close(fd);
			probe = hire(start_session, NULL);
			fd = ask(&probe, do_take, (long)t, 0);
			dismiss(&probe);
			if (fd >= 0)
				return true;
		}
		close(t->dir);
	}
	return false;
}

/* The probe and those after it must all know where the terminal is. */
static struct terminal *line_or_skip(int which)
{
	struct terminal *t = shared(sizeof(*t));

	if (!find_line(&lines[which], t))
		skip("there is no %s to be had", lines[which].what);
	return t;
}

START_TEST(next_login)
{
	struct terminal *t;
	int round, tty = -1, held = -1;
	struct actor a;

	begin(PRIV);
	t = line_or_skip(_i);
	diag("%s", t->name);
	for (round = 0; round < 8; round++) {
		a = hire_on(t);
		expect_empty(a);
		if (held >= 0)
			expect_ret(do_compare(held, SECRET), 1);
		close(held);
		held = hide(a);
		held = round % 2 ? copy_fd(&a, held) : -1;
		/* Now the terminal stays open in between, now it does not. */
		close(tty);
		tty = round & 2 ? sys(open_terminal(t)) : -1;
		if (round & 4)
			kill_actor(&a);
		else
			dismiss(&a);
	}
	close(held);
	expect_gone();
}
END_TEST

/* --- a session that loses its terminal --- */

START_TEST(stolen)
{
	struct terminal *t = shared(sizeof(*t));
	struct actor victim, thief;
	int fd;

	begin(PRIV);
	*t = new_pty();
	victim = hire_on(t);
	thief = hire(start_session, NULL);
	fd = hide(victim);
	expect_errno(ask(&thief, do_take, (long)t, 0), EPERM);
	expect_without(thief);
	sys(ask(&thief, do_take, (long)t, 1));
	expect_without(victim);
	expect_empty(thief);
	expect_ret(ask(&victim, do_compare, fd, SECRET), 1);
	/* Each trims and writes its own. */
	sys(ask(&thief, do_close, ask(&thief, do_open, PRIV, O_WRONLY), 0));
	expect_ret(ask(&victim, do_compare, fd, SECRET), 1);
	hide(thief);
	expect_ret(ask(&victim, do_put, fd, (long)"The"), 3);
	expect_holds(thief, "the secret");
	/* Taken back, it is the victim's again, and what the thief wrote is not. */
	sys(ask(&victim, do_take, (long)t, 1));
	expect_without(thief);
	expect_holds(victim, "The secret");
	dismiss(&thief);
	dismiss(&victim);
	expect_gone();
}
END_TEST

static long do_hang_up(long terminal, long unused)
{
	int fd = open_terminal((struct terminal *)terminal);

	return fd < 0 ? -1 : ioctl(fd, TIOCVHANGUP);
}

/* _i: the terminal is still there afterwards. */
START_TEST(hung_up)
{
	struct terminal *t = shared(sizeof(*t));
	struct actor a, b, root;
	int fd;

	begin(PRIV);
	*t = new_pty();
	root = hire(start_session, NULL);
	a = hire_on(t);
	sys(ask(&a, do_ignore, SIGHUP, 0));
	fd = hide(a);
	if (_i)
		sys(ask(&root, do_hang_up, (long)t, 0));
	else
		close(t->master);
	expect_without(a);
	/* What was open goes on, for whoever had it open. */
	expect_ret(ask(&a, do_compare, fd, SECRET), 1);
	expect_ret(ask(&a, do_put, fd, (long)"The"), 3);
	if (_i) {
		b = hire_on(t);
		expect_empty(b);
		expect_ret(ask(&a, do_size, fd, 0), SECRET_LEN);
		dismiss(&b);
	}
	expect(in_proc() == 1, "%d private devices hold something", in_proc());
	sys(ask(&a, do_close, fd, 0));
	expect_gone();
	expect_without(a);
}
END_TEST

START_TEST(another_terminal)
{
	struct terminal *t = shared(2 * sizeof(*t));
	struct actor a;
	int fd;

	begin(PRIV);
	t[0] = new_pty();
	t[1] = new_pty();
	a = hire_on(&t[0]);
	sys(ask(&a, do_ignore, SIGHUP, 0));
	fd = hide(a);
	sys(ask(&a, do_give_up, 0, 0));
	expect_without(a);
	sys(ask(&a, do_take, (long)&t[1], 0));
	expect_empty(a);
	expect_ret(ask(&a, do_compare, fd, SECRET), 1);
	sys(ask(&a, do_close, fd, 0));
	expect_gone();
	expect_empty(a);
}
END_TEST

static long do_close_terminals(long unused, long unused2)
{
	struct stat st;
	int fd;

	for (fd = 3; fd < 1024; fd++)
		if (!fstat(fd, &st) && S_ISCHR(st.st_mode) &&
		    (int)major(st.st_rdev) != scull_major())
			close(fd);
	return 0;
}

static long do_keeps_terminal(long unused, long unused2)
{
	int fd = open("/dev/tty", O_RDWR);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/*
 * Who closes the last descriptor of his terminal has none any more. It is not the
 * last where the kernel's console is there and a program has that open.
 */
START_TEST(closed_terminal)
{
	struct terminal *t;
	struct actor a;
	int round;

	begin(PRIV);
	t = line_or_skip(_i);
	for (round = 0; round < 2; round++) {
		a = hire_on(t);
		sys(ask(&a, do_close, hide(a), 0));
		expect_holds(a, "the secret");
		sys(ask(&a, do_close_terminals, 0, 0));
		if (ask(&a, do_keeps_terminal, 0, 0))
			skip("others have the only %s open", lines[_i].what);
		expect_without(a);
		if (round)
			dismiss(&a);
		expect_gone();
	}
	a = hire_on(t);
	expect_empty(a);
}
END_TEST

/* --- hang-up during a write --- */

#define LONG_WRITE (8 * MiB)

struct long_write {
	bool begun;
	bool over;
	ssize_t ret;
	unsigned char bytes[LONG_WRITE];
};

static long do_write_long(long fd, long arg)
{
	struct long_write *w = (struct long_write *)arg;

	__atomic_store_n(&w->begun, true, __ATOMIC_SEQ_CST);
	w->ret = write(fd, w->bytes, LONG_WRITE);
	__atomic_store_n(&w->over, true, __ATOMIC_SEQ_CST);
	return w->ret;
}

static void expect_prefix(int fd, unsigned char *buf, ssize_t least)
{
	ssize_t size = sys(lseek(fd, 0, SEEK_END));

	expect(size >= least && size <= LONG_WRITE, "the device holds %zd bytes",
	       size);
	expect_ret(pread(fd, buf, LONG_WRITE, 0), size);
	expect_pattern(buf, size, 0, 1);
}

/* _i: the writer dies of the hang-up. */
START_TEST(hung_up_in_a_write)
{
	struct terminal *t = shared(2 * sizeof(*t));
	struct long_write *w = shared(sizeof(*w));
	unsigned char *buf = xmalloc(LONG_WRITE);
	struct actor a, b, root;
	int round, held, settings, amid = 0;

	begin(PRIV);
	/* Small quanta take time. */
	settings = dev_open(0, O_RDONLY);
	sys(ioctl(settings, SCULL_IOCTQUANTUM, 64));
	close(settings);
	fill(w->bytes, LONG_WRITE, 0, 1);
	root = hire(start_session, NULL);
	for (round = 0; round < 40 && amid < 2; round++) {
		w->begun = w->over = false;
		t[0] = new_pty();
		a = hire_on(&t[0]);
		if (!_i)
			sys(ask(&a, do_ignore, SIGHUP, 0));
		held = sys(ask(&a, do_open, PRIV, O_RDWR));
		held = copy_fd(&a, held);
		order(&a, do_write_long, ask(&a, do_open, PRIV, O_RDWR), (long)w);
		while (!__atomic_load_n(&w->begun, __ATOMIC_SEQ_CST))
			;
		nap_ms(round);
		if (round % 2)
			sys(ask(&root, do_hang_up, (long)&t[0], 0));
		else
			close(t[0].master);
		if (!_i && !__atomic_load_n(&w->over, __ATOMIC_SEQ_CST))
			amid++;
		/* Somebody else, on the same terminal if there still is one. */
		if (!(round % 2))
			t[0] = new_pty();
		b = hire_on(&t[0]);
		expect_empty(b);
		dismiss(&b);
		close(t[0].master);
		if (_i) {
			expect_ret(waitpid(a.pid, NULL, 0), a.pid);
			close(a.line);
			expect_prefix(held, buf, 0);
			amid += sys(lseek(held, 0, SEEK_END)) < LONG_WRITE;
		} else {
			expect_ret(answer(&a), LONG_WRITE);
			expect_prefix(held, buf, LONG_WRITE);
			dismiss(&a);
		}
		close(held);
	}
	expect(amid, "none of %d hang-ups came in the middle of a write", round);
	diag("%d of %d hang-ups came in the middle of a write", amid, round);
	wait_until(!in_proc(), 30, "%d private devices are left", in_proc());
}
END_TEST

/* --- memory --- */

#define TERMINALS 200
#define EACH (256 * KiB)

/* Leaves nothing open, so that the end of the session goes unnoticed. */
static long do_fill(long buf, long unused)
{
	int fd = open_device(PRIV, O_WRONLY);
	ssize_t n = write(fd, (void *)buf, EACH);

	close(fd);
	return n;
}

static long long slab(void)
{
	return number_in("/proc/meminfo", "SUnreclaim") * KiB;
}

START_TEST(two_hundred_terminals)
{
	struct terminal t[TERMINALS];
	struct actor a[TERMINALS];
	unsigned char *bytes = shared(EACH);
	long long before, full, start;
	int i;

	begin(PRIV);
	expect_gone();
	fill(bytes, EACH, 0, 1);
	before = slab();
	for (i = 0; i < TERMINALS; i++) {
		t[i] = new_pty();
		a[i] = hire_on(&t[i]);
		expect_ret(ask(&a[i], do_fill, (long)bytes, 0), EACH);
	}
	full = slab();
	expect(in_proc() == TERMINALS, "/proc/scullmem lists %d of %d",
	       in_proc(), TERMINALS);
	expect(full - before >= TERMINALS * EACH,
	       "%lld bytes of slab for %lld", full - before, TERMINALS * EACH);
	for (i = 0; i < TERMINALS; i++) {
		if (i % 2)
			dismiss(&a[i]);
		else
			kill_actor(&a[i]);
		close(t[i].master);
	}
	/* Nobody opens or looks at scullpriv now: it goes by itself. */
	start = now_ms();
	wait_until(slab() < before + TERMINALS * EACH / 4, GONE,
		   "%lld bytes of slab more than before, of %lld",
		   slab() - before, full - before);
	diag("%lld KiB, back to %+lld KiB after %lld ms", (full - before) / KiB,
	     (slab() - before) / KiB, now_ms() - start);
	/* The last of them may still be on their way. */
	wait_until(!in_proc(), GONE, "%d private devices are left", in_proc());
}
END_TEST

/* --- many at once --- */

struct first_open {
	struct gate gate;
	int failures;
};

static void open_first(struct first_open *first, int me)
{
	int fd;

	pass(&first->gate);
	fd = open_device(PRIV, O_RDWR);
	if (me == 0 && do_put(fd, SECRET) != SECRET_LEN)
		_exit(1);
	pass(&first->gate);
	_exit(do_compare(fd, SECRET) != 1);
}

static long do_open_first(long arg, long n)
{
	struct first_open *first = (struct first_open *)arg;
	int i, status, bad = 0;

	for (i = 0; i < n; i++)
		if (!fork())
			open_first(first, i);
	for (i = 0; i < n; i++)
		if (wait(&status) < 0 || status)
			bad++;
	return bad;
}

START_TEST(first_opens_at_once)
{
	struct first_open *first = shared(sizeof(*first));
	struct terminal t;
	struct actor a;
	int round;

	begin(PRIV);
	first->gate.n = 2;
	t = new_pty();
	for (round = 0; round < repeat(100); round++) {
		a = hire_on(&t);
		expect_ret(ask(&a, do_open_first, (long)first, 2), 0);
		dismiss(&a);
	}
}
END_TEST

#define VISITORS 8

/* A session that finds its device empty, and always what it wrote itself. */
static void visit(struct terminal *t, long name)
{
	char text[32];
	int fd, i;

	sys(setsid());
	fd = open_terminal(t);
	/* Hung up before it began? */
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0))
		_exit(0);
	snprintf(text, sizeof(text), "visit %ld", name);
	fd = open_device(PRIV, O_RDWR);
	if (fd < 0)
		_exit(errno == EINVAL ? 0 : 1);
	if (do_compare(fd, (long)"") != 1)
		_exit(2);
	do_put(fd, (long)text);
	for (i = 0; i < 5; i++) {
		int again = open_device(PRIV, i % 2 ? O_RDONLY : O_RDWR);

		/* It may have been hung up meanwhile. */
		if (again < 0)
			_exit(errno == EINVAL ? 0 : 3);
		if (do_compare(again, (long)text) != 1 ||
		    do_compare(fd, (long)text) != 1)
			_exit(4);
		close(again);
	}
	_exit(0);
}

static void receive_visitors(int me, void *arg)
{
	uint32_t *seed = arg;
	int round, status, n = repeat(40);
	pid_t pid;

	srandom(*seed + me);
	for (round = 0; round < n; round++) {
		struct terminal t = new_pty();

		pid = sys(fork());
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(t.master);
			visit(&t, me * 100000 + round);
		}
		if (random() % 3 == 0) {
			nap_ms(random() % 20);
			if (random() % 2)
				kill(pid, SIGKILL);
			else
				close(t.master);
		}
		expect_ret(waitpid(pid, &status, 0), pid);
		close(t.master);
		if (WIFSIGNALED(status))
			expect(WTERMSIG(status) == SIGKILL ||
			       WTERMSIG(status) == SIGHUP,
			       "a session died of signal %d", WTERMSIG(status));
		else
			expect(!WEXITSTATUS(status), "a session failed at %d",
			       WEXITSTATUS(status));
	}
}

static void look(void *over)
{
	while (!*(volatile bool *)over) {
		in_proc();
		sched_yield();
	}
}

START_TEST(come_and_go)
{
	uint32_t *seed = shared(sizeof(*seed));
	bool *over = shared(sizeof(*over));
	pid_t looker;

	begin(PRIV);
	seed_rnd();
	*seed = rnd();
	looker = spawn(look, over);
	together(VISITORS, receive_visitors, seed);
	*over = true;
	join(looker);
	expect_gone();
}
END_TEST

static const struct test tests[] = {
	{ &no_terminal, "no terminal: EINVAL" },
	{ &session_shares, "all processes of a session share a device, which stays" },
	{ &other_terminal, "another terminal has another device" },
	{ &recycled_number, "not for the next pty of the same number" },
	{ &recycled_number, "nor while somebody has the old one open", 1 },
	{ &same_pty, "not for the next session on the same pty" },
	{ &same_pty, "nor while somebody has it open", 1 },
	{ &recycled_session_number, "not for a session of the same number" },
	{ &second_devpts, "not for a pty of the same number in another devpts" },
	{ &next_login, "not for the next login on a virtual console", 0 },
	{ &next_login, "not for the next login on a serial line", 1 },
	{ &stolen, "not for who takes the terminal over" },
	{ &hung_up, "not after the terminal was closed" },
	{ &hung_up, "not after a hang-up, for the next session on it", 1 },
	{ &another_terminal, "not for its own session on another terminal" },
	{ &hung_up_in_a_write, "a hang-up during a write tears nothing", 0, 180 },
	{ &hung_up_in_a_write, "nor does one that kills the writer", 1, 180 },
	{ &two_hundred_terminals, "200 terminals, and the memory is back", 0, 180 },
	{ &first_opens_at_once, "two first opens at once find one device", 0, 120 },
	{ &come_and_go, "8 terminals at a time, sessions come and go", 0, 240 },
	{ &closed_terminal, "gone when the session closes its virtual console", 0 },
	{ &closed_terminal, "gone when the session closes its serial line", 1 },
};

TEST_MAIN("access_priv", tests)
