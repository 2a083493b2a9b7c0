// SPDX-License-Identifier: GPL-2.0
/*
 * All devices at once: processes of several users open, close, read, write,
 * poll, trim and reconfigure them at random, in the middle of signals; some are
 * killed and replaced; others try to unload the module or read its maps in
 * /proc. What can be checked is: each call gives a count or one of the errors it
 * may give, no call hangs, the kernel says nothing, and in the end the module
 * can be unloaded and loaded again.
 */
#include "pipes.h"

#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <dirent.h>

#define PROCS		64
#define FILES		6	/* a worker has open at once */
#define BUFFER		(64 * KiB)
/* Offsets of bare devices; some where memory is to run out. */
#define REACH		(opt.memcg ? 16 * MiB : 256 * KiB)
#define TICK_US		20000	/* between two alarms of a worker */
#define KILL_MS		150
#define PROGRESS_MS	5000
#define GROUP		"scull-stress"
#define GROUP_LIMIT	"16777216"
#define CPU		"/sys/devices/system/cpu/cpu1/online"

enum call {
	OPEN, CLOSE, READ, WRITE, READV, PREAD, PWRITE, NOWAIT, POLL, LSEEK,
	FSYNC, IOCTL, TRIM, SPLICE_OUT, SPLICE_IN, ASYNC, PROC, UNLOAD, CALLS,
};

/* What a call may fail with; 0 ends the list. */
static const struct {
	const char *name;
	int may[8];
} calls[CALLS] = {
	[OPEN]		= { "open", { EINTR, EBUSY, EAGAIN, EINVAL, ENOMEM } },
	[CLOSE]		= { "close", { 0 } },
	[READ]		= { "read", { EINTR, EAGAIN, EFAULT } },
	[WRITE]		= { "write", { EINTR, EAGAIN, EFAULT, ENOMEM } },
	[READV]		= { "readv", { EINTR, EAGAIN, EFAULT } },
	[PREAD]		= { "pread", { EFAULT, ESPIPE } },
	[PWRITE]	= { "pwrite", { EFAULT, ESPIPE, ENOMEM } },
	[NOWAIT]	= { "nowait", { EAGAIN, EFAULT, ENOMEM } },
	[POLL]		= { "poll", { EINTR } },
	[LSEEK]		= { "lseek", { ESPIPE, EINVAL, ENXIO } },
	[FSYNC]		= { "fsync", { EINTR } },
	[IOCTL]		= { "ioctl", { EPERM, EINVAL, EFAULT, ENOTTY } },
	[TRIM]		= { "trim", { EINTR, EBUSY, EAGAIN, EINVAL, ENOMEM } },
	[SPLICE_OUT]	= { "splice_out", { EINTR, EAGAIN, ENOMEM } },
	[SPLICE_IN]	= { "splice_in", { EINTR, EAGAIN, ENOMEM, EINVAL } },
	[ASYNC]		= { "async", { ENOMEM } },
	[PROC]		= { "proc", { EINTR, ENOMEM } },
	[UNLOAD]	= { "unload", { EWOULDBLOCK, EBUSY, EPERM, EINTR } },
};

/* A worker's place: it outlives the worker. */
struct place {
	int call;		/* it is in, or -1 */
	char where[24];		/* device or so */
	long entered;		/* how many calls it has begun */
	long done[CALLS], failed[CALLS];
	long without_memory;	/* calls that failed with ENOMEM */
};

static struct shared {
	struct place places[PROCS];
	int stop;
	int wrong;
	char text[512];
} *all;

static struct options {
	long seed, ops, seconds, limit;
	int procs;
	bool memcg, hotplug;
} opt = { .procs = 16, .limit = 60 };

static char dir[64];
static char names[512][24];
static int count;
static struct place *me;
static struct chance luck;

static size_t some(size_t n)
{
	return chance_below(&luck, n);
}

static void __attribute__((format(printf, 1, 2), noreturn))
give_up(const char *fmt, ...)
{
	va_list ap;

	fputs("stress: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

/* The first who sees something wrong says what. */
static void __attribute__((format(printf, 1, 2)))
wrong(const char *fmt, ...)
{
	va_list ap;

	if (__atomic_fetch_add(&all->wrong, 1, __ATOMIC_SEQ_CST))
		return;
	va_start(ap, fmt);
	vsnprintf(all->text, sizeof(all->text), fmt, ap);
	va_end(ap);
	__atomic_store_n(&all->stop, 1, __ATOMIC_SEQ_CST);
}

/* --- what a worker does --- */

struct file {
	int fd;
	int device;
	int flags;
};

static struct file files[FILES];
static unsigned char *buf, *nowhere;
static int pipes[2];

static void enter(enum call call, const char *where)
{
	snprintf(me->where, sizeof(me->where), "%s", where);
	__atomic_store_n(&me->call, call, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&me->entered, 1, __ATOMIC_SEQ_CST);
}

/* Judges what a call gave. */
static long leave(long ret, long most)
{
	int err = errno, call = me->call, i;

	__atomic_store_n(&me->call, -1, __ATOMIC_SEQ_CST);
	me->done[call]++;
	if (ret > most)
		wrong("%s on %s gave %ld, more than %ld", calls[call].name,
		      me->where, ret, most);
	if (ret >= 0)
		return ret;
	me->failed[call]++;
	me->without_memory += err == ENOMEM;
	for (i = 0; calls[call].may[i]; i++)
		if (calls[call].may[i] == err)
			return ret;
	wrong("%s on %s failed with %s", calls[call].name, me->where,
	      strerror(err));
	return ret;
}

static int open_one(enum call call, int device, int flags)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, names[device]);
	enter(call, names[device]);
	fd = open(path, flags);
	leave(fd, INT_MAX);
	return fd;
}

static void do_close(struct file *f)
{
	int fd = f->fd;

	enter(CLOSE, names[f->device]);
	f->fd = -1;
	leave(close(fd), 0);
}

static void do_open(struct file *f)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR };
	static const int extras[] = { 0, 0, O_NONBLOCK, O_APPEND, O_TRUNC };

	f->device = some(count);
	f->flags = modes[some(ARRAY_SIZE(modes))] |
		   extras[some(ARRAY_SIZE(extras))];
	/* What is emptied all the time does not fill memory. */
	if (opt.memcg && f->flags & (O_WRONLY | O_TRUNC))
		f->flags = (f->flags & ~O_TRUNC) | O_APPEND;
	f->fd = open_one(OPEN, f->device, f->flags);
}

/* Mostly good memory, sometimes with a hole in it or none at all. */
static void *some_memory(size_t *len)
{
	*len = some(4) ? some(9000) : some(BUFFER);
	switch (some(20)) {
	case 0:
		return nowhere;
	case 1:
		return nowhere - some(*len + 1);
	default:
		return buf + some(BUFFER - *len + 1);
	}
}

static void do_transfer(struct file *f, enum call call)
{
	struct iovec iov[2];
	size_t len;

	iov[0].iov_base = some_memory(&len);
	iov[0].iov_len = len;
	iov[1] = (struct iovec){ buf, some(100) };
	enter(call, names[f->device]);
	switch (call) {
	case READ:
		leave(read(f->fd, iov[0].iov_base, len), len);
		break;
	case WRITE:
		leave(write(f->fd, iov[0].iov_base, len), len);
		break;
	case READV:
		leave(readv(f->fd, iov, 2), len + iov[1].iov_len);
		break;
	case PREAD:
		leave(pread(f->fd, iov[0].iov_base, len, some(REACH)), len);
		break;
	case PWRITE:
		leave(pwrite(f->fd, iov[0].iov_base, len, some(REACH)), len);
		break;
	default:
		if (f->flags & O_WRONLY || (f->flags & O_RDWR && some(2)))
			leave(pwritev2(f->fd, iov, 2, -1, RWF_NOWAIT),
			      len + iov[1].iov_len);
		else
			leave(preadv2(f->fd, iov, 2, -1, RWF_NOWAIT),
			      len + iov[1].iov_len);
	}
}

static void do_poll(void)
{
	struct pollfd p[FILES];
	int i, n = 0;

	for (i = 0; i < FILES; i++)
		if (files[i].fd >= 0)
			p[n++] = (struct pollfd){ files[i].fd, POLLIN | POLLOUT };
	enter(POLL, "all");
	leave(poll(p, n, some(3) ? 0 : 5), n);
}

/* Also where appending left a device so large that work on it takes long. */
static void do_lseek(struct file *f)
{
	static const int whences[] = { SEEK_SET, SEEK_SET, SEEK_SET, SEEK_CUR,
				       SEEK_END, SEEK_DATA, SEEK_HOLE };
	int whence = whences[some(ARRAY_SIZE(whences))];
	long off = whence == SEEK_CUR || whence == SEEK_END ?
			   -(long)some(REACH) : (long)some(REACH);

	enter(LSEEK, names[f->device]);
	leave(lseek(f->fd, off, whence) < 0 ? -1 : 0, 0);
}

static void do_ioctl(struct file *f)
{
	static const unsigned int changes[] = {
		SCULL_IOCTQUANTUM, SCULL_IOCHQUANTUM, SCULL_IOCTQSET,
		SCULL_IOCHQSET, SCULL_P_IOCTSIZE,
	};
	static const unsigned int asks[] = {
		SCULL_IOCQQUANTUM, SCULL_IOCQQSET, SCULL_P_IOCQSIZE,
	};
	unsigned int change = changes[some(ARRAY_SIZE(changes))];
	int value;

	enter(IOCTL, names[f->device]);
	switch (some(6)) {
	case 0:
		if (opt.memcg)
			leave(ioctl(f->fd, SCULL_IOCTQUANTUM, 128 * KiB), 0);
		else
			leave(ioctl(f->fd, SCULL_IOCRESET), 0);
		break;
	case 1:
		leave(ioctl(f->fd, SCULL_IOCGQUANTUM, some(4) ? buf : nowhere), 0);
		break;
	case 2:
		leave(ioctl(f->fd, SCULL_IOCXQSET,
			    some(4) ? memset(buf, 1, 1) : nowhere), 0);
		break;
	case 3:
		value = change == SCULL_P_IOCTSIZE ? 1 + some(70000) :
			opt.memcg ? 64 + some(MiB) : 64 + some(8000);
		leave(ioctl(f->fd, change, some(20) ? value : 0), INT_MAX);
		break;
	default:
		leave(ioctl(f->fd, asks[some(ARRAY_SIZE(asks))]), INT_MAX);
	}
}

static void do_trim(void)
{
	int fd, device = some(count);

	fd = open_one(TRIM, device, O_WRONLY | O_NONBLOCK);
	if (fd >= 0)
		close(fd);
}

static void do_splice(struct file *f, bool out)
{
	size_t len = 1 + some(BUFFER);
	long ret;

	enter(out ? SPLICE_OUT : SPLICE_IN, names[f->device]);
	if (out) {
		ret = leave(splice(f->fd, NULL, pipes[1], NULL, len,
				   SPLICE_F_NONBLOCK), len);
	} else {
		if (write(pipes[1], buf, len) < 0 && errno != EAGAIN &&
		    errno != ENOMEM)
			wrong("write to a pipe of the kernel: %s", strerror(errno));
		ret = leave(splice(pipes[0], NULL, f->fd, NULL, len,
				   SPLICE_F_NONBLOCK), len);
	}
	(void)ret;
	while (read(pipes[0], buf, BUFFER) > 0)
		;
}

static void do_fasync(struct file *f)
{
	int flags = fcntl(f->fd, F_GETFL);

	fcntl(f->fd, F_SETOWN, getpid());
	enter(ASYNC, names[f->device]);
	/* A bare device has nothing to tell, so O_ASYNC is just a flag there. */
	leave(fcntl(f->fd, F_SETFL, flags ^ O_ASYNC), 0);
}

static void do_proc(void)
{
	const char *path = some(2) ? "/proc/scullmem" : "/proc/scullseq";
	int fd = open(path, O_RDONLY);
	long n, all_of_it = 0;

	if (fd < 0) {
		if (errno != ENOMEM)
			wrong("open %s: %s", path, strerror(errno));
		return;
	}
	do {
		enter(PROC, path + 6);
		n = leave(read(fd, buf, 1 + some(BUFFER)), BUFFER);
		all_of_it += n > 0 ? n : 0;
	} while (n > 0 && all_of_it < MiB);
	close(fd);
}

/* The program has a device open all the time. */
static void do_unload(void)
{
	if (scull_is_builtin())
		return;
	enter(UNLOAD, "module");
	leave(syscall(SYS_delete_module, "scull", O_NONBLOCK), -1);
}

static void do_something(void)
{
	struct file *f = &files[some(FILES)];
	bool reads, writes;

	if (f->fd < 0) {
		do_open(f);
		return;
	}
	reads = (f->flags & O_ACCMODE) != O_WRONLY;
	writes = (f->flags & O_ACCMODE) != O_RDONLY;
	switch (some(24)) {
	case 0:
	case 1:
	case 2:
		do_close(f);
		break;
	case 3:
	case 4:
		do_poll();
		break;
	case 5:
		do_lseek(f);
		break;
	case 6:
		do_ioctl(f);
		break;
	case 7:
		if (!opt.memcg || !some(8))
			do_trim();
		break;
	case 8:
		do_fasync(f);
		break;
	case 9:
		some(4) ? do_unload() : do_proc();
		break;
	case 10:
		/* With bytes in it, a pipe waits until they are read: or a signal. */
		enter(FSYNC, names[f->device]);
		leave(fsync(f->fd), 0);
		break;
	case 11:
		do_transfer(f, NOWAIT);
		break;
	case 12:
	case 13:
		if (reads)
			do_splice(f, true);
		break;
	case 14:
	case 15:
		if (writes)
			do_splice(f, false);
		break;
	case 16:
		if (reads)
			do_transfer(f, READV);
		break;
	case 17:
		if (reads)
			do_transfer(f, PREAD);
		break;
	case 18:
		if (writes)
			do_transfer(f, PWRITE);
		break;
	case 19:
	case 20:
		if (reads)
			do_transfer(f, READ);
		break;
	default:
		if (writes)
			do_transfer(f, WRITE);
	}
}

/* --- a worker's life --- */

static void nothing(int sig)
{
}

/* For a worker to inherit, who may get one at once. No SA_RESTART: waits end. */
static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGIO, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

/* Every wait ends at the next one. */
static void want_alarms(void)
{
	struct itimerval tick = { { 0, TICK_US }, { 0, TICK_US } };

	setitimer(ITIMER_REAL, &tick, NULL);
}

/* A session on a terminal of its own, where there are terminals. */
static void want_terminal(void)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	setsid();
	if (master < 0 || grantpt(master) || unlockpt(master))
		return;
	ioctl(open(ptsname(master), O_RDWR | O_NOCTTY), TIOCSCTTY, 0);
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		wrong("cannot become user %d: %s", (int)uid, strerror(errno));
	/* A change of user forgets it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		wrong("writing %s to %s: %s", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void __attribute__((noreturn)) work(int number)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	me = &all->places[number];
	buf = mmap(NULL, BUFFER + page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED || mprotect(buf + BUFFER, page, PROT_NONE) ||
	    pipe2(pipes, O_NONBLOCK))
		_exit(2);
	nowhere = buf + BUFFER;
	for (i = 0; i < FILES; i++)
		files[i].fd = -1;
	if (opt.memcg && !memcg_enter(GROUP))
		wrong("a process cannot enter its cgroup: %s", strerror(errno));
	if (number % 4 == 3)
		want_terminal();
	if (number % 4 == 1)
		become(1000 + number % 8);
	want_alarms();
	while (!__atomic_load_n(&all->stop, __ATOMIC_SEQ_CST))
		do_something();
	_exit(0);
}

static void __attribute__((noreturn)) hotplug(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!__atomic_load_n(&all->stop, __ATOMIC_SEQ_CST)) {
		put_file(CPU, "0");
		nap_ms(300);
		put_file(CPU, "1");
		nap_ms(300);
	}
	_exit(0);
}

/* --- the program --- */

/* A node of every device, which every user may open. */
static void make_nodes(void)
{
	DIR *d = opendir("/sys/class/scull");
	unsigned int major, minor;
	struct dirent *e;
	char path[512];
	FILE *f;

	if (!d)
		give_up("there is no /sys/class/scull: load the module first");
	snprintf(dir, sizeof(dir), "/dev/scull-stress.%d", (int)getpid());
	if (mkdir(dir, 0755))
		give_up("%s: %s", dir, strerror(errno));
	while ((e = readdir(d)) && count < (int)ARRAY_SIZE(names)) {
		/* Beside the devices there are the class's own values. */
		if (e->d_type != DT_LNK)
			continue;
		snprintf(path, sizeof(path), "/sys/class/scull/%s/dev", e->d_name);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%u:%u", &major, &minor) != 2)
			give_up("%s does not tell a device's number", path);
		fclose(f);
		snprintf(names[count], sizeof(names[0]), "%.20s", e->d_name);
		snprintf(path, sizeof(path), "%s/%s", dir, names[count++]);
		if (mknod(path, S_IFCHR, makedev(major, minor)) ||
		    chmod(path, 0666))
			give_up("%s: %s", path, strerror(errno));
	}
	closedir(d);
}

static void remove_nodes(void)
{
	char path[512];
	int i;

	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%.23s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void make_group(void)
{
	const char *why = memcg_make(GROUP);

	if (why)
		give_up("--memcg: %s", why);
	if (!memcg_limit(GROUP, GROUP_LIMIT))
		give_up("--memcg: limit of %s: %s", GROUP_LIMIT, strerror(errno));
}

/* Numbers are drawn here, so that they follow from the seed. */
static pid_t start(int number)
{
	pid_t pid;

	luck = chance_new();
	pid = fork();
	if (pid < 0)
		give_up("fork: %s", strerror(errno));
	if (!pid)
		work(number);
	return pid;
}

static long sum(long done[CALLS], long failed[CALLS])
{
	long ops = 0;
	int i, c;

	for (c = 0; c < CALLS; c++) {
		done[c] = failed[c] = 0;
		for (i = 0; i < opt.procs; i++) {
			done[c] += all->places[i].done[c];
			failed[c] += all->places[i].failed[c];
		}
		ops += done[c];
	}
	return ops;
}

static long without_memory(void)
{
	long n = 0;
	int i;

	for (i = 0; i < opt.procs; i++)
		n += all->places[i].without_memory;
	return n;
}

static long operations(void)
{
	long done[CALLS], failed[CALLS];

	return sum(done, failed);
}

static void print_mix(void)
{
	long done[CALLS], failed[CALLS];
	int c;

	sum(done, failed);
	for (c = 0; c < CALLS; c++)
		printf("%s %s %ld (%ld refused)", c ? "," : "", calls[c].name,
		       done[c], failed[c]);
	putchar('\n');
}

/* A worker that has been in one call for too long. */
static void watch(int number, pid_t pid, long seen[], long long since[])
{
	const struct place *p = &all->places[number];
	long entered = __atomic_load_n(&p->entered, __ATOMIC_SEQ_CST);
	int i, call;

	if (entered != seen[number]) {
		seen[number] = entered;
		since[number] = now_ms();
		return;
	}
	if (now_ms() - since[number] < opt.limit * 1000)
		return;
	call = p->call;
	wrong("process %d (worker %d) has been in %s on %s for %ld s", (int)pid,
	      number, call < 0 ? "no call" : calls[call].name, p->where, opt.limit);
	for (i = 0; i < opt.procs; i++)
		printf("stress: worker %d is in %s, %s\n", i,
		       all->places[i].call < 0 ? "no call" :
		       calls[all->places[i].call].name, all->places[i].where);
}

struct events {
	long killed, signals;
	long lost;		/* killed by the kernel, which had no memory */
};

/* Lets the workers be until there is enough; returns how long that took. */
static long long supervise(pid_t *pids, struct events *ev)
{
	long long begin = now_ms(), kill_at = begin + KILL_MS, show_at = begin + PROGRESS_MS;
	long long since[PROCS];
	long seen[PROCS] = { 0 };
	bool shot[PROCS] = { false };
	int i, status;

	for (i = 0; i < opt.procs; i++)
		since[i] = begin;
	while (!__atomic_load_n(&all->stop, __ATOMIC_SEQ_CST)) {
		nap_ms(5);
		kill(pids[below(opt.procs)], SIGUSR1);
		ev->signals++;
		if (now_ms() >= kill_at) {
			i = below(opt.procs);
			kill_at = now_ms() + KILL_MS;
			kill(pids[i], SIGKILL);
			shot[i] = true;
			ev->killed++;
		}
		for (i = 0; i < opt.procs; i++) {
			watch(i, pids[i], seen, since);
			if (waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
				ev->lost += !shot[i];
			else if (!__atomic_load_n(&all->stop, __ATOMIC_SEQ_CST))
				wrong("worker %d ended with status 0x%x", i, status);
			pids[i] = start(i);
			shot[i] = false;
			since[i] = now_ms();
		}
		if (now_ms() >= show_at) {
			show_at += PROGRESS_MS;
			printf("stress: %lld s, %ld operations, %ld killed\n",
			       (now_ms() - begin) / 1000, operations(), ev->killed);
		}
		if ((opt.seconds && now_ms() - begin >= opt.seconds * 1000) ||
		    (opt.ops && operations() >= opt.ops))
			break;
	}
	return now_ms() - begin;
}

/* Waits for all workers, who leave by themselves. */
static void end_workers(pid_t *pids)
{
	long long end = now_ms() + opt.limit * 1000;
	int i;

	__atomic_store_n(&all->stop, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < opt.procs; i++) {
		while (waitpid(pids[i], NULL, WNOHANG) != pids[i]) {
			if (now_ms() >= end) {
				wrong("worker %d does not come back from %s on %s", i,
				      all->places[i].call < 0 ? "no call" :
				      calls[all->places[i].call].name,
				      all->places[i].where);
				kill(pids[i], SIGKILL);
				break;
			}
			nap_ms(5);
		}
	}
}

/* With everything closed, a user who had nothing open may open each device. */
static void open_all_again(void)
{
	pid_t pid = fork();
	char path[512];
	int i, fd;

	if (!pid) {
		become(4321);
		for (i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "%s/%.23s", dir, names[i]);
			fd = open(path, O_RDONLY | O_NONBLOCK);
			/* scullpriv wants a terminal, which nobody is sure to have. */
			if (fd < 0 && (errno != EINVAL || strcmp(names[i], "scullpriv")))
				wrong("%s cannot be opened at the end: %s", names[i],
				      strerror(errno));
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* 0 as it should be, -1 not to be tried from here. */
static int load_again(void)
{
	if (scull_is_builtin() || access("./scull_load", X_OK) ||
	    access("./scull_unload", X_OK))
		return -1;
	if (system("./scull_unload")) {
		wrong("the module cannot be unloaded");
		return 1;
	}
	if (system("./scull_load")) {
		wrong("the module cannot be loaded again");
		return 1;
	}
	return 0;
}

static void usage(FILE *f)
{
	fputs("usage: stress [-j PROCESSES] [-t SECONDS] [-n OPERATIONS] [-s SEED] [-l SECONDS]\n"
	      "              [--memcg] [--hotplug]\n\n"
	      "Uses all scull devices at random, as root; takes what they hold. In the\n"
	      "project's directory, unloads the module at the end and loads it again.\n\n"
	      "  -j PROCESSES   how many at once (default 16)\n"
	      "  -t SECONDS     how long at most (default 10 without -n)\n"
	      "  -n OPERATIONS  how many at most\n"
	      "  -s SEED        what chance begins with; by default from the clock, printed\n"
	      "  -l SECONDS     the longest that a call may take (default 60)\n"
	      "  --memcg        the processes share a memory cgroup that runs out\n"
	      "  --hotplug      processor 1 goes off and on meanwhile\n\n"
	      "Exit status: 0 all as it should be, 1 not, 2 it could not begin.\n", f);
}

static long number(const char *option, long least, long most)
{
	char *end;
	long n = strtol(optarg, &end, 10);

	if (end == optarg || *end || n < least || n > most)
		give_up("%s %s: a number from %ld to %ld is wanted", option,
			optarg, least, most);
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "memcg", no_argument, NULL, 'm' },
		{ "hotplug", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "j:t:n:s:l:h", longs, NULL)) != -1) {
		switch (c) {
		case 'j': opt.procs = number("-j", 1, PROCS); break;
		case 't': opt.seconds = number("-t", 1, 10000000); break;
		case 'n': opt.ops = number("-n", 1, LONG_MAX); break;
		case 's': number("-s", 0, LONG_MAX); setenv("SCULL_SEED", optarg, 1); break;
		case 'l': opt.limit = number("-l", 1, 100000); break;
		case 'm': opt.memcg = true; break;
		case 'p': opt.hotplug = true; break;
		case 'h': usage(stdout); exit(0);
		default: fputs("stress --help tells more\n", stderr); exit(2);
		}
	}
	if (optind < argc)
		give_up("\"%s\": no such argument (--help tells which there are)",
			argv[optind]);
	if (!opt.seconds && !opt.ops)
		opt.seconds = 10;
	if (geteuid())
		give_up("only root can be several users");
	if (opt.hotplug && access(CPU, W_OK))
		give_up("--hotplug: this kernel does not switch processor 1 off");
}

int main(int argc, char **argv)
{
	struct events ev = { 0 };
	pid_t pids[PROCS], plug = 0;
	long long ms;
	int keeper, again, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		give_up("no memory: %s", strerror(errno));
	seed_rnd();
	make_nodes();
	if (opt.memcg)
		make_group();
	keeper = open("/dev/scull0", O_RDONLY | O_CLOEXEC);
	if (keeper < 0)
		give_up("/dev/scull0: %s", strerror(errno));
	if (opt.hotplug && !(plug = fork()))
		hotplug();
	catch_signals();
	for (i = 0; i < opt.procs; i++)
		pids[i] = start(i);
	ms = supervise(pids, &ev);
	end_workers(pids);
	if (plug > 0)
		waitpid(plug, NULL, 0);
	if (!all->wrong)
		open_all_again();
	close(keeper);
	remove_nodes();
	if (opt.memcg)
		memcg_remove(GROUP);
	again = load_again();
	printf("stress: %ld operations by %d processes in %lld.%lld s, %ld signals, %ld killed, %ld without memory, %ld lost to it, %d wrong; module %s; mix:",
	       operations(), opt.procs, ms / 1000, ms % 1000 / 100, ev.signals,
	       ev.killed, without_memory(), ev.lost, all->wrong,
	       again < 0 ? "left loaded" : again ? "NOT unloaded and loaded again" :
			   "unloaded and loaded again");
	print_mix();
	if (all->wrong)
		printf("stress: WRONG: %s\n", all->text);
	return all->wrong ? 1 : 0;
}
