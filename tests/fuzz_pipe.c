// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on a pipe, none of which waits, against a model of a queue:
 * return values and poll() to the last byte and bit. One process has a pipe for
 * itself, so what every call must do is known. (test_pipe_model has readers and
 * writers at once, and calls that wait.)
 */
#include "fuzz.h"
#include "../scull.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define CAPACITY_MOST	(128 * 1024)
/* What a pipe of the kernel's holds by default. */
#define KERNEL_PIPE	(16 * 4096)

enum {
	FRESH, TELL, AGAIN, READ, WRITE, POLL, SYNC, SPLICE_OUT, SPLICE_IN,
	SEND_IN, FAULT_READ, FAULT_WRITE, REFUSE, VERIFY, LIE,
};

static const struct kind kinds[] = {
	[FRESH]		= { "fresh", 1 },	/* capacity */
	[TELL]		= { "tell", 1 },	/* capacity */
	[AGAIN]		= { "again", 1 },	/* fd */
	[READ]		= { "read", 3 },	/* fd len pieces */
	[WRITE]		= { "write", 4 },	/* fd len data pieces */
	[POLL]		= { "poll", 1 },	/* fd */
	[SYNC]		= { "sync", 1 },	/* fd */
	[SPLICE_OUT]	= { "splice_out", 1 },	/* len */
	[SPLICE_IN]	= { "splice_in", 2 },	/* len data */
	[SEND_IN]	= { "send_in", 2 },	/* len data */
	[FAULT_READ]	= { "fault_read", 3 },	/* good len pieces */
	[FAULT_WRITE]	= { "fault_write", 4 },	/* good len data pieces */
	[REFUSE]	= { "refuse", 1 },	/* what */
	[VERIFY]	= { "verify", 0 },
	[LIE]		= { "lie", 0 },
};

/* BLOCKING has no O_NONBLOCK: calls on it say RWF_NOWAIT. */
enum { BOTH, READER, WRITER, BLOCKING, FDS };

static const int modes[FDS] = {
	[BOTH]		= O_RDWR | O_NONBLOCK,
	[READER]	= O_RDONLY | O_NONBLOCK,
	[WRITER]	= O_WRONLY | O_NONBLOCK,
	[BLOCKING]	= O_RDWR,
};

static const char *device;
static int fds[FDS] = { -1, -1, -1, -1 };
static int pipes[2] = { -1, -1 };
static int scratch = -1;

/* What is in the pipe: byte n of all that were ever written is in n % room. */
static struct model {
	unsigned char *bytes;
	long long capacity, next_capacity;
	long long in, out;
	long long ops, crossed;	/* of this round, to steer by */
} m;

static unsigned char *buf, *want;

/* --- the model --- */

static long long used(void)
{
	return m.in - m.out;
}

static long long room(void)
{
	return m.capacity - used();
}

static long long unit(void)
{
	return at_most(m.capacity, PIPE_BUF);
}

/* What a write of @len bytes takes; 0: it has to wait. */
static long long taken(long long len)
{
	return room() < at_most(len, unit()) ? 0 : at_most(len, room());
}

static bool reads(int fd)
{
	return (modes[fd] & O_ACCMODE) != O_WRONLY;
}

static bool writes(int fd)
{
	return (modes[fd] & O_ACCMODE) != O_RDONLY;
}

/* Bytes went in or out at this place of the ring. */
static enum outcome moved(long long at, long long n)
{
	if (at % m.capacity + n <= m.capacity)
		return DONE;
	m.crossed++;
	return CROSSED;
}

static enum outcome remember(const unsigned char *from, long long n)
{
	long long at = m.in, i, step;

	for (i = 0; i < n; i += step) {
		step = at_most(n - i, CAPACITY_MOST - (at + i) % CAPACITY_MOST);
		memcpy(m.bytes + (at + i) % CAPACITY_MOST, from + i, step);
	}
	m.in += n;
	return moved(at, n);
}

/* Compares the next @n bytes with what came, and forgets them. */
static enum outcome take(const char *what, const unsigned char *got, long long n)
{
	long long at = m.out, i, step;

	for (i = 0; i < n; i += step) {
		step = at_most(n - i, CAPACITY_MOST - (at + i) % CAPACITY_MOST);
		memcpy(want + i, m.bytes + (at + i) % CAPACITY_MOST, step);
	}
	same_bytes(what, at, got, want, n);
	m.out += n;
	return moved(at, n);
}

/* --- comparing --- */

static void compare_poll(int fd)
{
	struct pollfd p = { fds[fd], POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM |
				     POLLPRI | POLLRDHUP };
	int events = 0;

	if (reads(fd) && used())
		events |= POLLIN | POLLRDNORM;
	if (writes(fd) && room() >= unit())
		events |= POLLOUT | POLLWRNORM;
	if (poll(&p, 1, 0) < 0)
		differ("poll: %s", strerror(errno));
	if (p.revents != events)
		differ("poll with %lld of %lld bytes used: expected 0x%x, found 0x%x",
		       used(), m.capacity, events, p.revents);
}

/* Reads all that is there, and finds the pipe empty then. */
static enum outcome drain(void)
{
	enum outcome outcome = DONE;
	long long n = used();

	if (n) {
		same_ret("read of everything",
			 read(fds[BOTH], buf, FUZZ_MOST), n, 0);
		outcome = take("read of everything", buf, n);
	}
	same_ret("read of an empty pipe", read(fds[READER], buf, 1), 0, EAGAIN);
	same_ret("fsync of an empty pipe", fsync(fds[WRITER]), 0, 0);
	return outcome;
}

/* --- the device --- */

static void close_all(void)
{
	int i;

	for (i = 0; i < FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static void open_one(int fd)
{
	fds[fd] = open(device, modes[fd]);
	if (fds[fd] < 0)
		give_up("open %s: %s", device, strerror(errno));
}

/* The size is one for all pipes, so nobody else may set it until ours is open. */
static void set_capacity(long long capacity, bool reopen)
{
	int fd = fds[BOTH], i;

	fuzz_lock();
	if (fd < 0)
		fd = open(device, O_RDONLY | O_NONBLOCK);
	same_ret("SCULL_P_IOCTSIZE", ioctl(fd, SCULL_P_IOCTSIZE, (int)capacity),
		 0, 0);
	same_ret("SCULL_P_IOCQSIZE", ioctl(fd, SCULL_P_IOCQSIZE), capacity, 0);
	if (reopen) {
		if (fd != fds[BOTH])
			close(fd);
		close_all();
		for (i = 0; i < FDS; i++)
			open_one(i);
	}
	fuzz_unlock();
}

static void drain_kernel_pipe(void)
{
	while (read(pipes[0], buf, FUZZ_MOST) > 0)
		;
}

/* --- operations --- */

static enum outcome run_fresh(long long capacity)
{
	m.capacity = 0;
	if (capacity < 1 || capacity > CAPACITY_MOST)
		return SKIPPED;
	drain_kernel_pipe();
	set_capacity(capacity, true);
	m.capacity = m.next_capacity = capacity;
	m.in = m.out = 0;
	m.ops = m.crossed = 0;
	compare_poll(BOTH);
	return DONE;
}

/* Nothing changes until the last close. */
static enum outcome run_tell(long long capacity)
{
	if (capacity < 1 || capacity > CAPACITY_MOST)
		return SKIPPED;
	set_capacity(capacity, false);
	m.next_capacity = capacity;
	return DONE;
}

static enum outcome run_again(int fd)
{
	close(fds[fd]);
	open_one(fd);
	compare_poll(fd);
	return DONE;
}

static enum outcome run_read(int fd, long long len, long long cut)
{
	long long n = at_most(len, used());
	enum outcome outcome;
	struct iovec iov[4];
	ssize_t ret;
	int count;

	if (!reads(fd) || len < 0 || len > FUZZ_MOST)
		return SKIPPED;
	count = pieces(cut, iov, buf, len);
	if (fd == BLOCKING)
		ret = preadv2(fds[fd], iov, count, -1, RWF_NOWAIT);
	else if (cut)
		ret = readv(fds[fd], iov, count);
	else
		ret = read(fds[fd], buf, len);
	same_ret("read", ret, n, len && !n ? EAGAIN : 0);
	outcome = take("read", buf, n);
	compare_poll(BOTH);
	return outcome;
}

static enum outcome run_write(int fd, long long len, long long data,
			      long long cut)
{
	long long n = taken(len);
	enum outcome outcome;
	struct iovec iov[4];
	ssize_t ret;
	int count;

	if (!writes(fd) || len < 0 || len > FUZZ_MOST)
		return SKIPPED;
	count = pieces(cut, iov, (void *)noise(data), len);
	if (fd == BLOCKING)
		ret = pwritev2(fds[fd], iov, count, -1, RWF_NOWAIT);
	else if (cut)
		ret = writev(fds[fd], iov, count);
	else
		ret = write(fds[fd], noise(data), len);
	same_ret("write", ret, n, len && !n ? EAGAIN : 0);
	outcome = remember(noise(data), n);
	compare_poll(BOTH);
	return outcome;
}

/* With bytes in the pipe it would wait. */
static enum outcome run_sync(int fd)
{
	if (used())
		return SKIPPED;
	same_ret("fsync of an empty pipe", fsync(fds[fd]), 0, 0);
	return DONE;
}

/* How much moved, of a call that may move less than it could. */
static long long check_short(const char *what, long long ret, long long most)
{
	if (ret < 0 && errno == EAGAIN && !most)
		return 0;
	if (ret < 0)
		differ("%s: expected up to %lld, found %s", what, most,
		       strerror(errno));
	if (ret > most || !ret)
		differ("%s: expected up to %lld, found %lld", what, most, ret);
	return ret;
}

static enum outcome run_splice_out(long long len)
{
	enum outcome outcome;
	long long n;

	if (len < 1 || len > FUZZ_MOST)
		return SKIPPED;
	n = splice(fds[BOTH], NULL, pipes[1], NULL, len, SPLICE_F_NONBLOCK);
	n = check_short("splice from the pipe", n, at_most(len, used()));
	if (n)
		same_ret("what splice moved", read(pipes[0], buf, FUZZ_MOST), n, 0);
	outcome = take("splice from the pipe", buf, n);
	compare_poll(BOTH);
	return outcome;
}

static enum outcome run_splice_in(long long len, long long data)
{
	enum outcome outcome;
	long long n;

	if (len < 1 || len > KERNEL_PIPE)
		return SKIPPED;
	same_ret("write to a pipe of the kernel", write(pipes[1], noise(data), len),
		 len, 0);
	n = splice(pipes[0], NULL, fds[BOTH], NULL, len, SPLICE_F_NONBLOCK);
	n = check_short("splice to the pipe", n, taken(len));
	drain_kernel_pipe();
	outcome = remember(noise(data), n);
	compare_poll(BOTH);
	return outcome;
}

static enum outcome run_send_in(long long len, long long data)
{
	enum outcome outcome;
	long long n;
	off_t from = 0;

	if (len < 1 || len > FUZZ_MOST)
		return SKIPPED;
	same_ret("write to a file", pwrite(scratch, noise(data), len, 0), len, 0);
	/* The kernel asks for some of it at a time. */
	n = sendfile(fds[BOTH], scratch, &from, len);
	if (n > 0 && n > at_most(len, room()))
		differ("sendfile: expected up to %lld, found %lld",
		       at_most(len, room()), n);
	if (n < 0 && (errno != EAGAIN || room() >= unit()))
		differ("sendfile with room for %lld: %s", room(),
		       strerror(errno));
	if (n < 0)
		n = 0;
	same_ret("sendfile's offset", from, n, 0);
	outcome = remember(noise(data), n);
	compare_poll(BOTH);
	return outcome;
}

static enum outcome run_fault_read(long long good, long long len, long long cut)
{
	long long n = at_most(good, used());
	enum outcome outcome;
	struct iovec iov[3];
	ssize_t ret;

	if (good < 0 || good >= len || len > FUZZ_MOST)
		return SKIPPED;
	if (cut)
		ret = readv(fds[BOTH], iov, bad_pieces(iov, good, len, buf));
	else
		ret = read(fds[BOTH], cliff(good), len);
	if (!used())
		same_ret("read to a bad address, empty", ret, 0, EAGAIN);
	else if (used() <= good)
		same_ret("read up to a bad address", ret, n, 0);
	else
		n = before_fault("read to a bad address", ret, good);
	outcome = take("read to a bad address", cliff(good), n);
	compare_poll(BOTH);
	return outcome;
}

/* A write that must be whole is so, or is not at all. */
static enum outcome run_fault_write(long long good, long long len, long long data,
				    long long cut)
{
	long long all = len + (cut ? 100 : 0), n = taken(all);
	enum outcome outcome;
	struct iovec iov[3];
	ssize_t ret;

	if (good < 0 || good >= len || all > FUZZ_MOST)
		return SKIPPED;
	memcpy(cliff(good), noise(data), good);
	if (cut)
		ret = writev(fds[BOTH], iov, bad_pieces(iov, good, len, buf));
	else
		ret = write(fds[BOTH], cliff(good), len);
	if (!n) {
		same_ret("write from a bad address, full", ret, 0, EAGAIN);
	} else if (n <= good) {
		same_ret("write up to a bad address", ret, n, 0);
	} else if (all <= unit()) {
		same_ret("small write from a bad address", ret, 0, EFAULT);
		n = 0;
	} else {
		n = before_fault("write from a bad address", ret, good);
	}
	outcome = remember(noise(data), n);
	compare_poll(BOTH);
	return outcome;
}

static enum outcome run_refuse(long long what)
{
	switch (what) {
	case 0:
		same_ret("lseek", lseek(fds[BOTH], 0, SEEK_CUR), 0, ESPIPE);
		break;
	case 1:
		same_ret("pread", pread(fds[BOTH], buf, 1, 0), 0, ESPIPE);
		break;
	case 2:
		same_ret("pwrite", pwrite(fds[BOTH], "x", 1, 0), 0, ESPIPE);
		break;
	case 3:
		same_ret("read by a writer", read(fds[WRITER], buf, 1), 0, EBADF);
		break;
	case 4:
		same_ret("write by a reader", write(fds[READER], "x", 1), 0, EBADF);
		break;
	case 5:
		same_ret("size 0", ioctl(fds[BOTH], SCULL_P_IOCTSIZE, 0), 0, EINVAL);
		break;
	case 6:
		same_ret("unknown ioctl", ioctl(fds[BOTH], _IO('k', 15)), 0, ENOTTY);
		break;
	case 7:
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[BOTH], 0) !=
		    MAP_FAILED || errno != ENODEV)
			differ("mmap: expected ENODEV");
		break;
	default:
		return SKIPPED;
	}
	compare_poll(BOTH);
	return DONE;
}

static enum outcome run(const struct op *op)
{
	const long long *a = op->arg;

	if (op->kind != FRESH && !m.capacity)
		return SKIPPED;
	if ((op->kind == AGAIN || op->kind == READ || op->kind == WRITE ||
	     op->kind == POLL || op->kind == SYNC) && (a[0] < 0 || a[0] >= FDS))
		return SKIPPED;
	m.ops++;
	switch (op->kind) {
	case FRESH:
		return run_fresh(a[0]);
	case TELL:
		return run_tell(a[0]);
	case AGAIN:
		return run_again(a[0]);
	case READ:
		return run_read(a[0], a[1], a[2]);
	case WRITE:
		return run_write(a[0], a[1], a[2], a[3]);
	case POLL:
		compare_poll(a[0]);
		return DONE;
	case SYNC:
		return run_sync(a[0]);
	case SPLICE_OUT:
		return run_splice_out(a[0]);
	case SPLICE_IN:
		return run_splice_in(a[0], a[1]);
	case SEND_IN:
		return run_send_in(a[0], a[1]);
	case FAULT_READ:
		return run_fault_read(a[0], a[1], a[2]);
	case FAULT_WRITE:
		return run_fault_write(a[0], a[1], a[2], a[3]);
	case REFUSE:
		return run_refuse(a[0]);
	case VERIFY:
		return drain();
	case LIE:
		if (!used())
			return SKIPPED;
		m.bytes[(m.in - 1) % CAPACITY_MOST] ^= 0xff;
		return DONE;
	}
	return SKIPPED;
}

/* --- making them up --- */

static long long some_capacity(void)
{
	static const int common[] = { 4000, 4095, 4096, 4097, 8192, 8193, 12345 };

	switch (below(8)) {
	case 0:
		return between(1, 8);
	case 1:
	case 2:
		return common[below(ARRAY_SIZE(common))];
	case 3:
		return chance(20) ? 65536 : between(5000, 30000);
	default:
		return between(9, 2000);
	}
}

static void first(struct op *op)
{
	*op = (struct op){ FRESH, { some_capacity() } };
}

/* Of @possible bytes from @at on: enough to cross the wrap, if that can be. */
static long long some_length(long long at, long long possible)
{
	long long to_wrap = m.capacity - at % m.capacity;
	bool need = m.crossed * 100 < m.ops * 42;

	if (possible > to_wrap && (need || chance(60)))
		return between(to_wrap + 1, possible + (chance(20) ? 50 : 0));
	if (chance(60))
		return possible;
	if (chance(10))
		return between(0, 2 * m.capacity);
	return between(1, possible);
}

static void make_in(struct op *op)
{
	static const int who[] = { BOTH, BOTH, WRITER, BLOCKING };
	long long len = some_length(m.in, room());

	switch (below(12)) {
	case 0:
		*op = (struct op){ SPLICE_IN, { at_most(len, KERNEL_PIPE),
						below(1 << 30) } };
		break;
	case 1:
		*op = (struct op){ SEND_IN, { len, below(1 << 30) } };
		break;
	case 2:
		*op = (struct op){ FAULT_WRITE, { below(len), len,
						  below(1 << 30), chance(40) } };
		break;
	default:
		*op = (struct op){ WRITE, { who[below(4)], len, below(1 << 30),
					    some_cut() } };
	}
}

static void make_out(struct op *op)
{
	static const int who[] = { BOTH, BOTH, READER, BLOCKING };
	long long len = some_length(m.out, used());

	switch (below(12)) {
	case 0:
		*op = (struct op){ SPLICE_OUT, { len } };
		break;
	case 1:
		*op = (struct op){ FAULT_READ, { below(len), len, chance(40) } };
		break;
	default:
		*op = (struct op){ READ, { who[below(4)], len, some_cut() } };
	}
}

static void next(struct op *op)
{
	int dice = below(1000);

	/* Rather where there is more to move. */
	if (dice < 900)
		(below(m.capacity) < used() ? make_out : make_in)(op);
	else if (dice < 925)
		*op = (struct op){ POLL, { below(FDS) } };
	else if (dice < 940)
		*op = (struct op){ SYNC, { below(FDS) } };
	else if (dice < 950)
		*op = (struct op){ AGAIN, { below(FDS) } };
	else if (dice < 955)
		*op = (struct op){ TELL, { some_capacity() } };
	else if (dice < 960)
		*op = (struct op){ FRESH, { chance(50) ? m.next_capacity :
					    some_capacity() } };
	else if (dice < 970)
		*op = (struct op){ VERIFY };
	else if (dice < 980)
		*op = (struct op){ REFUSE, { below(8) } };
	else
		(chance(50) ? make_out : make_in)(op);
}

static bool lie(struct op *op)
{
	*op = (struct op){ LIE };
	return used() > 0;
}

static void attach(const char *path)
{
	device = path;
	if (buf)
		return;
	buf = room_for(FUZZ_MOST);
	want = room_for(FUZZ_MOST);
	m.bytes = room_for(CAPACITY_MOST);
	scratch = memfd_create("fuzz", 0);
	if (scratch < 0 || pipe2(pipes, O_NONBLOCK))
		give_up("a file and a pipe are needed: %s", strerror(errno));
}

static const struct fuzz fuzz_pipe = {
	.name		= "fuzz_pipe",
	.about		= "Runs random operations on pipes and compares them with a model of a queue.\n"
			  "Nobody else may have them open. Changes the size of all pipes.",
	.edge		= "the wrap",
	.device		= "/dev/scullpipe%d",
	.kinds		= kinds,
	.count		= ARRAY_SIZE(kinds),
	.check		= VERIFY,
	.attach		= attach,
	.first		= first,
	.next		= next,
	.lie		= lie,
	.run		= run,
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, &fuzz_pipe);
}
