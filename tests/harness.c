// SPDX-License-Identifier: GPL-2.0
/*
 * The common part of the C tests: see harness.h.
 *
 * libcheck runs the cases and writes its own TAP into a pipe. The program
 * itself reads that pipe and prints the TAP that people see: the plan first,
 * so that a run that dies is noticed, the names of the table, skips, and the
 * text of a failure as diagnostics.
 */
#include "harness.h"

#include <dirent.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>

#define PERIOD 65521		/* prime: no quantum or set repeats it */
#define REASON 256
#define DEFAULT_LIMIT 60

/* Of the whole run; the cases' processes share it. */
static struct run {
	int current;
	char skipped[][REASON];
} *run;

void (*before_cases)(void);

static bool all_need_module;
static char private_dir[64];

/* --- results --- */

void diag(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dprintf(STDOUT_FILENO, "# %s\n", text);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(run->skipped[run->current], REASON, fmt, ap);
	va_end(ap);
	exit(EXIT_SUCCESS);
}

#define BUILTIN "the driver is built in"

void needs_module(void)
{
	if (!scull_is_builtin())
		return;
	if (run)
		skip(BUILTIN);
	all_need_module = true;
}

void fail_at(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	_ck_assert_failed(file, line, "failed", "%s:%d: %s",
			  base ? base + 1 : file, line, text);
	abort();
}

long long sys_at(const char *file, int line, const char *what, long long ret)
{
	if (ret == -1)
		fail_at(file, line, "%s: %s", what, strerror(errno));
	return ret;
}

void ret_at(const char *file, int line, const char *what, long long ret,
	    long long want)
{
	if (ret == want)
		return;
	if (ret == -1)
		fail_at(file, line, "%s: %s, expected %lld", what,
			strerror(errno), want);
	fail_at(file, line, "%s: %lld, expected %lld", what, ret, want);
}

/* Two rounds of arm64's loop, whose loads are ahead of its stores. */
#define CUT_SHORT 128

size_t cut_at(const char *file, int line, const char *what, long long ret,
	      size_t good)
{
#ifdef __x86_64__
	ret_at(file, line, what, ret, good);
#else
	if (ret == -1 && errno == EFAULT && good < CUT_SHORT)
		return 0;
	if (ret <= 0 || ret > (long long)good ||
	    ret + CUT_SHORT <= (long long)good)
		fail_at(file, line, "%s: %lld, expected %zu or a little less",
			what, ret, good);
#endif
	return ret;
}

void errno_at(const char *file, int line, const char *what, long long ret,
	      int want, const char *name)
{
	if (ret == -1 && errno == want)
		return;
	if (ret == -1)
		fail_at(file, line, "%s: %s, expected %s", what,
			strerror(errno), name);
	fail_at(file, line, "%s: %lld, expected %s", what, ret, name);
}

void bytes_at(const char *file, int line, const void *buf, size_t len,
	      off_t off, unsigned char byte)
{
	const unsigned char *p = buf;
	size_t i;

	if (!len || (p[0] == byte && !memcmp(p, p + 1, len - 1)))
		return;
	for (i = 0; p[i] == byte; i++)
		;
	fail_at(file, line, "byte at %lld is 0x%02x, expected 0x%02x",
		(long long)off + (long long)i, p[i], byte);
}

/* --- the run --- */

static void next_case(void)
{
	run->current++;
}

static void clean_up(void)
{
	if (before_cases)
		before_cases();
	reset_devices();
}

static void run_cases(const struct test *const *tests, size_t n)
{
	Suite *suite = suite_create("scull");
	SRunner *runner;
	size_t i;

	for (i = 0; i < n; i++) {
		TCase *tc = tcase_create(tests[i]->name);

		tcase_set_timeout(tc, tests[i]->limit ?: DEFAULT_LIMIT);
		tcase_add_unchecked_fixture(tc, next_case, NULL);
		tcase_add_checked_fixture(tc, clean_up, NULL);
		tcase_add_loop_test(tc, *tests[i]->code, tests[i]->arg,
				    tests[i]->arg + 1);
		suite_add_tcase(suite, tc);
	}
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK);
	srunner_set_tap(runner, "-");
	setvbuf(stdout, NULL, _IOLBF, 0);
	srunner_run_all(runner, CK_SILENT);
	srunner_free(runner);
}

/* libcheck says "file:case:function: message". */
static const char *message(const char *line, const struct test *test)
{
	const char *name = (*test->code)->name;
	char key[128];
	const char *at;

	snprintf(key, sizeof(key), ":%s: ", name);
	at = strstr(line, key);
	return at ? at + strlen(key) : line;
}

static int translate(FILE *in, const char *subject,
		     const struct test *const *tests, size_t n)
{
	size_t done = 0, len = 0;
	char *line = NULL;
	int failed = 0;

	while (getline(&line, &len, in) > 0) {
		bool ok = !strncmp(line, "ok ", 3);

		line[strcspn(line, "\n")] = '\0';
		if ((ok || !strncmp(line, "not ok ", 7)) && done < n) {
			const struct test *t = tests[done];
			const char *why = run->skipped[done++];

			printf("%sok %zu - %s: %s%s%s\n", ok ? "" : "not ",
			       done, subject, t->name,
			       ok && *why ? " # SKIP " : "", ok ? why : "");
			if (!ok)
				printf("#   %s\n", message(line, t));
			failed += !ok;
		} else if (line[0] == '#') {
			puts(line);
		} else if (strncmp(line, "1..", 3)) {
			printf("#   %s\n", line);
		}
		fflush(stdout);
	}
	free(line);
	if (done < n)
		printf("# the program ended after %zu of %zu cases\n", done, n);
	return failed || done < n;
}

static void remove_private_nodes(void)
{
	int dev;
	char path[96];

	if (!*private_dir)
		return;
	for (dev = 0; dev < 256; dev++) {
		snprintf(path, sizeof(path), "%s/scull%d", private_dir, dev);
		unlink(path);
	}
	rmdir(private_dir);
}

int run_tests(int argc, char **argv, const char *subject,
	      const struct test *tests, size_t n)
{
	const struct test *chosen[n];
	size_t i, count = 0;
	int fds[2], failed;
	FILE *in;
	pid_t pid;

	if (argc > 1 && !strcmp(argv[1], "-h")) {
		printf("usage: %s [WORDS]\nRuns the cases whose name holds WORDS, or all.\n",
		       argv[0]);
		return 0;
	}
	for (i = 0; i < n; i++)
		if (argc < 2 || strstr(tests[i].name, argv[1]))
			chosen[count++] = &tests[i];
	if (!count) {
		printf("Bail out! no case of %s is named like \"%s\"\n",
		       subject, argv[1]);
		return 1;
	}
	if (scull_major() < 0) {
		puts("Bail out! no devices \"scull\" in /proc/devices: load the module first");
		return 1;
	}
	printf("1..%zu\n", count);
	if (all_need_module) {
		for (i = 0; i < count; i++)
			printf("ok %zu - %s: %s # SKIP " BUILTIN "\n", i + 1,
			       subject, chosen[i]->name);
		return 0;
	}
	fflush(stdout);
	run = shared(sizeof(*run) + count * REASON);
	run->current = -1;
	if (pipe(fds))
		return 1;
	snprintf(private_dir, sizeof(private_dir), "/dev/scull-test.%d",
		 (int)getpid());
	pid = fork();
	if (pid < 0) {
		perror("fork");
		return 1;
	}
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		run_cases(chosen, count);
		clean_up();
		exit(0);
	}
	close(fds[1]);
	in = fdopen(fds[0], "r");
	failed = translate(in, subject, chosen, count);
	fclose(in);
	waitpid(pid, NULL, 0);
	remove_private_nodes();
	return failed;
}

/* --- devices --- */

int scull_major(void)
{
	FILE *f = fopen("/proc/devices", "r");
	char line[128], name[64];
	int major = -1, n;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Block", 5))
			break;
		if (sscanf(line, "%d %63s", &n, name) == 2 &&
		    !strcmp(name, "scull")) {
			major = n;
			break;
		}
	}
	if (f)
		fclose(f);
	return major;
}

/* Only what was loaded has a state. */
bool scull_is_builtin(void)
{
	return !access("/sys/module/scull", F_OK) &&
	       access("/sys/module/scull/initstate", F_OK);
}

int scull_param(const char *name, int otherwise)
{
	char path[128];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/sys/module/scull/parameters/%s", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%d", &n) != 1)
		n = otherwise;
	if (f)
		fclose(f);
	return n;
}

int scull_first_minor(void)
{
	return scull_param("scull_minor", 0);
}

int scull_nr_devs(void)
{
	return scull_param("scull_nr_devs", 4);
}

const char *dev_path(int dev)
{
	static char path[96];
	dev_t rdev = makedev(scull_major(), scull_first_minor() + dev);
	struct stat st;

	snprintf(path, sizeof(path), "/dev/scull%d", dev);
	if (!stat(path, &st) && S_ISCHR(st.st_mode) && st.st_rdev == rdev)
		return path;
	mkdir(private_dir, 0755);
	snprintf(path, sizeof(path), "%s/scull%d", private_dir, dev);
	mknod(path, S_IFCHR | 0666, rdev);
	return path;
}

int dev_open(int dev, int flags)
{
	const char *path = dev_path(dev);
	int fd = open(path, flags);

	if (fd < 0)
		fail_case("open %s with flags 0%o: %s", path, flags, strerror(errno));
	return fd;
}

void dev_trim(int dev)
{
	close(dev_open(dev, O_WRONLY));
}

off_t dev_size(int dev)
{
	int fd = dev_open(dev, O_RDONLY);
	off_t size = sys(lseek(fd, 0, SEEK_END));

	close(fd);
	return size;
}

int fresh(int dev, int quantum, int qset)
{
	int fd = dev_open(dev, O_RDWR);

	sys(ioctl(fd, SCULL_IOCTQUANTUM, quantum));
	sys(ioctl(fd, SCULL_IOCTQSET, qset));
	dev_trim(dev);
	return fd;
}

void reset_devices(void)
{
	int fd = dev_open(0, O_RDONLY);
	int dev;

	sys(ioctl(fd, SCULL_IOCRESET));
	close(fd);
	for (dev = 0; dev < scull_nr_devs(); dev++)
		dev_trim(dev);
}

/* --- patterns and chance --- */

static const unsigned char *pattern(void)
{
	static unsigned char table[PERIOD];
	uint32_t x = 2463534242u;
	size_t i;

	if (table[0])
		return table;
	for (i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		table[i] = 1 + x % 255;
	}
	return table;
}

static size_t phase(off_t off, unsigned int seed)
{
	return ((uint64_t)off % PERIOD + seed * 7919ull) % PERIOD;
}

void fill(void *buf, size_t len, off_t off, unsigned int seed)
{
	const unsigned char *table = pattern();
	size_t at = phase(off, seed);
	unsigned char *p = buf;

	while (len) {
		size_t n = len < PERIOD - at ? len : PERIOD - at;

		memcpy(p, table + at, n);
		p += n;
		len -= n;
		at = 0;
	}
}

void pattern_at(const char *file, int line, const void *buf, size_t len,
		off_t off, unsigned int seed)
{
	const unsigned char *table = pattern(), *p = buf;
	size_t at = phase(off, seed), i;

	while (len) {
		size_t n = len < PERIOD - at ? len : PERIOD - at;

		if (memcmp(p, table + at, n)) {
			for (i = 0; p[i] == table[at + i]; i++)
				;
			fail_at(file, line,
				"byte at %lld is 0x%02x, expected 0x%02x",
				(long long)off + (p + i - (unsigned char *)buf),
				p[i], table[at + i]);
		}
		p += n;
		len -= n;
		at = 0;
	}
}

int repeat(int n)
{
	const char *given = getenv("SCULL_TIMES");
	double times = given ? strtod(given, NULL) : 0;

	if (times <= 0)
		return n;
	return n * times < 1 ? 1 : n * times;
}

static uint64_t state;

void seed_rnd(void)
{
	const char *given = getenv("SCULL_SEED");
	uint32_t seed;

	if (given)
		seed = strtoul(given, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = now_ms();
	diag("SCULL_SEED=%u replays this case", seed);
	state = seed * 0x9e3779b97f4a7c15ull + 1;
}

uint64_t rnd(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

size_t below(size_t n)
{
	return (rnd() >> 16) % n;
}

/* --- what a device should hold --- */

struct model *model_new(int quantum, int qset, size_t room)
{
	struct model *m = xmalloc(sizeof(*m));

	m->quantum = quantum;
	m->qset = qset;
	m->room = room;
	m->bytes = xmalloc(room);
	m->there = xmalloc((room / quantum + 1) * sizeof(*m->there));
	return m;
}

void model_write(struct model *m, size_t off, const void *buf, size_t len)
{
	size_t q;

	if (!len)
		return;
	expect(off + len <= m->room, "the model is too small");
	memcpy(m->bytes + off, buf, len);
	for (q = off / m->quantum; q <= (off + len - 1) / m->quantum; q++)
		m->there[q] = true;
	if (off + len > m->size)
		m->size = off + len;
}

void model_compare(const struct model *m, int fd)
{
	unsigned char *buf = xmalloc(m->size + 1);
	size_t i;

	expect_ret(pread(fd, buf, m->size + 1, 0), m->size);
	if (memcmp(buf, m->bytes, m->size)) {
		for (i = 0; buf[i] == m->bytes[i]; i++)
			;
		fail_case("byte at %zu is 0x%02x, expected 0x%02x (size %zu, quantum %d, qset %d)",
		     i, buf[i], m->bytes[i], m->size, m->quantum, m->qset);
	}
	free(buf);
}

/* --- memory --- */

void *xmalloc(size_t len)
{
	void *p = calloc(1, len ? len : 1);

	expect(p, "no memory for the test itself: %zu bytes", len);
	return p;
}

void *shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	expect(p != MAP_FAILED, "mmap of %zu bytes: %s", len, strerror(errno));
	return p;
}

void *wide(size_t len)
{
	const size_t piece = 2 * MiB;
	int fd = sys(memfd_create("wide", 0));
	char *base;
	size_t at;

	sys(ftruncate(fd, piece));
	base = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(base != MAP_FAILED, "mmap of %zu bytes: %s", len,
	       strerror(errno));
	for (at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		expect(mmap(base + at, n, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED,
		       "mmap: %s", strerror(errno));
	}
	close(fd);
	return base;
}

void *cliff(size_t good, int prot)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t len = (good + page - 1) / page * page;
	char *base = mmap(NULL, len + page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(base != MAP_FAILED, "mmap of %zu bytes: %s", len,
	       strerror(errno));
	memset(base, 0, len);
	sys(mprotect(base, len, prot));
	sys(mprotect(base + len, page, PROT_NONE));
	return base + len - good;
}

/* --- processes --- */

pid_t spawn(void (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = sys(fork());
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	return pid;
}

void join(pid_t pid)
{
	int status;

	expect_ret(waitpid(pid, &status, 0), pid);
	expect(!WIFSIGNALED(status), "a child died of signal %d",
	       WTERMSIG(status));
	expect(!WEXITSTATUS(status), "a child exited with %d",
	       WEXITSTATUS(status));
}

void together(int n, void (*fn)(int me, void *arg), void *arg)
{
	pthread_barrier_t *gate = shared(sizeof(*gate));
	pthread_barrierattr_t attr;
	pid_t pids[n];
	int i;

	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(gate, &attr, n);
	for (i = 0; i < n; i++) {
		pids[i] = sys(fork());
		if (!pids[i]) {
			pthread_barrier_wait(gate);
			fn(i, arg);
			_exit(0);
		}
	}
	for (i = 0; i < n; i++)
		join(pids[i]);
	munmap(gate, sizeof(*gate));
}

void run_as(uid_t uid, void (*fn)(void *arg), void *arg)
{
	pid_t pid = sys(fork());

	if (!pid) {
		sys(setresgid(uid, uid, uid));
		sys(setresuid(uid, uid, uid));
		fn(arg);
		_exit(0);
	}
	join(pid);
}

long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void nap_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* --- the module --- */

static int run_program(char *const argv[])
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

/* Is this "name=value" for that name? */
static bool changes(const char *change, const char *name)
{
	size_t len = strlen(name);

	return change && !strncmp(change, name, len) && change[len] == '=';
}

int module_reload(const char *change)
{
	const char *dir = "/sys/module/scull/parameters";
	char *argv[64] = { "./scull_load" };
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 1;

	while (d && (e = readdir(d)) && n < 62) {
		char name[300], value[64] = "";
		FILE *f;

		if (e->d_name[0] == '.' || changes(change, e->d_name))
			continue;
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		f = fopen(name, "r");
		if (f && fgets(value, sizeof(value), f)) {
			value[strcspn(value, "\n")] = '\0';
			if (asprintf(&argv[n++], "%s=%s", e->d_name, value) < 0)
				return -1;
		}
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
	argv[n] = (char *)change;
	return run_program((char *[]){ "./scull_unload", NULL }) ?:
	       run_program(argv);
}

/* --- memory cgroups --- */

/* The path of a file of a group; overwritten by the next call. */
static const char *memcg_path(const char *name, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), CGROUPS "/%s/%s", name, file);
	return path;
}

static bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), error;
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return ok;
}

static bool memcg_has(const char *name, const char *file)
{
	struct stat st;

	return !stat(memcg_path(name, file), &st);
}

static bool memcg_put(const char *name, const char *file, const char *text)
{
	return put_text(memcg_path(name, file), text);
}

const char *memcg_make(const char *name)
{
	static char why[REASON];

	if (!memcg_has(".", "cgroup.controllers"))
		return "no cgroup2 at " CGROUPS;
	memcg_remove(name);
	if (mkdir(memcg_path(name, ""), 0755) && errno != EEXIST) {
		snprintf(why, sizeof(why), "no cgroup can be made: %s",
			 strerror(errno));
		return why;
	}
	if (!memcg_has(name, "memory.max") &&
	    (!memcg_put(".", "cgroup.subtree_control", "+memory") ||
	     !memcg_has(name, "memory.max"))) {
		memcg_remove(name);
		return "no memory controller in " CGROUPS;
	}
	return NULL;
}

bool memcg_limit(const char *name, const char *limit)
{
	return memcg_put(name, "memory.max", limit) &&
	       (!memcg_has(name, "memory.swap.max") ||
		memcg_put(name, "memory.swap.max", "0"));
}

bool memcg_enter(const char *name)
{
	return memcg_put(name, "cgroup.procs", "0");
}

long long memcg_used(const char *name)
{
	FILE *f = fopen(memcg_path(name, "memory.current"), "r");
	long long n;

	if (!f)
		return -1;
	if (fscanf(f, "%lld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

long long memcg_kills(const char *name)
{
	return number_in(memcg_path(name, "memory.events"), "oom_kill");
}

void memcg_remove(const char *name)
{
	rmdir(memcg_path(name, ""));
}

/* --- the machine --- */

bool kernel_before(int major, int minor)
{
	struct utsname u;
	int a, b;

	if (uname(&u) || sscanf(u.release, "%d.%d", &a, &b) != 2)
		return false;
	return a < major || (a == major && b < minor);
}

long long number_in(const char *file, const char *key)
{
	FILE *f = fopen(file, "r");
	size_t len = strlen(key);
	long long n = -1;
	char line[256];

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) &&
		    (line[len] == ' ' || line[len] == ':'))
			n = strtoll(line + len + 1, NULL, 10);
	if (f)
		fclose(f);
	return n;
}
