// SPDX-License-Identifier: GPL-2.0
/*
 * atomicity: are writes to this device atomic?
 *
 *	cc -O2 -o atomicity tests/atomicity.c
 *	atomicity /dev/scullpipe0
 *	atomicity pipe socketpair pty /tmp/fifo
 *
 * Several writers write records of every size, one after the other, all to the
 * same device; a reader takes the stream apart again and says which records
 * other writers' bytes got into. Documentation/atomicity.md explains what is
 * written, what counts as torn and how to read the answer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MOST_WRITERS 16		/* each byte names its writer in 4 bits */
#define MOST_BYTES (1 << 20)	/* a record's length takes 20 bits */
#define LENGTH 5		/* hexadecimal digits of the length, */
#define SEQUENCE 6		/* of the sequence number, modulo 2^24 */
#define CHECKSUM 4		/* and of the sum of all other digits */
#define HEADER (LENGTH + SEQUENCE + CHECKSUM)
#define FILLERS 65536		/* where a record's filler may begin */
#define SHOWN 8			/* bytes to show on each side of a tear */
#define STALL 30		/* seconds without a byte are a failure */

static struct {
	int writers;
	long records;
	int most;
	int promised;
	int seconds;
	uint32_t seed;
} options = {
	.writers = 4,
	.records = 100000,
	.most = 2 * PIPE_BUF,
	.promised = PIPE_BUF,
};

static void die(const char *fmt, ...)
{
	va_list ap;

	fputs("atomicity: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static long below(uint64_t *state, long n)
{
	return (next_random(state) >> 16) % n;
}

/* --- records --- */

/*
 * What a writer writes follows from the seed and its number alone, so the
 * reader knows each record beforehand. @sums are of the filler's digits, so
 * that a check sum is the difference of two.
 */
struct source {
	int writer;
	uint64_t chance;
	uint32_t seq;		/* of the record that is prepared next */
	int length;
	unsigned char *record;
	unsigned char *filler;
	uint32_t *sums;
};

static void *memory(size_t len)
{
	void *p = malloc(len);

	if (!p)
		die("no memory");
	return p;
}

static void source_init(struct source *s, int writer)
{
	int len = FILLERS + options.most, i;
	uint64_t chance;

	s->writer = writer;
	s->chance = (options.seed + 1ull) * 0x9e3779b97f4a7c15ull + writer;
	s->chance = s->chance * 0xbf58476d1ce4e5b9ull | 1;
	s->seq = 0;
	s->record = memory(options.most);
	s->filler = memory(len);
	s->sums = memory((len + 1) * sizeof(*s->sums));
	chance = s->chance;
	s->sums[0] = 0;
	for (i = 0; i < len; i++) {
		int digit = below(&chance, 16);

		s->filler[i] = writer << 4 | digit;
		s->sums[i + 1] = s->sums[i] + digit;
	}
}

static void source_free(struct source *s)
{
	free(s->record);
	free(s->filler);
	free(s->sums);
}

/* All sizes, small ones and those around the promise more often than others. */
static int some_length(uint64_t *chance)
{
	long around;

	switch (below(chance, 4)) {
	case 0:
		return 1 + below(chance, options.most < 64 ? options.most : 64);
	case 1:
		around = options.promised - 16 + below(chance, 33);
		if (around >= 1 && around <= options.most)
			return around;
		/* fall through */
	default:
		return 1 + below(chance, options.most);
	}
}

static unsigned char *put_digits(unsigned char *to, int writer, uint32_t value,
				 int digits)
{
	while (digits--)
		*to++ = writer << 4 | (value >> 4 * digits & 15);
	return to;
}

static uint32_t sum_digits(uint32_t value)
{
	uint32_t sum = 0;

	for (; value; value >>= 4)
		sum += value & 15;
	return sum;
}

/* Prepares the next record. A short one holds the beginning of its header. */
static void source_next(struct source *s)
{
	unsigned char header[HEADER], *at = header;
	uint32_t seq = s->seq++ & 0xffffff, sum;
	int body, from;

	s->length = some_length(&s->chance);
	body = s->length - HEADER;
	from = (seq * 40503u) % FILLERS;
	sum = sum_digits(s->length) + sum_digits(seq);
	if (body > 0) {
		sum += s->sums[from + body] - s->sums[from];
		memcpy(s->record + HEADER, s->filler + from, body);
	}
	at = put_digits(at, s->writer, s->length, LENGTH);
	at = put_digits(at, s->writer, seq, SEQUENCE);
	put_digits(at, s->writer, sum & 0xffff, CHECKSUM);
	memcpy(s->record, header, body > 0 ? HEADER : s->length);
}

/* --- what writers and reader share --- */

static struct shared {
	bool stop;		/* the time is over */
	struct {
		uint64_t last;	/* how many records there will be, once known */
		uint64_t shorts;	/* writes that were taken in part */
		int err;	/* why it gave up */
	} writers[MOST_WRITERS];
} *shared;

#define load(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define store(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)

/* --- a device --- */

struct target {
	const char *name;
	const char *path;	/* for each writer to open, else NULL */
	int in, out;
};

static void make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return;
	cfmakeraw(&t);
	if (tcsetattr(fd, TCSANOW, &t))
		die("cannot make a terminal raw: %s", strerror(errno));
}

static int open_path(const char *path, int flags)
{
	int fd = open(path, flags | O_NOCTTY);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	make_raw(fd);
	return fd;
}

/* Whatever is in it already would be taken for a writer's. */
static void drain(struct target *t)
{
	static char buf[65536];
	size_t most = 64 << 20;
	ssize_t n;

	while ((n = read(t->out, buf, sizeof(buf))) > 0) {
		if ((size_t)n > most)
			die("%s gives bytes without end", t->name);
		most -= n;
	}
}

static void open_target(struct target *t, const char *name)
{
	int fds[2];

	t->name = name;
	t->path = NULL;
	if (!strcmp(name, "pipe")) {
		if (pipe(fds))
			die("pipe: %s", strerror(errno));
		t->out = fds[0];
		t->in = fds[1];
	} else if (!strcmp(name, "socketpair")) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			die("socketpair: %s", strerror(errno));
		t->out = fds[0];
		t->in = fds[1];
	} else if (!strcmp(name, "pty")) {
		t->out = posix_openpt(O_RDWR | O_NOCTTY);
		if (t->out < 0 || grantpt(t->out) || unlockpt(t->out))
			die("pty: %s", strerror(errno));
		t->in = open_path(ptsname(t->out), O_WRONLY);
	} else {
		/* A FIFO opens for reading at once, then for writing too. */
		t->out = open_path(name, O_RDONLY | O_NONBLOCK);
		t->in = open_path(name, O_WRONLY | O_APPEND);
		t->path = name;
		/* What files hold already is passed over. */
		lseek(t->out, 0, SEEK_END);
		drain(t);
		fcntl(t->out, F_SETFL, fcntl(t->out, F_GETFL) & ~O_NONBLOCK);
	}
}

/* --- a writer --- */

static void write_record(int fd, struct source *s)
{
	int done = 0;

	while (done < s->length) {
		ssize_t n = write(fd, s->record + done, s->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			store(&shared->writers[s->writer].err, errno ?: EIO);
			_exit(1);
		}
		done += n;
		shared->writers[s->writer].shorts += done < s->length;
	}
}

static void writer(const struct target *t, int me)
{
	long quota = options.records / options.writers +
		     (me < options.records % options.writers);
	int fd = t->in;
	struct source s;

	if (t->path)
		fd = open_path(t->path, O_WRONLY | O_APPEND);
	source_init(&s, me);
	while (quota--) {
		if (!quota || load(&shared->stop)) {
			/* The reader has to know before it has the last. */
			store(&shared->writers[me].last, s.seq + 1ull);
			quota = 0;
		}
		source_next(&s);
		write_record(fd, &s);
	}
	_exit(0);
}

/* --- the reader --- */

/* Where a record was torn, and what got into it. */
struct tear {
	int writer, length, at;
	uint32_t seq;
	uint64_t offset;	/* in the stream */
	unsigned char before[SHOWN], between[SHOWN], after[SHOWN];
	int n_before, n_between, n_after;
	int by, by_length, by_at;
	uint32_t by_seq;
	uint64_t resumed;	/* offset in the stream, 0: not yet */
};

struct stream {
	struct source source;
	int at;			/* bytes of its record seen */
	bool torn;
	bool active;		/* its record is known */
	uint64_t records;
};

struct reader {
	struct stream streams[MOST_WRITERS];
	int open;		/* the writer whose record is unfinished, or -1 */
	uint64_t offset;
	uint64_t records, torn;
	uint64_t small, small_torn;	/* at most as large as promised */
	uint64_t *seen;			/* by length */
	uint64_t *seen_torn;
	int largest_whole;
	struct tear tear;		/* of the shortest that was torn */
};

static void hex(const unsigned char *bytes, int n)
{
	while (n--)
		printf(" %02x", *bytes++);
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

static void note_tear(struct reader *r, struct stream *s, const unsigned char *next,
		      int n)
{
	struct stream *by = &r->streams[*next >> 4];
	struct tear *t = &r->tear;

	if (t->length && t->length <= s->source.length)
		return;
	memset(t, 0, sizeof(*t));
	t->writer = s->source.writer;
	t->length = s->source.length;
	t->seq = s->source.seq - 1;
	t->at = s->at;
	t->offset = r->offset;
	t->n_before = least(s->at, SHOWN);
	memcpy(t->before, s->source.record + s->at - t->n_before, t->n_before);
	t->by = *next >> 4;
	t->by_seq = by->source.seq - by->active;
	t->by_at = by->active ? by->at : 0;
	while (t->n_between < least(n, SHOWN) && next[t->n_between] >> 4 == t->by)
		t->n_between++;
	memcpy(t->between, next, t->n_between);
}

static void note_resume(struct reader *r, struct stream *s,
			const unsigned char *next, int n)
{
	struct tear *t = &r->tear;

	if (!t->length || t->resumed || t->writer != s->source.writer ||
	    t->seq != s->source.seq - 1)
		return;
	t->resumed = r->offset;
	while (t->n_after < least(n, SHOWN) && next[t->n_after] >> 4 == t->writer)
		t->n_after++;
	memcpy(t->after, next, t->n_after);
}

static bool complain(const struct reader *r, const struct stream *s,
		     const unsigned char *next, int n)
{
	int writer = *next >> 4, i;

	printf("  BROKEN: byte %llu of the stream is %02x",
	       (unsigned long long)r->offset, *next);
	if (!s) {
		printf(", and there is no writer %d\n", writer);
	} else {
		printf("; byte %d of record %u of writer %d, %d bytes long, is %02x:\n"
		       "  bytes were lost, doubled, changed or put out of order\n",
		       s->at, s->source.seq - 1, writer, s->source.length,
		       s->source.record[s->at]);
		printf("    expected:");
		hex(s->source.record + s->at,
		    least(s->source.length - s->at, 2 * SHOWN));
		putchar('\n');
	}
	printf("    it came: ");
	for (i = 0; i < least(n, 2 * SHOWN); i++)
		printf(" %02x", next[i]);
	putchar('\n');
	return false;
}

static void finish_record(struct reader *r, struct stream *s)
{
	int length = s->source.length;

	s->active = false;
	s->records++;
	r->open = -1;
	r->records++;
	r->torn += s->torn;
	r->seen[length]++;
	r->seen_torn[length] += s->torn;
	if (length <= options.promised) {
		r->small++;
		r->small_torn += s->torn;
	}
	if (!s->torn && length > r->largest_whole)
		r->largest_whole = length;
}

/* Takes bytes of the stream apart. False if they are not what was written. */
static bool take(struct reader *r, const unsigned char *next, int n)
{
	while (n) {
		int writer = *next >> 4, len, same;
		struct stream *s = &r->streams[writer];

		if (writer >= options.writers)
			return complain(r, NULL, next, n);
		if (r->open >= 0 && r->open != writer) {
			r->streams[r->open].torn = true;
			note_tear(r, &r->streams[r->open], next, n);
		}
		if (!s->active) {
			source_next(&s->source);
			s->active = true;
			s->torn = false;
			s->at = 0;
		} else if (r->open != writer) {
			note_resume(r, s, next, n);
		}
		len = least(n, s->source.length - s->at);
		same = len;
		if (memcmp(next, s->source.record + s->at, len))
			for (same = 0; next[same] == s->source.record[s->at + same];)
				same++;
		s->at += same;
		r->offset += same;
		next += same;
		n -= same;
		r->open = writer;
		if (s->at == s->source.length)
			finish_record(r, s);
		else if (same < len && *next >> 4 == writer)
			return complain(r, s, next, n);
	}
	return true;
}

static bool complete(const struct reader *r)
{
	int i;

	for (i = 0; i < options.writers; i++)
		if (r->streams[i].active ||
		    r->streams[i].records != load(&shared->writers[i].last))
			return false;
	return true;
}

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

static bool writers_live(void)
{
	int i;

	for (i = 0; i < options.writers; i++)
		if (load(&shared->writers[i].err))
			return false;
	return true;
}

/* Reads until all is there. Sizes vary, so that the device is full at times. */
static bool read_all(struct reader *r, const struct target *t, double start)
{
	static unsigned char buf[65536];
	uint64_t chance = options.seed + 1;
	double heard = start, told = start;

	while (!complete(r)) {
		ssize_t n = read(t->out, buf, 1 + below(&chance, sizeof(buf)));
		double at;

		if (n > 0) {
			if (!take(r, buf, n))
				return false;
			if (!ticks)
				continue;
		} else if (n < 0 && errno != EINTR) {
			printf("  BROKEN: read: %s\n", strerror(errno));
			return false;
		} else if (!n) {
			usleep(1000);
		}
		at = now();
		if (n > 0)
			heard = at;
		ticks = 0;
		if (options.seconds && at - start >= options.seconds)
			store(&shared->stop, true);
		if (at - told >= 5) {
			told = at;
			fprintf(stderr, "  %s: %.0f s, %llu records, %llu torn\n",
				t->name, at - start,
				(unsigned long long)r->records,
				(unsigned long long)r->torn);
		}
		if (n <= 0 && at - heard >= STALL) {
			printf("  BROKEN: no byte comes any more, after %llu\n",
			       (unsigned long long)r->offset);
			return false;
		}
		if (!writers_live())
			return true;
	}
	return true;
}

/* --- the answer --- */

static void print_class(const struct reader *r, int from, int to)
{
	uint64_t all = 0, torn = 0;
	int i;

	if (to > options.most)
		to = options.most;
	if (from > to)
		return;
	for (i = from; i <= to; i++) {
		all += r->seen[i];
		torn += r->seen_torn[i];
	}
	printf("  %7d to %7d bytes: %10llu whole %10llu torn\n", from, to,
	       (unsigned long long)(all - torn), (unsigned long long)torn);
}

static void print_tear(const struct tear *t)
{
	printf("    record %u of writer %d was torn after byte %d of %d, at byte %llu of the stream:\n",
	       t->seq, t->writer, t->at, t->length,
	       (unsigned long long)t->offset);
	printf("    writer %2d:", t->writer);
	hex(t->before, t->n_before);
	printf("\n    writer %2d:", t->by);
	hex(t->between, t->n_between);
	printf("  of its record %u, from byte %d\n", t->by_seq, t->by_at);
	if (!t->resumed)
		return;
	printf("    writer %2d:", t->writer);
	hex(t->after, t->n_after);
	printf("  after %llu bytes of others\n",
	       (unsigned long long)(t->resumed - t->offset));
}

static void print_answer(const struct reader *r, bool sane, double seconds)
{
	uint64_t shorts = 0;
	int sizes = 0, i;

	for (i = 1; i <= options.most; i++)
		sizes += !!r->seen[i];
	for (i = 0; i < options.writers; i++)
		shorts += shared->writers[i].shorts;
	printf("  %llu records of %d different sizes, %llu bytes, in %.0f s; %llu writes were taken in part\n",
	       (unsigned long long)r->records, sizes,
	       (unsigned long long)r->offset, seconds,
	       (unsigned long long)shorts);
	print_class(r, 1, least(16, options.promised));
	print_class(r, 17, least(256, options.promised));
	print_class(r, 257, options.promised);
	print_class(r, options.promised + 1, options.most);
	printf("  largest seen whole: %d bytes\n", r->largest_whole);
	if (r->tear.length) {
		printf("  smallest seen torn: %d bytes\n", r->tear.length);
		print_tear(&r->tear);
	} else {
		printf("  smallest seen torn: none\n");
	}
	if (!sane)
		printf("  NO ANSWER: what came is not what was written\n");
	else if (r->small_torn)
		printf("  NOT ATOMIC: %llu of %llu records of at most %d bytes are torn\n",
		       (unsigned long long)r->small_torn,
		       (unsigned long long)r->small, options.promised);
	else
		printf("  atomic up to %d bytes, as far as %llu records can tell\n",
		       options.promised, (unsigned long long)r->small);
}

static int judge(const char *name)
{
	struct sigaction sa = { .sa_handler = tick };
	struct itimerval second = { { 1, 0 }, { 1, 0 } }, never = { 0 };
	pid_t pids[MOST_WRITERS];
	struct reader r = { .open = -1 };
	struct target t;
	double start;
	bool sane;
	int i, ret;

	memset(shared, 0, sizeof(*shared));
	for (i = 0; i < options.writers; i++)
		shared->writers[i].last = UINT64_MAX;
	open_target(&t, name);
	printf("%s: %d writers, sizes 1 to %d, seed %u\n", name, options.writers,
	       options.most, options.seed);
	fflush(stdout);

	r.seen = calloc(options.most + 1, sizeof(*r.seen));
	r.seen_torn = calloc(options.most + 1, sizeof(*r.seen_torn));
	if (!r.seen || !r.seen_torn)
		die("no memory");
	for (i = 0; i < options.writers; i++)
		source_init(&r.streams[i].source, i);
	for (i = 0; i < options.writers; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (!pids[i])
			writer(&t, i);
	}
	start = now();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &second, NULL);
	sane = read_all(&r, &t, start);
	setitimer(ITIMER_REAL, &never, NULL);
	for (i = 0; i < options.writers; i++) {
		kill(pids[i], sane && writers_live() ? 0 : SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	print_answer(&r, sane, now() - start);
	ret = !sane || r.small_torn;
	for (i = 0; i < options.writers; i++) {
		if (shared->writers[i].err) {
			printf("  writer %d gave up: %s\n", i,
			       strerror(shared->writers[i].err));
			ret = 2;
		}
		source_free(&r.streams[i].source);
	}
	free(r.seen);
	free(r.seen_torn);
	close(t.in);
	close(t.out);
	fflush(stdout);
	return ret;
}

/* --- the command line --- */

static void usage(FILE *f)
{
	fputs("usage: atomicity [options] DEVICE...\n"
	      "\n"
	      "Writes records of all sizes to DEVICE from several processes at once, reads\n"
	      "them back and says which other writers' bytes got into. DEVICE is a path (of a\n"
	      "device, a FIFO or a file), or pipe, socketpair or pty for a new one.\n"
	      "\n"
	      "  -w, --writers N     how many write at once, 2 to 16 (4)\n"
	      "  -n, --records N     how many records they write together (100000)\n"
	      "  -m, --most BYTES    the largest (8192: twice PIPE_BUF)\n"
	      "  -p, --promised BYTES  up to what size they have to be whole (4096: PIPE_BUF)\n"
	      "  -t, --time SECONDS  write no longer than this, however few they are\n"
	      "  -s, --seed N        for the same records again\n"
	      "\n"
	      "Exit status: 0 all records up to the promised size are whole; 1 one is torn, or\n"
	      "bytes were lost or changed; 2 it could not be tried.\n", f);
}

static long long number(const char *text, const char *what, long long min,
			long long max)
{
	long long n;
	char *end;

	errno = 0;
	n = strtoll(text, &end, 0);
	if (errno || end == text || *end || n < min || n > max)
		die("%s \"%s\": a number from %lld to %lld is wanted", what, text,
		    min, max);
	return n;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "writers", required_argument, NULL, 'w' },
		{ "records", required_argument, NULL, 'n' },
		{ "most", required_argument, NULL, 'm' },
		{ "promised", required_argument, NULL, 'p' },
		{ "time", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL },
	};
	int opt, worst = 0, ret;

	if (getrandom(&options.seed, sizeof(options.seed), 0) < 0)
		options.seed = time(NULL);
	while ((opt = getopt_long(argc, argv, "w:n:m:p:t:s:h", longs, NULL)) != -1) {
		switch (opt) {
		case 'w':
			options.writers = number(optarg, "--writers", 2, MOST_WRITERS);
			break;
		case 'n':
			options.records = number(optarg, "--records", MOST_WRITERS, LONG_MAX);
			break;
		case 'm':
			options.most = number(optarg, "--most", 1, MOST_BYTES - 1);
			break;
		case 'p':
			options.promised = number(optarg, "--promised", 1, MOST_BYTES);
			break;
		case 't':
			options.seconds = number(optarg, "--time", 1, 1000000);
			break;
		case 's':
			options.seed = number(optarg, "--seed", 0, UINT32_MAX);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("no memory");
	for (; optind < argc; optind++) {
		ret = judge(argv[optind]);
		if (ret > worst)
			worst = ret;
	}
	return worst;
}
