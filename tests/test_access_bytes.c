// SPDX-License-Identifier: GPL-2.0
/*
 * The access-controlled devices are bare devices for whoever is let in: each
 * case is run with each of them. What a bare device does in detail is tested
 * with scull0; here it is shown that all of it is there.
 */
#include "access.h"
#include "offsets.h"

#include <libgen.h>
#include <sys/sendfile.h>

#include "ioctlcall.h"

static int which;

static int open_it(int flags)
{
	return sys(open_device(which, flags));
}

static void set_sizes(int quantum, int qset)
{
	int fd = open_it(O_RDONLY);

	sys(ioctl(fd, SCULL_IOCTQUANTUM, quantum));
	sys(ioctl(fd, SCULL_IOCTQSET, qset));
	close(fd);
	close(open_it(O_WRONLY));
}

struct session {
	void (*fn)(void);
	struct terminal terminal;
};

static void in_session(void *arg)
{
	struct session *s = arg;

	on_terminal(&s->terminal);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	s->fn();
}

/* scullpriv wants a terminal. */
static void with_device(int device, void (*fn)(void))
{
	struct session s = { fn };

	which = device;
	begin(device);
	if (device != PRIV) {
		fn();
		return;
	}
	s.terminal = new_pty();
	join(spawn(in_session, &s));
}

static void transfers(void)
{
	unsigned char buf[6000];
	struct iovec iov[3] = {
		{ buf, 10 }, { buf + 10, 990 }, { buf + 1000, 4000 },
	};
	int fd;

	set_sizes(100, 3);
	fd = open_it(O_RDWR);
	fill(buf, 5000, 0, 1);
	expect_ret(writev(fd, iov, 3), 5000);
	memset(buf, 0, sizeof(buf));
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	expect_ret(read(fd, buf, 7), 7);
	expect_ret(read(fd, buf + 7, sizeof(buf) - 7), 4993);
	expect_pattern(buf, 5000, 0, 1);
	expect_ret(read(fd, buf, 1), 0);

	/* Over what is there, and far beyond it. */
	fill(buf, 333, 250, 2);
	expect_ret(pwrite(fd, buf, 333, 250), 333);
	expect_ret(pwrite(fd, "end", 3, GiB), 3);
	expect_ret(preadv(fd, iov, 3, 0), 5000);
	expect_pattern(buf, 250, 0, 1);
	expect_pattern(buf + 250, 333, 250, 2);
	expect_pattern(buf + 583, 5000 - 583, 583, 1);
	expect_ret(pread(fd, buf, sizeof(buf), 5000), sizeof(buf));
	expect_bytes(buf, sizeof(buf), 5000, 0);
	expect_ret(pread(fd, buf, sizeof(buf), GiB - 2), 5);
	expect(!memcmp(buf, "\0\0end", 5), "the end is not what was written");

	/* Up to the last offset there is. */
	expect_ret(pwrite(fd, "x", 1, device_limit(100, 3) - 1), 1);
	expect_ret(lseek(fd, 0, SEEK_END), device_limit(100, 3));
	expect_errno(pwrite(fd, "x", 1, LLONG_MAX), EINVAL);
	expect_errno(pread(fd, buf, 1, -1), EINVAL);
}

static void early_ends(void)
{
	unsigned char *in = cliff(5000, PROT_READ | PROT_WRITE), out[8000];
	int fd = open_it(O_RDWR);
	size_t n;

	fill(in, 5000, 0, 1);
	expect_errno(write(fd, in + 5000, 10), EFAULT);
	expect_ret(lseek(fd, 0, SEEK_END), 0);
	n = expect_cut(pwrite(fd, in, 9000, 0), 5000);
	expect_ret(pread(fd, out, sizeof(out), 0), n);
	expect_pattern(out, n, 0, 1);
	expect_ret(pwrite(fd, "x", 1, 7999), 1);
	expect_ret(pread(fd, out, sizeof(out), 0), 8000);
	expect_bytes(out + n, 7999 - n, n, 0);
	expect_cut(pread(fd, in, 9000, 0), 5000);
}

static void flags(void)
{
	int fd = open_it(O_RDWR | O_APPEND);

	expect_ret(write(fd, "one", 3), 3);
	expect_ret(lseek(fd, 0, SEEK_SET), 0);
	expect_ret(write(fd, "two", 3), 3);
	expect_ret(do_compare(fd, (long)"onetwo"), 1);
	close(fd);
	fd = open_it(O_RDWR);
	expect_ret(pwritev2(fd, &(struct iovec){ "three", 5 }, 1, 0, RWF_APPEND), 5);
	expect_ret(do_compare(fd, (long)"onetwothree"), 1);
	expect_ret(pwritev2(fd, &(struct iovec){ "ONE", 3 }, 1, 0, RWF_NOWAIT), 3);
	expect_errno(pwritev2(fd, &(struct iovec){ "x", 1 }, 1, MiB, RWF_NOWAIT),
		     EAGAIN);
	expect_ret(do_compare(fd, (long)"ONEtwothree"), 1);
	expect_ret(fsync(fd), 0);
	expect_ret(fdatasync(fd), 0);
	expect_errno(ftruncate(fd, 0), EINVAL);
	expect_errno((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), ENODEV);
}

struct opening {
	int flags;
	bool trims;
};

static const struct opening openings[] = {
	{ O_RDONLY, false }, { O_RDWR, false }, { O_RDWR | O_CREAT, false },
	{ O_RDWR | O_APPEND, false }, { O_WRONLY | O_APPEND, false },
	{ O_RDONLY | O_TRUNC, false }, { O_ACCMODE, false },
	{ O_RDONLY | O_NONBLOCK, false }, { O_PATH, false },
	{ O_WRONLY, true }, { O_RDWR | O_TRUNC, true },
	{ O_WRONLY | O_TRUNC, true }, { O_WRONLY | O_NONBLOCK, true },
	{ O_WRONLY | O_APPEND | O_TRUNC, true },
};

static void who_trims(void)
{
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(openings); i++) {
		fd = open_it(O_RDWR);
		expect_ret(do_put(fd, (long)"something"), 9);
		close(fd);
		close(open_it(openings[i].flags));
		fd = open_it(O_RDONLY);
		expect(do_size(fd, 0) == (openings[i].trims ? 0 : 9),
		       "flags 0%o left %ld bytes", openings[i].flags,
		       do_size(fd, 0));
		close(fd);
	}
	fd = open_it(O_RDWR);
	expect_ret(do_put(fd, (long)"something"), 9);
	close(fd);
	expect_errno(open_device(which, O_WRONLY | O_DIRECT), EINVAL);
	fd = open_it(O_RDONLY);
	expect_ret(do_compare(fd, (long)"something"), 1);
	expect_errno(write(fd, "x", 1), EBADF);
}

static void seeking(void)
{
	int fd;

	set_sizes(100, 10);
	fd = open_it(O_RDWR);
	expect_errno(lseek(fd, 0, SEEK_DATA), ENXIO);
	expect_errno(lseek(fd, 0, SEEK_HOLE), ENXIO);
	expect_ret(pwrite(fd, "x", 1, 5250), 1);
	expect_ret(lseek(fd, 4, SEEK_SET), 4);
	expect_ret(lseek(fd, 3, SEEK_CUR), 7);
	expect_ret(lseek(fd, -1, SEEK_END), 5250);
	expect_ret(lseek(fd, 49, SEEK_END), 5300);
	expect_ret(lseek(fd, 0, SEEK_HOLE), 0);
	expect_ret(lseek(fd, 0, SEEK_DATA), 5200);
	expect_ret(lseek(fd, 5220, SEEK_DATA), 5220);
	expect_ret(lseek(fd, 5220, SEEK_HOLE), 5251);
	expect_errno(lseek(fd, 5251, SEEK_DATA), ENXIO);
	expect_errno(lseek(fd, -1, SEEK_SET), EINVAL);
	expect_errno(lseek(fd, 0, 77), EINVAL);
	expect_ret(lseek(fd, 0, SEEK_CUR), 5251);
}

static void by_a_user(void *arg)
{
	int fd = *(int *)arg;

	expect_ret(ioctl(fd, SCULL_IOCQQUANTUM), 500);
	expect_errno(ioctl(fd, SCULL_IOCTQUANTUM, 600), EPERM);
	expect_errno(ioctl(fd, SCULL_IOCRESET), EPERM);
}

static void ioctls(void)
{
	int fd = open_it(O_RDWR), value = 0;

	expect_ret(ioctl(fd, SCULL_IOCQQUANTUM), SCULL_QUANTUM);
	expect_ret(ioctl(fd, SCULL_IOCGQSET, &value), 0);
	expect_ret(value, SCULL_QSET);
	value = 400;
	expect_ret(ioctl(fd, SCULL_IOCXQUANTUM, &value), 0);
	expect_ret(value, SCULL_QUANTUM);
	expect_ret(ioctl(fd, SCULL_IOCHQUANTUM, 500), 400);
	expect_errno(ioctl(fd, SCULL_IOCTQUANTUM, 0), EINVAL);
	expect_errno(ioctl(fd, SCULL_IOCSQSET, (void *)1), EFAULT);
	expect_errno(ioctl(fd, TCGETS, &value), ENOTTY);
	expect_errno(ioctl(fd, _IO('k', 15)), ENOTTY);
	run_as(1001, by_a_user, &fd);
	expect_ret(ioctl(fd, SCULL_IOCRESET), 0);
	expect_ret(ioctl(fd, SCULL_IOCQQUANTUM), SCULL_QUANTUM);
}

/* One request of test_ioctl's 32-bit helper. */
static void ioctls_32bit(void)
{
	struct ioctl_request req = {
		.cmd = SCULL_IOCGQUANTUM, .argument = ARG_POINTER,
		.fd = open_it(O_RDONLY), .value = 1,
	};
	char path[PATH_MAX] = "";
	struct ioctl_reply rep;
	int in[2], out[2];
	pid_t pid;

	sys(readlink("/proc/self/exe", path, sizeof(path) - 1));
	sys(chdir(dirname(path)));
	if (access("./ioctlcall32", X_OK))
		skip("the C compiler makes no 32-bit programs");
	sys(pipe(in));
	sys(pipe(out));
	pid = sys(fork());
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("./ioctlcall32", "ioctlcall32", NULL);
		_exit(errno == ENOEXEC ? 126 : 127);
	}
	close(in[0]);
	close(out[1]);
	expect_ret(write(in[1], &req, sizeof(req)), sizeof(req));
	if (read(out[0], &rep, sizeof(rep)) != sizeof(rep))
		skip("this kernel runs no 32-bit programs");
	expect(rep.ret == 0 && rep.memory == SCULL_QUANTUM,
	       "SCULL_IOCGQUANTUM gave %d (%s) and %d", rep.ret,
	       strerror(rep.err), rep.memory);
	close(in[1]);
	join(pid);
}

static void in_proc(void)
{
	char wanted[64], line[256];
	int fd, items = -1, quanta = 0, file;

	set_sizes(100, 10);
	fd = open_it(O_RDWR);
	expect_ret(pwrite(fd, "x", 1, 50), 1);
	expect_ret(pwrite(fd, "x", 1, 2350), 1);
	expect_ret(pwrite(fd, "x", 1, 2950), 1);
	snprintf(wanted, sizeof(wanted), "Device %s: qset 10, q 100, sz 2951\n",
		 device_names[which]);
	for (file = 0; file < 2; file++) {
		FILE *f = fopen(file ? "/proc/scullseq" : "/proc/scullmem", "r");

		expect(f, "no file in /proc: %s", strerror(errno));
		items = -1;
		quanta = 0;
		while (fgets(line, sizeof(line), f)) {
			if (!strcmp(line, wanted))
				items = 0;
			else if (items >= 0 && !strncmp(line, "  item at ", 10))
				items++;
			else if (items >= 0 && !strncmp(line, "    ", 4))
				quanta++;
			else if (items >= 0)
				break;
		}
		fclose(f);
		expect(items >= 0, "no line \"%.*s\"", (int)strlen(wanted) - 1,
		       wanted);
		expect(items == 2 && quanta == 2,
		       "%d sets and %d quanta, expected 2 and 2", items, quanta);
	}
}

static void splicing(void)
{
	unsigned char buf[20000];
	int fd = open_it(O_RDWR), file, pipe_fds[2];
	loff_t off = 0;

	sys(pipe(pipe_fds));
	fill(buf, sizeof(buf), 0, 1);
	expect_ret(write(pipe_fds[1], buf, sizeof(buf)), sizeof(buf));
	expect_ret(splice(pipe_fds[0], NULL, fd, &off, sizeof(buf), 0),
		   sizeof(buf));
	memset(buf, 0, sizeof(buf));
	expect_ret(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	expect_pattern(buf, sizeof(buf), 0, 1);
	off = 0;
	expect(splice(fd, &off, pipe_fds[1], NULL, 5000, 0) == 5000,
	       "splice out: %s", strerror(errno));
	memset(buf, 0, sizeof(buf));
	expect_ret(read(pipe_fds[0], buf, sizeof(buf)), 5000);
	expect_pattern(buf, 5000, 0, 1);
	file = sys(memfd_create("sendfile", 0));
	fill(buf, 9000, 0, 2);
	expect_ret(write(file, buf, 9000), 9000);
	off = 0;
	expect_ret(lseek(fd, 1000, SEEK_SET), 1000);
	expect_ret(sendfile(fd, file, &off, 9000), 9000);
	memset(buf, 0, sizeof(buf));
	expect_ret(pread(fd, buf, 9000, 1000), 9000);
	expect_pattern(buf, 9000, 0, 2);
}

static void against_a_model(void)
{
	unsigned char buf[3000];
	struct model *m;
	int fd, i, quantum, qset;

	seed_rnd();
	quantum = 1 + below(200);
	qset = 1 + below(9);
	set_sizes(quantum, qset);
	fd = open_it(O_RDWR);
	m = model_new(quantum, qset, 30000);
	for (i = 0; i < 60; i++) {
		size_t len = 1 + below(sizeof(buf)), off = below(30000 - len);

		fill(buf, len, off, i);
		expect_ret(pwrite(fd, buf, len, off), len);
		model_write(m, off, buf, len);
		if (i % 5 == 0)
			model_compare(m, fd);
	}
	model_compare(m, fd);
}

#define SHARERS 4
#define LINES 500

/* One open file, several processes: no update of its position is lost. */
static void write_lines(int me, void *fd)
{
	char line[16];
	int i;

	for (i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "%d %4d\n", me, i);
		expect_ret(write(*(int *)fd, line, 7), 7);
	}
}

static void shared_open(void)
{
	char *buf = xmalloc(SHARERS * LINES * 7 + 1), *line;
	int next[SHARERS] = { 0 }, fd, me, i;

	set_sizes(100, 3);
	fd = open_it(O_RDWR);
	together(SHARERS, write_lines, &fd);
	expect_ret(lseek(fd, 0, SEEK_CUR), SHARERS * LINES * 7);
	expect_ret(pread(fd, buf, SHARERS * LINES * 7 + 1, 0),
		   SHARERS * LINES * 7);
	for (line = buf; *line; line += 7) {
		expect(sscanf(line, "%d %d\n", &me, &i) == 2 && me >= 0 &&
		       me < SHARERS && i == next[me]++,
		       "not a line in its place: \"%.6s\"", line);
	}
}

static void write_or_read(int me, void *fd_at)
{
	int fd = *(int *)fd_at;
	char *buf = xmalloc(20000);
	int i;

	for (i = 0; i < 300; i++) {
		if (me) {
			expect_ret(pread(fd, buf, 20000, 0), 20000);
			expect(!memcmp(buf, buf + 1, 19999),
			       "half of a write was read");
		} else {
			memset(buf, 'a' + i % 26, 20000);
			expect_ret(pwrite(fd, buf, 20000, 0), 20000);
		}
	}
}

static void whole_writes(void)
{
	int fd;
	char *buf = xmalloc(20000);

	set_sizes(1000, 5);
	fd = open_it(O_RDWR);
	expect_ret(pwrite(fd, buf, 20000, 0), 20000);
	together(2, write_or_read, &fd);
}

#define CASE(fn)							\
	START_TEST(test_##fn)						\
	{								\
		with_device(_i, fn);					\
	}								\
	END_TEST

CASE(transfers)
CASE(early_ends)
CASE(flags)
CASE(who_trims)
CASE(seeking)
CASE(ioctls)
CASE(ioctls_32bit)
CASE(in_proc)
CASE(splicing)
CASE(against_a_model)
CASE(shared_open)
CASE(whole_writes)

static const struct test tests[] = {
	FOR_ALL(&test_transfers, "reads and writes across quanta, sets and holes"),
	FOR_ALL(&test_early_ends, "a bad address half-way: the count so far"),
	FOR_ALL(&test_flags, "O_APPEND, RWF_APPEND, RWF_NOWAIT, fsync; no mmap"),
	FOR_ALL(&test_who_trims, "O_WRONLY and O_TRUNC trim, and others do not"),
	FOR_ALL(&test_seeking, "lseek by each whence"),
	FOR_ALL(&test_ioctls, "ioctl"),
	FOR_ALL(&test_ioctls_32bit, "ioctl by a 32-bit program"),
	FOR_ALL(&test_in_proc, "its map in /proc"),
	FOR_ALL(&test_splicing, "splice both ways, sendfile"),
	FOR_ALL(&test_against_a_model, "random writes against a model"),
	FOR_ALL(&test_shared_open, "4 processes share one open"),
	FOR_ALL(&test_whole_writes, "a read sees a write whole or not at all"),
};

TEST_MAIN("access_bytes", tests)
