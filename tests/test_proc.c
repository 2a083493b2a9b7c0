// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * /proc/scullmem and /proc/scullseq against what the devices hold.
 */
#include "harness.h"
#include "offsets.h"

#include <ctype.h>

static const char *const files[] = { "/proc/scullmem", "/proc/scullseq" };

struct text {
	char *data;
	size_t len;
	size_t room;
};

static void add(struct text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->room - t->len < 256) {
		t->room = 2 * t->room + 4096;
		t->data = realloc(t->data, t->room);
		expect(t->data, "no memory for the test itself");
	}
	va_start(ap, fmt);
	t->len += vsnprintf(t->data + t->len, t->room - t->len, fmt, ap);
	va_end(ap);
}

/* The whole file, by reads of @piece bytes. */
static struct text *slurp(const char *file, size_t piece)
{
	struct text *t = xmalloc(sizeof(*t));
	int fd = sys(open(file, O_RDONLY));
	ssize_t n;

	do {
		while (t->room - t->len < piece + 1) {
			t->room = 2 * t->room + piece + 4096;
			t->data = realloc(t->data, t->room);
			expect(t->data, "no memory for the test itself");
		}
		n = sys(read(fd, t->data + t->len, piece));
		t->len += n;
	} while (n);
	t->data[t->len] = '\0';
	close(fd);
	return t;
}

/*
 * How long the address is that begins here, or 0. For %p the kernel prints 16
 * digits (8 on 32 bits), for %8p as many as there are, with blanks before them;
 * and a word of its own while it has no random numbers to hash with.
 */
static size_t address(const char *p, bool wide)
{
	static const char none[] = "(____ptrval____)";
	size_t blanks = wide ? 0 : strspn(p, " ");
	size_t n = strspn(p + blanks, "0123456789abcdef");

	if (!strncmp(p + blanks, none, strlen(none)))
		return blanks + strlen(none);
	if (wide)
		return n == 2 * sizeof(long) ? n : 0;
	return n && blanks + n >= 8 ? blanks + n : 0;
}

/* Puts @ for each address, which nobody can foresee. */
static void mask(char *text)
{
	static const char item[] = "  item at ", qset[] = ", qset at ";
	char *from = text, *to = text;

	while (*from) {
		char *line = from, *colon = strchr(from, ':');
		size_t n = 0, m = 0;

		if (!strncmp(from, item, strlen(item)))
			n = address(line += strlen(item), true);
		else if (!strncmp(from, "    ", 4) && colon && colon[1] == ' ')
			n = address(line = colon + 2, false);
		memmove(to, from, line - from);
		to += line - from;
		from = line + n;
		if (n)
			*to++ = '@';
		if (n && !strncmp(from, qset, strlen(qset)))
			m = address(from + strlen(qset), true);
		if (m) {
			memmove(to, qset, strlen(qset));
			to += strlen(qset);
			*to++ = '@';
			from += strlen(qset) + m;
		}
		while (*from && (*to++ = *from++) != '\n')
			;
	}
	*to = '\0';
}

/* What the model's device has to show. */
static void add_device(struct text *t, int dev, const struct model *m)
{
	size_t nq = m->size ? (m->size - 1) / m->quantum + 1 : 0, q;
	long last = -1;

	add(t, "\nDevice %i: qset %i, q %i, sz %li\n", dev, m->qset, m->quantum,
	    (long)m->size);
	for (q = 0; q < nq; q++) {
		if (m->there[q] && (long)(q / m->qset) != last) {
			last = q / m->qset;
			add(t, "  item at @, qset at @\n");
		}
	}
	for (q = last * m->qset; last >= 0 && q < nq; q++)
		if (m->there[q])
			add(t, "    % 4i: @\n", (int)(q % m->qset));
}

static void expect_text(const char *file, const char *got, const char *want)
{
	size_t i = 0, line = 1, start = 0;

	while (want[i] && got[i] == want[i]) {
		if (got[i++] == '\n') {
			line++;
			start = i;
		}
	}
	expect(!want[i], "%s, line %zu: \"%.*s\", expected \"%.*s\"", file, line,
	       (int)strcspn(got + start, "\n"), got + start,
	       (int)strcspn(want + start, "\n"), want + start);
	expect(!got[i] || !strncmp(got + i, "\nDevice scull", 13),
	       "%s, line %zu: \"%.60s\" after the last bare device", file, line,
	       got + i);
}

/* Both files show these devices; those without a model are empty. */
static void expect_shown(struct model *const *models, int n)
{
	struct text *got, want = { };
	size_t f;
	int dev;

	for (dev = 0; dev < scull_nr_devs(); dev++) {
		if (dev < n && models[dev])
			add_device(&want, dev, models[dev]);
		else
			add(&want, "\nDevice %i: qset %i, q %i, sz 0\n", dev,
			    SCULL_QSET, SCULL_QUANTUM);
	}
	for (f = 0; f < ARRAY_SIZE(files); f++) {
		got = slurp(files[f], 65536);
		mask(got->data);
		expect_text(files[f], got->data, want.data);
	}
}

/* Writes to device and model. */
static void put(int fd, struct model *m, size_t off, size_t len)
{
	unsigned char *buf = xmalloc(len);

	fill(buf, len, off, 1);
	expect_ret(pwrite(fd, buf, len, off), len);
	model_write(m, off, buf, len);
	free(buf);
}

static int fresh_with_model(int dev, int quantum, int qset, size_t room,
			    struct model **m)
{
	int fd = fresh(dev, quantum, qset);

	sys(ioctl(fd, SCULL_IOCRESET));
	*m = model_new(quantum, qset, room);
	return fd;
}

START_TEST(empty)
{
	expect_shown(NULL, 0);
}
END_TEST

START_TEST(one_device)
{
	struct model *m;
	int fd = fresh_with_model(0, SCULL_QUANTUM, SCULL_QSET, 5000000, &m);

	put(fd, m, 0, 1);
	expect_shown(&m, 1);
	put(fd, m, 3000, 30000);
	expect_shown(&m, 1);
	/* A second set: the quanta of the first are shown no more. */
	put(fd, m, 4500000, 10);
	expect_shown(&m, 1);
}
END_TEST

START_TEST(holes)
{
	struct model *m;
	int fd = fresh_with_model(0, 10, 5, 2000, &m), i;

	seed_rnd();
	for (i = 0; i < 25; i++) {
		put(fd, m, below(1900), 1 + below(i < 20 ? 5 : 90));
		expect_shown(&m, 1);
	}
}
END_TEST

START_TEST(all_devices)
{
	int n = scull_nr_devs() < 8 ? scull_nr_devs() : 8, dev;
	struct model *m[8];

	for (dev = 0; dev < n; dev++) {
		int fd = fresh_with_model(dev, 10 + dev, 3 + dev, 2000, &m[dev]);

		put(fd, m[dev], 100 * dev, 50 + dev);
		put(fd, m[dev], 1000 + dev, 1);
		close(fd);
	}
	expect_shown(m, n);
}
END_TEST

START_TEST(many_sets)
{
	struct model *m;
	int fd = fresh_with_model(0, 1, 1, 3000, &m);
	struct text *t;

	put(fd, m, 0, 3000);
	t = slurp(files[0], 65536);
	expect(t->len > 65536, "%s has %zu bytes only", files[0], t->len);
	expect_shown(&m, 1);
}
END_TEST

START_TEST(many_quanta)
{
	struct model *m;
	int fd = fresh_with_model(0, 1, 65536, 200000, &m);
	struct text *t;

	put(fd, m, 0, 1);
	put(fd, m, 65536, 5000);
	put(fd, m, 131000, 50);
	expect_shown(&m, 1);
	t = slurp(files[0], 65536);
	expect(t->len > 65536, "%s has %zu bytes only", files[0], t->len);
	put(fd, m, 131071, 2);
	expect_shown(&m, 1);
}
END_TEST

START_TEST(largest_size)
{
	struct text *t, want = { };
	int fd = fresh(0, 4000, 1000);

	if (device_limit(4000, 1000) < LLONG_MAX)
		skip("only 64-bit kernels have such offsets");
	expect_ret(pwrite(fd, "x", 1, LLONG_MAX - 1), 1);
	t = slurp(files[0], 4096);
	mask(t->data);
	add(&want, "\nDevice 0: qset 1000, q 4000, sz %lld\n", LLONG_MAX);
	add(&want, "  item at @, qset at @\n    % 4i: @\n",
	    (int)(LLONG_MAX / 4000 % 1000));
	expect(!strncmp(t->data, want.data, want.len), "shown: \"%.120s\"",
	       t->data);
}
END_TEST

START_TEST(any_read_size)
{
	static const size_t pieces[] = { 1, 7, 100, 4096, 1000000 };
	struct text *whole[2], *t;
	struct model *m;
	int fd = fresh_with_model(0, 3, 50, 3000, &m);
	size_t i, f;

	put(fd, m, 0, 3000);
	for (f = 0; f < 2; f++) {
		whole[f] = slurp(files[f], 65536);
		for (i = 0; i < ARRAY_SIZE(pieces); i++) {
			t = slurp(files[f], pieces[i]);
			expect(t->len == whole[f]->len &&
			       !memcmp(t->data, whole[f]->data, t->len),
			       "%s by %zu bytes is not the same", files[f],
			       pieces[i]);
		}
	}
	expect(!strcmp(whole[0]->data, whole[1]->data),
	       "the two files show different things");
}
END_TEST

START_TEST(anywhere)
{
	char buf[300];
	struct model *m;
	int fd = fresh_with_model(0, 1, 1, 500, &m), proc, i;
	struct text *t;

	seed_rnd();
	put(fd, m, 0, 500);
	t = slurp(files[0], 65536);
	proc = sys(open(files[0], O_RDONLY));
	for (i = 0; i < 200; i++) {
		size_t off = below(t->len), len = 1 + below(sizeof(buf));
		ssize_t n = sys(pread(proc, buf, len, off));

		expect(n > 0 && !memcmp(buf, t->data + off, n),
		       "%zd bytes at %zu are not the same", n, off);
	}
	expect_ret(lseek(proc, t->len, SEEK_SET), t->len);
	expect_ret(read(proc, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(for_everybody)
{
	struct stat st;
	size_t f;

	for (f = 0; f < ARRAY_SIZE(files); f++) {
		sys(stat(files[f], &st));
		expect((st.st_mode & 07777) == 0444, "mode of %s is 0%o",
		       files[f], st.st_mode & 07777);
	}
}
END_TEST

/* What a text may look like while its devices change under the reader. */
static void expect_grammar(const char *file, char *text)
{
	int dev = -1, seen, q, qs, last = -1, at, chars;
	bool quanta = false, blank = false;
	char *line, *rest = text;
	long sz;

	mask(text);
	while ((line = strsep(&rest, "\n")) && rest) {
		bool was_blank = blank;

		blank = false;
		if (!*line) {
			expect(!was_blank, "%s: two empty lines", file);
			blank = true;
		} else if (!strncmp(line, "Device ", 7)) {
			expect(was_blank, "%s: \"%s\" without an empty line",
			       file, line);
			if (!isdigit(line[7]))
				return;
			chars = 0;
			expect(sscanf(line, "Device %d: qset %d, q %d, sz %ld%n",
				      &seen, &qs, &q, &sz, &chars) == 4 &&
			       !line[chars] && seen == ++dev,
			       "%s: \"%s\" where device %d was due", file, line,
			       dev);
			last = -1;
			quanta = false;
		} else if (!strcmp(line, "  item at @, qset at @")) {
			expect(dev >= 0 && !quanta,
			       "%s: a set after the quanta of the last", file);
		} else {
			chars = 0;
			expect(sscanf(line, "    %d: @%n", &at, &chars) == 1 &&
			       chars && !line[chars] && at > last && at < 65536,
			       "%s: \"%s\" after quantum %d", file, line, last);
			last = at;
			quanta = true;
		}
	}
	expect(dev == scull_nr_devs() - 1, "%s ends with device %d", file, dev);
}

static void show(const char *file, size_t piece)
{
	struct text *t = slurp(file, piece);

	expect_grammar(file, t->data);
	free(t->data);
	free(t);
}

static void show_and_change(int me, void *arg)
{
	int *left = arg, fd = dev_open(0, O_RDWR), i;
	unsigned char buf[3000];

	for (i = 0; i < me; i++)
		rnd();
	fill(buf, sizeof(buf), 0, 1);
	if (me < 3) {
		for (i = 0; i < 400; i++) {
			if (me == 0) {
				sys(ioctl(fd, SCULL_IOCTQUANTUM, 1 + below(9)));
				sys(ioctl(fd, SCULL_IOCTQSET, 1 + below(9)));
				dev_trim(below(scull_nr_devs()));
			} else {
				sys(pwrite(fd, buf, 1 + below(sizeof(buf)),
					   below(10000)));
			}
		}
		__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
		return;
	}
	do {
		show(files[me % 2], 1 + below(5000));
	} while (__atomic_load_n(left, __ATOMIC_SEQ_CST));
}

START_TEST(under_trims)
{
	int *left = shared(sizeof(*left));

	seed_rnd();
	*left = 3;
	together(6, show_and_change, left);
}
END_TEST

/* A set whose only quantum is its last takes a walk as long as one can. */
#define FAR 1000

static void show_and_replace(int me, void *arg)
{
	int *left = arg, times = repeat(3000), fd = dev_open(0, O_RDWR), i;

	if (!me) {
		for (i = 0; i < times; i++) {
			dev_trim(0);
			expect_ret(pwrite(fd, "x", 1, FAR - 1), 1);
		}
		__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
		return;
	}
	do {
		show(files[me % 2], 5000);
	} while (__atomic_load_n(left, __ATOMIC_SEQ_CST));
}

START_TEST(far_under_trims)
{
	int *left = shared(sizeof(*left));

	*left = 1;
	close(fresh(0, 1, FAR));
	together(3, show_and_replace, left);
}
END_TEST

static const struct test tests[] = {
	{ &empty, "empty devices" },
	{ &one_device, "a device of one set, then of two" },
	{ &holes, "sets and quanta that do not exist are not shown" },
	{ &all_devices, "each device with its own quantum and qset" },
	{ &many_sets, "3000 sets: more than 64 KiB of text" },
	{ &many_quanta, "5000 quanta in the last set: more than 64 KiB of text" },
	{ &largest_size, "the largest size" },
	{ &any_read_size, "reads of any size give the same text" },
	{ &anywhere, "pread anywhere gives the same text" },
	{ &for_everybody, "readable by everybody, writable by nobody" },
	{ &under_trims, "read in a loop while others trim and extend", 0, 180 },
	{ &far_under_trims, "read in a loop while its only, far quantum is trimmed", 0, 180 },
};

TEST_MAIN("proc", tests)
