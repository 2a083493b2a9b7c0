// SPDX-License-Identifier: GPL-2.0
/*
 * scullpipe against pipe(2) and a FIFO that hold as many bytes: bytes from one
 * process to another, each on a CPU of its own, from four to one and from one to
 * four; a byte to and fro, with and without asking first whether it is there; and
 * calls that need not wait.
 */
#include "bench.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../scull.h"

#define MANY 4
#define WARM 20		/* trips that are not measured, at the beginning */

struct channel {
	int reader;
	int writer;
};

/* Two of a kind: one there, one back. */
struct channels {
	struct channel there;
	struct channel back;
	size_t capacity;
};

static struct crew *crew;

static void put(int fd, size_t len)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += n) {
		n = write(fd, buffer + done, len - done);
		if (n < 0)
			err(1, "write");
	}
}

static size_t take(int fd, size_t len)
{
	ssize_t n = read(fd, buffer, len);

	if (n <= 0)
		err(1, "read gave %zd", n);
	return n;
}

static const struct channels *channels(const struct crew *c)
{
	return c->subject->data;
}

/*
 * Begins together with the others. Where instructions are counted all take turns
 * in the same way every time.
 */
static void line_up(struct crew *c, int cpu)
{
	run_on(cpu);
	if (bench.counted)
		go_first(true);
	gate_pass(&c->gate, c->all);
}

static void step_back(void)
{
	if (bench.counted)
		go_first(false);
}

/* --- many bytes --- */

static void write_all(struct crew *c, int me)
{
	size_t i;

	line_up(c, 1 + me);
	for (i = 0; i < c->n; i++)
		put(channels(c)->there.writer, c->work->bytes);
	/* To end is work too, so not before the clock has stopped. */
	take(channels(c)->back.reader, 1);
}

/* One reader keeps up with as many writers as the case has. */
static uint64_t to_one(struct subject *s, const struct work *w, size_t n)
{
	const struct channels *ch = s->data;
	size_t left = n * w->bytes, got;
	pid_t pids[MANY];
	uint64_t begin;
	size_t i;

	crew_init(crew, s, w, n / w->arg, w->arg + 1);
	for (i = 0; i < w->arg; i++)
		pids[i] = child(write_all, crew, i);
	line_up(crew, 0);
	begin = ticks();
	for (; left; left -= got)
		got = take(ch->there.reader, w->bytes);
	begin = ticks() - begin;
	for (i = 0; i < w->arg; i++)
		put(ch->back.writer, 1);
	for (i = 0; i < w->arg; i++)
		reap(pids[i]);
	step_back();
	return begin;
}

/* Whoever takes the last byte says when that was. */
static void read_some(struct crew *c, int me)
{
	size_t all = c->n * c->work->bytes, got;

	run_on(1 + me);
	gate_pass(&c->gate, c->all);
	for (;;) {
		got = take(channels(c)->there.reader, c->work->bytes);
		if (__atomic_add_fetch(&c->moved, got, __ATOMIC_SEQ_CST) < all)
			continue;
		c->end[0] = ticks();
		put(channels(c)->back.writer, 1);
	}
}

static uint64_t to_many(struct subject *s, const struct work *w, size_t n)
{
	const struct channels *ch = s->data;
	pid_t pids[MANY];
	uint64_t begin;
	size_t i;

	crew_init(crew, s, w, n, w->arg + 1);
	for (i = 0; i < w->arg; i++)
		pids[i] = child(read_some, crew, i);
	line_up(crew, 0);
	begin = ticks();
	for (i = 0; i < n; i++)
		put(ch->there.writer, w->bytes);
	take(ch->back.reader, 1);
	begin = crew->end[0] - begin;
	for (i = 0; i < w->arg; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return begin;
}

/* --- to and fro --- */

enum { AT_ONCE, AFTER_POLL, AFTER_EPOLL };

/* Takes a byte as the case says, asking @epoll or poll() first. */
static void take_byte(int fd, int how, int epoll)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct epoll_event event;

	if (how == AFTER_POLL && poll(&p, 1, -1) != 1)
		err(1, "poll");
	if (how == AFTER_EPOLL && epoll_wait(epoll, &event, 1, -1) != 1)
		err(1, "epoll_wait");
	take(fd, 1);
}

static int epoll_of(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		err(1, "epoll");
	return epoll;
}

static void answer(struct crew *c, int me)
{
	const struct channels *ch = channels(c);
	int epoll = epoll_of(ch->there.reader);
	size_t i;

	line_up(c, 1);
	for (i = 0; i < c->n + WARM; i++) {
		take_byte(ch->there.reader, c->work->arg, epoll);
		put(ch->back.writer, 1);
	}
}

static uint64_t round_trips(struct subject *s, const struct work *w, size_t n)
{
	const struct channels *ch = s->data;
	int epoll = epoll_of(ch->back.reader);
	uint64_t begin = 0;
	pid_t pid;
	size_t i;

	crew_init(crew, s, w, n, 2);
	pid = child(answer, crew, 0);
	line_up(crew, 0);
	for (i = 0; i < n + WARM; i++) {
		if (i == WARM)
			begin = ticks();
		put(ch->there.writer, 1);
		take_byte(ch->back.reader, w->arg, epoll);
	}
	begin = ticks() - begin;
	reap(pid);
	step_back();
	close(epoll);
	return begin;
}

/* --- without waiting --- */

/* Fills the pipe and empties it again, and adds up what one of both takes. */
static uint64_t no_wait(struct subject *s, const struct work *w, size_t n)
{
	const struct channels *ch = s->data;
	size_t block = w->arg >> 1, some, i;
	bool reading = w->arg & 1;
	uint64_t begin, sum = 0;

	run_on(0);
	while (n) {
		some = ch->capacity / block;
		some = some < n ? some : n;
		begin = ticks();
		for (i = 0; i < some; i++)
			put(ch->there.writer, block);
		if (!reading)
			sum += ticks() - begin;
		begin = ticks();
		for (i = 0; i < some; i++)
			take(ch->there.reader, block);
		if (reading)
			sum += ticks() - begin;
		n -= some;
	}
	return sum;
}

/* --- the cases --- */

static struct channel open_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "cannot open %s", path);
	return (struct channel){ .reader = fd, .writer = fd };
}

static void set_capacity(int fd, size_t capacity)
{
	int got = fcntl(fd, F_SETPIPE_SZ, (int)capacity);

	if (got != (int)capacity)
		errx(1, "a pipe cannot hold %zu bytes, but %d", capacity, got);
}

static struct channel open_pipe(size_t capacity)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		err(1, "pipe");
	set_capacity(ends[0], capacity);
	return (struct channel){ .reader = ends[0], .writer = ends[1] };
}

static struct channel open_fifo(size_t capacity, const char *name)
{
	struct channel channel;
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", tmpfs(false), name);
	unlink(path);
	if (mkfifo(path, 0600))
		err(1, "cannot make %s", path);
	channel = open_device(path);
	set_capacity(channel.reader, capacity);
	return channel;
}

/* The capacity of the devices, which a first open gives a pipe. */
static int device_capacity(size_t capacity)
{
	int fd = open("/dev/scull0", O_RDWR | O_CLOEXEC), old;

	if (fd < 0)
		err(1, "cannot open /dev/scull0");
	old = ioctl(fd, SCULL_P_IOCQSIZE);
	if (old < 0 || ioctl(fd, SCULL_P_IOCTSIZE, capacity))
		err(1, "cannot give pipes %zu bytes", capacity);
	close(fd);
	return old;
}

static void open_all(struct channels *all, size_t capacity)
{
	int old;

	if (bench.dry)
		return;
	old = device_capacity(capacity);
	all[0].there = open_device("/dev/scullpipe0");
	all[0].back = open_device("/dev/scullpipe1");
	device_capacity(old);
	all[1].there = open_pipe(capacity);
	all[1].back = open_pipe(capacity);
	all[2].there = open_fifo(capacity, "there");
	all[2].back = open_fifo(capacity, "back");
	all[0].capacity = all[1].capacity = all[2].capacity = capacity;
}

static void close_all(struct channels *all)
{
	int i;

	for (i = 0; i < 3 && !bench.dry; i++) {
		close(all[i].there.reader);
		close(all[i].back.reader);
		if (i == 1) {
			close(all[i].there.writer);
			close(all[i].back.writer);
		}
	}
}

static const struct {
	size_t block;
	size_t bytes;	/* a round */
} blocks[] = {
	{ 64,		2 * MiB },
	{ 512,		16 * MiB },
	{ 4 * KiB,	48 * MiB },
	{ 64 * KiB,	64 * MiB },
	{ 1 * MiB,	64 * MiB },
};

static const char *const trips[] = { "ping-pong", "poll", "epoll" };

static void one_capacity(struct subject *s, size_t capacity)
{
	const char *hold = size_name(capacity);
	struct work w = { .family = "pipe", .unit = 1 };
	char what[32];
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		w.bytes = blocks[i].block;
		w.n = blocks[i].bytes / blocks[i].block;
		w.size = size_name(w.bytes);
		w.ticks = to_one;
		w.arg = 1;
		w.counted = w.bytes < capacity / 4 ? capacity / w.bytes : 4;
		snprintf(what, sizeof(what), "%s/1 to 1", hold);
		w.what = what;
		measure(&w, s, 3);
		/* Writes that stay whole. */
		if (w.bytes < 512 || w.bytes > PIPE_BUF)
			continue;
		w.arg = MANY;
		w.counted = 0;
		snprintf(what, sizeof(what), "%s/%d to 1", hold, MANY);
		measure(&w, s, 3);
		w.ticks = to_many;
		snprintf(what, sizeof(what), "%s/1 to %d", hold, MANY);
		measure(&w, s, 3);
	}
	w.bytes = 0;
	w.unit = 1000;
	w.ticks = round_trips;
	w.size = "1 B";
	w.n = 1000;
	w.counted = 200;
	for (i = 0; i < ARRAY_SIZE(trips); i++) {
		w.arg = i;
		snprintf(what, sizeof(what), "%s/%s", hold, trips[i]);
		measure(&w, s, 3);
	}
	w.unit = 1;
	w.ticks = no_wait;
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		if (blocks[i].block > 4 * KiB)
			break;
		w.size = size_name(blocks[i].block);
		w.n = 50000;
		w.counted = capacity / blocks[i].block;
		if (w.counted > 128)
			w.counted = 128;
		for (j = 0; j < 2; j++) {
			w.arg = blocks[i].block << 1 | j;
			snprintf(what, sizeof(what), "%s/%s", hold,
				 j ? "read" : "write");
			measure(&w, s, 3);
		}
	}
}

void family_pipe(void)
{
	static const size_t capacities[] = { 64 * KiB, 1 * MiB, 4 * KiB };
	struct channels all[3];
	struct subject subjects[3] = {
		{ .name = "scullpipe",	.of = -1, .ours = -1, .data = &all[0] },
		{ .name = "pipe(2)",	.of = -1, .ours = 0,  .data = &all[1] },
		{ .name = "FIFO",	.of = -1, .ours = 0,  .data = &all[2] },
	};
	size_t i;

	if (!crew)
		crew = shared(sizeof(*crew));
	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		open_all(all, capacities[i]);
		one_capacity(subjects, capacities[i]);
		close_all(all);
	}
}
