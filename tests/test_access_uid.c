// SPDX-License-Identifier: GPL-2.0
/*
 * sculluid and scullwuid: who counts as the device's user. The two agree on
 * that; scullwuid is opened with O_NONBLOCK here, and its refusal is EAGAIN.
 */
#include "access.h"

#include <linux/userfaultfd.h>

/* Users of no importance. */
#define ALICE	1001
#define BOB	1002
#define CAROL	1003

static int device;		/* which of the two */

static void begin_with(int which)
{
	device = which;
	begin(which);
}

static long do_try(long flags, long unused)
{
	return open_device(device, flags | (device == WUID ? O_NONBLOCK : 0));
}

static int refusal(void)
{
	return device == WUID ? EAGAIN : EBUSY;
}

static void admitted_at(int line, const struct actor *a, const char *who)
{
	int fd = ask(a, do_try, O_RDONLY, 0);

	if (fd < 0)
		fail_at(__FILE__, line, "%s was refused: %s", who,
			strerror(errno));
	sys(ask(a, do_close, fd, 0));
}

static void refused_at(int line, const struct actor *a, const char *who)
{
	if (ask(a, do_try, O_RDONLY, 0) >= 0)
		fail_at(__FILE__, line, "%s was let in", who);
	if (errno != refusal())
		fail_at(__FILE__, line, "%s was refused with %s, expected %s",
			who, strerror(errno), strerror(refusal()));
}

#define expect_admitted(actor) admitted_at(__LINE__, &(actor), #actor)
#define expect_refused(actor) refused_at(__LINE__, &(actor), #actor)

static int let_in_at(int line, const struct actor *a)
{
	int fd = ask(a, do_try, O_RDWR, 0);

	if (fd < 0)
		fail_at(__FILE__, line, "open: %s", strerror(errno));
	return fd;
}

#define let_in(actor) let_in_at(__LINE__, &(actor))

START_TEST(one_user)
{
	struct actor alice, alice_too, bob;
	int first, second, third;

	begin_with(_i);
	alice = hire_user(ALICE);
	alice_too = hire_user(ALICE);
	bob = hire_user(BOB);
	first = let_in(alice);
	second = let_in(alice);
	third = let_in(alice_too);
	expect_refused(bob);
	/* All see the same bytes. */
	expect_ret(ask(&alice, do_put, second, (long)"hello"), 5);
	expect_ret(ask(&alice_too, do_compare, third, (long)"hello"), 1);
	sys(ask(&alice, do_close, first, 0));
	expect_refused(bob);
	sys(ask(&alice_too, do_close, third, 0));
	expect_refused(bob);
	expect_admitted(alice_too);
	sys(ask(&alice, do_close, second, 0));

	/* The last close makes it free for anybody. */
	first = let_in(bob);
	expect_ret(ask(&bob, do_compare, first, (long)"hello"), 1);
	expect_refused(alice);
	expect_refused(alice_too);
	expect_admitted(bob);
	kill_actor(&bob);
	expect_admitted(alice);
}
END_TEST

START_TEST(refused_changes_nothing)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND,
		O_ACCMODE, O_WRONLY | O_CREAT | O_TRUNC,
	};
	struct actor alice, bob;
	size_t i;
	int fd;

	begin_with(_i);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	fd = let_in(alice);
	expect_ret(ask(&alice, do_put, fd, (long)"something"), 9);
	for (i = 0; i < 100 * ARRAY_SIZE(flags); i++)
		expect_errno(ask(&bob, do_try, flags[i % ARRAY_SIZE(flags)], 0),
			     refusal());
	expect_errno(ask(&bob, do_try, O_WRONLY | O_DIRECT, 0), EINVAL);
	expect_ret(ask(&alice, do_compare, fd, (long)"something"), 1);
	sys(ask(&alice, do_close, fd, 0));
	fd = let_in(bob);
	expect_ret(ask(&bob, do_compare, fd, (long)"something"), 1);
	sys(ask(&bob, do_close, fd, 0));
	/* Who is let in does trim. */
	fd = sys(ask(&alice, do_try, O_WRONLY, 0));
	expect_ret(ask(&alice, do_size, fd, 0), 0);
}
END_TEST

/* The owner is Alice; who gets past her? */
struct claim {
	const char *who;
	struct user user;
	bool passes;
};

static const struct claim claims[] = {
	{ "Alice", PLAIN_USER(ALICE), true },
	{ "Bob", PLAIN_USER(BOB), false },
	{ "real Alice, effective Bob", { ALICE, BOB, BOB }, true },
	{ "real Bob, effective Alice", { BOB, ALICE, BOB }, true },
	{ "real Bob, effective Alice, saved Alice", { BOB, ALICE, ALICE }, true },
	{ "Bob, saved Alice", { BOB, BOB, ALICE }, false },
	{ "real Bob, effective Carol", { BOB, CAROL, BOB }, false },
	{ "root", { 0, 0, 0, ALL_CAPS }, true },
	{ "root without capabilities", PLAIN_USER(0), false },
	{ "root without CAP_DAC_OVERRIDE",
	  { 0, 0, 0, ALL_CAPS & ~CAP(DAC_OVERRIDE) }, false },
	{ "Bob with CAP_DAC_OVERRIDE alone",
	  { BOB, BOB, BOB, CAP(DAC_OVERRIDE) }, true },
	{ "Bob with all capabilities but CAP_DAC_OVERRIDE",
	  { BOB, BOB, BOB, ALL_CAPS & ~CAP(DAC_OVERRIDE) }, false },
	{ "Bob with CAP_DAC_READ_SEARCH",
	  { BOB, BOB, BOB, CAP(DAC_READ_SEARCH) }, false },
	{ "a set-uid root program of Bob's", { BOB, 0, 0, ALL_CAPS }, true },
	{ "real Alice, effective root, no capabilities",
	  { ALICE, 0, 0, NO_CAPS }, true },
};

START_TEST(who_passes)
{
	struct actor alice, bob, claimant;
	int fd, other;
	size_t i;

	begin_with(_i);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	for (i = 0; i < ARRAY_SIZE(claims); i++) {
		struct claim c = claims[i];

		claimant = hire(become_user, &c.user);
		fd = let_in(alice);
		if (!c.passes) {
			refused_at(__LINE__, &claimant, c.who);
			sys(ask(&alice, do_close, fd, 0));
			dismiss(&claimant);
			continue;
		}
		other = ask(&claimant, do_try, O_RDWR, 0);
		expect(other >= 0, "%s: %s", c.who, strerror(errno));
		/* The device goes on being Alice's, also when she leaves. */
		expect_refused(bob);
		expect_admitted(alice);
		sys(ask(&alice, do_close, fd, 0));
		expect_refused(bob);
		expect_admitted(alice);
		dismiss(&claimant);
		/* And now it is free. */
		expect_admitted(bob);
	}
}
END_TEST

/* Whoever opens a free device is its owner by his real uid. */
struct claimant {
	struct user user;
	uid_t passes;
	uid_t fails;
};

static const struct claimant firsts[] = {
	{ PLAIN_USER(ALICE), ALICE, BOB },
	{ { ALICE, BOB, BOB }, ALICE, BOB },
	{ { BOB, ALICE, ALICE }, BOB, ALICE },
	{ { ALICE, 0, 0, ALL_CAPS }, ALICE, BOB },
	{ { 0, ALICE, 0, NO_CAPS }, 0, ALICE },
	{ { 0, 0, 0, ALL_CAPS }, 0, ALICE },
	{ { BOB, BOB, BOB, CAP(DAC_OVERRIDE) }, BOB, ALICE },
};

START_TEST(first_opener)
{
	char who[64];
	size_t i;

	begin_with(_i);
	for (i = 0; i < ARRAY_SIZE(firsts); i++) {
		struct claimant c = firsts[i];
		struct actor first = hire(become_user, &c.user);
		struct actor same = hire_user(c.passes);
		struct actor other = hire_user(c.fails);

		let_in(first);
		snprintf(who, sizeof(who), "%u after real %u, effective %u",
			 c.passes, c.user.ruid, c.user.euid);
		expect_admitted(first);
		admitted_at(__LINE__, &same, who);
		snprintf(who, sizeof(who), "%u after real %u, effective %u",
			 c.fails, c.user.ruid, c.user.euid);
		refused_at(__LINE__, &other, who);
		dismiss(&first);
		expect_admitted(other);
		dismiss(&same);
		dismiss(&other);
	}
}
END_TEST

static long do_become(long ruid, long euid)
{
	return setresuid(ruid, euid, -1);
}

START_TEST(user_changes)
{
	struct user user = { ALICE, ALICE, 0, CAP(SETUID) };
	struct actor a, alice, bob;
	int first, second;

	begin_with(_i);
	a = hire(become_user, &user);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	first = let_in(a);
	/* What it has open goes on being Alice's, whoever it is now. */
	sys(ask(&a, do_become, BOB, BOB));
	expect_refused(a);
	expect_refused(bob);
	expect_admitted(alice);
	/* Like su in Alice's session, with a way back. */
	sys(ask(&a, do_become, ALICE, BOB));
	second = let_in(a);
	sys(ask(&a, do_become, BOB, BOB));
	sys(ask(&a, do_close, first, 0));
	expect_refused(a);
	expect_admitted(alice);
	sys(ask(&a, do_close, second, 0));
	second = let_in(a);
	expect_refused(alice);
	expect_admitted(bob);
}
END_TEST

static long do_dup(long fd, long unused)
{
	return dup(fd);
}

static long do_adopt(long pid, long fd)
{
	return copy_fd(&(struct actor){ .pid = pid }, fd);
}

START_TEST(counted_by_file)
{
	struct user with_ptrace = { BOB, BOB, BOB, CAP(SYS_PTRACE) };
	struct actor alice, bob;
	int fd, again, bobs;

	begin_with(_i);
	alice = hire_user(ALICE);
	bob = hire(become_user, &with_ptrace);
	fd = let_in(alice);
	again = sys(ask(&alice, do_dup, fd, 0));
	sys(ask(&alice, do_close, fd, 0));
	expect_refused(bob);
	/* Bob is handed Alice's open file: he may use it, and it is hers. */
	bobs = sys(ask(&bob, do_adopt, alice.pid, again));
	expect_ret(ask(&bob, do_put, bobs, (long)"from Bob"), 8);
	expect_ret(ask(&alice, do_compare, again, (long)"from Bob"), 1);
	expect_refused(bob);
	sys(ask(&alice, do_close, again, 0));
	expect_refused(bob);
	expect_admitted(alice);
	sys(ask(&bob, do_close, bobs, 0));
	fd = let_in(bob);
	expect_refused(alice);
}
END_TEST

START_TEST(killed)
{
	struct actor alice, bob;
	int i;

	begin_with(_i);
	for (i = 0; i < 20; i++) {
		alice = hire_user(i % 2 ? ALICE : CAROL);
		bob = hire_user(BOB);
		let_in(alice);
		let_in(alice);
		expect_refused(bob);
		kill_actor(&alice);
		let_in(bob);
		kill_actor(&bob);
	}
}
END_TEST

/* --- user namespaces --- */

static long do_enter_namespace(long unused, long unused2)
{
	return unshare(CLONE_NEWUSER);
}

/* Its own root there, with all capabilities that a namespace gives. */
static long do_settle(long uid, long unused)
{
	if (setresgid(uid, uid, uid) || prctl(PR_SET_KEEPCAPS, 1) ||
	    setresuid(uid, uid, uid))
		return -1;
	return getuid() == (uid_t)uid ? 0 : -1;
}

static void write_map(const struct actor *a, const char *which, uid_t inside,
		      uid_t outside)
{
	char path[64], text[64];
	int fd, len;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)a->pid, which);
	fd = sys(open(path, O_WRONLY));
	len = snprintf(text, sizeof(text), "%u %u 1\n", inside, outside);
	expect_ret(write(fd, text, len), len);
	close(fd);
}

/* Somebody whose uid is @inside for himself, and @outside for all others. */
static struct actor hire_in_namespace(uid_t inside, uid_t outside)
{
	struct actor a = hire(NULL, NULL);

	if (ask(&a, do_enter_namespace, 0, 0))
		skip("no user namespaces: %s", strerror(errno));
	write_map(&a, "uid_map", inside, outside);
	write_map(&a, "gid_map", inside, outside);
	sys(ask(&a, do_settle, inside, 0));
	return a;
}

START_TEST(namespaces)
{
	struct actor alice, bob, container_root, containers_alice, alices_root;
	struct actor nobodys_root;

	begin_with(_i);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	container_root = hire_in_namespace(0, BOB);
	containers_alice = hire_in_namespace(ALICE, BOB);
	alices_root = hire_in_namespace(0, ALICE);
	nobodys_root = hire_in_namespace(0, 65534);

	let_in(alice);
	expect_refused(container_root);
	expect_refused(containers_alice);
	expect_refused(nobodys_root);
	expect_admitted(alices_root);
	expect_refused(bob);
	dismiss(&alice);

	/* And when they come first: the owner is who he is outside. */
	let_in(containers_alice);
	alice = hire_user(ALICE);
	expect_refused(alice);
	expect_refused(alices_root);
	expect_refused(nobodys_root);
	expect_admitted(bob);
	expect_admitted(container_root);
	dismiss(&containers_alice);
	let_in(nobodys_root);
	expect_refused(bob);
	expect_refused(container_root);
	dismiss(&nobodys_root);
	expect_admitted(bob);
}
END_TEST

/* --- an open that does not come to its end --- */

/* Stops inside a write, with the device locked, until it is killed. */
static long do_stall(long fd, long unused)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	void *mem;

	if (faults < 0 || ioctl(faults, UFFDIO_API, &api))
		return -1;
	mem = mmap(NULL, page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)mem;
	reg.range.len = page;
	if (mem == MAP_FAILED || ioctl(faults, UFFDIO_REGISTER, &reg))
		return -1;
	return write(fd, mem, page);
}

static bool stalls(const struct actor *a)
{
	char path[64];
	long number = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)a->pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &number) != 1)
		number = -1;
	if (f)
		fclose(f);
	return number == SYS_write;
}

START_TEST(killed_before_it_trims)
{
	struct user stopper = { ALICE, ALICE, ALICE, CAP(SYS_PTRACE) };
	struct actor alice, alice_too, bob;
	int fd;

	begin_with(_i);
	alice = hire(become_user, &stopper);
	alice_too = hire_user(ALICE);
	bob = hire_user(BOB);
	fd = let_in(alice);
	order(&alice, do_stall, fd, 0);
	wait_until(stalls(&alice) || answered(&alice), 30,
		   "a write does not stop at a fault");
	if (answered(&alice)) {
		errno = (answer(&alice), errno);
		skip("userfaultfd: %s", strerror(errno));
	}
	/* Admitted, but it cannot trim while the write goes on. */
	order(&alice_too, do_try, O_WRONLY, 0);
	wait_until(sleeps_in_open(alice_too.pid, 'D'), 30,
		   "the open does not wait for the write");
	kill_actor(&alice_too);
	expect_refused(bob);
	kill_actor(&alice);
	let_in(bob);
}
END_TEST

/* --- races --- */

#define RACERS 4

struct race {
	struct gate gate;
	int rounds;
	bool won[RACERS];
	int wins[2];
};

/* Two of Alice's processes and two of Bob's: one user gets it, wholly. */
static void run_race(int me, void *arg)
{
	struct user user = PLAIN_USER(me % 2 ? BOB : ALICE);
	struct race *race = arg;
	int round, fd, i, n;

	become(&user);
	for (round = 0; round < race->rounds; round++) {
		pass(&race->gate);
		for (n = (round + me) % RACERS * 16 * (round % 64); n; n--)
			__asm__ volatile("");
		fd = do_try(round % 3 ? O_RDWR : O_WRONLY, 0);
		expect(fd >= 0 || errno == refusal(), "round %d: open: %s",
		       round, strerror(errno));
		race->won[me] = fd >= 0;
		pass(&race->gate);
		if (me == 0) {
			bool alice = race->won[0];

			for (i = 0; i < RACERS; i++)
				expect(race->won[i] == (i % 2 ? !alice : alice),
				       "round %d: Alice's opens %s and %s, Bob's %s and %s",
				       round, race->won[0] ? "succeeded" : "failed",
				       race->won[2] ? "succeeded" : "failed",
				       race->won[1] ? "succeeded" : "failed",
				       race->won[3] ? "succeeded" : "failed");
			race->wins[!alice]++;
		}
		close(fd);
	}
}

START_TEST(races)
{
	struct race *race = shared(sizeof(*race));
	struct actor carol;

	begin_with(_i);
	race->gate.n = RACERS;
	race->rounds = repeat(1000);
	together(RACERS, run_race, race);
	carol = hire_user(CAROL);
	expect_admitted(carol);
	diag("%d races, %d for Alice, %d for Bob", race->rounds, race->wins[0],
	     race->wins[1]);
}
END_TEST

#define FOR_BOTH(code, what)						\
	{ code, "sculluid: " what, UID, 180 },				\
	{ code, "scullwuid: " what, WUID, 180 }

static const struct test tests[] = {
	FOR_BOTH(&one_user, "one user at a time, with any number of opens"),
	FOR_BOTH(&refused_changes_nothing, "a refused open neither trims nor counts"),
	FOR_BOTH(&who_passes, "real or effective uid, or CAP_DAC_OVERRIDE"),
	FOR_BOTH(&first_opener, "it belongs to the first opener's real uid"),
	FOR_BOTH(&user_changes, "a process that becomes another user"),
	FOR_BOTH(&counted_by_file, "the owner's until the last copy is closed"),
	FOR_BOTH(&killed, "a killed holder frees it at once"),
	FOR_BOTH(&namespaces, "users are those of the initial namespace"),
	FOR_BOTH(&killed_before_it_trims, "an open killed half-way does not count"),
	FOR_BOTH(&races, "of two users at once exactly one gets it"),
};

TEST_MAIN("access_uid", tests)
