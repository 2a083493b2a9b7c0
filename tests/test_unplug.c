// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that vanish and come back: whoever waits for one that is unplugged comes
 * back from his call, who has it open finds it dead for ever, and what is plugged in
 * is empty. (That an open of a pipe that works as fifo(7) says comes back, too, is
 * for test_pipe_fifo to see.)
 */
#include "access.h"
#include "attributes.h"
#include "faults.h"
#include "pipes.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/time.h>

#define ALICE 1101
#define BOB 1102

#define CAPACITY 8192

static char buf[65536];

static const char *const devices[] = { "scull0", "scullpipe0", "sculluid" };

enum { BARE, PIPE, GUARDED };

static int unplug(const char *device)
{
	return attribute_put("unplug", device);
}

static int plug(const char *device)
{
	return attribute_put("plug", device);
}

/* --- nodes of our own, which stay when the device goes --- */

static int own_node(const char *device)
{
	unsigned int at[2] = { 0, 0 };
	char path[64];

	if (!faccessat(nodes(), device, F_OK, 0))
		return nodes();
	snprintf(path, sizeof(path), "%s/dev", device);
	if (attribute_text(path, buf, sizeof(buf)) < 0)
		skip("this module has no %s", device);
	expect(sscanf(buf, "%u:%u", &at[0], &at[1]) == 2, "%s is \"%s\"", path,
	       buf);
	sys(mknodat(nodes(), device, S_IFCHR, makedev(at[0], at[1])));
	sys(fchmodat(nodes(), device, 0666, 0));
	return nodes();
}

static int get(const char *device, int flags)
{
	return openat(own_node(device), device, flags);
}

/* An empty device. */
static void start(const char *device)
{
	int i;

	faults_possible();
	own_node(device);
	for (i = SINGLE; i <= PRIV; i++)
		if (!strcmp(device, device_names[i]))
			begin(i);
	pipe_set_capacity(CAPACITY);
}

/* --- what open files get --- */

static void expect_all(short events, short want, const char *what)
{
	expect((events & want) == want, "%s: poll says 0x%x, expected 0x%x", what,
	       events, want);
}

/* Whatever is called, the device is gone. */
static void expect_dead(int fd, bool stream)
{
	struct iovec vec = { buf, 10 };
	int fds[2];

	expect_errno(read(fd, buf, 10), EIO);
	expect_errno(readv(fd, &vec, 1), EIO);
	expect_errno(write(fd, buf, 10), ENODEV);
	expect_errno(writev(fd, &vec, 1), ENODEV);
	expect_errno(preadv2(fd, &vec, 1, -1, RWF_NOWAIT), EIO);
	expect_errno(pwritev2(fd, &vec, 1, -1, RWF_NOWAIT), ENODEV);
	expect_errno(ioctl(fd, SCULL_IOCQQUANTUM), ENODEV);
	expect_errno(ioctl(fd, SCULL_IOCRESET), ENODEV);
	expect_errno(ioctl(fd, _IO('k', 15)), ENODEV);
	expect_errno(fsync(fd), ENODEV);
	expect_all(poll_now(fd, POLLIN | POLLOUT), POLLHUP | POLLERR, "dead");
	sys(pipe(fds));
	expect_errno(splice(fd, NULL, fds[1], NULL, 10, 0), EIO);
	expect_ret(write(fds[1], buf, 10), 10);
	/* The kernel splices to nothing that appends. */
	expect_errno(splice(fds[0], NULL, fd, NULL, 10, 0),
		     fcntl(fd, F_GETFL) & O_APPEND ? EINVAL : ENODEV);
	close(fds[0]);
	close(fds[1]);
	if (stream)
		return;
	expect_errno(pread(fd, buf, 10, 0), EIO);
	expect_errno(pwrite(fd, buf, 10, 0), ENODEV);
	expect_errno(lseek(fd, 0, SEEK_SET), ENODEV);
	expect_errno(lseek(fd, 0, SEEK_END), ENODEV);
	expect_errno(lseek(fd, 0, SEEK_DATA), ENODEV);
}

START_TEST(open_files)
{
	const char *device = devices[_i];
	int fd[3], i, new;

	start(device);
	fd[0] = sys(get(device, O_RDWR));
	fd[1] = sys(get(device, O_RDWR | O_NONBLOCK));
	fd[2] = sys(get(device, O_RDWR | O_APPEND));
	expect_ret(write(fd[0], "before", 6), 6);
	sys(unplug(device));
	for (i = 0; i < 3; i++)
		expect_dead(fd[i], _i == PIPE);
	/* No way to them through what is left of the node. */
	expect_errno(get(device, O_RDWR), ENODEV);
	expect_errno(get(device, O_RDONLY | O_NONBLOCK), ENODEV);
	expect_errno(get(device, O_WRONLY), ENODEV);
	expect_errno(get(device, O_RDWR | O_TRUNC), ENODEV);
	for (i = 0; i < 3; i++)
		expect_dead(fd[i], _i == PIPE);
	sys(plug(device));
	for (i = 0; i < 3; i++)
		expect_dead(fd[i], _i == PIPE);
	/* What came back is another one: neither opens nor bytes are mixed up. */
	expect_number(device, "opens", 0);
	new = sys(get(device, O_RDWR | O_NONBLOCK));
	expect_number(device, "opens", 1);
	expect_ret(write(new, "after", 5), 5);
	for (i = 0; i < 3; i++) {
		expect_dead(fd[i], _i == PIPE);
		expect_ret(close(fd[i]), 0);
		expect_number(device, "opens", 1);
	}
	if (_i != PIPE)
		sys(lseek(new, 0, SEEK_SET));
	expect_ret(read(new, buf, 10), 5);
	expect(!memcmp(buf, "after", 5), "came: %.5s", buf);
	close(new);
	expect_number(device, "opens", 0);
}
END_TEST

/* Twice: those who have the first, those who have the second. */
START_TEST(generations)
{
	const char *device = devices[_i];
	int fd[5], i, k;

	start(device);
	for (i = 0; i < 5; i++) {
		fd[i] = sys(get(device, O_RDWR | O_NONBLOCK));
		expect_ret(write(fd[i], "bytes", 1 + i), 1 + i);
		if (_i != PIPE)
			sys(lseek(fd[i], 0, SEEK_SET));
		expect_ret(read(fd[i], buf, 10), 1 + i);
		sys(unplug(device));
		for (k = 0; k <= i; k++)
			expect_dead(fd[k], _i == PIPE);
		sys(plug(device));
		expect_number(device, "opens", 0);
	}
	for (i = 4; i >= 0; i--)
		close(fd[i]);
	expect_number(device, "opens", 0);
}
END_TEST

/* --- what user space sees --- */

START_TEST(vanishes)
{
	const char *device = devices[_i], *files[3];
	char node[64], sysfs[64], map[64], again[64];
	unsigned int i;

	start(device);
	snprintf(node, sizeof(node), "/dev/%s", device);
	snprintf(sysfs, sizeof(sysfs), SYSFS "/%s", device);
	snprintf(map, sizeof(map), "/sys/kernel/debug/scull/%s", device);
	files[0] = sysfs;
	files[1] = access(node, F_OK) ? sysfs : node;
	files[2] = access(map, F_OK) ? sysfs : map;
	snprintf(again, sizeof(again), "%s/dev", device);
	expect(attribute_text(again, buf, sizeof(buf)) > 0, "%s: %s", again,
	       strerror(errno));
	expect(!*lines_of("unplug"), "unplugged is \"%s\"", lines_of("unplug"));
	sys(unplug(device));
	for (i = 0; i < 3; i++)
		expect_errno(access(files[i], F_OK), ENOENT);
	snprintf(again, sizeof(again), "%s\n", device);
	expect(!strcmp(lines_of("unplug"), again), "unplugged is \"%s\"",
	       lines_of("unplug"));
	sys(plug(device));
	for (i = 0; i < 3; i++)
		wait_until(!access(files[i], F_OK), 30, "%s is not back",
			   files[i]);
	expect(!*lines_of("unplug"), "unplugged is \"%s\"", lines_of("unplug"));
	/* The same number, so that leftover nodes are good again. */
	snprintf(again, sizeof(again), "%s/dev", device);
	expect(attribute_text(again, buf + 100, 100) > 0, "%s: %s", again,
	       strerror(errno));
	expect(!strcmp(buf, buf + 100), "%s was %s and is %s", again, buf,
	       buf + 100);
	close(sys(get(device, O_RDWR)));
}
END_TEST

static const char *const counters[] = {
	"reads", "read_bytes", "short_reads", "writes", "write_bytes",
	"short_writes", "again", "refused",
};

START_TEST(comes_back_empty)
{
	const char *device = devices[_i];
	char path[64];
	size_t i;
	int fd;

	start(device);
	fd = sys(get(device, O_RDWR | O_NONBLOCK));
	expect_ret(write(fd, buf, 1000), 1000);
	read(fd, buf, 10);
	set_rules(device, "read EIO\nopen nth=10 EIO");
	expect(fault_put(device, "rules", "read EFOO") && errno == EINVAL,
	       "EFOO was taken");
	expect_errno(read(fd, buf, 10), EIO);
	sys(fault_put(device, "limit", "500"));
	sys(fault_put(device, "hold", "1"));
	sys(unplug(device));
	sys(plug(device));
	expect_rules(device, "");
	expect_fault_text(device, "limit", "none\n");
	expect_fault_text(device, "hold", "0\n");
	expect_fault_text(device, "error", "");
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		snprintf(path, sizeof(path), "stats/%s", counters[i]);
		expect_number(device, path, 0);
	}
	expect_number(device, _i == PIPE ? "used" : "size", 0);
	fd = sys(get(device, O_RDWR | O_NONBLOCK));
	if (_i == PIPE)
		expect_errno(read(fd, buf, 10), EAGAIN);
	else
		expect_ret(read(fd, buf, 10), 0);
	expect_ret(write(fd, buf, 1000), 1000);
}
END_TEST

/* It has the sizes that are set when it comes. */
START_TEST(sizes)
{
	int fd, pipe;

	start("scull0");
	close(fresh(0, 100, 7));
	fd = sys(get("scull1", O_RDONLY));
	sys(ioctl(fd, SCULL_IOCTQUANTUM, 55));
	sys(ioctl(fd, SCULL_IOCTQSET, 5));
	sys(unplug("scull0"));
	sys(plug("scull0"));
	expect_number("scull0", "quantum", 55);
	expect_number("scull0", "qset", 5);
	expect_number("scull1", "quantum", SCULL_QUANTUM);
	pipe = pipe_fresh(0, O_RDWR, 1000);
	pipe_set_capacity(300);
	sys(unplug("scullpipe0"));
	sys(plug("scullpipe0"));
	expect_number("scullpipe0", "capacity", 300);
	close(pipe);
}
END_TEST

START_TEST(others_stay)
{
	int fd[3];

	start("scull0");
	start("scullsingle");
	fd[0] = dev_open(1, O_RDWR);
	fd[1] = pipe_fresh(0, O_RDWR, CAPACITY);
	fd[2] = sys(open_device(SINGLE, O_RDWR));
	expect_ret(write(fd[0], "here", 4), 4);
	expect_ret(write(fd[1], "here", 4), 4);
	expect_ret(write(fd[2], "here", 4), 4);
	set_rules("scull1", "read nth=2 EIO");
	sys(unplug("scull0"));
	expect_ret(pread(fd[0], buf, 10, 0), 4);
	expect_errno(pread(fd[0], buf, 10, 0), EIO);
	expect_ret(read(fd[1], buf, 10), 4);
	expect_ret(pread(fd[2], buf, 10, 0), 4);
	expect_ret(ioctl(fd[2], SCULL_IOCQQUANTUM), SCULL_QUANTUM);
	sys(plug("scull0"));
	expect_rules("scull1", "read nth=2 EIO  # matched 2 fired 1\n");
	expect_ret(pread(fd[0], buf, 10, 0), 4);
	expect_number("scullsingle", "opens", 1);
}
END_TEST

/* --- names --- */

static const char *const strangers[] = {
	"scull", "scull9999", "scull0 ", "scull0\nscull1", "scullpipe", "x",
	"SCULL0", "../scull0", "scull00", "\n", "null",
};

START_TEST(names)
{
	char name[2000];
	size_t i;

	start("scull0");
	for (i = 0; i < ARRAY_SIZE(strangers); i++) {
		expect(unplug(strangers[i]) && errno == ENODEV,
		       "unplug of \"%s\": %s", strangers[i], strerror(errno));
		expect(plug(strangers[i]) && errno == ENODEV,
		       "plug of \"%s\": %s", strangers[i], strerror(errno));
	}
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	expect_errno(unplug(name), ENODEV);
	expect_errno(plug(name), ENODEV);
	expect_errno(plug("scull0"), EEXIST);
	sys(unplug("scull0\n"));
	expect_errno(unplug("scull0"), ENODEV);
	expect_errno(unplug("scull0\n"), ENODEV);
	sys(unplug("scull1"));
	expect(!strcmp(lines_of("unplug"), "scull0\nscull1\n"),
	       "unplugged is \"%s\"", lines_of("unplug"));
	sys(plug("scull0\n"));
	expect_errno(plug("scull0"), EEXIST);
	expect(!strcmp(lines_of("unplug"), "scull1\n"), "unplugged is \"%s\"",
	       lines_of("unplug"));
	sys(plug("scull1"));
	expect_errno(plug("scull1\n"), EEXIST);
}
END_TEST

static void try_as_user(void *unused)
{
	expect_errno(unplug("scull0"), EACCES);
	expect_errno(plug("scull0"), EACCES);
	expect_errno(attribute_open("unplug", O_RDONLY), EACCES);
}

static void try_without_capability(void *unused)
{
	struct user root = { 0, 0, 0, ALL_CAPS & ~CAP(SYS_ADMIN) };

	become(&root);
	expect_errno(unplug("scull0"), EPERM);
	expect_errno(plug("scull1"), EPERM);
}

START_TEST(privilege)
{
	struct stat st;

	start("scull0");
	sys(stat(SYSFS "/unplug", &st));
	expect((st.st_mode & 07777) == 0600, "mode of unplug is 0%o",
	       st.st_mode & 07777);
	sys(stat(SYSFS "/plug", &st));
	expect((st.st_mode & 07777) == 0200, "mode of plug is 0%o",
	       st.st_mode & 07777);
	run_as(ALICE, try_as_user, NULL);
	sys(unplug("scull1"));
	join(spawn(try_without_capability, NULL));
	expect(!strcmp(lines_of("unplug"), "scull1\n"), "unplugged is \"%s\"",
	       lines_of("unplug"));
}
END_TEST

/* --- who waits --- */

/* A call that waits, and how it ended. */
struct waiter {
	const char *device;
	int fd;
	long nr;
	uint32_t events;
	size_t len;
	pid_t pid;
	long long ret;
	int err;
	short revents;
};

static void wait_in_call(void *arg)
{
	struct waiter *w = arg;
	struct epoll_event ev = { .events = w->events };
	struct pollfd p = { w->fd, w->events };
	static char bytes[CAPACITY];

	switch (w->nr) {
	case SYS_openat:
		w->ret = get(w->device, O_RDWR);
		break;
	case SYS_read:
		w->ret = read(w->fd, bytes, w->len);
		break;
	case SYS_write:
		w->ret = write(w->fd, bytes, w->len);
		break;
	case SYS_ioctl:
		w->ret = ioctl(w->fd, SCULL_IOCQQUANTUM);
		break;
	case SYS_fsync:
		w->ret = fsync(w->fd);
		break;
	case SYS_LSEEK:
		w->ret = lseek(w->fd, 0, SEEK_SET);
		break;
	case SYS_ppoll:
		w->ret = syscall(SYS_ppoll, &p, 1, NULL, NULL, 0);
		w->revents = p.revents;
		break;
	case SYS_epoll_pwait:
		w->fd = sys(epoll_create1(0));
		sys(epoll_ctl(w->fd, EPOLL_CTL_ADD, p.fd, &ev));
		/* What is there already is no news. */
		if (w->events & EPOLLET)
			epoll_wait(w->fd, &ev, 1, 0);
		w->ret = epoll_pwait(w->fd, &ev, 1, -1, NULL);
		w->revents = ev.events;
		break;
	}
	w->err = errno;
}

static bool kept_waiting(const struct waiter *w)
{
	return asleep_in(w->pid, w->nr) || held_in(w->pid, w->nr);
}

static void begin_waiter(struct waiter *w)
{
	w->pid = spawn(wait_in_call, w);
}

static void expect_waits(const struct waiter *w)
{
	wait_until(kept_waiting(w), 30, "system call %ld of %s does not wait",
		   w->nr, w->device);
}

static void expect_told(const struct waiter *w)
{
	int status = join_within(w->pid, 30);

	expect(status != -1, "system call %ld of %s still waits", w->nr,
	       w->device);
	expect(!status, "who waited in system call %ld ended with status 0x%x",
	       w->nr, status);
	if (w->nr == SYS_ppoll || w->nr == SYS_epoll_pwait) {
		expect(w->ret == 1, "poll of %s gave %lld: %s", w->device, w->ret,
		       strerror(w->err));
		expect_all(w->revents, POLLHUP | POLLERR, w->device);
		return;
	}
	expect(w->ret == -1 && w->err == ENODEV,
	       "system call %ld of %s gave %lld: %s, expected ENODEV", w->nr,
	       w->device, w->ret, w->ret == -1 ? strerror(w->err) : "-");
}

/* All of them wait, the device goes, all come back and hear why. */
static void unplug_under(const char *device, struct waiter *w, int n)
{
	int i;

	for (i = 0; i < n; i++)
		begin_waiter(&w[i]);
	for (i = 0; i < n; i++)
		expect_waits(&w[i]);
	sys(unplug(device));
	for (i = 0; i < n; i++)
		expect_told(&w[i]);
	sys(plug(device));
	expect_number(device, "opens", 0);
}

static struct waiter *waiters(int n)
{
	return shared(n * sizeof(struct waiter));
}

/* Who shares an open file would wait for his turn at its position instead. */
static void open_each(const char *device, struct waiter *w, int n)
{
	int i;

	for (i = 0; i < n; i++)
		w[i].fd = sys(get(device, O_RDWR));
}

START_TEST(empty_pipe)
{
	const char *device = "scullpipe0";
	struct waiter *w = waiters(5);
	int fd;

	start(device);
	fd = pipe_fresh(0, O_RDWR, CAPACITY);
	w[0] = (struct waiter){ device, fd, SYS_read, .len = 10 };
	w[1] = (struct waiter){ device, fd, SYS_read, .len = 1 };
	w[2] = (struct waiter){ device, fd, SYS_ppoll, POLLIN };
	w[3] = (struct waiter){ device, fd, SYS_epoll_pwait, POLLIN };
	w[4] = (struct waiter){ device, fd, SYS_epoll_pwait,
				EPOLLIN | EPOLLET };
	unplug_under(device, w, 5);
}
END_TEST

START_TEST(full_pipe)
{
	const char *device = "scullpipe0";
	struct waiter *w = waiters(6);
	int fd;

	start(device);
	fd = pipe_fresh(0, O_RDWR, CAPACITY);
	expect_ret(write(fd, buf, CAPACITY), CAPACITY);
	w[0] = (struct waiter){ device, fd, SYS_write, .len = 1 };
	w[1] = (struct waiter){ device, fd, SYS_write, .len = PIPE_BUF };
	w[2] = (struct waiter){ device, fd, SYS_write, .len = CAPACITY };
	w[3] = (struct waiter){ device, fd, SYS_fsync };
	w[4] = (struct waiter){ device, fd, SYS_ppoll, POLLOUT };
	w[5] = (struct waiter){ device, fd, SYS_epoll_pwait,
				EPOLLOUT | EPOLLEXCLUSIVE };
	unplug_under(device, w, 6);
}
END_TEST

/* Those whom no data and no room concerns. */
START_TEST(idle_pollers)
{
	struct waiter *w = waiters(4);
	const char *device = devices[_i];
	int fd;

	start(device);
	fd = sys(get(device, O_RDWR));
	w[0] = (struct waiter){ device, fd, SYS_ppoll };
	w[1] = (struct waiter){ device, fd, SYS_ppoll, POLLPRI };
	w[2] = (struct waiter){ device, fd, SYS_epoll_pwait };
	w[3] = (struct waiter){ device, fd, SYS_epoll_pwait,
				EPOLLOUT | EPOLLET };
	unplug_under(device, w, 4);
}
END_TEST

/* Of a device that somebody else has, through one node and another. */
START_TEST(waiting_open)
{
	struct actor alice, bob[3], carol;
	int fd, i;

	start("scullwuid");
	alice = hire_user(ALICE);
	carol = hire_user(BOB + 1);
	fd = sys(ask(&alice, do_open, WUID, O_RDWR));
	for (i = 0; i < 3; i++) {
		bob[i] = hire_user(BOB);
		wait_in_open(&bob[i], WUID, i ? O_RDWR : O_WRONLY);
	}
	sys(unplug("scullwuid"));
	for (i = 0; i < 3; i++)
		expect_errno(answer(&bob[i]), ENODEV);
	expect_errno(ask(&bob[0], do_open, WUID, O_RDWR), ENODEV);
	expect_errno(ask(&alice, do_put, fd, (long)"text"), ENODEV);
	sys(plug("scullwuid"));
	expect_number("scullwuid", "waiters", 0);
	/* It is nobody's, though Alice still has the old one. */
	fd = sys(ask(&bob[1], do_open, WUID, O_RDWR));
	expect_errno(ask(&carol, do_open, WUID, O_RDWR | O_NONBLOCK), EAGAIN);
	expect_errno(ask(&alice, do_open, WUID, O_RDWR | O_NONBLOCK), EAGAIN);
	wait_in_open(&carol, WUID, O_RDWR);
	/* Her close is none of the new one's. */
	dismiss(&alice);
	expect(waits(&carol), "a close of the old one let somebody in");
	expect_ret(ask(&bob[1], do_close, fd, 0), 0);
	expect(answer(&carol) >= 0, "open: %s", strerror(errno));
}
END_TEST

START_TEST(guarded_again)
{
	struct actor alice, bob;
	long old;

	start(device_names[_i]);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	old = sys(ask(&alice, do_open, _i, O_RDWR));
	expect_errno(ask(&bob, do_open, _i, O_RDWR), EBUSY);
	sys(unplug(device_names[_i]));
	sys(plug(device_names[_i]));
	sys(ask(&bob, do_open, _i, O_RDWR));
	expect_errno(ask(&alice, do_open, _i, O_RDWR), EBUSY);
	expect_ret(ask(&alice, do_close, old, 0), 0);
	expect_errno(ask(&alice, do_open, _i, O_RDWR), EBUSY);
	expect_number(device_names[_i], "opens", 1);
}
END_TEST

static long do_read_byte(long fd, long unused)
{
	char byte;

	return read(fd, &byte, 1);
}

START_TEST(private_devices)
{
	struct terminal t[2];
	struct actor a[2];
	long fd[2];
	int i;

	start("scullpriv");
	for (i = 0; i < 2; i++) {
		t[i] = new_pty();
		a[i] = hire(on_terminal, &t[i]);
		fd[i] = sys(ask(&a[i], do_open, PRIV, O_RDWR));
		expect_ret(ask(&a[i], do_put, fd[i], (long)"private"), 7);
	}
	sys(unplug("scullpriv"));
	for (i = 0; i < 2; i++) {
		expect_errno(ask(&a[i], do_put, fd[i], (long)"text"), ENODEV);
		expect_errno(ask(&a[i], do_read_byte, fd[i], 0), EIO);
		expect_errno(ask(&a[i], do_open, PRIV, O_RDWR), ENODEV);
	}
	sys(plug("scullpriv"));
	expect_number("scullpriv", "devices", 0);
	expect_number("scullpriv", "size", 0);
	fd[0] = sys(ask(&a[0], do_open, PRIV, O_RDWR));
	expect_ret(ask(&a[0], do_compare, fd[0], (long)""), 1);
	expect_number("scullpriv", "devices", 1);
	kill_actor(&a[1]);
	expect_ret(ask(&a[0], do_put, fd[0], (long)"new"), 3);
	expect_number("scullpriv", "devices", 1);
	kill_actor(&a[0]);
	wait_until(!number_of("scullpriv", "devices"), 60,
		   "a private device outlives its session");
}
END_TEST

/* Calls that wait because they were told to. */
static const struct {
	const char *rules;
	bool hold;
} reasons[] = {
	{ "open hang\nread hang\nwrite hang\nioctl hang\npoll hang\n"
	  "fsync hang" },
	{ "open delay=3600s\nread delay=3600s\nwrite delay=3600s\n"
	  "ioctl delay=3600s\npoll hang\nfsync delay=3600s" },
	{ "", true },
};

START_TEST(faulty)
{
	const char *device = devices[_i];
	static const long nrs[] = {
		SYS_openat, SYS_read, SYS_write, SYS_ioctl, SYS_fsync,
		SYS_ppoll, SYS_LSEEK,
	};
	struct waiter *w = waiters(ARRAY_SIZE(nrs));
	int n = ARRAY_SIZE(nrs) - (_i == PIPE), i;
	size_t r;

	start(device);
	for (r = 0; r < ARRAY_SIZE(reasons); r++) {
		open_each(device, w, n);
		if (*reasons[r].rules)
			set_rules(device, "%s", reasons[r].rules);
		if (_i != PIPE && !reasons[r].hold)
			sys(fault_put(device, "rules", "+seek hang"));
		if (reasons[r].hold)
			sys(fault_put(device, "hold", "1"));
		for (i = 0; i < n; i++)
			w[i] = (struct waiter){ device, w[i].fd, nrs[i],
						POLLIN | POLLOUT, .len = 10 };
		unplug_under(device, w, n);
		for (i = 0; i < n; i++)
			close(w[i].fd);
	}
}
END_TEST

#define CROWD 100

/*
 * 25 each who read, write, open and poll. Readers and writers do not wait at one
 * pipe, nor is there an open of it to wait in, so these are three devices.
 */
START_TEST(crowd)
{
	struct waiter *w = waiters(CROWD);
	struct actor alice, bob[CROWD / 4];
	long long began, took;
	int empty, full, i;

	start("scullpipe0");
	start("scullpipe1");
	start("scullwuid");
	empty = pipe_fresh(0, O_RDWR, CAPACITY);
	full = pipe_fresh(1, O_RDWR, CAPACITY);
	expect_ret(write(full, buf, CAPACITY), CAPACITY);
	alice = hire_user(ALICE);
	sys(ask(&alice, do_open, WUID, O_RDWR));
	for (i = 0; i < CROWD / 4; i++) {
		bob[i] = hire_user(BOB + i % 3);
		wait_in_open(&bob[i], WUID, O_RDWR);
	}
	for (i = 0; i < CROWD * 3 / 4; i++) {
		switch (i % 3) {
		case 0:
			w[i] = (struct waiter){ "scullpipe0", empty, SYS_read,
						.len = 1 + i };
			break;
		case 1:
			w[i] = (struct waiter){ "scullpipe1", full, SYS_write,
						.len = 1 + i };
			break;
		default:
			w[i] = (struct waiter){ i % 2 ? "scullpipe0" :
						"scullpipe1",
						i % 2 ? empty : full, SYS_ppoll,
						i % 2 ? POLLIN : POLLOUT };
		}
		begin_waiter(&w[i]);
	}
	for (i = 0; i < CROWD * 3 / 4; i++)
		expect_waits(&w[i]);
	began = now_ms();
	sys(unplug("scullpipe0"));
	sys(unplug("scullpipe1"));
	sys(unplug("scullwuid"));
	for (i = 0; i < CROWD / 4; i++)
		expect_errno(answer(&bob[i]), ENODEV);
	for (i = 0; i < CROWD * 3 / 4; i++)
		expect_told(&w[i]);
	took = now_ms() - began;
	diag("%d processes at three devices came back within %lld ms", CROWD,
	     took);
	sys(plug("scullpipe0"));
	sys(plug("scullpipe1"));
	sys(plug("scullwuid"));
}
END_TEST

/* The same at one device, which keeps them all. */
START_TEST(held_crowd)
{
	const char *device = devices[_i];
	static const long nrs[] = { SYS_read, SYS_write, SYS_openat, SYS_ppoll };
	struct waiter *w = waiters(CROWD);
	long long began, took;
	int i;

	start(device);
	open_each(device, w, CROWD);
	sys(fault_put(device, "hold", "1"));
	for (i = 0; i < CROWD; i++) {
		w[i] = (struct waiter){ device, w[i].fd, nrs[i % 4],
					POLLIN | POLLOUT, .len = 10 };
		begin_waiter(&w[i]);
	}
	for (i = 0; i < CROWD; i++)
		expect_waits(&w[i]);
	began = now_ms();
	sys(unplug(device));
	for (i = 0; i < CROWD; i++)
		expect_told(&w[i]);
	took = now_ms() - began;
	diag("%d processes at %s came back within %lld ms", CROWD, device, took);
	sys(plug(device));
	expect_number(device, "opens", 0);
}
END_TEST

START_TEST(asked_by_signal)
{
	struct timespec limit = { 30, 0 };
	siginfo_t info;
	sigset_t set;
	int fd;

	start("scullpipe0");
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sys(sigprocmask(SIG_BLOCK, &set, NULL));
	fd = pipe_fresh(0, _i, CAPACITY);
	sys(fcntl(fd, F_SETOWN, getpid()));
	sys(fcntl(fd, F_SETSIG, SIGIO));
	sys(fcntl(fd, F_SETFL, O_ASYNC));
	sys(unplug("scullpipe0"));
	expect_ret(sigtimedwait(&set, &info, &limit), SIGIO);
	expect_ret(info.si_fd, fd);
	close(fd);
}
END_TEST

/* --- a call in the middle of its work --- */

static struct snare *snare;
static struct waiter *stalled;

static void write_and_stall(void *unused)
{
	snare_set(snare, 1);
	stalled->ret = write(stalled->fd, snare->mem, 100);
	stalled->err = errno;
}

static void unplug_it(void *device)
{
	sys(unplug(device));
}

/* Waits for the writer, and is told that there is no such file any more or not. */
static void read_size(void *device)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/size", (char *)device);
	fd = sys(attribute_open(path, O_RDONLY));
	(void)!read(fd, buf, 100);
}

/* It is not waited for, and ends as it can; whoever comes after him is told. */
START_TEST(stalled_call)
{
	const char *device = devices[_i];
	pid_t pid, other, reader = 0;
	char page[65536];

	start(device);
	snare_possible();
	snare = shared(sizeof(*snare));
	stalled = waiters(1);
	stalled->fd = sys(get(device, O_RDWR));
	pid = spawn(write_and_stall, NULL);
	snare_wait(snare, pid);
	if (_i != PIPE) {
		reader = spawn(read_size, (void *)device);
		wait_until(held_in(reader, SYS_read), 30,
			   "a read of size does not wait for the writer");
	}
	other = spawn(unplug_it, (void *)device);
	expect(join_within(other, 30) == 0,
	       "unplug waits for who waits for his own memory");
	expect_errno(get(device, O_RDWR), ENODEV);
	sys(plug(device));
	memset(page, 'x', sizeof(page));
	snare_fill(snare, 0, page);
	expect_ret(join_within(pid, 30), 0);
	if (reader)
		expect_ret(join_within(reader, 30), 0);
	expect(stalled->ret == 100 ||
	       (stalled->ret == -1 && stalled->err == ENODEV),
	       "write gave %lld: %s", stalled->ret, strerror(stalled->err));
	expect_dead(stalled->fd, _i == PIPE);
	expect_number(device, _i == PIPE ? "used" : "size", 0);
}
END_TEST

/* --- a storm --- */

#define STEPS 40		/* of an open file, at most */

static const char *const stormy[] = {
	"scull0", "scullpipe0", "sculluid", "scullwuid", "scullsingle",
};

#define BLOWERS 8

struct storm {
	int over;
	int left;		/* who have left after that */
	long opens, gone;
};

static bool may_fail(int err)
{
	return err == ENODEV || err == ENOENT || err == EAGAIN || err == EBUSY ||
	       err == EIO || err == ENXIO || err == EINTR || err == EINVAL;
}

static void expect_storm(const char *call, const char *device, long long ret)
{
	expect(ret >= 0 || may_fail(errno), "%s of %s: %s", call, device,
	       strerror(errno));
}

/* A file's life, during which the device may go at any moment. */
static void live(const char *device, struct storm *storm)
{
	struct pollfd p = { .events = POLLIN | POLLOUT };
	const struct timespec moment = { 0, 2000000 };
	char bytes[512] = "", path[64];
	int fd, i;

	snprintf(path, sizeof(path), "/dev/%s", device);
	fd = below(2) ? get(device, O_RDWR | O_NONBLOCK) :
			open(path, O_RDWR | O_NONBLOCK);
	expect_storm("open", device, fd);
	if (fd < 0)
		return;
	__atomic_fetch_add(&storm->opens, 1, __ATOMIC_RELAXED);
	p.fd = fd;
	for (i = below(STEPS); i > 0; i--) {
		long long ret = 0;

		switch (below(6)) {
		case 0:
			ret = read(fd, bytes, 1 + below(sizeof(bytes)));
			expect_storm("read", device, ret);
			break;
		case 1:
			ret = write(fd, bytes, 1 + below(sizeof(bytes)));
			expect_storm("write", device, ret);
			break;
		case 2:
			expect_storm("poll", device,
				     ppoll(&p, 1, &moment, NULL));
			break;
		case 3:
			ret = ioctl(fd, SCULL_IOCQQUANTUM);
			expect_storm("ioctl", device, ret);
			break;
		case 4:
			/* Those who wait: for the other end, or to be told. */
			if (!strcmp(device, "scullpipe0")) {
				set_nonblock(fd, true);
				write(fd, bytes, 1);
				set_nonblock(fd, false);
				ret = read(fd, bytes, 1);
				expect_storm("waiting read", device, ret);
			}
			set_nonblock(fd, true);
			break;
		default:
			fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
		}
		if (ret < 0 && errno == ENODEV)
			__atomic_fetch_add(&storm->gone, 1, __ATOMIC_RELAXED);
	}
	expect_ret(close(fd), 0);
}

/* What looks at devices, while they go. */
static void look_around(const char *device)
{
	static const char *const files[] = {
		SYSFS "/%s/stats/reads", SYSFS "/%s/opens", SYSFS "/%s/size",
		SYSFS "/%s/faults/rules", SYSFS "/%s/used",
		"/sys/kernel/debug/scull/%s", "/proc/scullmem",
		"/proc/scullseq", SYSFS "/unplug", SYSFS "/%s/uevent",
	};
	char path[128], bytes[4096];
	int fd;

	snprintf(path, sizeof(path), files[below(ARRAY_SIZE(files))], device);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	close(fd);
	/* A fault that is asked for just then is not asked for at all, or is. */
	if (!below(4))
		fault_put(device, "rules", below(2) ? "read nth=3 EIO" : "\n");
}

static void replug(const char *device, bool at_once)
{
	if (!unplug(device) && !at_once && below(2))
		nap_ms(below(3));
	expect(!plug(device) || errno == EEXIST, "plug of %s: %s", device,
	       strerror(errno));
}

static void blow(int me, void *arg)
{
	struct storm *storm = arg;
	int i;

	for (i = 0; i < 1000 * me; i++)
		rnd();
	signal(SIGIO, SIG_IGN);
	while (me && !__atomic_load_n(&storm->over, __ATOMIC_SEQ_CST)) {
		const char *device = stormy[below(ARRAY_SIZE(stormy))];

		if (me < 6)
			live(device, storm);
		else if (me == 6)
			look_around(device);
		else
			replug(device, true);
	}
	if (me) {
		__atomic_fetch_add(&storm->left, 1, __ATOMIC_SEQ_CST);
		return;
	}
	for (i = 0; i < repeat(400); i++)
		replug(stormy[below(ARRAY_SIZE(stormy))], false);
	__atomic_store_n(&storm->over, 1, __ATOMIC_SEQ_CST);
	/* Who waits for data that nobody writes any more hears of this. */
	while (__atomic_load_n(&storm->left, __ATOMIC_SEQ_CST) < BLOWERS - 1)
		replug("scullpipe0", false);
}

START_TEST(storm)
{
	struct storm *storm = shared(sizeof(*storm));
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stormy); i++)
		start(stormy[i]);
	seed_rnd();
	/*
	 * Calls are never patched to ask nobody, or the other way round: an
	 * emulated processor may die of that (QEMU before 8.1).
	 */
	set_rules("scull1", "open nth=1000000 EIO");
	together(BLOWERS, blow, storm);
	heal();
	diag("%ld opens, %ld calls that found the device gone", storm->opens,
	     storm->gone);
	expect(!*lines_of("unplug"), "unplugged is \"%s\"", lines_of("unplug"));
	for (i = 0; i < ARRAY_SIZE(stormy); i++) {
		expect_number(stormy[i], "opens", 0);
		close(sys(get(stormy[i], O_RDWR)));
	}
}
END_TEST

/* --- the module --- */

START_TEST(unload)
{
	char path[64];
	int fd;

	needs_module();
	start("scull0");
	fd = sys(get("scull0", O_RDWR));
	expect_ret(write(fd, "x", 1), 1);
	sys(unplug("scull0"));
	/* Who has what is left of it keeps the module. */
	expect_errno(syscall(SYS_delete_module, "scull", O_NONBLOCK), EAGAIN);
	close(fd);
	sys(unplug("scullpipe0"));
	sys(unplug("scullpriv"));
	expect(!module_reload(NULL), "it cannot be loaded again");
	expect(!*lines_of("unplug"), "unplugged is \"%s\"", lines_of("unplug"));
	close(dev_open(0, O_RDWR));
	close(pipe_open(0, O_RDWR));
	snprintf(path, sizeof(path), SYSFS "/scullpriv");
	sys(access(path, F_OK));
}
END_TEST

#define FOR_KINDS(code, what)						\
	{ &code, "a bare device: " what, BARE, 120 },			\
	{ &code, "a pipe: " what, PIPE, 120 },				\
	{ &code, "sculluid: " what, GUARDED, 120 }

static const struct test tests[] = {
	FOR_KINDS(open_files, "open files are dead, and stay so"),
	FOR_KINDS(generations, "unplugged and plugged again and again"),
	FOR_KINDS(vanishes, "node, sysfs and debugfs go and come back"),
	FOR_KINDS(comes_back_empty, "it comes back empty, without faults"),
	{ &sizes, "it comes back with the sizes that are set" },
	{ &others_stay, "nothing happens to other devices" },
	{ &names, "unplugged twice, plugged twice, names of no device" },
	{ &privilege, "for root with CAP_SYS_ADMIN only" },
	{ &empty_pipe, "who waits for data: read, poll, epoll" },
	{ &full_pipe, "who waits for room: write, poll, epoll, and fsync" },
	FOR_KINDS(idle_pollers, "who waits for nothing else: poll, epoll"),
	{ &waiting_open, "who waits in open of scullwuid" },
	{ &guarded_again, "scullsingle comes back free", SINGLE },
	{ &guarded_again, "sculluid comes back free", UID },
	{ &private_devices, "scullpriv: private devices go", 0, 180 },
	FOR_KINDS(faulty, "who hangs, is delayed or held"),
	{ &crowd, "100 processes in read, write, open and poll", 0, 120 },
	FOR_KINDS(held_crowd, "100 processes in read, write, open and poll"),
	{ &asked_by_signal, "SIGIO for a reader", O_RDONLY | O_NONBLOCK },
	{ &asked_by_signal, "SIGIO for a writer", O_RDWR },
	FOR_KINDS(stalled_call, "a call that is in the middle of its work"),
	{ &storm, "devices go while others open, read, write, poll, close", 0,
	  300 },
	{ &unload, "unloaded with a device unplugged, and loaded again" },
};

int main(int argc, char **argv)
{
	before_cases = heal;
	return run_tests(argc, argv, "unplug", tests, ARRAY_SIZE(tests));
}
