// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on a bare device, against a plain buffer with a map of its
 * holes. What an operation touched is compared after it, with a few bytes on
 * both sides and the size; everything now and then.
 *
 * All that is written lies in a window of the device, which begins at 0 or far
 * from it; before the window is a hole. Processes that share a device have a
 * window each, side by side, and nobody trims or appends then.
 */
#include "fuzz.h"
#include "offsets.h"
#include "../scull.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROOM_MOST	(256 * 1024)
#define QUANTA_MOST	4096
#define EDGE		16	/* compared on both sides of what was touched */

enum {
	FRESH, TELL, TRIM, READ, PREAD, WRITE, PWRITE, SEEK, SPLICE_OUT,
	SPLICE_IN, SEND_OUT, SEND_IN, FAULT_READ, FAULT_WRITE, REFUSE, VERIFY,
	LIE,
};

static const struct kind kinds[] = {
	[FRESH]		= { "fresh", 5 },	/* quantum qset base room size */
	[TELL]		= { "tell", 3 },	/* quantum qset how */
	[TRIM]		= { "trim", 1 },	/* how */
	[READ]		= { "read", 3 },	/* fd len pieces */
	[PREAD]		= { "pread", 4 },	/* off len pieces how */
	[WRITE]		= { "write", 4 },	/* fd len data pieces */
	[PWRITE]	= { "pwrite", 5 },	/* off len data pieces how */
	[SEEK]		= { "seek", 3 },	/* fd whence off */
	[SPLICE_OUT]	= { "splice_out", 2 },	/* off len */
	[SPLICE_IN]	= { "splice_in", 3 },	/* off len data */
	[SEND_OUT]	= { "send_out", 2 },	/* off len */
	[SEND_IN]	= { "send_in", 2 },	/* len data */
	[FAULT_READ]	= { "fault_read", 4 },	/* off good len pieces */
	[FAULT_WRITE]	= { "fault_write", 5 },	/* off good len data pieces */
	[REFUSE]	= { "refuse", 1 },	/* what */
	[VERIFY]	= { "verify", 0 },
	[LIE]		= { "lie", 1 },		/* place in the window */
};

/* How a positioned call is made. */
enum { PLAIN, NOWAIT, APPEND, APPEND_HERE, HOWS };

/* Descriptors that operations name; the third shares the first's open file. */
enum { MAIN, APPENDER, SHARER, FDS };

static const char *device;
static int fds[FDS] = { -1, -1, -1 };
static int probe = -1;		/* used for comparing only */
static int pipes[2] = { -1, -1 };
static int scratch = -1;

/* What the device should hold, and where its open files stand. */
static struct model {
	unsigned char *bytes;	/* the window's */
	bool *there;		/* its quanta that were written to */
	long long quantum, qset;
	long long next_quantum, next_qset;	/* from the next trim on */
	long long base, room;
	long long size;
	long long foreign;	/* size that others depend on, or 0 */
	long long pos[FDS];
	long long ops, crossed;	/* of this round, to steer by */
} m;

static unsigned char *buf, *want;

/* --- the model --- */

static long long end_of_window(void)
{
	return m.base + m.room;
}

static bool in_window(long long off, long long len)
{
	return off >= m.base && len >= 0 && len <= end_of_window() - off;
}

static bool crosses(long long off, long long len)
{
	return len > 0 && off / m.quantum != (off + len - 1) / m.quantum;
}

static long long *position(int fd)
{
	return &m.pos[fd == SHARER ? MAIN : fd];
}

/* How many of @len bytes from @off on are before the end of the device. */
static long long before_end(long long off, long long len)
{
	return off >= m.size ? 0 : at_most(len, m.size - off);
}

/* What a read of @len bytes, all before the end, should give. */
static void expected(unsigned char *to, long long off, long long len)
{
	long long from = off > m.base ? off : m.base;
	long long to_end = at_most(off + len, end_of_window());

	memset(to, 0, len);
	if (from < to_end)
		memcpy(to + (from - off), m.bytes + (from - m.base),
		       to_end - from);
}

static void remember(long long off, const void *from, long long len)
{
	long long i;

	if (len <= 0)
		return;
	memcpy(m.bytes + (off - m.base), from, len);
	for (i = (off - m.base) / m.quantum;
	     i <= (off + len - 1 - m.base) / m.quantum; i++)
		m.there[i] = true;
	if (off + len > m.size)
		m.size = off + len;
}

static void forget(void)
{
	m.quantum = m.next_quantum;
	m.qset = m.next_qset;
	memset(m.bytes, 0, m.room);
	memset(m.there, 0, QUANTA_MOST * sizeof(*m.there));
	m.size = 0;
}

/* Is every quantum of it there? */
static bool covered(long long off, long long len)
{
	long long i;

	for (i = off / m.quantum; i <= (off + len - 1) / m.quantum; i++)
		if (i * m.quantum < m.base ||
		    i * m.quantum >= end_of_window() ||
		    !m.there[i - m.base / m.quantum])
			return false;
	return true;
}

/* --- comparing --- */

static void compare_size(void)
{
	same_ret("size", lseek(probe, 0, SEEK_END), m.size, 0);
}

/* The device's bytes from @off on, as far as they are this process's. */
static void compare(const char *what, long long off, long long len)
{
	long long n;

	if (off < m.base) {
		len -= m.base - off;
		off = m.base;
	}
	if (len > end_of_window() - off)
		len = end_of_window() - off;
	if (len <= 0)
		return;
	n = before_end(off, len);
	same_ret(what, pread(probe, buf, len, off), n, 0);
	expected(want, off, n);
	same_bytes(what, off, buf, want, n);
}

static void compare_around(long long off, long long len)
{
	compare("what is there now", off - EDGE, len + 2 * EDGE);
	compare_size();
}

/* The positions of both open files. */
static void compare_positions(void)
{
	same_ret("position", lseek(fds[MAIN], 0, SEEK_CUR), m.pos[MAIN], 0);
	same_ret("position with O_APPEND", lseek(fds[APPENDER], 0, SEEK_CUR),
		 m.pos[APPENDER], 0);
}

static long long data_after(long long off)
{
	long long i = off < m.base ? 0 : (off - m.base) / m.quantum;
	long long start;

	if (off < 0 || off >= m.size)
		return -1;
	for (; i * m.quantum < m.room; i++) {
		if (!m.there[i])
			continue;
		start = m.base + i * m.quantum;
		return start >= m.size ? -1 : start > off ? start : off;
	}
	return -1;
}

static long long hole_after(long long off)
{
	long long i;

	if (off < 0 || off >= m.size)
		return -1;
	if (off < m.base)
		return off;
	for (i = (off - m.base) / m.quantum;
	     i * m.quantum < m.room && m.there[i]; i++)
		off = m.base + (i + 1) * m.quantum;
	return at_most(off, m.size);
}

static void compare_seek(int fd, int whence, long long off)
{
	const char *what = whence == SEEK_DATA ? "SEEK_DATA" : "SEEK_HOLE";
	long long found, place;

	place = whence == SEEK_DATA ? data_after(off) : hole_after(off);
	found = lseek(fd, off, whence);
	if (m.foreign && (place < 0 || place >= end_of_window())) {
		/* Past the window others decide. */
		if (found < end_of_window() || found > m.size)
			differ("%s from %lld: expected a place from %lld to %lld, found %lld",
			       what, off, end_of_window(), m.size, found);
		place = found;
	} else {
		same_ret(what, found, place, place < 0 ? ENXIO : 0);
	}
	if (place >= 0)
		*position(fd == probe ? MAIN : SHARER) = place;
}

/* Every byte of the window, and where its data and holes are. */
static void compare_all(void)
{
	long long kept = m.pos[MAIN], off = m.base;

	compare_size();
	compare("everything", m.base, m.room);
	compare_positions();
	if (!m.foreign && m.base && m.size > m.base) {
		same_ret("before the window", pread(probe, buf, 100, m.base / 2),
			 at_most(100, m.size - m.base / 2), 0);
		expected(want, m.base / 2, at_most(100, m.size - m.base / 2));
		same_bytes("before the window", m.base / 2, buf, want,
			   at_most(100, m.size - m.base / 2));
	}
	while (off >= 0 && off < at_most(m.size, end_of_window())) {
		compare_seek(probe, SEEK_HOLE, off);
		off = hole_after(off);
		if (off >= at_most(m.size, end_of_window()))
			break;
		compare_seek(probe, SEEK_DATA, off);
		off = data_after(off);
	}
	m.pos[MAIN] = kept;
}

/* --- the device --- */

static int open_or_give_up(int flags)
{
	int fd = open(device, flags);

	if (fd < 0)
		give_up("open %s: %s", device, strerror(errno));
	return fd;
}

static void reopen(void)
{
	int i;

	for (i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (probe >= 0)
		close(probe);
	fds[MAIN] = open_or_give_up(O_RDWR);
	fds[APPENDER] = open_or_give_up(O_RDWR | O_APPEND);
	fds[SHARER] = dup(fds[MAIN]);
	probe = open_or_give_up(O_RDONLY);
	memset(m.pos, 0, sizeof(m.pos));
}

static void tell(int fd, long long quantum, long long qset, int how)
{
	int q = quantum, s = qset;

	switch (how) {
	case 0:
		same_ret("SCULL_IOCTQUANTUM", ioctl(fd, SCULL_IOCTQUANTUM, q), 0, 0);
		same_ret("SCULL_IOCTQSET", ioctl(fd, SCULL_IOCTQSET, s), 0, 0);
		break;
	case 1:
		same_ret("SCULL_IOCSQUANTUM", ioctl(fd, SCULL_IOCSQUANTUM, &q), 0, 0);
		same_ret("SCULL_IOCSQSET", ioctl(fd, SCULL_IOCSQSET, &s), 0, 0);
		break;
	case 2:
		same_ret("SCULL_IOCXQUANTUM", ioctl(fd, SCULL_IOCXQUANTUM, &q), 0, 0);
		same_ret("SCULL_IOCXQSET", ioctl(fd, SCULL_IOCXQSET, &s), 0, 0);
		break;
	default:
		if (ioctl(fd, SCULL_IOCHQUANTUM, q) < 1)
			differ("SCULL_IOCHQUANTUM: no old value");
		if (ioctl(fd, SCULL_IOCHQSET, s) < 1)
			differ("SCULL_IOCHQSET: no old value");
	}
	same_ret("SCULL_IOCQQUANTUM", ioctl(fd, SCULL_IOCQQUANTUM), quantum, 0);
	same_ret("SCULL_IOCQQSET", ioctl(fd, SCULL_IOCQQSET), qset, 0);
}

/*
 * The settings are one for all devices: where other processes change them for
 * theirs, they are told again just before each trim.
 */
static void trim(int flags)
{
	int fd;

	fuzz_lock();
	if (fuzz_procs > 1)
		tell(probe, m.next_quantum, m.next_qset, 0);
	fd = open(device, flags);
	fuzz_unlock();
	if (fd < 0)
		differ("open to trim: %s", strerror(errno));
	close(fd);
}

static void drain_pipe(void)
{
	int flags = fcntl(pipes[0], F_GETFL);

	fcntl(pipes[0], F_SETFL, flags | O_NONBLOCK);
	while (read(pipes[0], buf, FUZZ_MOST) > 0)
		;
	fcntl(pipes[0], F_SETFL, flags);
}

/* --- operations --- */

static enum outcome moved(long long off, long long n)
{
	if (!crosses(off, n))
		return DONE;
	m.crossed++;
	return CROSSED;
}

static enum outcome run_fresh(long long quantum, long long qset, long long base,
			      long long room, long long size)
{
	/* Without a beginning the whole round makes no sense. */
	m.quantum = 0;
	if (quantum < 1 || qset < 1 || qset > 65536 || room < 1 ||
	    room > ROOM_MOST || room / quantum >= QUANTA_MOST || base < 0 ||
	    base > LLONG_MAX / 4 || base > device_limit(quantum, qset) - room ||
	    base % quantum || room % quantum || quantum > FUZZ_MOST ||
	    (size && size < base + room))
		return SKIPPED;
	m.next_quantum = quantum;
	m.next_qset = qset;
	m.base = base;
	m.room = room;
	m.foreign = size;
	forget();
	reopen();
	drain_pipe();
	fuzz_meet();
	if (!fuzz_shared || !fuzz_me) {
		fuzz_lock();
		tell(probe, quantum, qset, 0);
		close(open_or_give_up(O_WRONLY));
		fuzz_unlock();
		if (size)
			same_ret("pwrite of the last byte",
				 pwrite(fds[MAIN], "", 1, size - 1), 1, 0);
	}
	fuzz_meet();
	m.size = size;
	m.ops = m.crossed = 0;
	compare_size();
	return DONE;
}

static enum outcome run_tell(long long quantum, long long qset, long long how)
{
	/* A quantum that fits the window also after a trim. */
	if (m.foreign || quantum < 1 || quantum > m.room || m.room % quantum ||
	    m.base % quantum || m.room / quantum >= QUANTA_MOST || qset < 1 ||
	    qset > 65536 || end_of_window() > device_limit(quantum, qset))
		return SKIPPED;
	fuzz_lock();
	tell(probe, quantum, qset, how);
	fuzz_unlock();
	m.next_quantum = quantum;
	m.next_qset = qset;
	return DONE;
}

static enum outcome run_trim(long long how)
{
	static const int flags[] = {
		O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_TRUNC | O_APPEND,
	};
	static const int harmless[] = {
		O_RDWR, O_RDONLY, O_WRONLY | O_APPEND, O_RDONLY | O_TRUNC,
	};
	int fd;

	if (how >= (long long)ARRAY_SIZE(flags)) {
		fd = open(device, harmless[how % ARRAY_SIZE(harmless)]);
		if (fd < 0)
			differ("open: %s", strerror(errno));
		close(fd);
		compare_size();
		return DONE;
	}
	if (m.foreign)
		return SKIPPED;
	trim(flags[how]);
	forget();
	compare_size();
	return DONE;
}

/* Compares what a read at @off gave, @n of the @len bytes it asked for. */
static void compare_read(const char *what, long long off, long long n)
{
	expected(want, off, n);
	same_bytes(what, off, buf, want, n);
}

/* Others' bytes are nobody's business. */
static bool readable(long long off, long long len)
{
	return off >= 0 && len >= 0 && len <= FUZZ_MOST &&
	       (!m.foreign || in_window(off, len));
}

static enum outcome run_read(long long fd, long long len, long long how)
{
	long long *pos = position(fd), off = *pos, n = before_end(off, len);
	struct iovec iov[4];
	ssize_t ret;

	if (!readable(off, len))
		return SKIPPED;
	if (how)
		ret = readv(fds[fd], iov, pieces(how, iov, buf, len));
	else
		ret = read(fds[fd], buf, len);
	same_ret("read", ret, n, 0);
	compare_read("read", off, n);
	*pos += n;
	compare_positions();
	return moved(off, n);
}

static enum outcome run_pread(long long off, long long len, long long cut,
			      long long how)
{
	long long n = before_end(off, len);
	struct iovec iov[4];
	int tries = 0;
	ssize_t ret;

	if (!readable(off, len))
		return SKIPPED;
	do {
		int count = pieces(cut, iov, buf, len);

		if (how == NOWAIT)
			ret = preadv2(fds[MAIN], iov, count, off, RWF_NOWAIT);
		else if (cut)
			ret = preadv(fds[MAIN], iov, count, off);
		else
			ret = pread(fds[MAIN], buf, len, off);
		/* Who shares a device may find it locked. */
	} while (how == NOWAIT && m.foreign && ret < 0 && errno == EAGAIN &&
		 tries++ < 3);
	if (tries > 3)
		return DONE;
	same_ret("pread", ret, n, 0);
	compare_read("pread", off, n);
	compare_positions();
	return moved(off, n);
}

static enum outcome run_write(long long fd, long long len, long long data,
			      long long cut)
{
	long long *pos = position(fd);
	long long off = fd == APPENDER ? m.size : *pos;
	struct iovec iov[4];
	ssize_t ret;

	if (!in_window(off, len) || (m.foreign && fd == APPENDER))
		return SKIPPED;
	if (cut)
		ret = writev(fds[fd], iov,
			     pieces(cut, iov, (void *)noise(data), len));
	else
		ret = write(fds[fd], noise(data), len);
	same_ret("write", ret, len, 0);
	remember(off, noise(data), len);
	if (len)
		*pos = off + len;
	compare_positions();
	compare_around(off, len);
	return moved(off, len);
}

static enum outcome run_pwrite(long long off, long long len, long long data,
			       long long cut, long long how)
{
	static const int flags[HOWS] = { 0, RWF_NOWAIT, RWF_APPEND, RWF_APPEND };
	long long at = how >= APPEND ? m.size : off;
	struct iovec iov[4];
	bool full;
	int count;
	ssize_t ret;

	if (how < 0 || how >= HOWS || off < 0 || !in_window(at, len) ||
	    (m.foreign && how >= APPEND))
		return SKIPPED;
	count = pieces(cut, iov, (void *)noise(data), len);
	full = !len || covered(at, len);
	if (how)
		ret = pwritev2(fds[MAIN], iov, count,
			       how == APPEND_HERE ? -1 : off, flags[how]);
	else if (cut)
		ret = pwritev(fds[MAIN], iov, count, at);
	else
		ret = pwrite(fds[MAIN], noise(data), len, at);
	if (how == NOWAIT && (!full || (m.foreign && ret < 0))) {
		same_ret("pwrite that must not wait", ret, 0, EAGAIN);
		compare_around(at, len);
		return DONE;
	}
	same_ret("pwrite", ret, len, 0);
	remember(at, noise(data), len);
	if (how == APPEND_HERE && len)
		m.pos[MAIN] = at + len;
	compare_positions();
	compare_around(at, len);
	return moved(at, len);
}

static enum outcome run_seek(long long fd, long long whence, long long off)
{
	long long *pos = position(fd), place;
	bool wrong;

	switch (whence) {
	case SEEK_DATA:
	case SEEK_HOLE:
		if (m.foreign && !in_window(off, 1))
			return SKIPPED;
		place = whence == SEEK_DATA ? data_after(off) : hole_after(off);
		if (fd == APPENDER) {
			if (m.foreign)
				return SKIPPED;
			same_ret("lseek for data or hole",
				 lseek(fds[fd], off, whence), place,
				 place < 0 ? ENXIO : 0);
			if (place >= 0)
				*pos = place;
		} else {
			compare_seek(fds[fd], whence, off);
		}
		break;
	case SEEK_SET:
	case SEEK_CUR:
	case SEEK_END:
		place = off + (whence == SEEK_CUR ? *pos :
			       whence == SEEK_END ? m.size : 0);
		wrong = place < 0 || place > device_limit(m.quantum, m.qset);
		same_ret("lseek", lseek(fds[fd], off, whence), place,
			 wrong ? EINVAL : 0);
		if (!wrong)
			*pos = place;
		break;
	default:
		same_ret("lseek", lseek(fds[fd], off, 99), 0, EINVAL);
	}
	compare_positions();
	return DONE;
}

/* A count that may be short, but not 0 unless at the end of the device. */
static void check_short(const char *what, long long ret, long long most)
{
	if (ret < 0)
		differ("%s: expected up to %lld, found %s", what, most,
		       strerror(errno));
	if (ret > most || (!ret && most))
		differ("%s: expected up to %lld, found %lld", what, most, ret);
}

static enum outcome run_splice_out(long long off, long long len)
{
	bool own = off >= 0;
	long long at = own ? off : m.pos[MAIN], n = before_end(at, len);
	off_t moving = at;
	ssize_t ret;

	if (!readable(at, len) || !len)
		return SKIPPED;
	ret = splice(fds[MAIN], own ? &moving : NULL, pipes[1], NULL, len, 0);
	check_short("splice from the device", ret, n);
	if (own)
		same_ret("splice's offset", moving, at + ret, 0);
	else
		m.pos[MAIN] += ret;
	if (ret)
		same_ret("what splice put into a pipe",
			 read(pipes[0], buf, FUZZ_MOST), ret, 0);
	compare_read("splice from the device", at, ret);
	compare_positions();
	return moved(at, ret);
}

static enum outcome run_splice_in(long long off, long long len, long long data)
{
	bool own = off >= 0;
	long long at = own ? off : m.pos[MAIN], done = 0;
	off_t moving = at;
	ssize_t ret;

	if (!in_window(at, len) || !len || len > 16 * 4096)
		return SKIPPED;
	same_ret("write to a pipe", write(pipes[1], noise(data), len), len, 0);
	while (done < len) {
		ret = splice(pipes[0], NULL, fds[MAIN], own ? &moving : NULL,
			     len - done, 0);
		check_short("splice to the device", ret, len - done);
		done += ret;
	}
	remember(at, noise(data), len);
	if (own)
		same_ret("splice's offset", moving, at + len, 0);
	else
		m.pos[MAIN] += len;
	compare_positions();
	compare_around(at, len);
	return moved(at, len);
}

/* Before 6.0 the kernel lets no char device be sent from. */
static bool can_send_out(void)
{
	static int can = -1;
	int zero;

	if (can < 0) {
		zero = open("/dev/zero", O_RDONLY);
		can = zero < 0 || sendfile(scratch, zero, NULL, 1) == 1;
		close(zero);
	}
	return can;
}

static enum outcome run_send_out(long long off, long long len)
{
	long long n = before_end(off, len);
	off_t moving = off;
	ssize_t ret;

	if (!readable(off, len) || !len || !can_send_out())
		return SKIPPED;
	lseek(scratch, 0, SEEK_SET);
	ret = sendfile(scratch, fds[MAIN], &moving, len);
	check_short("sendfile from the device", ret, n);
	same_ret("sendfile's offset", moving, off + ret, 0);
	same_ret("what sendfile gave", pread(scratch, buf, ret, 0), ret, 0);
	compare_read("sendfile from the device", off, ret);
	compare_positions();
	return moved(off, ret);
}

static enum outcome run_send_in(long long len, long long data)
{
	long long at = m.pos[MAIN], done = 0;
	off_t from = 0;
	ssize_t ret;

	if (!in_window(at, len) || !len)
		return SKIPPED;
	same_ret("write to a file", pwrite(scratch, noise(data), len, 0), len, 0);
	while (done < len) {
		ret = sendfile(fds[MAIN], scratch, &from, len - done);
		check_short("sendfile to the device", ret, len - done);
		done += ret;
	}
	remember(at, noise(data), len);
	m.pos[MAIN] += len;
	compare_positions();
	compare_around(at, len);
	return moved(at, len);
}

static enum outcome run_fault_read(long long off, long long good, long long len,
				   long long cut)
{
	long long n = before_end(off, good);
	struct iovec iov[3];
	ssize_t ret;

	if (!readable(off, len) || good < 0 || good >= len)
		return SKIPPED;
	if (cut)
		ret = preadv(fds[MAIN], iov, bad_pieces(iov, good, len, want),
			     off);
	else
		ret = pread(fds[MAIN], cliff(good), len, off);
	if (before_end(off, len) <= good && !cut) {
		/* The bad address is never reached. */
		same_ret("read up to a bad address", ret, n, 0);
	} else if (before_end(off, len) == 0) {
		same_ret("read to a bad address at the end", ret, 0, 0);
		n = 0;
	} else if (before_end(off, len) <= good) {
		same_ret("read up to a bad piece", ret, n, 0);
	} else {
		n = before_fault("read to a bad address", ret, good);
	}
	expected(want, off, n);
	same_bytes("read to a bad address", off, cliff(good), want, n);
	compare_positions();
	return moved(off, n);
}

/*
 * Bytes past what a write took may be new or old, if the copy was short of the
 * bad address; the model learns which.
 */
static void learn(long long off, const unsigned char *news, long long len)
{
	long long n = before_end(off, len), i;

	same_ret("what follows a cut write", pread(probe, buf, n, off), n, 0);
	expected(want, off, n);
	for (i = 0; i < n; i++) {
		if (buf[i] == news[i])
			m.bytes[off - m.base + i] = news[i];
		else if (buf[i] != want[i])
			differ("after a cut write: byte %lld: expected %02x or %02x, found %02x",
			       off + i, want[i], news[i], buf[i]);
	}
}

static enum outcome run_fault_write(long long off, long long good, long long len,
				    long long data, long long cut)
{
	struct iovec iov[3];
	long long n;
	ssize_t ret;

	if (!in_window(off, len) || good < 0 || good >= len)
		return SKIPPED;
	memcpy(cliff(good), noise(data), good);
	if (cut)
		ret = pwritev(fds[MAIN], iov, bad_pieces(iov, good, len, want),
			      off);
	else
		ret = pwrite(fds[MAIN], cliff(good), len, off);
	n = before_fault("write from a bad address", ret, good);
	remember(off, noise(data), n);
	if (n < good)
		learn(off + n, noise(data) + n, good - n);
	compare_positions();
	compare_around(off, len);
	return moved(off, n);
}

static enum outcome run_refuse(long long what)
{
	switch (what) {
	case 0:
		same_ret("ftruncate", ftruncate(fds[MAIN], 0), 0, EINVAL);
		break;
	case 1:
		if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[MAIN], 0) !=
		    MAP_FAILED || errno != ENODEV)
			differ("mmap: expected ENODEV");
		break;
	case 2:
		same_ret("fsync", fsync(fds[MAIN]), 0, 0);
		break;
	case 3:
		same_ret("write to a reader", write(probe, "x", 1), 0, EBADF);
		break;
	case 4:
		same_ret("quantum 0", ioctl(probe, SCULL_IOCTQUANTUM, 0), 0,
			 EINVAL);
		break;
	case 5:
		same_ret("qset 65537", ioctl(probe, SCULL_IOCTQSET, 65537), 0,
			 EINVAL);
		break;
	case 6:
		same_ret("unknown ioctl", ioctl(probe, _IO('k', 15)), 0, ENOTTY);
		break;
	case 7:
		same_ret("pread at -1", pread(fds[MAIN], buf, 1, -1), 0, EINVAL);
		break;
	default:
		return SKIPPED;
	}
	compare_size();
	return DONE;
}

static enum outcome run_lie(long long at)
{
	if (!in_window(m.base + at, 1) || m.base + at >= m.size)
		return SKIPPED;
	m.bytes[at] ^= 0xff;
	return DONE;
}

static enum outcome run(const struct op *op)
{
	const long long *a = op->arg;

	if (op->kind != FRESH && !m.quantum)
		return SKIPPED;
	m.ops++;
	switch (op->kind) {
	case FRESH:
		return run_fresh(a[0], a[1], a[2], a[3], a[4]);
	case TELL:
		return run_tell(a[0], a[1], a[2]);
	case TRIM:
		return run_trim(a[0]);
	case READ:
		return a[0] < 0 || a[0] >= FDS ? SKIPPED :
		       run_read(a[0], a[1], a[2]);
	case PREAD:
		return run_pread(a[0], a[1], a[2], a[3]);
	case WRITE:
		return a[0] < 0 || a[0] >= FDS ? SKIPPED :
		       run_write(a[0], a[1], a[2], a[3]);
	case PWRITE:
		return run_pwrite(a[0], a[1], a[2], a[3], a[4]);
	case SEEK:
		return a[0] < 0 || a[0] >= FDS ? SKIPPED :
		       run_seek(a[0], a[1], a[2]);
	case SPLICE_OUT:
		return run_splice_out(a[0], a[1]);
	case SPLICE_IN:
		return run_splice_in(a[0], a[1], a[2]);
	case SEND_OUT:
		return run_send_out(a[0], a[1]);
	case SEND_IN:
		return run_send_in(a[0], a[1]);
	case FAULT_READ:
		return run_fault_read(a[0], a[1], a[2], a[3]);
	case FAULT_WRITE:
		return run_fault_write(a[0], a[1], a[2], a[3], a[4]);
	case REFUSE:
		return run_refuse(a[0]);
	case VERIFY:
		compare_all();
		return DONE;
	case LIE:
		return run_lie(a[0]);
	}
	return SKIPPED;
}

/* --- making them up --- */

/* Mostly small, so that a small window has many edges; some as in real use. */
static long long some_quantum(void)
{
	static const int common[] = { 4000, 4096, 1000, 512, 8192, 65536 };

	switch (below(8)) {
	case 0:
		return between(1, 8);
	case 1:
	case 2:
		return common[below(ARRAY_SIZE(common))];
	default:
		return between(9, 700);
	}
}

static long long some_qset(void)
{
	return chance(70) ? between(1, 12) : chance(50) ? 1000 : between(13, 400);
}

/* A multiple of the quantum. */
static long long some_room(long long quantum)
{
	long long quanta = between(8, 300);

	if (quanta * quantum > ROOM_MOST)
		quanta = ROOM_MOST / quantum;
	if (quanta * quantum > 20000 && quanta > 12 && chance(80))
		quanta = 20000 / quantum > 12 ? 20000 / quantum : 12;
	return quanta * quantum;
}

static void first(struct op *op)
{
	long long quantum, qset, room, base = 0, size = 0;

	quantum = some_quantum();
	qset = some_qset();
	room = some_room(quantum);
	if (fuzz_shared) {
		/* All of them have to make up the same. */
		static const int quanta[] = { 61, 7, 4000, 128, 500 };
		static int round;

		quantum = quanta[round++ % ARRAY_SIZE(quanta)];
		qset = 7;
		room = quantum * 40;
		base = fuzz_me * room;
		size = fuzz_procs * room + 1;
	} else if (chance(30)) {
		base = quantum * below(chance(50) ? 10000 : 1LL << 40);
		if (base > device_limit(quantum, qset) - room)
			base = 0;
	}
	*op = (struct op){ FRESH, { quantum, qset, base, room, size } };
}

/* A place in the window, mostly just before an edge. */
static long long some_place(void)
{
	long long quanta = m.room / m.quantum;
	long long before = chance(70) ? between(1, 20) : between(1, m.quantum);

	if (chance(15))
		return m.base + below(m.room);
	if (chance(20) && m.size > m.base && m.size <= end_of_window())
		return m.size - at_most(m.size - m.base, below(20));
	if (before > m.quantum)
		before = m.quantum;
	return m.base + between(1, quanta) * m.quantum - before;
}

/* How much from there: over one edge, some, or none. */
static long long some_length(long long off)
{
	long long to_edge = m.quantum - off % m.quantum;
	bool need = m.crossed * 100 < m.ops * 42, cross = need || chance(55);
	long long len;

	if (!cross)
		len = chance(5) ? 0 : between(1, to_edge);
	else if (chance(70))
		len = to_edge + between(1, at_most(m.quantum, 40));
	else
		len = to_edge + between(1, at_most(5 * m.quantum, 20000));
	if (off >= m.base && len > end_of_window() - off)
		len = end_of_window() - off;
	return len < 0 ? 0 : len;
}

/* For a call at a position: the first of two operations may have to seek. */
static struct op at_position(int fd)
{
	if (in_window(m.pos[MAIN], 1) && !chance(30))
		return (struct op){ .kind = -1 };
	return (struct op){ SEEK, { fd, SEEK_SET, some_place() } };
}

static struct op make_read(void)
{
	int fd = below(3);
	long long off = *position(fd);
	struct op seek = at_position(fd);

	if (seek.kind >= 0 && fd != APPENDER)
		return seek;
	if (fd == APPENDER && !in_window(off, 1))
		return (struct op){ SEEK, { fd, SEEK_SET, some_place() } };
	return (struct op){ READ, { fd, some_length(off), some_cut() } };
}

static struct op make_write(void)
{
	int fd = chance(25) ? APPENDER : chance(70) ? MAIN : SHARER;
	long long off = fd == APPENDER ? m.size : m.pos[MAIN];

	if (!in_window(off, 1) && fd != APPENDER)
		return (struct op){ SEEK, { fd, SEEK_SET, some_place() } };
	return (struct op){ WRITE, { fd, some_length(off), below(1 << 30),
				     some_cut() } };
}

static struct op make_pwrite(void)
{
	int how = chance(70) ? PLAIN : between(NOWAIT, HOWS - 1);
	long long off = some_place(), at = how >= APPEND ? m.size : off;

	return (struct op){ PWRITE, { off, some_length(at), below(1 << 30),
				      some_cut(), how } };
}

static struct op make_seek(void)
{
	int fd = below(FDS);

	switch (below(6)) {
	case 0:
		return (struct op){ SEEK, { fd, SEEK_CUR, between(-100, 100) } };
	case 1:
		return (struct op){ SEEK, { fd, SEEK_END, between(-300, 20) } };
	case 2:
		return (struct op){ SEEK, { fd, SEEK_DATA, some_place() } };
	case 3:
		return (struct op){ SEEK, { fd, SEEK_HOLE, some_place() } };
	case 4:
		return (struct op){ SEEK, { fd, chance(50) ? SEEK_DATA : SEEK_HOLE,
					    m.size + between(-2, 2) } };
	default:
		return (struct op){ SEEK, { fd, chance(95) ? SEEK_SET : 99,
					    between(-3, 3) + some_place() } };
	}
}

static struct op make_splice(void)
{
	long long own = chance(50) ? some_place() : -1;
	long long off = own < 0 ? m.pos[MAIN] : own;

	if (!in_window(off, 1))
		return (struct op){ SEEK, { MAIN, SEEK_SET, some_place() } };
	switch (below(4)) {
	case 0:
		return (struct op){ SPLICE_OUT, { own, some_length(off) } };
	case 1:
		return (struct op){ SPLICE_IN, { own, some_length(off),
						 below(1 << 30) } };
	case 2:
		return (struct op){ SEND_OUT, { off, some_length(off) } };
	default:
		return (struct op){ SEND_IN, { some_length(m.pos[MAIN]),
					       below(1 << 30) } };
	}
}

static struct op make_fault(void)
{
	long long off = some_place(), len = some_length(off);
	long long good = chance(30) ? 0 : below(len);

	if (chance(50))
		return (struct op){ FAULT_READ, { off, good, len, chance(40) } };
	return (struct op){ FAULT_WRITE, { off, good, len, below(1 << 30),
					   chance(40) } };
}

/* One that divides what the window is a multiple of. */
static struct op make_tell(void)
{
	long long quantum = m.next_quantum;

	if (chance(50) && quantum % 2 == 0)
		quantum /= 2;
	else if (chance(50) && m.room % (2 * quantum) == 0 &&
		 m.base % (2 * quantum) == 0)
		quantum *= 2;
	return (struct op){ TELL, { quantum, some_qset(), below(4) } };
}

static void next(struct op *op)
{
	int dice = below(1000);

	if (dice < 200)
		*op = make_read();
	else if (dice < 380)
		*op = (struct op){ PREAD, { 0, 0, some_cut(), chance(20) } };
	else if (dice < 560)
		*op = make_write();
	else if (dice < 780)
		*op = make_pwrite();
	else if (dice < 850)
		*op = make_seek();
	else if (dice < 910)
		*op = make_splice();
	else if (dice < 970)
		*op = make_fault();
	else if (dice < 975)
		*op = make_tell();
	else if (dice < 983)
		*op = (struct op){ TRIM, { below(7) } };
	else if (dice < 992)
		*op = (struct op){ REFUSE, { below(8) } };
	else
		*op = (struct op){ VERIFY };
	if (op->kind == PREAD) {
		op->arg[0] = some_place();
		op->arg[1] = some_length(op->arg[0]);
	}
}

static bool lie(struct op *op)
{
	long long n = at_most(m.size - m.base, m.room);

	*op = (struct op){ LIE, { below(n) } };
	return n > 0;
}

static void attach(const char *path)
{
	device = path;
	if (buf)
		return;
	buf = room_for(FUZZ_MOST);
	want = room_for(FUZZ_MOST);
	m.bytes = room_for(ROOM_MOST);
	m.there = room_for(QUANTA_MOST * sizeof(*m.there));
	scratch = memfd_create("fuzz", 0);
	if (scratch < 0 || pipe(pipes))
		give_up("a file and a pipe are needed: %s", strerror(errno));
}

static const struct fuzz fuzz_store = {
	.name		= "fuzz_store",
	.about		= "Runs random operations on bare devices and compares them with a model.\n"
			  "Takes what they hold and changes quantum and qset of all.",
	.edge		= "a quantum",
	.device		= "/dev/scull%d",
	.kinds		= kinds,
	.count		= ARRAY_SIZE(kinds),
	.check		= VERIFY,
	.regions	= true,
	.attach		= attach,
	.first		= first,
	.next		= next,
	.lie		= lie,
	.run		= run,
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, &fuzz_store);
}
