// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctl commands, called by a program of this machine's word size; and,
 * built a second time with IOCTL32, by a 32-bit program.
 */
#include "harness.h"
#include "ioctlcall.h"

#include <dirent.h>
#include <libgen.h>
#include <sys/sysmacros.h>

#ifdef IOCTL32
#define HELPER "ioctlcall32"
#else
#define HELPER "ioctlcall"
#endif

/* One of the two values, with its six commands. */
struct knob {
	const char *name;
	unsigned int set, tell, get, query, exchange, shift;
	int initial;
};

#define KNOB(name)							\
	{ #name, SCULL_IOCS##name, SCULL_IOCT##name, SCULL_IOCG##name,	\
	  SCULL_IOCQ##name, SCULL_IOCX##name, SCULL_IOCH##name, SCULL_##name }

static const struct knob knobs[] = { KNOB(QUANTUM), KNOB(QSET) };

static int dev;			/* where the commands go */
static int helper_in, helper_out;

/* --- the helper --- */

static void start_helper(void)
{
	char path[PATH_MAX], *dir;
	int in[2], out[2], status;
	ssize_t n = sys(readlink("/proc/self/exe", path, sizeof(path) - 1));
	pid_t pid;

	path[n] = '\0';
	dir = dirname(path);
	sys(chdir(dir));
	if (access("./" HELPER, X_OK))
		skip("there is no " HELPER ": the C compiler makes no 32-bit programs for this architecture");
	sys(pipe(in));
	sys(pipe(out));
	dev = dev_open(0, O_RDWR);
	pid = sys(fork());
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("./" HELPER, HELPER, NULL);
		_exit(errno == ENOEXEC ? 126 : 127);
	}
	close(in[0]);
	close(out[1]);
	helper_in = in[1];
	helper_out = out[0];
	signal(SIGPIPE, SIG_IGN);
	/* One call that is safe tells whether it runs. */
	if (write(helper_in, &(struct ioctl_request){ .cmd = SCULL_IOCQQSET,
		  .fd = dev }, sizeof(struct ioctl_request)) < 0 ||
	    read(helper_out, &(struct ioctl_reply){ 0 },
		 sizeof(struct ioctl_reply)) <= 0) {
		sys(waitpid(pid, &status, 0));
		if (WEXITSTATUS(status) == 126)
			skip("this kernel runs no 32-bit programs");
		fail_case(HELPER " ended with status 0x%x", status);
	}
}

static struct ioctl_reply ask(int fd, unsigned int cmd, enum argument argument,
			      int value)
{
	struct ioctl_request req = { cmd, argument, fd, value };
	struct ioctl_reply rep;

	expect_ret(write(helper_in, &req, sizeof(req)), sizeof(req));
	expect_ret(read(helper_out, &rep, sizeof(rep)), sizeof(rep));
	return rep;
}

static void become(enum argument whom)
{
	struct ioctl_reply rep = ask(-1, 0, whom, 0);

	if (rep.ret && whom == BECOME_NAMESPACE_ROOT)
		skip("no user namespace: %s", strerror(rep.err));
	expect(!rep.ret, "%s", strerror(rep.err));
}

/* --- what is expected of a call --- */

static void at_value(int line, unsigned int cmd, int value, int want)
{
	struct ioctl_reply rep = ask(dev, cmd, ARG_VALUE, value);

	if (rep.ret != want)
		fail_at(__FILE__, line, "command 0x%x with %d: %d (%s), expected %d",
			cmd, value, rep.ret, strerror(rep.err), want);
}

static void at_pointer(int line, unsigned int cmd, int value, int want)
{
	struct ioctl_reply rep = ask(dev, cmd, ARG_POINTER, value);

	if (rep.ret)
		fail_at(__FILE__, line, "command 0x%x with a pointer to %d: %d (%s), expected 0",
			cmd, value, rep.ret, strerror(rep.err));
	if (rep.memory != want)
		fail_at(__FILE__, line, "command 0x%x with a pointer to %d: left %d there, expected %d",
			cmd, value, rep.memory, want);
}

static void at_refusal(int line, unsigned int cmd, enum argument argument,
		       int value, int err)
{
	struct ioctl_reply rep = ask(dev, cmd, argument, value);

	if (rep.ret != -1 || rep.err != err)
		fail_at(__FILE__, line, "command 0x%x with %d, argument form %d: %d (%s), expected %s",
			cmd, value, argument, rep.ret, strerror(rep.err),
			strerror(err));
	if (rep.memory != value)
		fail_at(__FILE__, line, "command 0x%x was refused and left %d instead of %d",
			cmd, rep.memory, value);
}

/* A call that takes a value (or none) and returns @want. */
#define by_value(cmd, value, want) at_value(__LINE__, cmd, value, want)
/* A call that takes the address of @value, returns 0 and leaves @want there. */
#define by_pointer(cmd, value, want) at_pointer(__LINE__, cmd, value, want)
#define refused(cmd, argument, value, err)				\
	at_refusal(__LINE__, cmd, argument, value, err)

/* Both values are what they were, and the device works. */
static void at_unchanged(int line, int quantum, int qset)
{
	unsigned char buf[9000];
	int fd;

	at_value(line, SCULL_IOCQQUANTUM, 0, quantum);
	at_value(line, SCULL_IOCQQSET, 0, qset);
	dev_trim(0);
	fd = dev_open(0, O_RDWR);
	fill(buf, sizeof(buf), 0, 1);
	expect_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	memset(buf, 0, sizeof(buf));
	expect_ret(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	expect_pattern(buf, sizeof(buf), 0, 1);
	close(fd);
}

#define unchanged() at_unchanged(__LINE__, SCULL_QUANTUM, SCULL_QSET)

/* --- the cases --- */

START_TEST(numbers)
{
	static const struct {
		const char *name;
		unsigned int ours, books;
	} all[] = {
		{ "SCULL_IOCRESET", SCULL_IOCRESET, 0x6b00 },
		{ "SCULL_IOCSQUANTUM", SCULL_IOCSQUANTUM, 0x40046b01 },
		{ "SCULL_IOCSQSET", SCULL_IOCSQSET, 0x40046b02 },
		{ "SCULL_IOCTQUANTUM", SCULL_IOCTQUANTUM, 0x6b03 },
		{ "SCULL_IOCTQSET", SCULL_IOCTQSET, 0x6b04 },
		{ "SCULL_IOCGQUANTUM", SCULL_IOCGQUANTUM, 0x80046b05 },
		{ "SCULL_IOCGQSET", SCULL_IOCGQSET, 0x80046b06 },
		{ "SCULL_IOCQQUANTUM", SCULL_IOCQQUANTUM, 0x6b07 },
		{ "SCULL_IOCQQSET", SCULL_IOCQQSET, 0x6b08 },
		{ "SCULL_IOCXQUANTUM", SCULL_IOCXQUANTUM, 0xc0046b09 },
		{ "SCULL_IOCXQSET", SCULL_IOCXQSET, 0xc0046b0a },
		{ "SCULL_IOCHQUANTUM", SCULL_IOCHQUANTUM, 0x6b0b },
		{ "SCULL_IOCHQSET", SCULL_IOCHQSET, 0x6b0c },
		{ "SCULL_P_IOCTSIZE", SCULL_P_IOCTSIZE, 0x6b0d },
		{ "SCULL_P_IOCQSIZE", SCULL_P_IOCQSIZE, 0x6b0e },
	};
	size_t i;

	/* How a command is made up differs on a few architectures. */
	if (_IOR('k', 5, int) != 0x80046b05)
		skip("other ioctl numbers than the usual on this architecture");
	for (i = 0; i < ARRAY_SIZE(all); i++)
		expect(all[i].ours == all[i].books, "%s is 0x%x, expected 0x%x",
		       all[i].name, all[i].ours, all[i].books);
	expect_ret(SCULL_IOC_MAGIC, 'k');
	expect_ret(SCULL_IOC_MAXNR, 14);
}
END_TEST

START_TEST(forms)
{
	const struct knob *k = &knobs[_i];

	start_helper();
	by_value(k->query, 0, k->initial);
	by_pointer(k->get, -5, k->initial);
	by_pointer(k->set, 111, 111);
	by_value(k->query, 0, 111);
	by_pointer(k->get, -5, 111);
	by_value(k->tell, 222, 0);
	by_value(k->query, 12345, 222);
	by_pointer(k->exchange, 333, 222);
	by_value(k->query, 0, 333);
	by_value(k->shift, 444, 333);
	by_pointer(k->get, 0, 444);
	by_value(knobs[!_i].query, 0, knobs[!_i].initial);
	by_value(k->tell, 1, 0);
	by_value(k->shift, 65536, 1);
	by_value(k->query, 0, 65536);
}
END_TEST

START_TEST(reset)
{
	start_helper();
	by_value(SCULL_IOCTQUANTUM, 10, 0);
	by_value(SCULL_IOCTQSET, 20, 0);
	by_value(SCULL_IOCRESET, 0, 0);
	unchanged();
	by_value(SCULL_IOCTQSET, 20, 0);
	by_value(SCULL_IOCRESET, 77, 0);
	unchanged();
}
END_TEST

START_TEST(out_of_range)
{
	const struct knob *k = &knobs[_i];
	const int bad[] = {
		0, -1, INT_MAX, INT_MIN, -4000,
		/* More than any kernel's kmalloc() gives; one more than a qset. */
		_i ? 65537 : 1 << 30,
	};
	size_t i;

	start_helper();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		refused(k->set, ARG_POINTER, bad[i], EINVAL);
		refused(k->tell, ARG_VALUE, bad[i], EINVAL);
		refused(k->exchange, ARG_POINTER, bad[i], EINVAL);
		refused(k->shift, ARG_VALUE, bad[i], EINVAL);
		unchanged();
	}
}
END_TEST

START_TEST(largest)
{
	const struct knob *k = &knobs[_i];
	int good = 1, bad = INT_MAX;

	start_helper();
	while (bad - good > 1) {
		int middle = good + (bad - good) / 2;

		if (ask(dev, k->tell, ARG_VALUE, middle).ret)
			bad = middle;
		else
			good = middle;
	}
	diag("%s: 1 to %d", k->name, good);
	if (_i)
		expect_ret(good, 65536);
	else
		expect(good >= 4 * MiB && !(good & (good - 1)),
		       "the largest quantum is %d, no size that kmalloc() ends at",
		       good);
#ifdef __x86_64__
	if (!_i)
		expect_ret(good, 4 * MiB);
#endif
	by_value(k->tell, good, 0);
	refused(k->set, ARG_POINTER, good + 1, EINVAL);
	refused(k->tell, ARG_VALUE, good + 1, EINVAL);
	refused(k->exchange, ARG_POINTER, good + 1, EINVAL);
	refused(k->shift, ARG_VALUE, good + 1, EINVAL);
	by_value(k->query, 0, good);
}
END_TEST

START_TEST(bad_addresses)
{
	static const enum argument bad[] = {
		ARG_UNMAPPED, ARG_NULL, ARG_KERNEL, ARG_EDGE,
	};
	const struct knob *k = &knobs[_i];
	size_t i;

	start_helper();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		refused(k->set, bad[i], 100, EFAULT);
		refused(k->get, bad[i], 100, EFAULT);
		refused(k->exchange, bad[i], 100, EFAULT);
		unchanged();
	}
	/* Read-only memory is good for Set, and for neither of the others. */
	refused(k->get, ARG_READONLY, 100, EFAULT);
	refused(k->exchange, ARG_READONLY, 100, EFAULT);
	unchanged();
	expect_ret(ask(dev, k->set, ARG_READONLY, 100).ret, 0);
	by_value(k->query, 0, 100);
}
END_TEST

START_TEST(unknown)
{
	/* No such number, a stranger's magic, a direction or size of its own. */
	const unsigned int cmds[] = {
		_IO('k', 15), _IO('k', 255), _IO('j', 7), _IO('l', 0), 0,
		0xffffffff, _IOR('k', 1, int), _IO('k', 1), _IO('k', 5),
		_IOW('k', 3, int), _IOR('k', 7, int), _IOWR('k', 0, int),
		_IOW('k', 1, char), _IOW('k', 2, long long), 0x5401, 0x541b,
	};
	size_t i;

	start_helper();
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		refused(cmds[i], ARG_VALUE, 100, ENOTTY);
		refused(cmds[i], ARG_POINTER, 100, ENOTTY);
	}
	unchanged();
}
END_TEST

static void may_look_only(void)
{
	const struct knob *k;

	for (k = knobs; k < knobs + ARRAY_SIZE(knobs); k++) {
		refused(k->set, ARG_POINTER, 100, EPERM);
		refused(k->tell, ARG_VALUE, 100, EPERM);
		refused(k->exchange, ARG_POINTER, 100, EPERM);
		refused(k->shift, ARG_VALUE, 100, EPERM);
		/* The same value again is a change too. */
		refused(k->tell, ARG_VALUE, k->initial, EPERM);
		by_value(k->query, 0, k->initial);
		by_pointer(k->get, 0, k->initial);
	}
	refused(SCULL_IOCRESET, ARG_VALUE, 0, EPERM);
	refused(SCULL_P_IOCTSIZE, ARG_VALUE, 100, EPERM);
	by_value(SCULL_P_IOCQSIZE, 0, SCULL_P_BUFFER);
	refused(_IO('k', 15), ARG_VALUE, 100, ENOTTY);
	unchanged();
}

START_TEST(unprivileged)
{
	start_helper();
	become(BECOME_NOBODY);
	may_look_only();
}
END_TEST

START_TEST(namespace_root)
{
	start_helper();
	become(BECOME_NAMESPACE_ROOT);
	may_look_only();
}
END_TEST

START_TEST(pipe_size)
{
	static const int bad[] = { 0, -1, INT_MAX, INT_MIN, 16 * MiB + 1 };
	static const int good[] = { 1, 4000, 65536, 16 * MiB };
	size_t i;

	start_helper();
	by_value(SCULL_P_IOCQSIZE, 0, SCULL_P_BUFFER);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		by_value(SCULL_P_IOCTSIZE, good[i], 0);
		by_value(SCULL_P_IOCQSIZE, 0, good[i]);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		refused(SCULL_P_IOCTSIZE, ARG_VALUE, bad[i], EINVAL);
		by_value(SCULL_P_IOCQSIZE, 0, 16 * MiB);
	}
	by_value(SCULL_IOCRESET, 0, 0);
	by_value(SCULL_P_IOCQSIZE, 0, SCULL_P_BUFFER);
	unchanged();
}
END_TEST

START_TEST(every_device)
{
	DIR *d = opendir("/sys/class/scull");
	struct dirent *e;
	int tried = 0;

	if (!d)
		skip("there is no /sys/class/scull to find all devices in");
	start_helper();
	while ((e = readdir(d))) {
		char path[PATH_MAX];
		int fd, value = 5 + tried;

		/* Beside the devices there are the class's own values. */
		if (e->d_type != DT_LNK)
			continue;
		snprintf(path, sizeof(path), "/dev/%s", e->d_name);
		fd = open(path, O_RDWR | O_NONBLOCK);
		/* That one is for processes with a terminal only. */
		if (fd < 0 && !strcmp(e->d_name, "scullpriv"))
			continue;
		expect(fd >= 0, "%s: %s", path, strerror(errno));
		dup2(fd, dev);
		by_value(SCULL_IOCTQUANTUM, value, 0);
		by_pointer(SCULL_IOCGQUANTUM, 0, value);
		refused(SCULL_IOCTQSET, ARG_VALUE, 0, EINVAL);
		refused(_IO('k', 15), ARG_VALUE, 0, ENOTTY);
		close(fd);
		tried++;
	}
	closedir(d);
	expect(tried >= scull_nr_devs(), "only %d devices found", tried);
}
END_TEST

#ifndef IOCTL32
#define SHIFTERS 4
#define SHIFTS 20000

/* Each value that is put in comes out once: nothing is lost between two. */
static void shift_values(int me, void *arg)
{
	unsigned char *out = arg;
	int fd = dev_open(0, O_RDWR), i;

	for (i = 0; i < SHIFTS; i++) {
		int value = 1 + me * SHIFTS + i;

		if (i % 2)
			value = sys(ioctl(fd, SCULL_IOCHQUANTUM, value));
		else
			sys(ioctl(fd, SCULL_IOCXQUANTUM, &value));
		__atomic_add_fetch(&out[value], 1, __ATOMIC_SEQ_CST);
	}
}

START_TEST(one_step)
{
	const int values = SHIFTERS * SHIFTS;
	unsigned char *out = shared(100001);
	int fd = dev_open(0, O_RDWR), i;

	sys(ioctl(fd, SCULL_IOCTQUANTUM, 100000));
	together(SHIFTERS, shift_values, out);
	out[sys(ioctl(fd, SCULL_IOCQQUANTUM))]++;
	expect_ret(out[100000], 1);
	for (i = 1; i <= values; i++)
		expect(out[i] == 1, "value %d came out %d times", i, out[i]);
}
END_TEST
#endif

static const struct test tests[] = {
	{ &numbers, "the book's numbers" },
	{ &forms, "Set, Tell, Get, Query, eXchange, sHift of the quantum", 0 },
	{ &forms, "Set, Tell, Get, Query, eXchange, sHift of the qset", 1 },
	{ &reset, "RESET restores the defaults" },
	{ &out_of_range, "a bad quantum: EINVAL, and the device goes on working", 0 },
	{ &out_of_range, "a bad qset: EINVAL, and the device goes on working", 1 },
	{ &largest, "the largest quantum", 0 },
	{ &largest, "the largest qset", 1 },
	{ &bad_addresses, "a bad address: EFAULT, quantum unchanged", 0 },
	{ &bad_addresses, "a bad address: EFAULT, qset unchanged", 1 },
	{ &unknown, "an unknown command: ENOTTY" },
	{ &unprivileged, "without CAP_SYS_ADMIN: EPERM to change, not to look" },
	{ &namespace_root, "root of a user namespace: EPERM to change, not to look" },
	{ &pipe_size, "P_IOCTSIZE and P_IOCQSIZE" },
	{ &every_device, "the same on every device" },
#ifndef IOCTL32
	{ &one_step, "eXchange and sHift lose no value among processes" },
#endif
};

#ifdef IOCTL32
TEST_MAIN("ioctl32", tests)
#else
TEST_MAIN("ioctl", tests)
#endif
