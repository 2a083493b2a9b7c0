// SPDX-License-Identifier: GPL-2.0
/*
 * Other ways to the bytes: appending, a read into sixteen pieces, io_uring; and
 * how long it takes to empty a device.
 */
#include "bench.h"

#include <sys/uio.h>
#ifdef HAVE_URING
#include <liburing.h>
#endif

#define SPAN (64 * MiB)
#define PIECES 16
#define DEPTH 16

/* Anywhere in the first SPAN bytes. */
static off_t somewhere(uint64_t *seed)
{
	return rnd(seed) % (SPAN / (4 * KiB)) * (4 * KiB);
}

static void reopen_empty(struct subject *s, const struct work *w, size_t n)
{
	empty(s, 0);
	close(s->fd);
	s->fd = open(s->path, O_RDWR | O_APPEND | O_CLOEXEC);
	if (s->fd < 0)
		err(1, "cannot open %s to append", s->path);
}

static void append(struct subject *s, const struct work *w, size_t n)
{
	while (n--)
		if (write(s->fd, buffer, w->arg) <= 0)
			err(1, "append to %s", s->path);
}

static void in_pieces(struct subject *s, const struct work *w, size_t n)
{
	struct iovec pieces[PIECES];
	uint64_t seed = SEED;
	size_t i;

	for (i = 0; i < PIECES; i++) {
		pieces[i].iov_base = buffer + i * 8 * KiB;
		pieces[i].iov_len = w->arg / PIECES;
	}
	while (n--)
		if (preadv(s->fd, pieces, PIECES, somewhere(&seed)) <= 0)
			err(1, "preadv from %s", s->path);
}

/* Each round fills anew what it empties. */
static void refill(struct subject *s, const struct work *w, size_t n)
{
	fill(s, w->arg);
}

static void trim(struct subject *s, const struct work *w, size_t n)
{
	empty(s, 0);
}

#ifdef HAVE_URING
static struct io_uring ring;

/* As many at a time as the case says. */
static void by_uring(struct subject *s, const struct work *w, size_t n)
{
	uint64_t seed = SEED;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	size_t some, i;
	int error;

	for (; n; n -= some) {
		some = n < w->arg ? n : w->arg;
		for (i = 0; i < some; i++) {
			sqe = io_uring_get_sqe(&ring);
			io_uring_prep_read(sqe, s->fd, buffer + i * 4 * KiB,
					   4 * KiB, somewhere(&seed));
		}
		if (io_uring_submit_and_wait(&ring, some) < 0)
			errx(1, "io_uring takes nothing");
		for (i = 0; i < some; i++) {
			error = io_uring_wait_cqe(&ring, &cqe);
			if (error || cqe->res <= 0)
				errx(1, "io_uring: read gave %d",
				     error ?: cqe->res);
			io_uring_cqe_seen(&ring, cqe);
		}
	}
}

static void uring_cases(struct subject *subjects, int n)
{
	struct work w = {
		.family = "extra",
		.size = "4 KiB",
		.unit = 1,
		.n = 20000,
		.counted = 128,
		.run = by_uring,
	};

	if (!bench.dry && io_uring_queue_init(DEPTH, &ring, 0)) {
		fprintf(stderr, "bench: there is no io_uring here\n");
		return;
	}
	w.arg = 1;
	w.what = "io_uring read";
	measure(&w, subjects, n);
	w.arg = DEPTH;
	w.what = "io_uring 16";
	measure(&w, subjects, n);
	if (!bench.dry)
		io_uring_queue_exit(&ring);
}
#else
static void uring_cases(struct subject *subjects, int n)
{
	if (!bench.dry)
		fprintf(stderr, "bench: built without liburing\n");
}
#endif

void family_extra(void)
{
	struct subject subjects[MAX_SUBJECTS];
	int n = storage(subjects, true), i;
	struct work w = {
		.family = "extra",
		.what = "readv 16",
		.size = "4 KiB",
		.unit = 1,
		.n = 20000,
		.counted = 128,
		.run = in_pieces,
		.arg = 4 * KiB,
	};

	run_on(0);
	for (i = 0; i < n; i++)
		fill(&subjects[i], SPAN);
	measure(&w, subjects, n);
	uring_cases(subjects, n);
	storage_done(subjects, n);

	n = storage(subjects, false);
	w.what = "append";
	w.n = 16384;
	w.counted = 250;
	w.before = reopen_empty;
	w.run = append;
	measure(&w, subjects, n);

	/* No use doing this in small or often. */
	w.what = "trim";
	w.size = "1 GiB";
	w.arg = 1 * GiB;
	w.unit = 1000000;
	w.n = 1;
	w.counted = 0;
	w.before = refill;
	w.run = trim;
	i = bench.rounds;
	bench.rounds = i < 3 ? i : 3;
	measure(&w, subjects, n);
	bench.rounds = i;
	storage_done(subjects, n);
}
