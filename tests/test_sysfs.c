// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs shows of each kind of device, and the values of the class that can
 * be set there; and the maps in debugfs.
 */
#include "access.h"
#include "attributes.h"
#include "pipes.h"

#include <dirent.h>

#define ALICE 1101
#define BOB 1102

#define DEBUGFS "/sys/kernel/debug"
#define MAPS DEBUGFS "/scull"

/* --- which files there are --- */

#define COUNTERS							\
	"again read_bytes reads refused short_reads short_writes"
#define BARE "opens qset quanta quantum size type"

static const struct {
	const char *device, *kind, *files, *counters;
} kinds[] = {
	{ "scull0", "bare", BARE, COUNTERS " trims write_bytes writes" },
	{ "scullpipe0", "pipe", "capacity opens readers type used writers",
	  COUNTERS " sleeps wakeups write_bytes writes" },
	{ "scullsingle", "single",
	  "opens owner qset quanta quantum size type waiters",
	  COUNTERS " trims write_bytes writes" },
	{ "sculluid", "uid",
	  "opens owner qset quanta quantum size type waiters",
	  COUNTERS " trims write_bytes writes" },
	{ "scullwuid", "wuid",
	  "opens owner qset quanta quantum size type waiters",
	  COUNTERS " sleeps trims wakeups write_bytes writes" },
	{ "scullpriv", "priv", "devices opens quanta size type",
	  COUNTERS " trims write_bytes writes" },
};

static int ours_only(const struct dirent *entry)
{
	static const char *const kernels[] = { "dev", "uevent", "power",
					       "waiting_for_supplier" };
	size_t i;

	if (entry->d_type != DT_REG)
		return 0;
	for (i = 0; i < ARRAY_SIZE(kernels); i++)
		if (!strcmp(entry->d_name, kernels[i]))
			return 0;
	return 1;
}

/* The names of the files in a directory, and that all may only be read. */
static void expect_files(const char *dir, const char *want)
{
	struct dirent **entries;
	char path[300], seen[1024] = "";
	struct stat st;
	int n, i;

	n = scandir(dir, &entries, ours_only, alphasort);
	expect(n >= 0, "%s: %s", dir, strerror(errno));
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
		sys(stat(path, &st));
		expect((st.st_mode & 07777) == 0444, "mode of %s is 0%o", path,
		       st.st_mode & 07777);
		strcat(seen, i ? " " : "");
		strcat(seen, entries[i]->d_name);
	}
	expect(!strcmp(seen, want), "%s has \"%s\", expected \"%s\"", dir, seen,
	       want);
}

START_TEST(files)
{
	char path[128], text[64];

	attributes_possible();
	snprintf(path, sizeof(path), "%s/type", kinds[_i].device);
	expect(attribute_text(path, text, sizeof(text)) > 0, "%s: %s", path,
	       strerror(errno));
	expect(!strcmp(text, kinds[_i].kind), "%s is \"%s\"", path, text);
	snprintf(path, sizeof(path), SYSFS "/%s", kinds[_i].device);
	expect_files(path, kinds[_i].files);
	strcat(path, "/stats");
	expect_files(path, kinds[_i].counters);
}
END_TEST

/* --- bare devices --- */

START_TEST(bare)
{
	int fd, more;

	attributes_possible();
	expect_number("scull0", "opens", 0);
	fd = fresh(0, 100, 3);
	expect_number("scull0", "opens", 1);
	expect_number("scull0", "quantum", 100);
	expect_number("scull0", "qset", 3);
	expect_number("scull0", "size", 0);
	expect_number("scull0", "quanta", 0);
	expect_ret(pwrite(fd, "x", 1, 12345), 1);
	expect_number("scull0", "size", 12346);
	expect_number("scull0", "quanta", 1);
	expect_ret(pwrite(fd, "xy", 2, 99), 2);
	expect_ret(pwrite(fd, "xy", 2, 100), 2);
	expect_number("scull0", "size", 12346);
	expect_number("scull0", "quanta", 3);

	/* What is in force, not what will be. */
	sys(ioctl(fd, SCULL_IOCTQUANTUM, 77));
	sys(ioctl(fd, SCULL_IOCTQSET, 7));
	expect_number("scull0", "quantum", 100);
	expect_number("scull0", "qset", 3);
	more = dev_open(0, O_RDONLY);
	expect_number("scull0", "opens", 2);
	close(dup(more));
	expect_number("scull0", "opens", 2);
	close(more);
	dev_trim(0);
	expect_number("scull0", "opens", 1);
	expect_number("scull0", "quantum", 77);
	expect_number("scull0", "qset", 7);
	expect_number("scull0", "size", 0);
	expect_number("scull0", "quanta", 0);
	close(fd);
	expect_number("scull0", "opens", 0);
}
END_TEST

/* --- pipes --- */

START_TEST(pipe_device)
{
	char buf[100];
	int fd, in, out;

	attributes_possible();
	pipe_set_capacity(500);
	expect_number("scullpipe0", "capacity", 500);
	in = pipe_fresh(0, O_WRONLY, 1000);
	expect_number("scullpipe0", "capacity", 1000);
	pipe_set_capacity(300);
	expect_number("scullpipe0", "capacity", 1000);
	expect_number("scullpipe0", "used", 0);
	expect_number("scullpipe0", "writers", 1);
	expect_number("scullpipe0", "readers", 0);
	expect_ret(write(in, buf, 100), 100);
	expect_number("scullpipe0", "used", 100);
	out = pipe_open(0, O_RDONLY);
	fd = pipe_open(0, O_RDWR);
	expect_number("scullpipe0", "opens", 3);
	expect_number("scullpipe0", "writers", 2);
	expect_number("scullpipe0", "readers", 2);
	expect_ret(read(out, buf, 70), 70);
	expect_number("scullpipe0", "used", 30);
	close(in);
	close(out);
	close(fd);
	expect_number("scullpipe0", "opens", 0);
	expect_number("scullpipe0", "writers", 0);
	expect_number("scullpipe0", "readers", 0);
	expect_number("scullpipe0", "used", 0);
	expect_number("scullpipe0", "capacity", 300);
}
END_TEST

/* --- who has it, who waits --- */

static void expect_owner(const char *device, const char *want)
{
	char path[64], text[64];

	snprintf(path, sizeof(path), "%s/owner", device);
	expect(attribute_text(path, text, sizeof(text)) > 0, "%s: %s", path,
	       strerror(errno));
	expect(!strcmp(text, want), "%s is \"%s\", expected \"%s\"", path, text,
	       want);
}

START_TEST(owner)
{
	const char *device = device_names[_i];
	struct actor alice;
	int fd;

	attributes_possible();
	begin(_i);
	expect_owner(device, "none");
	alice = hire_user(ALICE);
	fd = ask(&alice, do_open, _i, O_RDWR);
	expect(fd >= 0, "open: %s", strerror(errno));
	expect_owner(device, "1101");
	expect_number(device, "opens", 1);
	expect_ret(ask(&alice, do_close, fd, 0), 0);
	expect_owner(device, "none");
	expect_number(device, "opens", 0);
}
END_TEST

START_TEST(waiters)
{
	struct actor alice, bob[2];
	int fd, i;

	attributes_possible();
	begin(WUID);
	alice = hire_user(ALICE);
	bob[0] = hire_user(BOB);
	bob[1] = hire_user(BOB);
	fd = ask(&alice, do_open, WUID, O_RDWR);
	expect(fd >= 0, "open: %s", strerror(errno));
	expect_number("scullwuid", "waiters", 0);
	for (i = 0; i < 2; i++) {
		wait_in_open(&bob[i], WUID, O_RDWR);
		expect_number("scullwuid", "waiters", i + 1);
	}
	expect_owner("scullwuid", "1101");
	expect_number("scullwuid", "opens", 1);
	expect_ret(ask(&alice, do_close, fd, 0), 0);
	expect_owner("scullwuid", "1102");
	expect_number("scullwuid", "waiters", 0);
	for (i = 0; i < 2; i++)
		expect(answer(&bob[i]) >= 0, "open: %s", strerror(errno));
	expect_number("scullwuid", "opens", 2);
}
END_TEST

/* In a user namespace of its own, where nobody but @uid is anybody. */
static void in_namespace(uid_t uid)
{
	char map[32];
	int fd;

	sys(unshare(CLONE_NEWUSER));
	/* Who has changed his user may not write his own map otherwise. */
	sys(prctl(PR_SET_DUMPABLE, 1));
	snprintf(map, sizeof(map), "42 %u 1", uid);
	fd = sys(open("/proc/self/uid_map", O_WRONLY));
	expect_ret(write(fd, map, strlen(map)), strlen(map));
	close(fd);
}

static void expect_namespaced(void *unused)
{
	in_namespace(geteuid());
	expect_owner("sculluid", "65534");
}

static void expect_mapped(void *unused)
{
	in_namespace(geteuid());
	expect_owner("sculluid", "42");
}

START_TEST(owner_in_namespace)
{
	struct actor alice;

	attributes_possible();
	if (access("/proc/self/ns/user", F_OK))
		skip("this kernel has no user namespaces");
	begin(UID);
	alice = hire_user(ALICE);
	expect(ask(&alice, do_open, UID, O_RDWR) >= 0, "open: %s",
	       strerror(errno));
	join(spawn(expect_namespaced, NULL));
	run_as(ALICE, expect_mapped, NULL);
}
END_TEST

/* --- scullpriv --- */

START_TEST(private_devices)
{
	struct terminal t[2];
	struct actor a[2];
	long fd;
	int i;

	attributes_possible();
	begin(PRIV);
	wait_until(!number_of("scullpriv", "devices"), 60,
		   "private devices are left");
	expect_number("scullpriv", "size", 0);
	expect_number("scullpriv", "quanta", 0);
	for (i = 0; i < 2; i++) {
		t[i] = new_pty();
		a[i] = hire(on_terminal, &t[i]);
		fd = ask(&a[i], do_open, PRIV, O_RDWR);
		expect(fd >= 0, "open: %s", strerror(errno));
		expect_number("scullpriv", "devices", i + 1);
		expect_ret(ask(&a[i], do_put, fd, (long)"text"), 4);
		expect_number("scullpriv", "size", 4 * (i + 1));
		expect_number("scullpriv", "quanta", i + 1);
		expect_number("scullpriv", "opens", i + 1);
	}
	kill_actor(&a[0]);
	kill_actor(&a[1]);
	wait_until(!number_of("scullpriv", "devices"), 60,
		   "private devices outlive their sessions");
	expect_number("scullpriv", "opens", 0);
	expect_number("scullpriv", "size", 0);
}
END_TEST

/* --- the class --- */

static const struct {
	const char *file;
	unsigned long query, tell;
	int initial, max;
} settings[] = {
	{ "quantum", SCULL_IOCQQUANTUM, SCULL_IOCTQUANTUM, SCULL_QUANTUM, 0 },
	{ "qset", SCULL_IOCQQSET, SCULL_IOCTQSET, SCULL_QSET, 65536 },
	{ "p_buffer", SCULL_P_IOCQSIZE, SCULL_P_IOCTSIZE, SCULL_P_BUFFER,
	  16 * MiB },
};

START_TEST(class_values)
{
	static const char *const wrong[] = {
		"0", "-1", "", "\n", "x", "12x", "1 2", "2147483648",
		"-2147483649", "99999999999999999999", "0x", "4.5",
	};
	const char *file = settings[_i].file;
	int fd, max = settings[_i].max;
	char text[32], path[64];
	struct stat st;
	size_t i;

	attributes_possible();
	fd = dev_open(0, O_RDONLY);
	snprintf(path, sizeof(path), SYSFS "/%s", file);
	sys(stat(path, &st));
	expect((st.st_mode & 07777) == 0644, "mode of %s is 0%o", path,
	       st.st_mode & 07777);
	expect_ret(attribute(file), settings[_i].initial);
	sys(ioctl(fd, settings[_i].tell, 123));
	expect_ret(attribute(file), 123);
	sys(attribute_put(file, "321\n"));
	expect_ret(ioctl(fd, settings[_i].query), 321);
	sys(attribute_put(file, "0x20"));
	expect_ret(attribute(file), 32);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		/* Nothing at all never reaches the driver. */
		if (!*wrong[i])
			continue;
		expect_errno(attribute_put(file, wrong[i]), EINVAL);
	}
	expect_ret(attribute(file), 32);
	sys(attribute_put(file, "1"));
	expect_ret(attribute(file), 1);
	if (max) {
		snprintf(text, sizeof(text), "%d", max);
		sys(attribute_put(file, text));
		expect_ret(attribute(file), max);
		snprintf(text, sizeof(text), "%d", max + 1);
		expect_errno(attribute_put(file, text), EINVAL);
		expect_ret(attribute(file), max);
	}
	sys(ioctl(fd, SCULL_IOCRESET));
	expect_ret(attribute(file), settings[_i].initial);
}
END_TEST

static void put_without_right(void *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		expect_errno(attribute_put(settings[i].file, "100"), EACCES);
}

static void put_without_capability(void *unused)
{
	struct user root = { 0, 0, 0, ALL_CAPS & ~CAP(SYS_ADMIN) };
	size_t i;

	become(&root);
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		expect_errno(attribute_put(settings[i].file, "100"), EPERM);
		expect_ret(attribute(settings[i].file), settings[i].initial);
	}
}

START_TEST(class_privilege)
{
	attributes_possible();
	run_as(ALICE, put_without_right, NULL);
	join(spawn(put_without_capability, NULL));
}
END_TEST

/* --- while others work --- */

static void look_and_change(int me, void *arg)
{
	static const char *const files[] = { "size", "quanta", "quantum",
					     "qset", "opens",
					     "stats/writes", "stats/trims" };
	int *left = arg, times = repeat(300), i;
	unsigned char buf[3000] = { 0 };
	size_t f;

	if (me < 2) {
		int fd = dev_open(0, O_RDWR);

		for (i = 0; i < times; i++) {
			if (me)
				dev_trim(0);
			else
				sys(pwrite(fd, buf, sizeof(buf), 1000 * i));
		}
		__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
		return;
	}
	do {
		for (f = 0; f < ARRAY_SIZE(files); f++)
			number_of("scull0", files[f]);
		expect(number_of("scull0", "quantum") == 10, "another quantum");
		expect(number_of("scull0", "opens") <= 4, "too many opens");
		expect(number_of("scull0", "size") % 1000 == 0,
		       "half of a write is seen");
	} while (__atomic_load_n(left, __ATOMIC_SEQ_CST));
}

START_TEST(under_changes)
{
	int *left = shared(sizeof(*left));

	attributes_possible();
	*left = 2;
	close(fresh(0, 10, 7));
	together(4, look_and_change, left);
}
END_TEST

static struct snare *snare;

static void write_and_stall(void *unused)
{
	int fd = dev_open(0, O_RDWR);

	snare_set(snare, 1);
	(void)!write(fd, snare->mem, 1);
}

static void read_size(void *unused)
{
	number_of("scull0", "size");
}

/* Asks for a value that waits for the writer, and is killed while it does. */
START_TEST(stalled_writer)
{
	char page[65536] = "x";
	pid_t writer, reader;

	attributes_possible();
	snare_possible();
	snare = shared(sizeof(*snare));
	writer = spawn(write_and_stall, NULL);
	snare_wait(snare, writer);
	reader = spawn(read_size, NULL);
	wait_until(held_in(reader, SYS_read), 30,
		   "a read of size does not wait for the writer");
	/* Whatever needs no lock of the store does not wait. */
	expect_number("scull0", "opens", 1);
	number_of("scull0", "stats/writes");
	kill_and_join(reader);
	snare_fill(snare, 0, page);
	join(writer);
	expect_number("scull0", "size", 1);
}
END_TEST

/* --- maps --- */

static void maps_possible(void)
{
	if (access(MAPS, F_OK))
		skip("there is no " MAPS);
}

/* The whole map of a device, read @piece bytes at a time. */
static char *map_of(const char *device, size_t piece)
{
	size_t room = 1 * MiB, len = 0;
	char path[64], *text = xmalloc(room);
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), MAPS "/%s", device);
	fd = sys(open(path, O_RDONLY));
	do {
		n = sys(read(fd, text + len, piece));
		len += n;
		expect(len + piece < room, "%s is too long", path);
	} while (n);
	close(fd);
	text[len] = '\0';
	return text;
}

#define expect_map(device, want)					\
	do {								\
		char *seen_ = map_of(device, 65536);			\
									\
		expect(!strcmp(seen_, want),				\
		       "the map of %s is \"%s\", expected \"%s\"",	\
		       device, seen_, want);				\
		free(seen_);						\
	} while (0)

START_TEST(map_of_runs)
{
	char buf[100] = "";
	int fd;

	maps_possible();
	fd = fresh(0, 10, 3);
	expect_map("scull0", "store 0 size 0 quantum 10 qset 3\n");
	/* Quanta 0 to 3 of two sets, the last of a third, one far away. */
	expect_ret(pwrite(fd, buf, 31, 5), 31);
	expect_ret(pwrite(fd, buf, 1, 80), 1);
	expect_ret(pwrite(fd, buf, 1, 12345), 1);
	expect_map("scull0", "store 0 size 12346 quantum 10 qset 3\n"
			     "0 4\n8 1\n1234 1\n");
	expect_ret(pwrite(fd, buf, 41, 40), 41);
	expect_map("scull0", "store 0 size 12346 quantum 10 qset 3\n"
			     "0 9\n1234 1\n");
	dev_trim(0);
	expect_map("scull0", "store 0 size 0 quantum 10 qset 3\n");
}
END_TEST

START_TEST(map_in_pieces)
{
	static const size_t pieces[] = { 1, 7, 4096 };
	char *whole, *text;
	int fd, i;
	size_t p;

	maps_possible();
	fd = fresh(0, 1, 5);
	for (i = 0; i < 2000; i++)
		expect_ret(pwrite(fd, "x", 1, 3 * i), 1);
	whole = map_of("scull0", 65536);
	text = strchr(whole, '\n') + 1;
	for (i = 0; i < 2000; i++) {
		char line[32];

		snprintf(line, sizeof(line), "%d 1\n", 3 * i);
		expect(!strncmp(text, line, strlen(line)),
		       "\"%.10s\" where \"%s\" was due", text, line);
		text += strlen(line);
	}
	expect(!*text, "\"%.20s\" after the last run", text);
	for (p = 0; p < ARRAY_SIZE(pieces); p++)
		expect(!strcmp(map_of("scull0", pieces[p]), whole),
		       "by %zu bytes it is not the same", pieces[p]);
}
END_TEST

START_TEST(map_of_private)
{
	struct terminal t[2];
	struct actor a[2];
	char *text, *line;
	long id, last = 0;
	int i, stores = 0;

	maps_possible();
	begin(PRIV);
	wait_until(!number_of("scullpriv", "devices"), 60,
		   "private devices are left");
	for (i = 0; i < 2; i++) {
		t[i] = new_pty();
		a[i] = hire(on_terminal, &t[i]);
		id = ask(&a[i], do_open, PRIV, O_RDWR);
		expect_ret(ask(&a[i], do_put, id, (long)"text"), 4);
	}
	text = map_of("scullpriv", 65536);
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		expect(sscanf(line, "store %ld size 4 quantum 4000 qset 1000",
			      &id) == 1 && id > last, "\"%s\"", line);
		last = id;
		stores++;
		line = strtok(NULL, "\n");
		expect(line && !strcmp(line, "0 1"), "\"%s\"", line);
	}
	expect(stores == 2, "%d stores", stores);
	expect_number("scullpriv", "opens", 2);
}
END_TEST

static void open_map(void *unused)
{
	expect_errno(open(MAPS "/scull0", O_RDONLY), EACCES);
}

START_TEST(map_for_root)
{
	struct stat st;

	maps_possible();
	sys(stat(MAPS "/scullsingle", &st));
	expect((st.st_mode & 07777) == 0400, "its mode is 0%o",
	       st.st_mode & 07777);
	expect_errno(access(MAPS "/scullpipe0", F_OK), ENOENT);
	run_as(ALICE, open_map, NULL);
}
END_TEST

/* The device of which @_i is who has it open. */
START_TEST(map_opens_nothing)
{
	struct actor alice;
	long fd;

	maps_possible();
	begin(SINGLE);
	alice = hire_user(ALICE);
	fd = ask(&alice, do_open, SINGLE, O_RDWR);
	expect_ret(ask(&alice, do_put, fd, (long)"text"), 4);
	expect_map("scullsingle",
		   "store 0 size 4 quantum 4000 qset 1000\n0 1\n");
	expect_number("scullsingle", "opens", 1);
	expect_ret(ask(&alice, do_close, fd, 0), 0);
	expect_owner("scullsingle", "none");
	expect_map("scullsingle",
		   "store 0 size 4 quantum 4000 qset 1000\n0 1\n");
}
END_TEST

static void map_and_change(int me, void *arg)
{
	int *left = arg, times = repeat(300), fd = dev_open(0, O_RDWR), i;
	unsigned long first, count;
	char *text, *line;
	long next;

	if (!me) {
		for (i = 0; i < times; i++) {
			if (!(i % 40))
				dev_trim(0);
			sys(pwrite(fd, "x", 1, below(3000)));
		}
		__atomic_sub_fetch(left, 1, __ATOMIC_SEQ_CST);
		return;
	}
	do {
		text = map_of("scull0", 1 + below(500));
		next = -1;
		for (line = strtok(text, "\n"); line;
		     line = strtok(NULL, "\n")) {
			if (next < 0) {
				expect(!strncmp(line, "store 0 size ", 13),
				       "\"%s\"", line);
				next = 0;
				continue;
			}
			expect(sscanf(line, "%lu %lu", &first, &count) == 2 &&
			       (long)first >= next && count,
			       "\"%s\" after quantum %ld", line, next);
			next = first + count;
		}
		expect(next >= 0, "an empty map");
		free(text);
	} while (__atomic_load_n(left, __ATOMIC_SEQ_CST));
}

START_TEST(map_under_changes)
{
	int *left = shared(sizeof(*left));

	maps_possible();
	seed_rnd();
	*left = 1;
	close(fresh(0, 2, 3));
	together(3, map_and_change, left);
}
END_TEST

static const struct test tests[] = {
	{ &files, "the files of scull0", 0 },
	{ &files, "the files of scullpipe0", 1 },
	{ &files, "the files of scullsingle", 2 },
	{ &files, "the files of sculluid", 3 },
	{ &files, "the files of scullwuid", 4 },
	{ &files, "the files of scullpriv", 5 },
	{ &bare, "a bare device: what is in force" },
	{ &pipe_device, "a pipe: capacity, bytes, readers and writers" },
	FOR_SHARED(&owner, "its owner while it is open"),
	{ &waiters, "scullwuid: who waits, and who gets it" },
	{ &owner_in_namespace, "the owner as the reader's namespace knows him" },
	{ &private_devices, "scullpriv: sums over the private devices", 0, 180 },
	{ &class_values, "the class's quantum: ranges as for ioctl", 0 },
	{ &class_values, "the class's qset: ranges as for ioctl", 1 },
	{ &class_values, "the class's p_buffer: ranges as for ioctl", 2 },
	{ &class_privilege, "the class's values want CAP_SYS_ADMIN" },
	{ &under_changes, "read while others write and trim", 0, 180 },
	{ &stalled_writer, "who waits for a stalled writer can be killed" },
	{ &map_of_runs, "a map: runs of quanta across sets" },
	{ &map_in_pieces, "a map of 2000 runs, by reads of any size" },
	{ &map_of_private, "a map of each private device", 0, 180 },
	{ &map_for_root, "maps are for root only, of devices with a store" },
	{ &map_opens_nothing, "a map opens nothing" },
	{ &map_under_changes, "maps read while others write and trim", 0, 180 },
};

TEST_MAIN("sysfs", tests)
