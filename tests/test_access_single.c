// SPDX-License-Identifier: GPL-2.0
/* scullsingle: one open file at a time, whoever opens it. */
#include "access.h"

static int open_single(int flags)
{
	return open_device(SINGLE, flags);
}

static void expect_taken_at(int line)
{
	int fd = open_single(O_RDONLY);

	if (fd < 0 && errno == EBUSY)
		return;
	fail_at(__FILE__, line, "open: %s, expected EBUSY",
		fd < 0 ? strerror(errno) : "it succeeded");
}

#define expect_taken() expect_taken_at(__LINE__)

static void expect_free(void)
{
	close(sys(open_single(O_RDONLY)));
}

static bool is_free(void)
{
	int fd = open_single(O_RDONLY);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

START_TEST(second_open)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE, O_RDONLY | O_NONBLOCK,
		O_RDWR | O_NONBLOCK, O_WRONLY | O_APPEND, O_RDWR | O_TRUNC,
		O_RDWR | O_CREAT,
	};
	struct actor user, root;
	int first, path;
	size_t i, j;

	begin(SINGLE);
	user = hire_user(1001);
	root = hire(NULL, NULL);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		first = sys(open_single(flags[i]));
		for (j = 0; j < ARRAY_SIZE(flags); j++) {
			expect_errno(open_single(flags[j]), EBUSY);
			expect_errno(ask(&user, do_open, SINGLE, flags[j]),
				     EBUSY);
			expect_errno(ask(&root, do_open, SINGLE, flags[j]),
				     EBUSY);
		}
		sys(close(first));
		first = sys(ask(&user, do_open, SINGLE, flags[i]));
		expect_taken();
		sys(ask(&user, do_close, first, 0));
	}
	/* O_PATH opens the node and not the device. */
	path = sys(open_single(O_PATH));
	first = sys(open_single(O_RDWR));
	close(sys(open_single(O_PATH)));
	close(path);
	expect_taken();
	close(first);
	expect_free();
}
END_TEST

START_TEST(through_proc)
{
	char path[32];
	int fd;

	begin(SINGLE);
	fd = sys(open_single(O_RDWR));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	expect_errno(open(path, O_RDWR), EBUSY);
	close(fd);
	expect_free();
}
END_TEST

START_TEST(refused_changes_nothing)
{
	int fd, i;

	begin(SINGLE);
	fd = sys(open_single(O_RDWR));
	expect_ret(write(fd, "something", 9), 9);
	expect_errno(open_single(O_WRONLY), EBUSY);
	expect_errno(open_single(O_RDWR | O_TRUNC), EBUSY);
	expect_ret(lseek(fd, 0, SEEK_CUR), 9);
	expect_ret(do_compare(fd, (long)"something"), 1);
	for (i = 0; i < 1000; i++)
		expect_errno(open_single(O_WRONLY), EBUSY);
	close(fd);
	fd = sys(open_single(O_RDONLY));
	expect_ret(do_compare(fd, (long)"something"), 1);
	expect_taken();
	close(fd);
	/* Nor does one that is refused for its flags take the device. */
	expect_errno(open_single(O_WRONLY | O_DIRECT), EINVAL);
	fd = sys(open_single(O_RDONLY));
	expect_ret(do_compare(fd, (long)"something"), 1);
}
END_TEST

START_TEST(stays_after_close)
{
	struct actor a, b;
	int fd;

	begin(SINGLE);
	a = hire_user(1001);
	b = hire_user(1002);
	fd = sys(ask(&a, do_open, SINGLE, O_RDWR));
	expect_ret(ask(&a, do_put, fd, (long)"for everybody"), 13);
	sys(ask(&a, do_close, fd, 0));
	fd = sys(ask(&b, do_open, SINGLE, O_RDONLY));
	expect_ret(ask(&b, do_compare, fd, (long)"for everybody"), 1);
	dismiss(&b);
	fd = sys(ask(&a, do_open, SINGLE, O_WRONLY));
	expect_ret(ask(&a, do_size, fd, 0), 0);
}
END_TEST

START_TEST(duplicates)
{
	int fd, again, high;

	begin(SINGLE);
	fd = sys(open_single(O_RDWR));
	again = sys(dup(fd));
	high = sys(fcntl(fd, F_DUPFD_CLOEXEC, 500));
	expect_taken();
	close(fd);
	expect_taken();
	close(high);
	expect_taken();
	expect_ret(write(again, "x", 1), 1);
	close(again);
	expect_free();
}
END_TEST

static long do_fork_holder(long unused, long unused2)
{
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	return pid;
}

START_TEST(forked)
{
	struct actor parent;
	pid_t child;
	int fd;

	begin(SINGLE);
	/* Whose child dies is told to us, so that it can be waited for. */
	sys(prctl(PR_SET_CHILD_SUBREAPER, 1));
	parent = hire(NULL, NULL);
	fd = sys(ask(&parent, do_open, SINGLE, O_RDWR));
	child = sys(ask(&parent, do_fork_holder, 0, 0));
	sys(ask(&parent, do_close, fd, 0));
	expect_taken();
	dismiss(&parent);
	expect_taken();
	sys(kill(child, SIGKILL));
	expect_ret(waitpid(child, NULL, 0), child);
	expect_free();
}
END_TEST

START_TEST(executed)
{
	int fd, in[2];
	pid_t pid;
	char c;

	begin(SINGLE);
	sys(pipe(in));
	fd = sys(open_single(O_RDWR));
	pid = sys(fork());
	if (!pid) {
		dup2(in[0], 0);
		close(in[1]);
		execlp("cat", "cat", NULL);
		_exit(127);
	}
	close(in[0]);
	close(fd);
	expect_taken();
	close(in[1]);
	expect_ret(waitpid(pid, NULL, 0), pid);
	expect_free();
	/* And a program that is not meant to have it does not. */
	sys(pipe(in));
	fd = sys(open_single(O_RDWR | O_CLOEXEC));
	pid = sys(fork());
	if (!pid) {
		dup2(in[1], 1);
		execlp("sh", "sh", "-c", "echo; read nothing", NULL);
		_exit(127);
	}
	expect_ret(read(in[0], &c, 1), 1);
	close(fd);
	expect_free();
	sys(kill(pid, SIGKILL));
	expect_ret(waitpid(pid, NULL, 0), pid);
}
END_TEST

static void send_fd(int line, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	expect_ret(sendmsg(line, &msg, 0), 1);
}

static int receive_fd(int line)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &(char){ 0 }, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	expect_ret(recvmsg(line, &msg, 0), 1);
	expect(CMSG_FIRSTHDR(&msg), "no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static long do_receive(long line, long unused)
{
	return receive_fd(line);
}

START_TEST(passed_on)
{
	struct actor receiver;
	int line[2], fd;

	begin(SINGLE);
	sys(socketpair(AF_UNIX, SOCK_STREAM, 0, line));
	receiver = hire_user(1001);
	fd = sys(open_single(O_RDWR));
	expect_ret(write(fd, "over a socket", 13), 13);
	send_fd(line[0], fd);
	close(fd);
	/* On its way, and in nobody's hands. */
	expect_taken();
	fd = sys(ask(&receiver, do_receive, line[1], 0));
	expect_taken();
	expect_ret(ask(&receiver, do_compare, fd, (long)"over a socket"), 1);
	sys(ask(&receiver, do_close, fd, 0));
	expect_free();
	dismiss(&receiver);

	/* Sent to somebody who never takes it. */
	fd = sys(open_single(O_RDWR));
	send_fd(line[0], fd);
	close(fd);
	close(line[0]);
	expect_taken();
	close(line[1]);
	wait_until(is_free(), 30, "open: %s", strerror(errno));
}
END_TEST

START_TEST(killed)
{
	struct actor a;
	int i;

	begin(SINGLE);
	for (i = 0; i < 20; i++) {
		a = hire_user(1001 + i % 2);
		sys(ask(&a, do_open, SINGLE, O_RDWR));
		expect_taken();
		/* A process that can be waited for has closed its files. */
		kill_actor(&a);
		expect_free();
	}
}
END_TEST

static void open_and_close(void *arg)
{
	int i;

	for (i = 0;; i++) {
		int fd = open_single(i % 2 ? O_RDWR : O_WRONLY);

		/* The case itself looks in between. */
		expect(fd >= 0 || errno == EBUSY, "open: %s", strerror(errno));
		*(volatile int *)arg = i;
		close(fd);
	}
}

START_TEST(killed_anywhere)
{
	int *turns = shared(sizeof(*turns)), i, n;
	pid_t pid;

	begin(SINGLE);
	seed_rnd();
	for (i = 0; i < repeat(200); i++) {
		*turns = 0;
		pid = spawn(open_and_close, turns);
		wait_until(*(volatile int *)turns, 30, "no open succeeded");
		for (n = below(3000); n; n--)
			__asm__ volatile("");
		sys(kill(pid, SIGKILL));
		expect_ret(waitpid(pid, NULL, 0), pid);
		expect_free();
	}
}
END_TEST

/* --- races --- */

#define RACES 10000

struct race {
	struct gate gate;
	int rounds;
	bool won[2];
	int wins[2];
};

static void run_race(int me, void *arg)
{
	static const int flags[] = { O_RDWR, O_WRONLY, O_RDONLY };
	struct race *race = arg;
	int round, fd, n;

	for (round = 0; round < race->rounds; round++) {
		pass(&race->gate);
		/* Now one is early, now the other. */
		for (n = round % 16 * 64 * (round / 16 % 2 == me); n; n--)
			__asm__ volatile("");
		fd = open_single(flags[round % ARRAY_SIZE(flags)]);
		expect(fd >= 0 || errno == EBUSY, "round %d: open: %s", round,
		       strerror(errno));
		race->won[me] = fd >= 0;
		race->wins[me] += fd >= 0;
		pass(&race->gate);
		if (me == 0)
			expect(race->won[0] + race->won[1] == 1,
			       "round %d: %d of 2 opens succeeded", round,
			       race->won[0] + race->won[1]);
		close(fd);
	}
}

START_TEST(races)
{
	struct race *race = shared(sizeof(*race));

	begin(SINGLE);
	race->gate.n = 2;
	race->rounds = repeat(RACES);
	together(2, run_race, race);
	expect_free();
	diag("%d races, won %d to %d", race->rounds, race->wins[0],
	     race->wins[1]);
}
END_TEST

static const struct test tests[] = {
	{ &second_open, "a second open: EBUSY, for its user and root too" },
	{ &through_proc, "an open through /proc/self/fd is a second one" },
	{ &refused_changes_nothing, "a refused open neither trims nor counts" },
	{ &stays_after_close, "what it holds is there for the next user" },
	{ &duplicates, "taken until the last duplicate is closed" },
	{ &forked, "taken until the last child has closed it" },
	{ &executed, "taken by a program that inherits it, unless O_CLOEXEC" },
	{ &passed_on, "taken while a descriptor is on its way and after" },
	{ &killed, "a killed holder frees it at once" },
	{ &killed_anywhere, "free after SIGKILL at any moment", 0, 180 },
	{ &races, "of two opens at once exactly one succeeds", 0, 300 },
};

TEST_MAIN("access_single", tests)
