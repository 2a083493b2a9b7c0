// SPDX-License-Identifier: GPL-2.0
/* Registration: numbers, class, nodes, parameters. */
#include "harness.h"

#include <dirent.h>
#include <sys/sysmacros.h>

START_TEST(one_region)
{
	FILE *f = fopen("/proc/devices", "r");
	char line[128], name[64];
	int found = 0, n;

	expect(f, "/proc/devices: %s", strerror(errno));
	while (fgets(line, sizeof(line), f) && strncmp(line, "Block", 5))
		if (sscanf(line, "%d %63s", &n, name) == 2 &&
		    !strncmp(name, "scull", 5)) {
			found++;
			expect(!strcmp(name, "scull"), "a region \"%s\"", name);
		}
	fclose(f);
	expect_ret(found, 1);
}
END_TEST

/* The devices in the book's order, as the counts say. */
static int order(char names[][32], int room)
{
	static const struct {
		const char *name;
		const char *count;	/* NULL: one, without a number */
	} types[] = {
		{ "scull", "scull_nr_devs" },
		{ "scullpipe", "scull_p_nr_devs" },
		{ "scullsingle", NULL },
		{ "sculluid", NULL },
		{ "scullwuid", NULL },
		{ "scullpriv", NULL },
	};
	struct stat st;
	char path[64];
	int n = 0, i;
	size_t t;

	for (t = 0; t < ARRAY_SIZE(types); t++) {
		int count = types[t].count ? scull_param(types[t].count, 0) : 1;

		for (i = 0; i < count && n < room; i++) {
			if (types[t].count)
				snprintf(names[n], 32, "%s%d", types[t].name, i);
			else
				snprintf(names[n], 32, "%s", types[t].name);
			/* Not every build has every type. */
			snprintf(path, sizeof(path), "/sys/class/scull/%s",
				 names[n]);
			if (!types[t].count && stat(path, &st))
				continue;
			n++;
		}
	}
	return n;
}

START_TEST(numbers)
{
	char names[600][32];
	int n = order(names, 600), i, entries = 0;
	struct dirent *e;
	DIR *d;

	for (i = 0; i < n; i++) {
		int major = -1, minor = -1;
		char path[96];
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/scull/%.31s/dev", names[i]);
		f = fopen(path, "r");
		expect(f, "%s: %s", path, strerror(errno));
		expect(fscanf(f, "%d:%d", &major, &minor) == 2,
		       "%s holds no numbers", path);
		fclose(f);
		expect(major == scull_major() &&
		       minor == scull_first_minor() + i,
		       "%s is %d:%d, expected %d:%d", names[i], major, minor,
		       scull_major(), scull_first_minor() + i);
	}
	d = opendir("/sys/class/scull");
	expect(d, "/sys/class/scull: %s", strerror(errno));
	/* Beside the devices there are the class's own values. */
	while ((e = readdir(d)))
		entries += e->d_type == DT_LNK;
	closedir(d);
	expect_ret(entries, n);
}
END_TEST

START_TEST(nodes)
{
	char names[600][32];
	int n = order(names, 600), i;

	for (i = 0; i < n; i++) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/dev/%.31s", names[i]);
		expect(!stat(path, &st), "%s: %s", path, strerror(errno));
		expect(S_ISCHR(st.st_mode), "%s has mode 0%o", path, st.st_mode);
		expect(st.st_rdev == makedev(scull_major(),
					     scull_first_minor() + i),
		       "%s is %u:%u, expected %d:%d", path, major(st.st_rdev),
		       minor(st.st_rdev), scull_major(),
		       scull_first_minor() + i);
	}
}
END_TEST

START_TEST(no_more_minors)
{
	char names[600][32], path[] = "/dev/scull-none";
	int n = order(names, 600), around[] = { -1, n }, i;

	for (i = 0; i < 2; i++) {
		int minor = scull_first_minor() + around[i];

		if (minor < 0)
			continue;
		unlink(path);
		sys(mknod(path, S_IFCHR | 0600, makedev(scull_major(), minor)));
		expect_errno(open(path, O_RDWR), ENXIO);
		unlink(path);
	}
}
END_TEST

START_TEST(parameters)
{
	static const struct {
		const char *name;
		int value;
	} all[] = {
		{ "scull_minor", SCULL_MINOR },
		{ "scull_nr_devs", SCULL_NR_DEVS },
		{ "scull_quantum", SCULL_QUANTUM },
		{ "scull_qset", SCULL_QSET },
		{ "scull_major", -1 },		/* may be given at load */
	};
	char path[128];
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		int value = scull_param(all[i].name, -7);

		snprintf(path, sizeof(path), "/sys/module/scull/parameters/%s",
			 all[i].name);
		expect(!stat(path, &st), "%s: %s", path, strerror(errno));
		expect((st.st_mode & 07777) == 0444, "mode of %s is 0%o", path,
		       st.st_mode & 07777);
		expect(value == all[i].value ||
		       (all[i].value == -1 && value >= 0),
		       "%s is %d, expected %d", path, value, all[i].value);
	}
}
END_TEST

START_TEST(parameters_follow)
{
	int fd = dev_open(0, O_RDWR);

	sys(ioctl(fd, SCULL_IOCTQUANTUM, 123));
	sys(ioctl(fd, SCULL_IOCTQSET, 45));
	expect_ret(scull_param("scull_quantum", -1), 123);
	expect_ret(scull_param("scull_qset", -1), 45);
}
END_TEST

static const struct test tests[] = {
	{ &one_region, "one region \"scull\" in /proc/devices" },
	{ &numbers, "minors in the book's order, from scull_minor on" },
	{ &nodes, "a node for each device" },
	{ &no_more_minors, "no device before the first and after the last" },
	{ &parameters, "parameters with their defaults, readable and not writable" },
	{ &parameters_follow, "parameters show what ioctl changed" },
};

TEST_MAIN("nodes", tests)
