// SPDX-License-Identifier: GPL-2.0
/* What an open does to a bare device: who trims it and who does not. */
#include "harness.h"

static void put(int dev, const char *text)
{
	int fd = dev_open(dev, O_RDWR);

	expect_ret(pwrite(fd, text, strlen(text), 0), strlen(text));
	close(fd);
}

struct mode {
	int flags;
	bool trims;
};

static const struct mode modes[] = {
	{ O_WRONLY, true },
	{ O_WRONLY | O_CREAT | O_TRUNC, true },
	{ O_WRONLY | O_NONBLOCK, true },
	{ O_WRONLY | O_TRUNC, true },
	{ O_RDWR | O_TRUNC, true },
	{ O_WRONLY | O_APPEND | O_TRUNC, true },
	{ O_RDWR | O_APPEND | O_TRUNC, true },
	{ O_WRONLY | O_APPEND, false },
	{ O_RDWR, false },
	{ O_RDWR | O_APPEND, false },
	{ O_RDWR | O_CREAT, false },
	{ O_RDONLY, false },
	{ O_RDONLY | O_TRUNC, false },
	{ O_RDONLY | O_APPEND, false },
	{ O_RDONLY | O_NONBLOCK, false },
	{ O_ACCMODE, false },
	{ O_ACCMODE | O_TRUNC, false },
	{ O_PATH, false },
};

START_TEST(who_trims)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int fd;

		put(0, "something");
		fd = open(dev_path(0), modes[i].flags, 0600);
		expect(fd >= 0, "open with flags 0%o: %s", modes[i].flags,
		       strerror(errno));
		expect(dev_size(0) == (modes[i].trims ? 0 : 9),
		       "flags 0%o: size %lld after open", modes[i].flags,
		       (long long)dev_size(0));
		close(fd);
	}
}
END_TEST

START_TEST(mode_three)
{
	char buf[16];
	int fd;

	put(0, "something");
	/* Neither for reading nor for writing: good for ioctl. */
	fd = dev_open(0, O_ACCMODE);
	expect_errno(read(fd, buf, sizeof(buf)), EBADF);
	expect_errno(write(fd, buf, sizeof(buf)), EBADF);
	expect_ret(ioctl(fd, SCULL_IOCQQUANTUM), SCULL_QUANTUM);
	expect_ret(dev_size(0), 9);
}
END_TEST

START_TEST(modes_hold)
{
	char buf[16];
	int r = dev_open(0, O_RDONLY), w = dev_open(0, O_WRONLY);

	expect_errno(write(r, "x", 1), EBADF);
	expect_errno(read(w, buf, 1), EBADF);
}
END_TEST

START_TEST(direct)
{
	char buf[16];
	int fd;

	put(0, "something");
	expect_errno(open(dev_path(0), O_WRONLY | O_DIRECT), EINVAL);
	expect_errno(open(dev_path(0), O_RDWR | O_TRUNC | O_DIRECT), EINVAL);
	expect_errno(open(dev_path(0), O_RDONLY | O_DIRECT), EINVAL);
	fd = dev_open(0, O_RDONLY);
	expect_ret(read(fd, buf, sizeof(buf)), 9);
	expect(!memcmp(buf, "something", 9), "read \"%.9s\"", buf);
}
END_TEST

static void open_refused(void *arg)
{
	expect_errno(open(arg, O_WRONLY), EACCES);
	expect_errno(open(arg, O_RDWR | O_TRUNC), EACCES);
}

START_TEST(not_admitted)
{
	struct stat st;
	char *path = strdup(dev_path(0));

	put(0, "something");
	sys(stat(path, &st));
	sys(chmod(path, 0644));
	run_as(65534, open_refused, path);
	sys(chmod(path, st.st_mode & 07777));
	expect_ret(dev_size(0), 9);
}
END_TEST

START_TEST(trim_under_others)
{
	char buf[16];
	int r, w;

	put(0, "something");
	r = dev_open(0, O_RDONLY);
	expect_ret(read(r, buf, 4), 4);
	w = dev_open(0, O_WRONLY);
	expect_ret(read(r, buf, 4), 0);
	expect_ret(write(w, "abcdefgh", 8), 8);
	expect_ret(read(r, buf, sizeof(buf)), 4);
	expect(!memcmp(buf, "efgh", 4), "read \"%.4s\"", buf);
}
END_TEST

START_TEST(trim_one_device)
{
	if (scull_nr_devs() < 2)
		skip("there is only one device");
	put(0, "zero");
	put(1, "one");
	dev_trim(0);
	expect_ret(dev_size(0), 0);
	expect_ret(dev_size(1), 3);
}
END_TEST

START_TEST(reopened)
{
	char path[32];
	int fd, again;

	put(0, "something");
	fd = dev_open(0, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = sys(open(path, O_WRONLY));
	expect_ret(dev_size(0), 0);
	close(again);
}
END_TEST

START_TEST(no_size_by_truncate)
{
	int fd;

	put(0, "something");
	fd = dev_open(0, O_RDWR);
	expect_errno(ftruncate(fd, 0), EINVAL);
	expect_errno(truncate(dev_path(0), 0), EINVAL);
	expect_ret(dev_size(0), 9);
}
END_TEST

START_TEST(map)
{
	int fd = dev_open(0, O_RDWR);

	expect_ret(write(fd, "x", 1), 1);
	expect_errno((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0),
		     ENODEV);
	expect_errno((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0),
		     ENODEV);
	expect_errno((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
				fd, 0), ENODEV);
}
END_TEST

START_TEST(sync_it)
{
	int fd = dev_open(0, O_RDWR | O_SYNC);

	expect_ret(fsync(fd), 0);
	expect_ret(write(fd, "x", 1), 1);
	expect_ret(fsync(fd), 0);
	expect_ret(fdatasync(fd), 0);
	close(fd);
	fd = dev_open(0, O_RDONLY);
	expect_ret(fsync(fd), 0);
}
END_TEST

START_TEST(a_char_device)
{
	struct stat st;
	int fd = dev_open(0, O_RDONLY);

	sys(fstat(fd, &st));
	expect(S_ISCHR(st.st_mode), "mode is 0%o", st.st_mode);
	expect(!isatty(fd) && errno == ENOTTY, "isatty says: %s",
	       strerror(errno));
}
END_TEST

START_TEST(many_opens)
{
	int fds[200];
	size_t i;

	put(0, "x");
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = dev_open(0, i % 2 ? O_RDWR : O_RDONLY);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	expect_ret(dev_size(0), 1);
}
END_TEST

/* "Device 0: qset 1000, q 4000, sz 0", as /proc/scullmem shows it. */
static void in_force_at(int line, int dev, int quantum, int qset)
{
	FILE *f = fopen("/proc/scullmem", "r");
	int at, q = -1, qs = -1;
	char text[256];

	expect(f, "/proc/scullmem: %s", strerror(errno));
	while (fgets(text, sizeof(text), f))
		if (sscanf(text, "Device %d: qset %d, q %d", &at, &qs, &q) == 3 &&
		    at == dev)
			break;
	fclose(f);
	if (q != quantum || qs != qset)
		fail_at(__FILE__, line,
			"device %d: quantum %d, qset %d in force, expected %d and %d",
			dev, q, qs, quantum, qset);
}

#define expect_in_force(dev, quantum, qset)				\
	in_force_at(__LINE__, dev, quantum, qset)

START_TEST(sizes_at_next_trim)
{
	unsigned char buf[3000];
	int fd = dev_open(0, O_RDWR), other = scull_nr_devs() - 1;

	sys(ioctl(fd, SCULL_IOCTQUANTUM, 100));
	sys(ioctl(fd, SCULL_IOCTQSET, 10));
	expect_in_force(0, SCULL_QUANTUM, SCULL_QSET);
	fill(buf, sizeof(buf), 0, 1);
	expect_ret(write(fd, buf, sizeof(buf)), sizeof(buf));
	expect_in_force(0, SCULL_QUANTUM, SCULL_QSET);
	close(dev_open(0, O_WRONLY | O_APPEND));
	close(dev_open(0, O_RDWR));
	expect_in_force(0, SCULL_QUANTUM, SCULL_QSET);
	dev_trim(0);
	expect_in_force(0, 100, 10);
	if (other)
		expect_in_force(other, SCULL_QUANTUM, SCULL_QSET);

	/* What is there stays as it is when the sizes change again. */
	expect_ret(pwrite(fd, buf, sizeof(buf), 0), sizeof(buf));
	sys(ioctl(fd, SCULL_IOCTQUANTUM, 7));
	expect_ret(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	expect_pattern(buf, sizeof(buf), 0, 1);
	expect_in_force(0, 100, 10);
	sys(ioctl(fd, SCULL_IOCRESET));
	expect_in_force(0, 100, 10);
	dev_trim(0);
	expect_in_force(0, SCULL_QUANTUM, SCULL_QSET);
}
END_TEST

static const struct test tests[] = {
	{ &who_trims, "O_WRONLY and O_TRUNC trim, O_APPEND and reading do not" },
	{ &mode_three, "access mode 3 neither reads, writes nor trims" },
	{ &modes_hold, "a descriptor does what it was opened for" },
	{ &direct, "O_DIRECT is refused and trims nothing" },
	{ &not_admitted, "an open that is refused trims nothing" },
	{ &trim_under_others, "a trim leaves other openers where they are" },
	{ &trim_one_device, "a trim empties one device only" },
	{ &reopened, "an open through /proc/self/fd trims too" },
	{ &no_size_by_truncate, "truncate and ftruncate: EINVAL" },
	{ &map, "mmap: ENODEV" },
	{ &sync_it, "fsync, fdatasync and O_SYNC work" },
	{ &a_char_device, "a char device and no terminal" },
	{ &many_opens, "200 opens at once" },
	{ &sizes_at_next_trim, "a new quantum and qset hold from the next trim on" },
};

TEST_MAIN("open", tests)
