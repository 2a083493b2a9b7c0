// SPDX-License-Identifier: GPL-2.0
/* The common part of the model fuzzers: see fuzz.h. */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUND		4000	/* operations */
#define PROGRESS_MS	5000
#define STUCK_MS	120000	/* for one operation, on a slow machine */
#define SHRINK_MS	60000
#define SHRINK_RUNS	20000
#define SHOWN		40	/* lines of a script that are printed */
#define NOISE		(4 * FUZZ_MOST)

static const struct fuzz *fuzz;

static struct options {
	uint64_t seed;
	long long ops;
	long long seconds;
	const char *device;
	const char *script;	/* to write */
	const char *replay;
	long long lie;
} opt;

int fuzz_me, fuzz_procs = 1;
bool fuzz_shared;

/* What one process has done; the others look at it. */
struct tally {
	uint64_t ops, crossed, skipped;
	uint64_t kinds[FUZZ_KINDS];
	uint64_t round;
	struct op now;
};

static struct shared {
	struct tally tally[FUZZ_PROCS];
	pthread_mutex_t lock;
	int stop;
	int over;		/* as the processes that share a device agree */
	int arrived, phase;
	int failed;		/* 1 + the process that saw a difference */
	size_t length;		/* of its round */
	struct op round[ROUND + 1];
	char text[2048];
} *all;

static sigjmp_buf way_out;
static char difference[2048];

/* --- words --- */

void differ(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(difference, sizeof(difference), fmt, ap);
	va_end(ap);
	siglongjmp(way_out, 1);
}

void give_up(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", fuzz->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

void same_ret(const char *what, long long ret, long long want, int err)
{
	char expected[64], found[64];
	int seen = errno;

	if (err ? ret == -1 && seen == err : ret == want)
		return;
	if (err)
		snprintf(expected, sizeof(expected), "%s", strerror(err));
	else
		snprintf(expected, sizeof(expected), "%lld", want);
	if (ret == -1)
		snprintf(found, sizeof(found), "%s", strerror(seen));
	else
		snprintf(found, sizeof(found), "%lld", ret);
	differ("%s: expected %s, found %s", what, expected, found);
}

static void hex(char *text, const unsigned char *bytes, size_t len)
{
	size_t i;

	*text = '\0';
	for (i = 0; i < len; i++)
		text += sprintf(text, " %02x", bytes[i]);
}

void same_bytes(const char *what, long long off, const unsigned char *got,
		const unsigned char *want, size_t len)
{
	char expected[64], found[64];
	size_t i, wrong, n;

	if (!memcmp(got, want, len))
		return;
	for (i = 0; got[i] == want[i]; i++)
		;
	for (wrong = 0, n = i; n < len; n++)
		wrong += got[n] != want[n];
	n = len - i < 16 ? len - i : 16;
	hex(expected, want + i, n);
	hex(found, got + i, n);
	differ("%s: %zu of %zu bytes differ, the first at %lld:\n  expected%s\n  found   %s",
	       what, wrong, len, off + (long long)i, expected, found);
}

/* --- chance --- */

static uint64_t state;

static uint64_t scramble(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	return x ^ x >> 32;
}

uint64_t rnd(void)
{
	state += 0x9e3779b97f4a7c15ull;
	return scramble(state);
}

long long below(long long n)
{
	return n < 1 ? 0 : (long long)(rnd() % (uint64_t)n);
}

long long between(long long a, long long b)
{
	return b <= a ? a : a + below(b - a + 1);
}

bool chance(int percent)
{
	return below(100) < percent;
}

long long at_most(long long a, long long b)
{
	return a < b ? a : b;
}

/* --- memory --- */

void *room_for(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		give_up("no memory: %s", strerror(errno));
	return p;
}

const unsigned char *noise(long long seed)
{
	static unsigned char *bytes;
	uint64_t x = 1;
	size_t i;

	if (!bytes) {
		bytes = room_for(NOISE);
		for (i = 0; i < NOISE; i++) {
			x = x * 6364136223846793005ull + 1442695040888963407ull;
			bytes[i] = (x >> 56) ?: 1;
		}
	}
	return bytes + (uint64_t)seed % (NOISE - FUZZ_MOST);
}

unsigned char *cliff(size_t good)
{
	static unsigned char *edge;

	if (!edge) {
		edge = (unsigned char *)room_for(2 * FUZZ_MOST) + FUZZ_MOST;
		if (mprotect(edge, FUZZ_MOST, PROT_NONE))
			give_up("mprotect: %s", strerror(errno));
	}
	return edge - good;
}

int pieces(long long how, struct iovec iov[4], void *buf, size_t len)
{
	uint64_t cuts = scramble(how);
	size_t at = 0, n;
	int i;

	if (!how) {
		iov[0] = (struct iovec){ buf, len };
		return 1;
	}
	for (i = 0; i < 4; i++, cuts >>= 16) {
		n = i == 3 ? len - at : (cuts & 0xffff) * (len - at) >> 16;
		iov[i] = (struct iovec){ (char *)buf + at, n };
		at += n;
	}
	return 4;
}

long long some_cut(void)
{
	return chance(25) ? 1 + below(1000000) : 0;
}

int bad_pieces(struct iovec iov[3], long long good, long long len, void *spare)
{
	unsigned char *edge = cliff(0);

	iov[0] = (struct iovec){ edge - good, good };
	iov[1] = (struct iovec){ edge, len - good };
	iov[2] = (struct iovec){ spare, 100 };
	return 3;
}

/*
 * A copy that ends at a bad address may come short by at most this. That of 32-bit
 * x86 looks 64 bytes ahead, and copies 64 at a time.
 */
#ifdef __i386__
#define FAULT_SLACK	127
#else
#define FAULT_SLACK	63
#endif

long long before_fault(const char *what, long long ret, long long good)
{
	if (ret < 0 && errno == EFAULT && good <= FAULT_SLACK)
		return 0;
	if (ret < 0)
		differ("%s: expected %lld, found %s", what, good,
		       strerror(errno));
	if (!ret || ret > good || ret < good - FAULT_SLACK)
		differ("%s: expected %lld or a few less, found %lld", what,
		       good, ret);
	return ret;
}

/* --- processes --- */

void fuzz_lock(void)
{
	int err = pthread_mutex_lock(&all->lock);

	/* Whoever held it has died, and with him his round. */
	if (err == EOWNERDEAD)
		pthread_mutex_consistent(&all->lock);
}

void fuzz_unlock(void)
{
	pthread_mutex_unlock(&all->lock);
}

static void nap_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static bool stopped(void)
{
	return __atomic_load_n(&all->stop, __ATOMIC_SEQ_CST);
}

void fuzz_meet(void)
{
	int phase = __atomic_load_n(&all->phase, __ATOMIC_SEQ_CST);

	if (!fuzz_shared)
		return;
	if (__atomic_add_fetch(&all->arrived, 1, __ATOMIC_SEQ_CST) == fuzz_procs) {
		__atomic_store_n(&all->arrived, 0, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&all->phase, 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&all->phase, __ATOMIC_SEQ_CST) == phase) {
		if (stopped())
			_exit(0);
		nap_ms(1);
	}
}

static void make_shared(void)
{
	pthread_mutexattr_t attr;

	all = room_for(sizeof(*all));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	/* Who holds it when he sees a difference comes back without giving it up. */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&all->lock, &attr);
}

static const char *device_of(int process)
{
	static char path[PATH_MAX];

	if (opt.device)
		return opt.device;
	snprintf(path, sizeof(path), fuzz->device, process);
	return path;
}

/* --- scripts --- */

static void print_op(FILE *f, const struct op *op)
{
	int i;

	fputs(fuzz->kinds[op->kind].name, f);
	for (i = 0; i < fuzz->kinds[op->kind].args; i++)
		fprintf(f, " %lld", op->arg[i]);
	fputc('\n', f);
}

static const char *op_text(const struct op *op)
{
	static char text[256];
	FILE *f = fmemopen(text, sizeof(text), "w");

	print_op(f, op);
	fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/* What a line of a script says; false if it says nothing. */
static bool read_op(char *line, const char *file, int number, struct op *op)
{
	char *word = strtok(line, " \t\n"), *end;
	int i;

	if (!word || *word == '#')
		return false;
	*op = (struct op){ 0 };
	while (op->kind < fuzz->count &&
	       strcmp(word, fuzz->kinds[op->kind].name))
		op->kind++;
	if (op->kind == fuzz->count)
		give_up("%s:%d: there is no operation \"%s\"", file, number, word);
	for (i = 0; i < fuzz->kinds[op->kind].args; i++) {
		word = strtok(NULL, " \t\n");
		errno = 0;
		op->arg[i] = word ? strtoll(word, &end, 10) : 0;
		if (!word || *end || end == word || errno)
			give_up("%s:%d: %s wants %d numbers", file, number,
				fuzz->kinds[op->kind].name,
				fuzz->kinds[op->kind].args);
	}
	if (strtok(NULL, " \t\n"))
		give_up("%s:%d: %s wants %d numbers, there are more", file,
			number, fuzz->kinds[op->kind].name,
			fuzz->kinds[op->kind].args);
	return true;
}

static struct op *read_script(const char *file, size_t *n)
{
	FILE *f = fopen(file, "r");
	size_t room = 0, len = 0;
	struct op *ops = NULL;
	char *line = NULL;
	int number = 0;

	if (!f)
		give_up("%s: %s", file, strerror(errno));
	for (*n = 0; getline(&line, &len, f) > 0;) {
		if (*n == room) {
			room = room ? 2 * room : 1000;
			ops = realloc(ops, room * sizeof(*ops));
			if (!ops)
				give_up("no memory for %s", file);
		}
		*n += read_op(line, file, ++number, &ops[*n]);
	}
	free(line);
	fclose(f);
	if (!*n)
		give_up("%s: there are no operations in it", file);
	return ops;
}

static void write_script(const char *file, const struct op *ops, size_t n)
{
	FILE *f = fopen(file, "w");
	size_t i;

	if (!f)
		give_up("%s: %s", file, strerror(errno));
	fprintf(f, "# for %s -r\n", fuzz->name);
	for (i = 0; i < n; i++)
		print_op(f, &ops[i]);
	if (fclose(f))
		give_up("%s: %s", file, strerror(errno));
}

/* --- running --- */

/* False: a difference, described in difference[]. */
static bool try_op(const struct op *op, enum outcome *outcome)
{
	if (sigsetjmp(way_out, 0))
		return false;
	*outcome = fuzz->run(op);
	return true;
}

static void count(struct tally *t, const struct op *op, enum outcome outcome)
{
	if (outcome == SKIPPED) {
		t->skipped++;
		return;
	}
	t->kinds[op->kind]++;
	t->crossed += outcome == CROSSED;
	__atomic_store_n(&t->ops, t->ops + 1, __ATOMIC_RELAXED);
}

static long long deadline;

static bool enough(const struct tally *t, long long share)
{
	static bool late;
	static uint64_t asked;

	if (stopped() || (opt.ops && (long long)t->ops >= share))
		return true;
	/* To ask for the time takes longer than some operations. */
	if (opt.seconds && !late && t->ops - asked >= 64) {
		asked = t->ops;
		late = now_ms() >= deadline;
	}
	return late;
}

/* Processes that share a device leave together. */
static bool agreed(const struct tally *t, long long share)
{
	if (!fuzz_shared)
		return enough(t, share);
	if (!fuzz_me && enough(t, share))
		__atomic_store_n(&all->over, 1, __ATOMIC_SEQ_CST);
	fuzz_meet();
	return __atomic_load_n(&all->over, __ATOMIC_SEQ_CST);
}

static void found_difference(const struct op *ops, size_t n)
{
	int nobody = 0;

	if (__atomic_compare_exchange_n(&all->failed, &nobody, fuzz_me + 1,
					false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST)) {
		memcpy(all->round, ops, n * sizeof(*ops));
		all->length = n;
		memcpy(all->text, difference, sizeof(difference));
	}
	__atomic_store_n(&all->stop, 1, __ATOMIC_SEQ_CST);
	_exit(1);
}

static void start_round(uint64_t round)
{
	state = scramble(opt.seed + 1) ^ scramble((uint64_t)fuzz_me << 40 | round);
}

static void work(void)
{
	static struct op ops[ROUND + 1];
	struct tally *t = &all->tally[fuzz_me];
	long long share = opt.ops / fuzz_procs + (fuzz_me < opt.ops % fuzz_procs);
	FILE *script = NULL;
	bool look = false;
	enum outcome outcome;
	size_t i, length;

	if (opt.script) {
		script = fopen(opt.script, "w");
		if (!script)
			give_up("%s: %s", opt.script, strerror(errno));
		fprintf(script, "# %s -s %llu, for -r\n", fuzz->name,
			(unsigned long long)opt.seed);
	}
	fuzz->attach(device_of(fuzz_me));
	for (; !agreed(t, share); t->round++) {
		start_round(t->round);
		length = ROUND;
		if (opt.ops && fuzz_shared && share < ROUND)
			length = share;
		for (i = 0; i < length; i++) {
			/* A lie is looked at before it can be overwritten. */
			if (!i)
				fuzz->first(&ops[i]);
			else if (look)
				look = false, ops[i] = (struct op){ fuzz->check };
			else if (i == length - 1 ||
				 (!fuzz_shared && enough(t, share - 1)))
				length = i + 1, ops[i] = (struct op){ fuzz->check };
			else if (opt.lie && (long long)t->ops + 1 >= opt.lie &&
				 fuzz->lie(&ops[i]))
				opt.lie = 0, look = true;
			else
				fuzz->next(&ops[i]);
			t->now = ops[i];
			if (script)
				print_op(script, &ops[i]);
			if (!try_op(&ops[i], &outcome)) {
				if (script)
					fclose(script);
				found_difference(ops, i + 1);
			}
			count(t, &ops[i], outcome);
		}
	}
	if (script && fclose(script))
		give_up("%s: %s", opt.script, strerror(errno));
	_exit(0);
}

/* --- what was done --- */

static struct tally sum(void)
{
	struct tally t = { 0 };
	int i, k;

	for (i = 0; i < fuzz_procs; i++) {
		t.ops += all->tally[i].ops;
		t.crossed += all->tally[i].crossed;
		t.skipped += all->tally[i].skipped;
		for (k = 0; k < fuzz->count; k++)
			t.kinds[k] += all->tally[i].kinds[k];
	}
	return t;
}

static void print_mix(const struct tally *t)
{
	const char *sep = " ";
	int k;

	for (k = 0; k < fuzz->count; k++) {
		if (!t->kinds[k])
			continue;
		printf("%s%s %llu", sep, fuzz->kinds[k].name,
		       (unsigned long long)t->kinds[k]);
		sep = ", ";
	}
	putchar('\n');
	fflush(stdout);
}

static void progress(long long ms, uint64_t before)
{
	struct tally t = sum();

	printf("%s: %lld s, %llu operations, %llu/s, %llu %% across %s:",
	       fuzz->name, ms / 1000, (unsigned long long)t.ops,
	       (unsigned long long)(t.ops - before) * 1000 / PROGRESS_MS,
	       (unsigned long long)(t.ops ? t.crossed * 100 / t.ops : 0),
	       fuzz->edge);
	print_mix(&t);
}

static int totals(long long ms, int differences)
{
	struct tally t = sum();

	printf("%s: %llu operations, %llu (%llu %%) across %s, %d differences; %d processes, seed %llu, %lld.%lld s, %llu/s; mix:",
	       fuzz->name, (unsigned long long)t.ops,
	       (unsigned long long)t.crossed,
	       (unsigned long long)(t.ops ? t.crossed * 100 / t.ops : 0),
	       fuzz->edge, differences, fuzz_procs,
	       (unsigned long long)opt.seed, ms / 1000, ms % 1000 / 100,
	       (unsigned long long)(ms ? t.ops * 1000 / ms : 0));
	print_mix(&t);
	return differences ? 1 : 0;
}

/* --- shrinking --- */

/* Which operation of a list sees a difference; @n if none does. */
static size_t first_wrong(const struct op *ops, size_t n)
{
	enum outcome outcome;
	size_t i;

	for (i = 0; i < n; i++)
		if (!try_op(&ops[i], &outcome))
			return i;
	return n;
}

struct shrink {
	struct op *ops, *trial;
	size_t n;
	long runs;
	long long end;
};

static bool tired(const struct shrink *s)
{
	return s->runs >= SHRINK_RUNS || now_ms() >= s->end;
}

/* Takes the first @n of s->trial for s->ops if they still see a difference. */
static bool keep_trial(struct shrink *s, size_t n)
{
	size_t wrong = first_wrong(s->trial, n);

	s->runs++;
	if (wrong == n)
		return false;
	s->n = wrong + 1;
	memcpy(s->ops, s->trial, s->n * sizeof(*s->ops));
	return true;
}

/*
 * Leaves out stretches of @len operations that are not needed. What comes first
 * has to bring device and model into a known state.
 */
static bool leave_out(struct shrink *s, size_t len)
{
	bool shorter = false;
	size_t at = 0, cut;

	while (at < s->n && !tired(s)) {
		cut = len < s->n - at ? len : s->n - at;
		if (!at && (cut == s->n || s->ops[cut].kind != s->ops[0].kind)) {
			at = 1;
			continue;
		}
		memcpy(s->trial, s->ops, at * sizeof(*s->ops));
		memcpy(s->trial + at, s->ops + at + cut,
		       (s->n - at - cut) * sizeof(*s->ops));
		if (keep_trial(s, s->n - cut))
			shorter = true;
		else
			at += cut;
	}
	return shorter;
}

static bool with_number(struct shrink *s, size_t i, int arg, long long n)
{
	memcpy(s->trial, s->ops, s->n * sizeof(*s->ops));
	s->trial[i].arg[arg] = n;
	return keep_trial(s, s->n);
}

/* Makes a number of an operation small, as if all above one did the same. */
static bool reduce(struct shrink *s, size_t i, int arg)
{
	long long before = s->ops[i].arg[arg], good = 0, bad = before, mid;

	if (bad <= 0)
		return false;
	if (with_number(s, i, arg, 0))
		return true;
	while (bad - good > 1 && i < s->n && !tired(s)) {
		mid = good + (bad - good) / 2;
		if (with_number(s, i, arg, mid))
			bad = mid;
		else
			good = mid;
	}
	return bad < before;
}

static size_t shrink(struct op *ops, size_t n)
{
	struct shrink s = {
		.ops = ops, .trial = calloc(n, sizeof(*ops)), .n = n,
		.end = now_ms() + SHRINK_MS,
	};
	size_t len, i;
	bool more;
	int arg;

	do {
		more = false;
		for (len = s.n / 2 ?: 1; len; len /= 2)
			more |= leave_out(&s, len);
		for (i = 0; i < s.n; i++)
			for (arg = 0; arg < fuzz->kinds[s.ops[i].kind].args; arg++)
				more |= reduce(&s, i, arg);
	} while (more && !tired(&s));
	free(s.trial);
	printf("%s: cut down from %zu operations to %zu in %ld runs\n",
	       fuzz->name, n, s.n, s.runs);
	return s.n;
}

/* Which device a difference was seen on, and its list of operations. */
static void keep_script(struct op *ops, size_t n, bool shrunk)
{
	const char *dir = getenv("TMPDIR") ?: "/tmp";
	char path[PATH_MAX];
	size_t i;

	snprintf(path, sizeof(path), "%s/%s-%llu.ops", dir, fuzz->name,
		 (unsigned long long)opt.seed);
	write_script(path, ops, n);
	for (i = 0; i < n && n <= SHOWN; i++) {
		fputs("  ", stdout);
		print_op(stdout, &ops[i]);
	}
	if (shrunk)
		printf("%s: the difference: %s\n", fuzz->name, difference);
	printf("%s: script: %s\n%s: replay: build/tests/%s -d %s -r %s\n",
	       fuzz->name, path, fuzz->name, fuzz->name, device_of(fuzz_me),
	       path);
}

static void explain(void)
{
	size_t n = all->length, wrong;
	struct op *ops = all->round;

	fuzz_me = all->failed - 1;
	printf("%s: DIFFERENCE in process %d, round %llu, operation %zu of the round, seed %llu:\n  %s\n  %s\n",
	       fuzz->name, fuzz_me,
	       (unsigned long long)all->tally[fuzz_me].round, n,
	       (unsigned long long)opt.seed, op_text(&ops[n - 1]), all->text);
	fflush(stdout);
	fuzz_shared = false;
	fuzz->attach(device_of(fuzz_me));
	wrong = first_wrong(ops, n);
	if (wrong == n) {
		printf("%s: the same operations alone, on an empty device, show no difference: it takes other processes, or what was before\n",
		       fuzz->name);
		keep_script(ops, n, false);
		return;
	}
	n = shrink(ops, wrong + 1);
	first_wrong(ops, n);
	keep_script(ops, n, true);
}

/* --- the processes --- */

static void stop_workers(pid_t *pids)
{
	long long end = now_ms() + 20000;
	int i;

	__atomic_store_n(&all->stop, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < fuzz_procs; i++) {
		while (pids[i] && now_ms() < end &&
		       !waitpid(pids[i], NULL, WNOHANG))
			nap_ms(10);
		if (pids[i] && now_ms() >= end)
			kill(pids[i], SIGKILL);
		pids[i] = 0;
	}
}

/* How a process ended. True: well. */
static bool ended_well(int process, int status, bool *difference_seen)
{
	const struct tally *t = &all->tally[process];

	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		exit(2);
	*difference_seen = WIFEXITED(status);
	if (!*difference_seen)
		printf("%s: process %d died of signal %d in round %llu of seed %llu: %s\n",
		       fuzz->name, process, WTERMSIG(status),
		       (unsigned long long)t->round,
		       (unsigned long long)opt.seed, op_text(&t->now));
	return false;
}

static int supervise(pid_t *pids)
{
	long long start = now_ms(), shown = start, moved[FUZZ_PROCS];
	uint64_t seen[FUZZ_PROCS] = { 0 }, before = 0;
	bool wrong = false, difference_seen = false;
	int left = fuzz_procs, i, status;

	for (i = 0; i < fuzz_procs; i++)
		moved[i] = start;
	while (left && !wrong) {
		nap_ms(20);
		for (i = 0; i < fuzz_procs && !wrong; i++) {
			const struct tally *t = &all->tally[i];

			if (!pids[i])
				continue;
			if (waitpid(pids[i], &status, WNOHANG) == pids[i]) {
				pids[i] = 0;
				left--;
				wrong = !ended_well(i, status, &difference_seen);
			} else if (t->ops + t->skipped != seen[i]) {
				seen[i] = t->ops + t->skipped;
				moved[i] = now_ms();
			} else if (now_ms() - moved[i] > STUCK_MS) {
				printf("%s: process %d is stuck in round %llu of seed %llu: %s\n",
				       fuzz->name, i, (unsigned long long)t->round,
				       (unsigned long long)opt.seed,
				       op_text(&t->now));
				kill(pids[i], SIGKILL);
				wrong = true;
			}
		}
		if (now_ms() - shown >= PROGRESS_MS) {
			shown += PROGRESS_MS;
			progress(shown - start, before);
			before = sum().ops;
		}
	}
	stop_workers(pids);
	if (difference_seen)
		explain();
	return totals(now_ms() - start, wrong);
}

static int fuzz_all(void)
{
	pid_t pids[FUZZ_PROCS];
	int i;

	printf("%s: seed %llu\n", fuzz->name, (unsigned long long)opt.seed);
	fflush(stdout);
	deadline = now_ms() + opt.seconds * 1000;
	for (i = 0; i < fuzz_procs; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			give_up("fork: %s", strerror(errno));
		if (!pids[i]) {
			fuzz_me = i;
			work();
		}
	}
	return supervise(pids);
}

static int replay(void)
{
	struct tally *t = &all->tally[0];
	long long start = now_ms();
	enum outcome outcome;
	struct op *ops;
	size_t n, i;

	ops = read_script(opt.replay, &n);
	fuzz->attach(device_of(0));
	for (i = 0; i < n; i++) {
		if (!try_op(&ops[i], &outcome)) {
			printf("%s: DIFFERENCE in operation %zu of %s:\n  %s\n  %s\n",
			       fuzz->name, i + 1, opt.replay, op_text(&ops[i]),
			       difference);
			break;
		}
		count(t, &ops[i], outcome);
	}
	free(ops);
	return totals(now_ms() - start, i < n);
}

/* --- options --- */

static void usage(FILE *f)
{
	fprintf(f, "usage: %s [-s SEED] [-n OPERATIONS] [-t SECONDS] [-d DEVICE] [-j PROCESSES]\n"
		"       [-w SCRIPT]\n"
		"       %s [-d DEVICE] -r SCRIPT\n\n%s\n\n"
		"  -s SEED        begin from this seed; by default one of chance, which is printed\n"
		"  -n OPERATIONS  how many, of all processes together (default 100000 without -t)\n"
		"  -t SECONDS     how long at most\n"
		"  -d DEVICE      the device%s\n"
		"  -j PROCESSES   how many at once (default 1)%s\n"
		"  -w SCRIPT      write the operations there (one process only)\n"
		"  -r SCRIPT      run the operations that are there\n"
		"  --lie N        spoil the model at operation N, to see that it is found\n\n"
		"A difference between device and model is printed and its operations are cut\n"
		"down to a short script, in TMPDIR or /tmp. Exit status: 0 no difference, 1 a\n"
		"difference, 2 the fuzzer could not begin.\n",
		fuzz->name, fuzz->name, fuzz->about,
		fuzz->regions ? "; several processes share it" : "",
		fuzz->regions ? ", each with a\n                 device of its own unless -d is given" :
				", each with a\n                 device of its own");
}

static long long number(const char *option, const char *text, long long least,
			long long most)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text || *end || n < least || n > most)
		give_up("%s %s: a number from %lld to %lld is wanted", option,
			text, least, most);
	return n;
}

static uint64_t seed_of(const char *text)
{
	uint64_t seed;
	char *end;

	errno = 0;
	seed = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		give_up("-s %s: a number is wanted", text);
	return seed;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "lie", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool seeded = false;
	int c;

	while ((c = getopt_long(argc, argv, "s:n:t:d:j:w:r:h", longs, NULL)) != -1) {
		switch (c) {
		case 's': opt.seed = seed_of(optarg); seeded = true; break;
		case 'n': opt.ops = number("-n", optarg, 1, LLONG_MAX); break;
		case 't': opt.seconds = number("-t", optarg, 1, 10000000); break;
		case 'd': opt.device = optarg; break;
		case 'j': fuzz_procs = number("-j", optarg, 1, FUZZ_PROCS); break;
		case 'w': opt.script = optarg; break;
		case 'r': opt.replay = optarg; break;
		case 'l': opt.lie = number("--lie", optarg, 2, LLONG_MAX); break;
		case 'h': usage(stdout); exit(0);
		default: fprintf(stderr, "%s --help tells more\n", fuzz->name); exit(2);
		}
	}
	if (optind < argc)
		give_up("\"%s\": no such argument (--help tells which there are)",
			argv[optind]);
	if (opt.script && (fuzz_procs > 1 || opt.replay))
		give_up("-w writes what one process makes up: it goes with neither -j nor -r");
	if (opt.replay && (fuzz_procs > 1 || seeded || opt.ops || opt.seconds || opt.lie))
		give_up("-r runs what the script says: only -d goes with it");
	if (opt.device && fuzz_procs > 1 && !fuzz->regions)
		give_up("processes cannot share a device: -d goes with -j 1 only");
	if (!opt.ops && !opt.seconds)
		opt.ops = 100000;
	if (!seeded && !opt.replay &&
	    getrandom(&opt.seed, sizeof(opt.seed), 0) != sizeof(opt.seed))
		give_up("getrandom: %s", strerror(errno));
	fuzz_shared = opt.device && fuzz_procs > 1;
}

int fuzz_main(int argc, char **argv, const struct fuzz *which)
{
	int i;

	fuzz = which;
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	for (i = 0; i < fuzz_procs; i++)
		if (access(device_of(i), R_OK | W_OK))
			give_up("%s: %s", device_of(i), strerror(errno));
	make_shared();
	noise(0);
	return opt.replay ? replay() : fuzz_all();
}
