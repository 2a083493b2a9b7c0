// SPDX-License-Identifier: GPL-2.0
/* splice both ways, sendfile and vmsplice's pages into a pipe of ours. */
#include "pipes.h"

#include <sys/sendfile.h>

#define CAPACITY 8192
#define LEN (1000 * 1000)

static unsigned char buf[LEN];

/* A memory file of patterned bytes. */
static int patterned(size_t len, unsigned int seed)
{
	int fd = sys(memfd_create("scratch", 0));

	fill(buf, len, 0, seed);
	expect_ret(write(fd, buf, len), len);
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

struct job {
	int from, to;
	size_t len;
	unsigned int seed;
	int how;
};

enum { BY_SENDFILE, BY_SPLICE, BY_VMSPLICE, BY_WRITE };

/* Reads all of it, in pieces of odd sizes, and compares. */
static void read_all(int fd, size_t len, unsigned int seed)
{
	static unsigned char out[30000];
	size_t done = 0, call = 0;

	while (done < len) {
		ssize_t n = sys(read(fd, out, 1 + call++ * 7919 % sizeof(out)));

		expect(n > 0, "read gave %zd after %zu bytes", n, done);
		expect_pattern(out, n, done, seed);
		done += n;
	}
}

static void feed(void *arg)
{
	struct job *j = arg;
	struct iovec iov;
	size_t done = 0;
	int fds[2];

	fill(buf, j->len, 0, j->seed);
	sys(pipe(fds));
	while (done < j->len) {
		size_t len = j->len - done < 20000 ? j->len - done : 20000;
		ssize_t n, left;

		switch (j->how) {
		case BY_SENDFILE:
			n = sys(sendfile(j->to, j->from, NULL, j->len - done));
			break;
		case BY_WRITE:
			n = sys(write(j->to, buf + done, j->len - done));
			break;
		default:
			iov = (struct iovec){ buf + done, len };
			n = j->how == BY_VMSPLICE ?
				    sys(vmsplice(fds[1], &iov, 1, 0)) :
				    sys(splice(j->from, NULL, fds[1], NULL, len, 0));
			for (left = n; left > 0;)
				left -= sys(splice(fds[0], NULL, j->to, NULL,
						   left, 0));
		}
		expect(n > 0, "%zd bytes went after %zu", n, done);
		done += n;
	}
}

/* From a file, or memory, through one or two pipes into this process. */
START_TEST(into)
{
	struct job job = { .len = LEN, .seed = 1, .how = _i };
	int keeper = pipe_fresh(0, O_RDWR, CAPACITY);
	pid_t pid;

	job.to = pipe_open(0, O_WRONLY);
	job.from = patterned(LEN, 1);
	pid = spawn(feed, &job);
	read_all(keeper, LEN, 1);
	join(pid);
	set_nonblock(keeper, true);
	expect_errno(read(keeper, buf, 1), EAGAIN);
}
END_TEST

START_TEST(from)
{
	struct job job = { .len = LEN, .seed = 2, .how = BY_WRITE };
	size_t done = 0;
	int fd, fds[2];
	pid_t pid;

	sys(pipe(fds));
	fd = pipe_fresh(0, O_RDWR, _i);
	job.to = fd;
	pid = spawn(feed, &job);
	while (done < LEN) {
		static unsigned char out[20000];
		ssize_t n = sys(splice(fd, NULL, fds[1], NULL,
				       1 + done * 7919 % sizeof(out), 0));

		expect(n > 0, "splice gave %zd after %zu bytes", n, done);
		expect_ret(read(fds[0], out, sizeof(out)), n);
		expect_pattern(out, n, done, 2);
		done += n;
	}
	join(pid);
	set_nonblock(fd, true);
	expect_errno(splice(fd, NULL, fds[1], NULL, 1, 0), EAGAIN);
}
END_TEST

/* What splice did not get rid of is still there. */
START_TEST(takes_no_more_than_fits)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 65536), fds[2];
	ssize_t n, m;

	sys(pipe(fds));
	sys(fcntl(fds[1], F_SETPIPE_SZ, 4096));
	fill(buf, 65536, 0, 3);
	expect_ret(write(fd, buf, 65536), 65536);
	n = sys(splice(fd, NULL, fds[1], NULL, 65536, 0));
	expect(n > 0 && n <= 4096, "%zd bytes went into a pipe of 4096", n);
	expect_ret(read(fds[0], buf, 65536), n);
	expect_pattern(buf, n, 0, 3);
	m = sys(read(fd, buf, 65536));
	expect_ret(n + m, 65536);
	expect_pattern(buf, m, n, 3);
}
END_TEST

START_TEST(gives_what_fits)
{
	int fd = pipe_fresh(0, O_RDWR | O_NONBLOCK, 5000), fds[2];
	ssize_t n, m;

	sys(pipe(fds));
	fill(buf, 12000, 0, 4);
	expect_ret(write(fds[1], buf, 12000), 12000);
	n = sys(splice(fds[0], NULL, fd, NULL, 12000, 0));
	expect(n > 0 && n <= 5000, "%zd bytes went into a pipe of 5000", n);
	expect_ret(read(fd, buf, 12000), n);
	expect_pattern(buf, n, 0, 4);
	/* Full, and not to wait: nothing goes, nothing is lost. */
	expect_ret(write(fd, buf, 5000), 5000);
	expect_errno(splice(fds[0], NULL, fd, NULL, 12000, 0), EAGAIN);
	m = sys(read(fds[0], buf, 12000));
	expect_ret(n + m, 12000);
	expect_pattern(buf, m, n, 4);
}
END_TEST

static void splice_one(void *arg)
{
	struct job *j = arg;

	expect_ret(splice(j->from, NULL, j->to, NULL, j->len, 0), j->len);
}

/* Waits like read and write do. */
START_TEST(waits)
{
	struct job job = { .len = 5 };
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), fds[2];
	pid_t pid;

	sys(pipe(fds));
	job.from = fd;
	job.to = fds[1];
	pid = spawn(splice_one, &job);
	wait_asleep(pid, SYS_splice);
	expect_ret(write(fd, "hello", 5), 5);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(read(fds[0], buf, 9), 5);

	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	expect_ret(write(fds[1], "world", 5), 5);
	job.from = fds[0];
	job.to = fd;
	pid = spawn(splice_one, &job);
	wait_asleep(pid, SYS_splice);
	expect_ret(read(fd, buf, CAPACITY), CAPACITY);
	expect_ret(join_within(pid, 30), 0);
	expect_ret(read(fd, buf, 9), 5);
	expect(!memcmp(buf, "world", 5), "came: %.5s", buf);
}
END_TEST

static void kill_splice(int from, int to)
{
	struct job job = { from, to, 5 };
	pid_t pid = spawn(splice_one, &job);

	wait_asleep(pid, SYS_splice);
	kill_and_join(pid);
}

START_TEST(killed)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), fds[2];

	sys(pipe(fds));
	kill_splice(fd, fds[1]);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	expect_ret(write(fds[1], "world", 5), 5);
	kill_splice(fds[0], fd);
	expect_ret(read(fd, buf, CAPACITY), CAPACITY);
	expect_ret(read(fds[0], buf, 9), 5);
}
END_TEST

/* From one of ours to another, and to a bare device. */
static void pass_on(void *arg)
{
	struct job *j = arg;
	size_t done = 0;
	int fds[2];

	sys(pipe(fds));
	while (done < j->len) {
		ssize_t n = sys(splice(j->from, NULL, fds[1], NULL,
				       j->len - done, 0));
		ssize_t left = n;

		expect(n > 0, "splice gave %zd", n);
		while (left > 0)
			left -= sys(splice(fds[0], NULL, j->to, NULL, left, 0));
		done += n;
	}
}

START_TEST(between)
{
	struct job in = { .len = 300000, .seed = 5, .how = BY_WRITE };
	struct job on = { .len = 300000 };
	int a = pipe_fresh(0, O_RDWR, CAPACITY), b;
	pid_t writer, middle;

	if (scull_param("scull_p_nr_devs", 0) < 2)
		skip("there is only one pipe");
	b = pipe_open(1, O_RDWR);
	in.to = on.from = a;
	on.to = b;
	writer = spawn(feed, &in);
	middle = spawn(pass_on, &on);
	read_all(b, 300000, 5);
	join(writer);
	join(middle);
}
END_TEST

START_TEST(to_a_device)
{
	struct job in = { .len = 300000, .seed = 6, .how = BY_WRITE };
	struct job on = { .len = 300000 };
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), dev = fresh(0, 4000, 1000);
	pid_t writer;

	in.to = on.from = fd;
	on.to = dev;
	writer = spawn(feed, &in);
	pass_on(&on);
	join(writer);
	expect_ret(pread(dev, buf, LEN, 0), 300000);
	expect_pattern(buf, 300000, 0, 6);
	expect_ret(lseek(dev, 0, SEEK_SET), 0);
	on.from = dev;
	on.to = fd;
	on.len = CAPACITY;
	pass_on(&on);
	expect_ret(read(fd, buf, LEN), CAPACITY);
	expect_pattern(buf, CAPACITY, 0, 6);
}
END_TEST

/* sendfile reads from what can seek; a pipe cannot, here as elsewhere. */
START_TEST(no_sendfile_from)
{
	int fd = pipe_fresh(0, O_RDWR, CAPACITY), out = patterned(10, 1);

	expect_ret(write(fd, "x", 1), 1);
	expect_errno(sendfile(out, fd, NULL, 1), EINVAL);
	expect_ret(read(fd, buf, 9), 1);
}
END_TEST

static const struct test tests[] = {
	{ &into, "sendfile into it", BY_SENDFILE, 120 },
	{ &into, "splice into it", BY_SPLICE, 120 },
	{ &into, "splice into it of a process's own pages", BY_VMSPLICE, 120 },
	{ &from, "splice from it, capacity 300", 300, 300 },
	{ &from, "splice from it, capacity 65536", 65536, 120 },
	{ &takes_no_more_than_fits, "splice takes what the other pipe can hold" },
	{ &gives_what_fits, "splice gives what it can hold" },
	{ &waits, "splice waits" },
	{ &killed, "SIGKILL ends the wait of splice" },
	{ &between, "from pipe to pipe" },
	{ &to_a_device, "to a bare device and from it" },
	{ &no_sendfile_from, "no sendfile from it" },
};

TEST_MAIN("pipe_splice", tests)
