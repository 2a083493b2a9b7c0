// SPDX-License-Identifier: GPL-2.0
/*
 * vm: cpus=1
 *
 * Every call with its first, second, third ... allocation or copy to or from
 * user space failing, until it gets through without a fault. After each: the
 * error is one that the call may give, the devices hold what they held or what
 * the call said it had stored, and the same call works when it is made again.
 *
 * The kernel does it: /proc/thread-self/fail-nth counts what can fail. It counts
 * only what was called from a given range of code, if it is told so; with that
 * the last case fails each call site of an allocator in the module. Of those
 * that run when it is loaded, and so have no address before, stacks in the
 * kernel's log tell.
 */
#include "harness.h"
#include "access.h"
#include "faults.h"
#include "pipes.h"

#include <linux/module.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define DEBUGFS "/sys/kernel/debug"
#define FAIL_NTH "/proc/thread-self/fail-nth"
#define PROC_MEM "/proc/scullmem"
#define MAPS DEBUGFS "/scull"
/* Where the cases, each a process of its own, leave what they saw. */
#define SITES "/tmp/scull-failnth-sites"
/* More faults than any call takes, so that a call that never ends is seen. */
#define MOST_FAULTS 2000

#define QUANTUM 100
#define QSET 3
#define LEN 1000
#define SEED 7

static unsigned char buf[64 * KiB];

/* --- the kernel's faults --- */

static int log_fd = -1;

static bool put_attribute(const char *fault, const char *file, const char *text)
{
	char path[128];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", fault, file);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static const char *const faults[] = { "failslab", "fail_page_alloc",
				      "fail_usercopy" };

/* Writes a range of code to the attributes @from and @to of all faults. */
static void put_range(const char *from, unsigned long start, const char *to,
		      unsigned long end)
{
	char text[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		snprintf(text, sizeof(text), "0x%lx", start);
		put_attribute(faults[i], from, text);
		snprintf(text, sizeof(text), "0x%lx", end);
		put_attribute(faults[i], to, text);
	}
}

/* Faults happen only where code between @start and @end has called. */
static void limit_faults(unsigned long start, unsigned long end)
{
	size_t i;

	put_range("require-start", start, "require-end", end);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		put_attribute(faults[i], "stacktrace-depth",
			      start ? "32" : "0");
}

#define EVERYWHERE 0, ULONG_MAX

/* No faults happen where code between @start and @end has called. */
static void spare(unsigned long start, unsigned long end)
{
	put_range("reject-start", start, "reject-end", end);
}

#define NOWHERE 0, 0

/* The address of a function, and of what follows it; false if it has none. */
static bool find_function(const char *function, unsigned long *start,
			  unsigned long *end)
{
	char line[256], name[128], type;
	unsigned long address;
	bool found = false;
	FILE *f = fopen("/proc/kallsyms", "r");

	expect(f, "kallsyms: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%lx %c %127s", start, &type, name) == 3 &&
			!strcmp(name, function);
	*end = *start + 1;
	while (found && fgets(line, sizeof(line), f) &&
	       sscanf(line, "%lx", &address) == 1) {
		*end = address;
		if (address > *start)
			break;
	}
	fclose(f);
	return found;
}

static void injection_possible(void)
{
	size_t i;

	if (access(FAIL_NTH, F_OK))
		skip("this kernel injects no faults into a call");
	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!put_attribute(faults[i], "verbose", "2"))
			skip("this kernel has no %s", faults[i]);
		put_attribute(faults[i], "times", "-1");
		put_attribute(faults[i], "ignore-gfp-wait", "N");
		put_attribute(faults[i], "ignore-gfp-highmem", "N");
		put_attribute(faults[i], "min-order", "0");
	}
	limit_faults(EVERYWHERE);
	log_fd = sys(open("/dev/kmsg", O_RDONLY | O_NONBLOCK));
	sys(lseek(log_fd, 0, SEEK_END));
}

static void arm(int nth)
{
	char text[16];
	int fd = sys(open(FAIL_NTH, O_WRONLY));

	snprintf(text, sizeof(text), "%d", nth);
	sys(write(fd, text, strlen(text)));
	/* Nothing between here and the call; close() allocates nothing. */
	close(fd);
}

/*
 * Did the call have the fault? What is left of the number tells. Asking may
 * itself have it, and does not if the call had it.
 */
static bool disarm(void)
{
	char text[16] = "";
	int fd = open(FAIL_NTH, O_RDWR);
	bool fired = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
		     atoi(text) == 0;

	if (fd >= 0)
		close(fd);
	fd = open(FAIL_NTH, O_WRONLY);
	if (fd < 0)
		fd = sys(open(FAIL_NTH, O_WRONLY));
	if (write(fd, "0", 1) != 1)
		sys(write(fd, "0", 1));
	close(fd);
	return fired;
}

/*
 * Notes where in the module the faults were of which the log has stacks: in each
 * the innermost function that is the module's. There is none for an allocation
 * that asked for no warning.
 */
static void note_sites(const char *call)
{
	char record[8192], frame[128];
	bool innermost = false;
	FILE *f = fopen(SITES, "a");

	expect(f, "%s: %s", SITES, strerror(errno));
	for (;;) {
		ssize_t n = read(log_fd, record, sizeof(record) - 1);
		char *text;

		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		if (strstr(text, "FAULT_INJECTION: forcing a failure"))
			innermost = true;
		if (!innermost || !strstr(text, "[scull]") ||
		    sscanf(text, " %127[^/]", frame) != 1 || frame[0] == '?')
			continue;
		fprintf(f, "%s %s\n", call, frame);
		innermost = false;
	}
	fclose(f);
}

/* --- calls --- */

/**
 * struct target - a call that is made to fail
 * @name: what it is
 * @setup: brings about what it begins with, each time anew
 * @call: makes it: its value, errno set if that is -1
 * @check: fails the case unless all is as it should be after the call gave
 *	   @ret; @fault says whether it had a fault
 * @errors: what it may give after a fault, 0 at the end
 * @seldom: making it again takes so long that it is done every 16th time
 * @enough: if it is there, says that no more faults are wanted
 */
struct target {
	const char *name;
	void (*setup)(void);
	long (*call)(void);
	void (*check)(long ret, bool fault);
	int errors[5];
	bool seldom;
	bool (*enough)(void);
};

static bool allowed(const struct target *target, int error)
{
	const int *e;

	for (e = target->errors; *e; e++)
		if (*e == error)
			return true;
	return false;
}

static void fail_each(const struct target *target)
{
	int nth, error, faulted = 0, failed = 0;
	bool fired;
	long ret;

	for (nth = 1; nth < MOST_FAULTS; nth++) {
		target->setup();
		arm(nth);
		ret = target->call();
		error = errno;
		fired = disarm();
		note_sites(target->name);
		if (!fired)
			break;
		faulted++;
		if (ret < 0) {
			failed++;
			expect(allowed(target, error),
			       "%s, fault %d: it failed with %s (%d)",
			       target->name, nth, strerror(error), error);
		}
		target->check(ret, true);
		if (target->enough && target->enough())
			return;
		if (target->seldom && nth % 16)
			continue;
		ret = target->call();
		expect(ret >= 0, "%s after fault %d: again: %s", target->name,
		       nth, strerror(errno));
		target->check(ret, false);
	}
	expect(nth < MOST_FAULTS, "%s takes ever more faults", target->name);
	expect(ret >= 0, "%s without a fault: %s", target->name,
	       strerror(errno));
	target->check(ret, false);
	diag("%s: %d faults, %d of them failed the call", target->name, faulted,
	     failed);
}

static void fail_each_of(void *target)
{
	fail_each(target);
}

/* --- bare devices --- */

static int fd = -1;
/* Found before there are faults. */
static const char *path;

static void let_go(void)
{
	if (fd >= 0)
		close(fd);
	fd = -1;
}

/* scull0 holds LEN bytes over several sets; it is not open. */
static void setup_filled(void)
{
	let_go();
	fd = fresh(0, QUANTUM, QSET);
	fill(buf, LEN, 0, SEED);
	expect_ret(write(fd, buf, LEN), LEN);
	let_go();
}

static void holds_pattern(off_t size)
{
	int at = dev_open(0, O_RDONLY);

	expect_ret(lseek(at, 0, SEEK_END), size);
	if (size) {
		memset(buf, 0, size);
		expect_ret(pread(at, buf, size, 0), size);
		expect_pattern(buf, size, 0, SEED);
	}
	close(at);
}

static void check_filled(long ret, bool fault)
{
	let_go();
	holds_pattern(LEN);
}

static void setup_open(void)
{
	setup_filled();
	path = dev_path(0);
}

static long call_open(void)
{
	fd = open(path, O_RDWR);
	return fd;
}

static long call_trim(void)
{
	fd = open(path, O_WRONLY);
	return fd;
}

static void check_trim(long ret, bool fault)
{
	let_go();
	holds_pattern(ret < 0 ? LEN : 0);
}

/* How many bytes are read or written over. */
static long wanted;

static void setup_read(void)
{
	setup_filled();
	fd = dev_open(0, O_RDONLY);
	memset(buf, 0, sizeof(buf));
	wanted = LEN;
}

/* So that the device knows where its first bytes are: for @n of them. */
static void look_there(long n)
{
	expect_ret(pread(fd, buf, 1, 0), 1);
	buf[0] = 0;
	wanted = n;
}

static void setup_read_near(void)
{
	setup_read();
	look_there(QUANTUM / 2);
}

static void setup_read_two(void)
{
	setup_read();
	look_there(QUANTUM + QUANTUM / 2);
}

static long call_read(void)
{
	return read(fd, buf, wanted);
}

static long done_before;

/* A fault leaves a read short; the next one goes on. */
static void check_read(long ret, bool fault)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (fault)
		done_before = ret > 0 ? ret : 0;
	else if (done_before + ret < wanted)
		ret = 0;
	expect(ret <= 0 || at == (fault ? ret : done_before + ret),
	       "the read gave %ld and stands at %lld", ret, (long long)at);
	if (ret > 0)
		expect_pattern(buf, ret, at - ret, SEED);
	if (!fault)
		done_before = 0;
}

static void setup_empty(void)
{
	let_go();
	fd = fresh(0, QUANTUM, QSET);
	done_before = 0;
}

static long call_write(void)
{
	fill(buf, LEN, done_before, SEED);
	return write(fd, buf, LEN);
}

/* What a write says it stored is there, and nothing else is. */
static void check_write(long ret, bool fault)
{
	done_before += ret > 0 ? ret : 0;
	holds_pattern(done_before);
}

static void setup_overwrite(void)
{
	setup_filled();
	fd = dev_open(0, O_RDWR);
	done_before = 0;
	wanted = LEN;
}

static void setup_overwrite_near(void)
{
	setup_overwrite();
	look_there(QUANTUM / 2);
}

static void setup_overwrite_two(void)
{
	setup_overwrite();
	look_there(QUANTUM + QUANTUM / 2);
}

static long call_overwrite(void)
{
	fill(buf, wanted, 0, SEED + 1);
	return pwrite(fd, buf, wanted, 0);
}

static void check_overwrite(long ret, bool fault)
{
	long n = ret > 0 ? ret : 0;
	static unsigned char seen[LEN];

	expect_ret(lseek(fd, 0, SEEK_END), LEN);
	expect_ret(pread(fd, seen, LEN, 0), LEN);
	expect_pattern(seen, n, 0, SEED + 1);
	expect_pattern(seen + n, LEN - n, n, SEED);
}

#define FAR ((off_t)QUANTUM * QSET * 5000)

static long call_far(void)
{
	fill(buf, QUANTUM, FAR, SEED);
	return pwrite(fd, buf, QUANTUM, FAR);
}

static void check_far(long ret, bool fault)
{
	long n = ret > 0 ? ret : 0;
	off_t size = lseek(fd, 0, SEEK_END);

	if (fault)
		expect_ret(size, n ? FAR + n : 0);
	memset(buf, 0, QUANTUM);
	if (n) {
		expect_ret(pread(fd, buf, n, FAR), n);
		expect_pattern(buf, n, FAR, SEED);
	}
}

static long call_seek(void)
{
	long ret = lseek(fd, 0, SEEK_END);

	if (ret == LEN)
		ret = lseek(fd, 0, SEEK_DATA);
	if (ret == 0)
		ret = lseek(fd, 0, SEEK_HOLE);
	return ret;
}

static void check_seek(long ret, bool fault)
{
	expect_ret(ret, LEN);
}

static int ends[2] = { -1, -1 };

static void setup_splice(void)
{
	setup_read();
	close(ends[0]);
	close(ends[1]);
	sys(pipe(ends));
	done_before = 0;
}

static long call_splice(void)
{
	return splice(fd, NULL, ends[1], NULL, LEN, 0);
}

static void check_splice(long ret, bool fault)
{
	long n = ret > 0 ? ret : 0;

	if (n) {
		expect_ret(read(ends[0], buf, n), n);
		expect_pattern(buf, n, done_before, SEED);
	}
	done_before += n;
	expect_ret(lseek(fd, 0, SEEK_CUR), done_before);
}

static void setup_send(void)
{
	setup_empty();
	close(ends[0]);
	close(ends[1]);
	sys(pipe(ends));
	fill(buf, LEN, 0, SEED);
	expect_ret(write(ends[1], buf, LEN), LEN);
}

static long call_send(void)
{
	return splice(ends[0], NULL, fd, NULL, LEN - done_before, 0);
}

/* --- ioctl --- */

static int value;

/* Every command that leaves the sizes what they are. */
static long call_ioctls(void)
{
	static const struct {
		unsigned int cmd;
		bool points;	/* the argument is where the number is */
		int number;
		int returns;
	} table[] = {
		{ SCULL_IOCSQUANTUM, true, QUANTUM },
		{ SCULL_IOCTQUANTUM, false, QUANTUM },
		{ SCULL_IOCGQUANTUM, true },
		{ SCULL_IOCQQUANTUM, false, 0, QUANTUM },
		{ SCULL_IOCXQUANTUM, true, QUANTUM },
		{ SCULL_IOCHQUANTUM, false, QUANTUM, QUANTUM },
		{ SCULL_IOCSQSET, true, QSET },
		{ SCULL_IOCTQSET, false, QSET },
		{ SCULL_IOCGQSET, true },
		{ SCULL_IOCQQSET, false, 0, QSET },
		{ SCULL_IOCXQSET, true, QSET },
		{ SCULL_IOCHQSET, false, QSET, QSET },
	};
	size_t i;
	long ret;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		value = table[i].number;
		ret = table[i].points ? ioctl(fd, table[i].cmd, &value) :
					ioctl(fd, table[i].cmd, value);
		if (ret < 0)
			return ret;
		expect(ret == table[i].returns, "ioctl 0x%x: %ld, expected %d",
		       table[i].cmd, ret, table[i].returns);
	}
	ret = ioctl(fd, SCULL_P_IOCQSIZE);
	return ret < 0 ? ret : 0;
}

static void setup_ioctls(void)
{
	setup_filled();
	fd = dev_open(0, O_RDWR);
}

static void check_ioctls(long ret, bool fault)
{
	expect_ret(ioctl(fd, SCULL_IOCQQUANTUM), QUANTUM);
	expect_ret(ioctl(fd, SCULL_IOCQQSET), QSET);
	holds_pattern(LEN);
}

/* --- /proc --- */

/* A file that shows what a device holds. */
static const char *proc_file;
static char reference[sizeof(buf)];
static ssize_t reference_len;

/* All of the file, or -1. */
static ssize_t slurp(char *to, size_t room)
{
	int at = open(proc_file, O_RDONLY);
	ssize_t n, len = 0;
	int error;

	if (at < 0)
		return -1;
	while ((n = read(at, to + len, room - len)) > 0)
		len += n;
	error = errno;
	close(at);
	errno = error;
	return n < 0 ? -1 : len;
}

static void setup_proc(void)
{
	setup_filled();
	reference_len = sys(slurp(reference, sizeof(reference)));
}

static long call_proc(void)
{
	return slurp((char *)buf, sizeof(buf));
}

static void check_proc(long ret, bool fault)
{
	expect(ret < 0 || (ret == reference_len &&
			   !memcmp(buf, reference, ret)),
	       "%s reads otherwise after a fault", proc_file);
}

/* --- pipes --- */

#define CAPACITY 3000
static int pipe_fd = -1, other = -1;

static void setup_closed_pipe(void)
{
	if (pipe_fd >= 0)
		close(pipe_fd);
	pipe_fd = -1;
	path = pipe_path(0);
	pipe_set_capacity(CAPACITY);
}

static long call_open_pipe(void)
{
	pipe_fd = open(path, O_RDWR | O_NONBLOCK);
	return pipe_fd;
}

/* Whatever has opened it, it holds CAPACITY bytes and loses none. */
static void check_open_pipe(long ret, bool fault)
{
	if (ret < 0)
		return;
	fill(buf, CAPACITY, 0, SEED);
	expect_ret(write(pipe_fd, buf, CAPACITY), CAPACITY);
	expect_errno(write(pipe_fd, buf, 1), EAGAIN);
	memset(buf, 0, CAPACITY);
	expect_ret(read(pipe_fd, buf, CAPACITY), CAPACITY);
	expect_pattern(buf, CAPACITY, 0, SEED);
	close(pipe_fd);
	pipe_fd = -1;
}

/* It holds CAPACITY bytes that cross the wrap. */
static void setup_pipe(void)
{
	setup_closed_pipe();
	pipe_fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, CAPACITY);
	fill(buf, CAPACITY, 0, SEED);
	expect_ret(write(pipe_fd, buf, CAPACITY / 2), CAPACITY / 2);
	expect_ret(read(pipe_fd, buf, CAPACITY), CAPACITY / 2);
	done_before = 0;
}

static void setup_full_pipe(void)
{
	setup_pipe();
	fill(buf, CAPACITY, 0, SEED);
	expect_ret(write(pipe_fd, buf, CAPACITY), CAPACITY);
}

static long call_read_pipe(void)
{
	return read(pipe_fd, buf, CAPACITY);
}

/* Not read(): the driver has another method for this. */
static long call_readv_pipe(void)
{
	const struct iovec part = { buf, CAPACITY };

	return readv(pipe_fd, &part, 1);
}

/* What was not delivered is still there. */
static void check_read_pipe(long ret, bool fault)
{
	if (ret > 0)
		expect_pattern(buf, ret, done_before, SEED);
	done_before += ret > 0 ? ret : 0;
	if (!fault)
		expect_ret(done_before, CAPACITY);
}

static long call_write_pipe(void)
{
	fill(buf, CAPACITY, 0, SEED);
	return write(pipe_fd, buf, CAPACITY);
}

static long call_writev_pipe(void)
{
	const struct iovec part = { buf, CAPACITY };

	fill(buf, CAPACITY, 0, SEED);
	return writev(pipe_fd, &part, 1);
}

/* A write that must be whole is all there, or nothing of it is. */
static void check_write_pipe(long ret, bool fault)
{
	if (ret < 0) {
		expect_errno(read(pipe_fd, buf, CAPACITY), EAGAIN);
		return;
	}
	expect_ret(ret, CAPACITY);
	expect_ret(read(pipe_fd, buf, CAPACITY), CAPACITY);
	expect_pattern(buf, CAPACITY, 0, SEED);
}

static long call_fasync(void)
{
	return fcntl(pipe_fd, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC);
}

static void check_fasync(long ret, bool fault)
{
	int flags = sys(fcntl(pipe_fd, F_GETFL));

	expect(!(flags & O_ASYNC) == (ret < 0), "F_SETFL gave %ld, flags %#o",
	       ret, flags);
}

static long call_poll(void)
{
	struct pollfd who = { .fd = pipe_fd, .events = POLLIN | POLLOUT };

	return poll(&who, 1, 0);
}

static void check_poll(long ret, bool fault)
{
	expect(ret < 0 || ret == 1, "poll gave %ld", ret);
}

static long call_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	long ret = epoll_ctl(other, EPOLL_CTL_ADD, pipe_fd, &event);

	return ret < 0 && errno == EEXIST ? 0 : ret;
}

static void setup_epoll(void)
{
	setup_pipe();
	if (other >= 0)
		close(other);
	other = sys(epoll_create1(0));
}

static void check_epoll(long ret, bool fault)
{
	struct epoll_event event;

	expect_ret(epoll_wait(other, &event, 1, 0), ret < 0 ? 0 : 1);
}

static long call_fsync(void)
{
	return fsync(pipe_fd);
}

static void check_nothing(long ret, bool fault)
{
}

/* --- access-controlled devices --- */

static enum device device;

static void setup_access(void)
{
	let_go();
	begin(device);
	fd = sys(open_device(device, O_RDWR));
	fill(buf, LEN, 0, SEED);
	expect_ret(pwrite(fd, buf, LEN, 0), LEN);
	let_go();
}

static long call_access(void)
{
	fd = open_device(device, O_RDWR);
	return fd;
}

/* A failed open leaves neither owner nor count: somebody else gets in. */
static void open_and_close(void *unused)
{
	close(sys(open_device(device, O_RDWR | O_NONBLOCK)));
}

static void check_access(long ret, bool fault)
{
	let_go();
	if (device != PRIV)
		run_as(4321, open_and_close, NULL);
	fd = sys(open_device(device, O_RDONLY));
	expect_ret(read(fd, buf, LEN), LEN);
	expect_pattern(buf, LEN, 0, SEED);
	let_go();
}

/* A session of its own, and a terminal that no private device is for yet. */
static void setup_private(void)
{
	static int master = -1;
	int slave;

	let_go();
	nodes();
	if (master >= 0)
		close(master);
	else
		sys(setsid());
	signal(SIGHUP, SIG_IGN);
	master = sys(posix_openpt(O_RDWR | O_NOCTTY));
	sys(grantpt(master));
	sys(unlockpt(master));
	slave = sys(open(ptsname(master), O_RDWR | O_NOCTTY));
	sys(ioctl(slave, TIOCSCTTY, 0));
}

static void check_private(long ret, bool fault)
{
	if (ret >= 0)
		expect_ret(lseek(fd, 0, SEEK_END), 0);
	let_go();
}

/* --- faults on demand --- */

static int file = -1;

/* Opens @name below SYSFS, for a call to write to. */
static void open_file(const char *name)
{
	if (file >= 0)
		close(file);
	file = sys(attribute_open(name, O_WRONLY));
}

#define OLD_RULE "open nth=1000000 EIO"
#define NEW_RULE "seek nth=1000000 EIO"

static void setup_rules(void)
{
	let_go();
	set_rules("scull0", OLD_RULE);
	open_file("scull0/faults/rules");
}

static long call_rules(void)
{
	return write(file, NEW_RULE, strlen(NEW_RULE));
}

static void check_rules(long ret, bool fault)
{
	const char *want = ret < 0 ? OLD_RULE : NEW_RULE, *seen;

	seen = fault_text("scull0", "rules");
	expect(!strncmp(seen, want, strlen(want)), "the rules are \"%s\"",
	       seen);
	if (!fault)
		clear_rules("scull0");
}

/* Refused as it should be, whether or not there was memory to say why. */
static long call_bad_rules(void)
{
	long ret = write(file, "fly " NEW_RULE, strlen("fly " NEW_RULE));

	return ret < 0 && errno == EINVAL ? 0 : ret;
}

static void check_bad_rules(long ret, bool fault)
{
	const char *seen = fault_text("scull0", "error");

	expect(ret <= 0, "a bad rule was taken");
	expect(fault || strstr(seen, "\"fly\""), "the error is \"%s\"", seen);
	check_rules(-1, fault);
}

/* One too many is refused elsewhere than a bad one. */
static void setup_more_rules(void)
{
	int i;

	setup_rules();
	for (i = 0; i < 15; i++)
		sys(fault_put("scull0", "rules", "+" OLD_RULE));
}

static long call_more_rules(void)
{
	long ret = write(file, "+" NEW_RULE, strlen("+" NEW_RULE));

	return ret < 0 && errno == EINVAL ? 0 : ret;
}

static void check_more_rules(long ret, bool fault)
{
	expect(ret <= 0, "a rule too many was taken");
	check_rules(-1, fault);
}

static void setup_corrupt(void)
{
	setup_filled();
	fd = dev_open(0, O_RDONLY);
	set_rules("scull0", "read corrupt");
}

static long call_corrupt(void)
{
	memset(buf, 0, LEN);
	return pread(fd, buf, LEN, 0);
}

/* What cannot be changed in the reader's memory stays as it is. */
static void check_corrupt(long ret, bool fault)
{
	static unsigned char right[LEN];
	int bits = 0;
	long i;

	fill(right, LEN, 0, SEED);
	for (i = 0; i < ret; i++)
		bits += __builtin_popcount(buf[i] ^ right[i]);
	expect(bits <= 1 && (fault || bits == 1), "%d bits differ", bits);
	if (!fault)
		clear_rules("scull0");
}

static void setup_unplug(void)
{
	let_go();
	attribute_put("plug", "scull0");
	open_file("unplug");
}

static bool is_unplugged(void)
{
	return !strcmp(lines_of("unplug"), "scull0\n");
}

static long call_unplug(void)
{
	long ret = write(file, "scull0", 6);

	return ret < 0 && errno == ENODEV && is_unplugged() ? 0 : ret;
}

static void check_unplug(long ret, bool fault)
{
	expect(is_unplugged() == (ret >= 0), "unplugged is \"%s\"",
	       lines_of("unplug"));
	if (!fault)
		sys(attribute_put("plug", "scull0"));
}

static void setup_plug(void)
{
	let_go();
	attribute_put("unplug", "scull0");
	open_file("plug");
}

static long call_plug(void)
{
	long ret = write(file, "scull0", 6);

	return ret < 0 && errno == EEXIST ? 0 : ret;
}

/* A device that is there works, be it without its node. */
static void check_plug(long ret, bool fault)
{
	expect(is_unplugged() == (ret < 0), "unplugged is \"%s\"",
	       lines_of("unplug"));
	if (ret < 0)
		return;
	setup_filled();
	holds_pattern(LEN);
	if (!fault) {
		/* With all its files again. */
		sys(attribute_put("unplug", "scull0"));
		sys(attribute_put("plug", "scull0"));
	}
}

/* --- loading and unloading --- */

static const char *module_path(void)
{
	const char *path = getenv("SCULL_MODULE");

	needs_module();
	return path ? path : "./scull.ko";
}

static bool is_loaded(void)
{
	return !access("/sys/module/scull", F_OK);
}

static long call_unload(void)
{
	return syscall(SYS_delete_module, "scull", O_NONBLOCK);
}

static int module_fd = -1;

static void setup_load(void)
{
	if (module_fd < 0)
		module_fd = sys(open(module_path(), O_RDONLY));
	wait_until(!is_loaded() || !call_unload(), 30,
		   "scull cannot be unloaded: %s", strerror(errno));
}

/* One of each kind: the more devices, the more faults of the same kind. */
#define FEW "scull_nr_devs=1 scull_p_nr_devs=1"

static long call_load(void)
{
	return syscall(SYS_finit_module, module_fd, FEW, 0);
}

/* With a major number that was free a moment ago. */
static int free_major;

static long call_load_at(void)
{
	char text[64];

	snprintf(text, sizeof(text), FEW " scull_major=%d", free_major);
	return syscall(SYS_finit_module, module_fd, text, 0);
}

/* Is there a line in /proc/devices that names scull? */
static bool is_registered(void)
{
	char line[128], name[64];
	bool found = false;
	FILE *f = fopen("/proc/devices", "r");

	while (fgets(line, sizeof(line), f))
		found |= sscanf(line, "%*d %63s", name) == 1 &&
			 !strcmp(name, "scull");
	fclose(f);
	return found;
}

static void works(void)
{
	setup_filled();
	holds_pattern(LEN);
	close(pipe_fresh(0, O_RDWR, CAPACITY));
}

static void check_load(long ret, bool fault)
{
	if (ret >= 0) {
		works();
		if (fault)
			setup_load();
		return;
	}
	expect(!is_loaded(), "a failed load left the module");
	expect(!is_registered(), "a failed load left its device numbers");
	expect(access("/sys/class/scull", F_OK), "a failed load left its class");
	expect(access(PROC_MEM, F_OK) && access("/proc/scullseq", F_OK),
	       "a failed load left its files in /proc");
	expect(access(MAPS, F_OK), "a failed load left its files in debugfs");
}

static void setup_unload(void)
{
	if (!is_loaded())
		sys(syscall(SYS_finit_module, sys(open(module_path(),
						       O_RDONLY)), "", 0));
}

static void check_unload(long ret, bool fault)
{
	if (ret < 0) {
		works();
		let_go();
		return;
	}
	check_load(-1, fault);
	if (fault)
		setup_unload();
}

/* --- the table --- */

/* What an open may give; a path whose lookup fails ends in ENOENT. */
#define OPEN_ERRORS { ENOMEM, EFAULT, ENOENT }

static const struct target targets[] = {
	{ "open", setup_open, call_open, check_filled, OPEN_ERRORS },
	{ "open that trims", setup_open, call_trim, check_trim, OPEN_ERRORS },
	{ "read", setup_read, call_read, check_read, { EFAULT } },
	{ "write", setup_empty, call_write, check_write, { ENOMEM, EFAULT } },
	{ "overwrite", setup_overwrite, call_overwrite, check_overwrite,
	  { EFAULT } },
	{ "write far away", setup_empty, call_far, check_far,
	  { ENOMEM, EFAULT } },
	{ "lseek", setup_read, call_seek, check_seek, { ENOMEM } },
	{ "splice out", setup_splice, call_splice, check_splice,
	  { ENOMEM, EFAULT } },
	{ "splice in", setup_send, call_send, check_write,
	  { ENOMEM, EFAULT } },
	{ "ioctl", setup_ioctls, call_ioctls, check_ioctls, { EFAULT } },
	{ "pipe: open", setup_closed_pipe, call_open_pipe, check_open_pipe,
	  OPEN_ERRORS },
	{ "pipe: read", setup_full_pipe, call_read_pipe, check_read_pipe,
	  { EFAULT } },
	{ "pipe: write", setup_pipe, call_write_pipe, check_write_pipe,
	  { EFAULT } },
	{ "pipe: fasync", setup_pipe, call_fasync, check_fasync, { ENOMEM } },
	{ "pipe: poll", setup_pipe, call_poll, check_poll, { ENOMEM, EFAULT } },
	{ "pipe: epoll", setup_epoll, call_epoll, check_epoll,
	  { ENOMEM, EFAULT } },
	{ "pipe: fsync", setup_pipe, call_fsync, check_nothing, { ENOMEM } },
	{ "read near", setup_read_near, call_read, check_read, { EFAULT } },
	{ "overwrite near", setup_overwrite_near, call_overwrite,
	  check_overwrite, { EFAULT } },
	{ "read of two quanta", setup_read_two, call_read, check_read,
	  { EFAULT } },
	{ "overwrite of two quanta", setup_overwrite_two, call_overwrite,
	  check_overwrite, { EFAULT } },
	{ "pipe: readv", setup_full_pipe, call_readv_pipe, check_read_pipe,
	  { EFAULT } },
	{ "pipe: writev", setup_pipe, call_writev_pipe, check_write_pipe,
	  { EFAULT } },
	{ "rules", setup_rules, call_rules, check_rules, { ENOMEM, EFAULT } },
	{ "bad rules", setup_rules, call_bad_rules, check_bad_rules,
	  { ENOMEM, EFAULT } },
	{ "too many rules", setup_more_rules, call_more_rules,
	  check_more_rules, { ENOMEM, EFAULT } },
	{ "read that is corrupted", setup_corrupt, call_corrupt, check_corrupt,
	  { EFAULT } },
	{ "unplug", setup_unplug, call_unplug, check_unplug,
	  { ENOMEM, EFAULT } },
	{ "plug", setup_plug, call_plug, check_plug, { ENOMEM, EFAULT } },
};

START_TEST(each_call)
{
	injection_possible();
	fail_each(&targets[_i]);
}
END_TEST

START_TEST(each_proc_file)
{
	static const char *const files[] = {
		PROC_MEM, "/proc/scullseq", MAPS "/scull0",
		"/sys/class/scull/scull0/size",
	};
	struct target target = { files[_i], setup_proc, call_proc, check_proc,
				 OPEN_ERRORS };

	injection_possible();
	if (access(files[_i], F_OK))
		skip("there is no %s", files[_i]);
	proc_file = files[_i];
	fail_each(&target);
}
END_TEST

START_TEST(each_access)
{
	struct target target = { device_names[_i], setup_access, call_access,
				 check_access, OPEN_ERRORS };

	injection_possible();
	device = _i;
	if (device == PRIV) {
		target.setup = setup_private;
		target.check = check_private;
	}
	/* Only who leads no group can begin a session. */
	join(spawn(fail_each_of, &target));
}
END_TEST

/* Dynamic debug, told of a new module, warns if it has no memory. */
#define TELLING "blocking_notifier_call_chain_robust"

/*
 * Faults only in what the kernel's function @within calls, but for what @spared
 * calls, until @enough.
 */
static void fail_loads(const char *name, const char *within, const char *spared,
		       long (*call)(void), bool (*enough)(void))
{
	const struct target target = {
		name, setup_load, call, check_load, { ENOMEM, EFAULT },
		.seldom = true, .enough = enough,
	};
	unsigned long start, end;

	setup_load();
	expect(find_function(within, &start, &end), "kallsyms has no %s",
	       within);
	limit_faults(start, end);
	if (find_function(spared, &start, &end))
		spare(start, end);
	fail_each(&target);
	spare(NOWHERE);
	limit_faults(EVERYWHERE);
	/* With all devices again. */
	setup_load();
	setup_unload();
}

/* More than a node takes: those of one device and some of the next. */
#define NODE_FAULTS 60

static int node_faults;

static bool nodes_enough(void)
{
	return ++node_faults >= NODE_FAULTS;
}

START_TEST(each_load)
{
	injection_possible();
	free_major = scull_major();
	fail_loads("load with a major number", "register_chrdev_region",
		   TELLING, call_load_at, NULL);
	/*
	 * Not what the kernel itself takes for a module, but what ours takes; and
	 * one node is like the other.
	 */
	fail_loads("load", "do_init_module", "device_create", call_load, NULL);
	fail_loads("load, its nodes", "device_create", TELLING, call_load,
		   nodes_enough);
}
END_TEST

START_TEST(each_unload)
{
	static const struct target target = {
		"unload", setup_unload, call_unload, check_unload,
		{ ENOMEM, EFAULT, EAGAIN }, .seldom = true,
	};

	injection_possible();
	fail_each(&target);
	setup_unload();
}
END_TEST

/* --- where the faults were --- */

/*
 * What the module calls that allocates or copies, by the beginning of its name,
 * and how many of its call sites cannot have a fault. alloc_percpu() is not among
 * them: it gives out what the kernel has in stock, and faults are not made there.
 */
static const struct {
	const char *name;
	int spared;
} callees[] = {
	{ "__kmalloc" }, { "kmalloc_trace" }, { "__kvmalloc" }, { "kvmalloc" },
	{ "xa_store" }, { "cdev_alloc" }, { "cdev_add" }, { "class_register" },
	{ "device_create" }, { "register_chrdev_region" }, { "proc_create" },
	{ "alloc_chrdev_region" }, { "debugfs_create" },
	{ "__seq_open_private" },
	/* The one that takes a file off the list again. */
	{ "fasync_helper", 1 },
	{ "_copy_to_iter" }, { "_copy_from_iter" },
	{ "_copy_to_user" }, { "_copy_from_user" },
	/*
	 * Those that are inlined. One is for a write whose first piece is empty, as
	 * none is; the compiler cannot know that.
	 */
	{ "should_fail_usercopy", 1 },
	{ "kmemdup_nul" }, { "kasprintf" },
};

/* The module's first and last function have a second name. */
static const char *usual_name(const char *function)
{
	if (!strcmp(function, "init_module"))
		return "scull_init";
	return strcmp(function, "cleanup_module") ? function : "scull_exit";
}

/* A call in the module: it returns to @function+@offset. */
static struct site {
	char function[128];
	unsigned long offset;
} site;

/* Has the log had a fault at that site? */
static bool fault_logged(void)
{
	char line[256], name[128];
	bool found = false;
	unsigned long at;
	FILE *f = fopen(SITES, "r");

	while (!found && f && fgets(line, sizeof(line), f)) {
		char *frame = strrchr(line, ' ');

		found = frame &&
			sscanf(frame, " %127[^+]+%lx", name, &at) == 2 &&
			at == site.offset &&
			!strcmp(usual_name(name), site.function);
	}
	if (f)
		fclose(f);
	return found;
}

/* Makes all calls there are until one has a fault at the site. */
static void make_calls(void *fired)
{
	struct target access = { NULL, setup_access, call_access, check_access };
	unsigned long start, end;
	size_t i;
	long ret;

	heal();
	expect(find_function(site.function, &start, &end), "kallsyms has no %s",
	       site.function);
	for (i = 0; i < ARRAY_SIZE(targets) + PRIV + 1; i++) {
		const struct target *target = &targets[i];

		if (i >= ARRAY_SIZE(targets)) {
			target = &access;
			device = i - ARRAY_SIZE(targets);
			if (device == PRIV) {
				access.setup = setup_private;
				access.check = check_private;
			}
		}
		target->setup();
		limit_faults(start + site.offset, start + site.offset + 1);
		arm(1);
		ret = target->call();
		*(bool *)fired = disarm();
		limit_faults(EVERYWHERE);
		if (*(bool *)fired) {
			target->check(ret, true);
			break;
		}
	}
}

/*
 * Makes a fault at the site, which calls @callee: in one of the calls, or in the
 * load, which begins before the site has an address, so there the faults are in
 * all that the kernel's @callee calls, until the log has the site. When all loads
 * were made to fail it may have been passed over, for the kernel does not take
 * the same memory for the same load each time: what was the fifth allocation when
 * the fourth failed may be the fourth when the fifth does.
 */
static bool fault_made(const char *callee)
{
	unsigned long start, end;
	bool *fired = shared(sizeof(*fired));
	int tries;

	/* What the calls leave open ends with their process. */
	if (find_function(site.function, &start, &end))
		join(spawn(make_calls, fired));
	/* With a major number that the kernel chooses, and with one that is free. */
	free_major = scull_major();
	for (tries = 0; !*fired && tries < 4; tries++) {
		fail_loads("load, once more", callee, TELLING,
			   tries % 2 ? call_load_at : call_load, fault_logged);
		*fired = fault_logged();
	}
	return *fired;
}

/*
 * Goes through the module's code: a relocation that names one of the callees is
 * a call of it, and the instruction that follows is where it returns to.
 */
static void count_missed(void *missed_sites)
{
	char command[PATH_MAX], line[512], callee[128] = "";
	int spared[ARRAY_SIZE(callees)] = { 0 }, sites = 0, missed = 0;
	unsigned long address, begin = 0;
	size_t which = 0, i;
	FILE *f;

	snprintf(command, sizeof(command),
		 "objdump -dr --no-show-raw-insn %s 2>/dev/null",
		 module_path());
	f = popen(command, "r");
	expect(f, "objdump: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		char *relocation = strstr(line, "R_"), *name;
		char found[128];

		if (sscanf(line, "%lx <%127[^>]>:", &address, found) == 2) {
			snprintf(site.function, sizeof(site.function), "%s",
				 usual_name(found));
			begin = address;
			callee[0] = '\0';
		} else if (relocation &&
			   (name = strpbrk(relocation, " \t")) != NULL) {
			name += strspn(name, " \t");
			for (i = 0; i < ARRAY_SIZE(callees); i++) {
				if (strncmp(name, callees[i].name,
					    strlen(callees[i].name)))
					continue;
				snprintf(callee, sizeof(callee), "%.*s",
					 (int)strcspn(name, "-+\n"), name);
				which = i;
			}
		} else if (callee[0] && sscanf(line, " %lx:", &address) == 1) {
			bool logged, made;

			sites++;
			site.offset = address - begin;
			logged = fault_logged();
			made = !logged && fault_made(callee);
			diag("%s+%#lx calls %s: %s", site.function, site.offset,
			     callee, logged ? "failed, as the log says" :
			     made ? "failed" : "never failed");
			if (!logged && !made &&
			    spared[which]++ >= callees[which].spared)
				missed++;
			callee[0] = '\0';
		}
	}
	expect(!pclose(f), "objdump cannot read %s", module_path());
	expect(sites, "no call of an allocator in %s", module_path());
	diag("%d of %d call sites had no fault", missed, sites);
	*(int *)missed_sites = missed;
}

START_TEST(every_site)
{
	int *missed = shared(sizeof(*missed));

	injection_possible();
	setup_unload();
	/* What it has open ends with it. */
	join(spawn(count_missed, missed));
	expect(!*missed, "%d call sites never had a fault", *missed);
}
END_TEST

/* Of an earlier run. */
START_TEST(begin_sites)
{
	injection_possible();
	unlink(SITES);
}
END_TEST

#define EACH(n, what) { &each_call, "each fault in " what, n, 300 }

static const struct test tests[] = {
	{ &begin_sites, "this kernel injects faults" },
	EACH(0, "open"), EACH(1, "an open that trims"), EACH(2, "read"),
	EACH(3, "a write that allocates"), EACH(4, "a write that does not"),
	EACH(5, "a write far behind the end"), EACH(6, "lseek"),
	EACH(7, "splice from a device"), EACH(8, "splice to a device"),
	EACH(9, "all ioctls"), EACH(10, "the open of a pipe"),
	EACH(11, "a read from a pipe"), EACH(12, "a write to a pipe"),
	EACH(13, "asking a pipe for SIGIO"), EACH(14, "poll"),
	EACH(15, "epoll_ctl"), EACH(16, "fsync"),
	EACH(17, "a read of what is near"),
	EACH(18, "a write over what is near"),
	EACH(19, "a read of two quanta that are near"),
	EACH(20, "a write over two quanta that are near"),
	EACH(21, "readv from a pipe"), EACH(22, "writev to a pipe"),
	EACH(23, "asking for faults"), EACH(24, "refusing to"),
	EACH(25, "refusing one rule more"), EACH(26, "a read that is corrupted"),
	EACH(27, "unplugging a device"), EACH(28, "plugging it in"),
	{ &each_proc_file, "each fault in reading " PROC_MEM, 0, 300 },
	{ &each_proc_file, "each fault in reading /proc/scullseq", 1, 300 },
	{ &each_proc_file, "each fault in reading a map", 2, 300 },
	{ &each_proc_file, "each fault in reading an attribute", 3, 300 },
	{ &each_access, "each fault in the open of scullsingle", SINGLE, 300 },
	{ &each_access, "each fault in the open of sculluid", UID, 300 },
	{ &each_access, "each fault in the open of scullwuid", WUID, 300 },
	{ &each_access, "each fault in the open of scullpriv", PRIV, 300 },
	{ &each_load, "each fault in loading the module", 0, 900 },
	{ &each_unload, "each fault in unloading it", 0, 300 },
	{ &every_site, "each call that allocates or copies had a fault", 0,
	  900 },
};

int main(int argc, char **argv)
{
	before_cases = heal;
	return run_tests(argc, argv, "failnth", tests, ARRAY_SIZE(tests));
}
