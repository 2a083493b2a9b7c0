/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the access-controlled devices share: nodes that every user
 * may open, on a file system that nobody else sees; and actors, processes that
 * do one thing after the other when they are asked to: users, sessions, holders
 * and waiters.
 */
#ifndef TESTS_ACCESS_H
#define TESTS_ACCESS_H

#include "harness.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* In the order of their minor numbers. */
enum device { SINGLE, UID, WUID, PRIV };

static const char *const device_names[] = {
	"scullsingle", "sculluid", "scullwuid", "scullpriv",
};

/* A row of the test table for each of the devices, which are _i in the case. */
#define FOR_SHARED(code, what)						\
	{ code, "scullsingle: " what, SINGLE },				\
	{ code, "sculluid: " what, UID },				\
	{ code, "scullwuid: " what, WUID }
#define FOR_ALL(code, what)						\
	FOR_SHARED(code, what), { code, "scullpriv: " what, PRIV }

/* --- nodes --- */

static inline dev_t device_number(enum device which)
{
	unsigned int at[2];
	char path[64];
	int found;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/scull/%s/dev",
		 device_names[which]);
	f = fopen(path, "r");
	if (f) {
		found = fscanf(f, "%u:%u", &at[0], &at[1]);
		fclose(f);
		expect(found == 2, "%s is not MAJOR:MINOR", path);
		return makedev(at[0], at[1]);
	}
	if (!access("/sys/class/scull", F_OK))
		skip("this module has no %s", device_names[which]);
	return makedev(scull_major(), scull_first_minor() + scull_nr_devs() +
		       scull_param("scull_p_nr_devs", 4) + which);
}

/* A directory with a node of each device, mounted nowhere. */
static inline int nodes(void)
{
	static int dir = -1;
	int fs, i;

	if (dir >= 0)
		return dir;
	fs = sys(syscall(SYS_fsopen, "tmpfs", 0));
	sys(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	dir = sys(syscall(SYS_fsmount, fs, 0, 0));
	close(fs);
	for (i = SINGLE; i <= PRIV; i++) {
		sys(mknodat(dir, device_names[i], S_IFCHR, device_number(i)));
		sys(fchmodat(dir, device_names[i], 0666, 0));
	}
	return dir;
}

static inline int open_device(enum device which, int flags)
{
	return openat(nodes(), device_names[which], flags);
}

static inline int try_to_empty(enum device which)
{
	int fd = open_device(which, O_WRONLY | O_NONBLOCK);

	if (fd < 0)
		return -1;
	return close(fd);
}

/* Whoever may have had the device open when an earlier case ended is dying. */
static inline void begin(enum device which)
{
	int fd;

	nodes();
	if (which == PRIV)
		return;
	fd = open_device(which, O_PATH);
	expect(fd >= 0, "%s: %s", device_names[which], strerror(errno));
	close(fd);
	if (try_to_empty(which) && errno == ENXIO)
		skip("this module has no %s", device_names[which]);
	wait_until(!try_to_empty(which), 30, "%s is taken: %s",
		   device_names[which], strerror(errno));
}

/* The directory of the ptys, which actors have to know before there are any. */
static inline int pts(void)
{
	static int dir = -1;

	if (dir < 0)
		dir = sys(open("/dev/pts", O_PATH | O_DIRECTORY));
	return dir;
}

/* --- what is done to an open device; good for actors --- */

static inline long do_open(long which, long flags)
{
	return open_device(which, flags);
}

static inline long do_close(long fd, long unused)
{
	return close(fd);
}

static inline long do_put(long fd, long text)
{
	return pwrite(fd, (char *)text, strlen((char *)text), 0);
}

/* Does the device hold this text and nothing else? */
static inline long do_compare(long fd, long text)
{
	size_t len = strlen((char *)text);
	char buf[256];
	ssize_t n = pread(fd, buf, sizeof(buf), 0);

	return n < 0 ? n : n == (ssize_t)len && !memcmp(buf, (char *)text, len);
}

static inline long do_size(long fd, long unused)
{
	return lseek(fd, 0, SEEK_END);
}

/* --- users --- */

#define NO_CAPS 0ull
#define ALL_CAPS (~0ull)
#define CAP(name) (1ull << CAP_##name)

/* Real, effective and saved uid, and the capabilities in effect. */
struct user {
	uid_t ruid, euid, suid;
	uint64_t caps;
};

#define PLAIN_USER(uid) { uid, uid, uid, NO_CAPS }

static inline void become(const struct user *user)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	int i;

	sys(setgroups(0, NULL));
	sys(setresgid(user->euid, user->euid, user->euid));
	sys(prctl(PR_SET_KEEPCAPS, 1));
	sys(setresuid(user->ruid, user->euid, user->suid));
	sys(syscall(SYS_capget, &head, caps));
	for (i = 0; i < 2; i++) {
		caps[i].permitted &= (uint32_t)(user->caps >> 32 * i);
		caps[i].effective = caps[i].permitted;
		caps[i].inheritable = 0;
	}
	sys(syscall(SYS_capset, &head, caps));
}

static inline void become_user(void *user)
{
	become(user);
}

/* --- actors --- */

typedef long (*act)(long a, long b);

struct order {
	act act;		/* NULL: leave */
	long a, b;
};

struct reply {
	long ret;
	int err;
};

struct actor {
	pid_t pid;
	int line;
};

/* What an actor inherits by mistake would keep a device or terminal open. */
static inline void close_devices(void)
{
	struct stat st;
	int fd;

	for (fd = 3; fd < 1024; fd++)
		if (!fstat(fd, &st) && S_ISCHR(st.st_mode))
			close(fd);
}

/* read() and write() that a signal does not end. */
static inline bool next_order(int line, struct order *order)
{
	ssize_t n;

	do
		n = read(line, order, sizeof(*order));
	while (n < 0 && errno == EINTR);
	return n == sizeof(*order) && order->act;
}

static inline void report(int line, const struct reply *reply)
{
	while (write(line, reply, sizeof(*reply)) < 0 && errno == EINTR)
		;
}

static inline void take_orders(int line)
{
	struct order order;
	struct reply reply;

	while (next_order(line, &order)) {
		errno = 0;
		reply.ret = order.act(order.a, order.b);
		reply.err = errno;
		report(line, &reply);
	}
	_exit(0);
}

/* fork(), with a process number of our choice if it is not 0. */
static inline pid_t fork_as(pid_t number)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&number,
		.set_tid_size = 1,
	};

	fflush(stdout);
	return number ? syscall(SYS_clone3, &args, sizeof(args)) : fork();
}

static inline struct actor hire_as(pid_t number, void (*prepare)(void *arg),
				   void *arg)
{
	pid_t parent = getpid();
	struct actor actor;
	int ends[2];

	nodes();
	pts();
	sys(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
	actor.pid = sys(fork_as(number));
	if (!actor.pid) {
		close(ends[0]);
		close_devices();
		if (prepare)
			prepare(arg);
		/* A change of user forgets it, so it comes after. */
		sys(prctl(PR_SET_PDEATHSIG, SIGKILL));
		if (getppid() != parent)
			_exit(1);
		report(ends[1], &(struct reply){ 0 });
		take_orders(ends[1]);
	}
	close(ends[1]);
	actor.line = ends[0];
	expect(read(actor.line, &(struct reply){ 0 }, sizeof(struct reply)) > 0,
	       "process %d was not ready", (int)actor.pid);
	return actor;
}

/* An actor who gets ready by @prepare, and dies with the case. */
static inline struct actor hire(void (*prepare)(void *arg), void *arg)
{
	return hire_as(0, prepare, arg);
}

static inline struct actor hire_user(uid_t uid)
{
	struct user user = PLAIN_USER(uid);

	return hire(become_user, &user);
}

/* Tells an actor what to do, and goes on at once. */
static inline void order(const struct actor *actor, act act, long a, long b)
{
	struct order order = { act, a, b };

	expect_ret(write(actor->line, &order, sizeof(order)), sizeof(order));
}

static inline bool answered(const struct actor *actor)
{
	struct pollfd p = { actor->line, POLLIN };

	return poll(&p, 1, 0) == 1;
}

static inline long answer(const struct actor *actor)
{
	struct pollfd p = { actor->line, POLLIN };
	struct reply reply;

	expect(poll(&p, 1, 30000) == 1,
	       "process %d has not come back from its call within 30 seconds",
	       (int)actor->pid);
	expect(read(actor->line, &reply, sizeof(reply)) == sizeof(reply),
	       "process %d is gone", (int)actor->pid);
	errno = reply.err;
	return reply.ret;
}

static inline long ask(const struct actor *actor, act act, long a, long b)
{
	order(actor, act, a, b);
	return answer(actor);
}

static inline void dismiss(struct actor *actor)
{
	order(actor, NULL, 0, 0);
	expect_ret(waitpid(actor->pid, NULL, 0), actor->pid);
	close(actor->line);
}

static inline void kill_actor(struct actor *actor)
{
	sys(kill(actor->pid, SIGKILL));
	expect_ret(waitpid(actor->pid, NULL, 0), actor->pid);
	close(actor->line);
}

/* The actor's descriptor @fd, in this process too: passed on in one step. */
static inline int copy_fd(const struct actor *a, int fd)
{
	int process = sys(syscall(SYS_pidfd_open, a->pid, 0));
	int copy = sys(syscall(SYS_pidfd_getfd, process, fd, 0));

	close(process);
	return copy;
}

/* Does the process sleep, in this state, in an open()? */
static inline bool sleeps_in_open(pid_t pid, char wanted)
{
	char path[64], state = '?';
	long number = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%ld", &number) != 1)
		number = -1;
	fclose(f);
	if (number != SYS_openat)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(f);
	return state == wanted;
}

/* Who was let in does not sleep, from that very moment on. */
static inline bool waits(const struct actor *actor)
{
	return sleeps_in_open(actor->pid, 'S') && !answered(actor);
}

/* Begins an open that has to wait, and returns when it does. */
static inline void wait_in_open(const struct actor *actor, enum device which,
				int flags)
{
	int looks;

	order(actor, do_open, which, flags);
	for (looks = 0; looks < 100 && !waits(actor); looks++)
		sched_yield();
	wait_until(waits(actor), 30, "the open does not wait: %s",
		   answered(actor) ? "it returned" : "nor did it return");
}

/* --- processes that meet --- */

/*
 * A barrier that is left by all at the same moment, or nearly so: who waits
 * looks again and again for a while before it sleeps.
 */
struct gate {
	int n;
	int arrived;
	int phase;
};

#define GATE_LOOKS 2000

static inline void pass(struct gate *gate)
{
	int phase = __atomic_load_n(&gate->phase, __ATOMIC_SEQ_CST), looks = 0;
	const struct timespec limit = { 30, 0 };

	if (__atomic_add_fetch(&gate->arrived, 1, __ATOMIC_SEQ_CST) == gate->n) {
		__atomic_store_n(&gate->arrived, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&gate->phase, phase + 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &gate->phase, FUTEX_WAKE, INT_MAX, NULL,
			NULL, 0);
		return;
	}
	while (__atomic_load_n(&gate->phase, __ATOMIC_SEQ_CST) == phase)
		if (looks++ > GATE_LOOKS)
			expect(!syscall(SYS_futex, &gate->phase, FUTEX_WAIT,
					phase, &limit, NULL, 0) ||
			       errno == EAGAIN || errno == EINTR,
			       "another process did not come within 30 seconds");
}

/* --- terminals --- */

struct terminal {
	int master;		/* of a pty, or -1 */
	int dir;		/* where the node is */
	int number;
	char name[32];
};

/* A new pty of the devpts that is mounted at @dir, with @ptmx for its master. */
static inline struct terminal new_pty_in(int ptmx_dir, const char *ptmx, int dir)
{
	struct terminal t = { .dir = dir };
	int unlocked = 0;

	t.master = sys(openat(ptmx_dir, ptmx, O_RDWR | O_NOCTTY));
	sys(ioctl(t.master, TIOCSPTLCK, &unlocked));
	sys(ioctl(t.master, TIOCGPTN, &t.number));
	snprintf(t.name, sizeof(t.name), "%d", t.number);
	return t;
}

static inline struct terminal new_pty(void)
{
	return new_pty_in(AT_FDCWD, "/dev/ptmx", pts());
}

static inline int open_terminal(const struct terminal *t)
{
	return openat(t->dir, t->name, O_RDWR | O_NOCTTY | O_NONBLOCK);
}

/* Makes the caller the leader of a session on the terminal. */
static inline void on_terminal(void *arg)
{
	int fd;

	sys(setsid());
	fd = sys(open_terminal(arg));
	sys(ioctl(fd, TIOCSCTTY, 0));
}

#endif
