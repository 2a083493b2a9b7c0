// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * scullwuid: whoever has to wait for it gets in. (Who has to wait is tested in
 * test_access_uid, what many do at random in test_access_storm.)
 */
#include "access.h"

#include <sys/time.h>

/* Users of no importance. */
#define ALICE	1001
#define BOB	1002
#define CAROL	1003

static int let_in_at(int line, const struct actor *a)
{
	int fd = ask(a, do_open, WUID, O_RDWR | O_NONBLOCK);

	if (fd < 0)
		fail_at(__FILE__, line, "open: %s", strerror(errno));
	return fd;
}

#define let_in(actor) let_in_at(__LINE__, &(actor))

static void busy_at(int line, const struct actor *a)
{
	if (ask(a, do_open, WUID, O_RDWR | O_NONBLOCK) >= 0)
		fail_at(__FILE__, line, "an open succeeded, expected EAGAIN");
	if (errno != EAGAIN)
		fail_at(__FILE__, line, "open: %s, expected EAGAIN",
			strerror(errno));
}

#define expect_busy(actor) busy_at(__LINE__, &(actor))

static void waits_at(int line, const struct actor *a, const char *who)
{
	if (waits(a))
		return;
	if (!answered(a))
		fail_at(__FILE__, line, "%s was woken", who);
	fail_at(__FILE__, line, "%s waits no longer: open gave %ld (%s)", who,
		answer(a), strerror(errno));
}

#define expect_waiting(actor) waits_at(__LINE__, &(actor), #actor)

static int came_in_at(int line, const struct actor *a, const char *who)
{
	int fd = answer(a);

	if (fd < 0)
		fail_at(__FILE__, line, "%s waited and got: %s", who,
			strerror(errno));
	return fd;
}

/* Who waits is let in; the descriptor. */
#define comes_in(actor) came_in_at(__LINE__, &(actor), #actor)

static void leave(const struct actor *a, int fd)
{
	expect_ret(ask(a, do_close, fd, 0), 0);
}

START_TEST(waits_for_the_last_close)
{
	struct actor alice, alice_too, bob, carol;
	int first, second, third, fd;

	begin(WUID);
	alice = hire_user(ALICE);
	alice_too = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	first = let_in(alice);
	second = let_in(alice);
	expect_busy(bob);
	wait_in_open(&bob, WUID, O_RDWR);
	/* The device's user does not wait, though somebody else does. */
	third = let_in(alice_too);
	expect_busy(carol);
	leave(&alice, first);
	expect_waiting(bob);
	leave(&alice_too, third);
	expect_waiting(bob);
	leave(&alice, second);
	fd = comes_in(bob);

	/* From now on it is Bob's. */
	expect_busy(alice);
	expect_busy(carol);
	expect_ret(ask(&bob, do_put, fd, (long)"Bob's"), 5);
	leave(&bob, fd);
	leave(&carol, let_in(carol));
}
END_TEST

START_TEST(waits_for_a_dying_holder)
{
	struct actor alice, bob;
	int i;

	begin(WUID);
	for (i = 0; i < 20; i++) {
		alice = hire_user(ALICE);
		bob = hire_user(BOB);
		let_in(alice);
		let_in(alice);
		wait_in_open(&bob, WUID, i % 2 ? O_RDONLY : O_WRONLY);
		if (i % 3)
			kill_actor(&alice);
		else
			dismiss(&alice);
		comes_in(bob);
		dismiss(&bob);
	}
}
END_TEST

START_TEST(trims_when_let_in)
{
	static const int flags[] = { O_WRONLY, O_RDWR | O_TRUNC };
	struct actor alice, bob;
	size_t i;
	int fd;

	begin(WUID);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = let_in(alice);
		expect_ret(ask(&alice, do_put, fd, (long)"still there"), 11);
		expect_errno(ask(&bob, do_open, WUID, flags[i] | O_NONBLOCK),
			     EAGAIN);
		wait_in_open(&bob, WUID, flags[i]);
		expect_ret(ask(&alice, do_compare, fd, (long)"still there"), 1);
		leave(&alice, fd);
		fd = comes_in(bob);
		expect_ret(ask(&bob, do_size, fd, 0), 0);
		leave(&bob, fd);
	}
	/* Not even when it never is. */
	fd = let_in(alice);
	expect_ret(ask(&alice, do_put, fd, (long)"still there"), 11);
	wait_in_open(&bob, WUID, O_WRONLY);
	kill_actor(&bob);
	expect_ret(ask(&alice, do_compare, fd, (long)"still there"), 1);
	leave(&alice, fd);
	fd = let_in(alice);
	expect_ret(ask(&alice, do_compare, fd, (long)"still there"), 1);
}
END_TEST

START_TEST(privileged_guest)
{
	struct actor alice, bob, carol, root;
	int fd, guest;

	begin(WUID);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	root = hire(NULL, NULL);
	fd = let_in(alice);
	wait_in_open(&bob, WUID, O_RDWR);
	/* Root neither waits nor takes it over; but his open counts. */
	guest = sys(ask(&root, do_open, WUID, O_RDWR));
	leave(&alice, fd);
	expect_waiting(bob);
	fd = let_in(alice);
	leave(&root, guest);
	expect_waiting(bob);
	guest = sys(ask(&root, do_open, WUID, O_RDWR));
	leave(&alice, fd);
	expect_waiting(bob);
	leave(&root, guest);
	fd = comes_in(bob);
	expect_busy(alice);
	wait_in_open(&carol, WUID, O_RDWR);
	leave(&bob, fd);
	comes_in(carol);
}
END_TEST

START_TEST(with_whom_they_come)
{
	/* Real Carol, effective Bob: comes in with either. */
	struct user mixed = { CAROL, BOB, BOB, NO_CAPS };
	struct user other = { BOB, ALICE, ALICE, NO_CAPS };
	struct actor alice, bob, carol, both, first;
	int fd, bobs, boths;

	begin(WUID);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	both = hire(become_user, &mixed);
	fd = let_in(alice);
	wait_in_open(&bob, WUID, O_RDWR);
	wait_in_open(&carol, WUID, O_RDWR);
	wait_in_open(&both, WUID, O_RDWR);
	leave(&alice, fd);
	bobs = comes_in(bob);
	boths = comes_in(both);
	expect_waiting(carol);
	leave(&bob, bobs);
	/* What is left is Bob's all the same. */
	expect_waiting(carol);
	leave(&bob, let_in(bob));
	leave(&both, boths);
	fd = comes_in(carol);
	leave(&carol, fd);

	/* Who gets a free device owns it by his real uid. */
	first = hire(become_user, &other);
	fd = let_in(carol);
	wait_in_open(&first, WUID, O_RDWR);
	wait_in_open(&alice, WUID, O_RDWR);
	wait_in_open(&bob, WUID, O_RDWR);
	leave(&carol, fd);
	fd = comes_in(first);
	bobs = comes_in(bob);
	expect_waiting(alice);
	leave(&first, fd);
	expect_waiting(alice);
	leave(&bob, bobs);
	comes_in(alice);
}
END_TEST

/* --- 32 waiters of 4 users --- */

#define USERS	4
#define WAITERS	32

static uid_t user_of(int waiter)
{
	return BOB + waiter % USERS;
}

/* Nobody, or the user whose processes are all in, while all others wait. */
static uid_t user_inside(const struct actor *all, const bool *done)
{
	uid_t inside = 0;
	int i;

	for (i = 0; i < WAITERS; i++)
		if (!done[i] && answered(&all[i]))
			inside = user_of(i);
	for (i = 0; i < WAITERS; i++)
		if (!done[i] && (user_of(i) == inside) != answered(&all[i]))
			return 0;
	return inside;
}

START_TEST(many_waiters)
{
	struct actor holder, all[WAITERS];
	bool done[WAITERS] = { false };
	int first, second, turn, i, left, fd;

	begin(WUID);
	holder = hire_user(ALICE);
	for (i = 0; i < WAITERS; i++)
		all[i] = hire_user(user_of(i));
	first = let_in(holder);
	second = let_in(holder);
	for (i = 0; i < WAITERS; i++)
		wait_in_open(&all[i], WUID, i % 3 ? O_RDONLY : O_WRONLY);
	leave(&holder, first);
	for (i = 0; i < WAITERS; i++)
		expect_waiting(all[i]);
	leave(&holder, second);
	for (turn = 0; turn < USERS; turn++) {
		uid_t inside = 0;

		wait_until((inside = user_inside(all, done)), 30,
			   "turn %d: not exactly one user's processes are in",
			   turn + 1);
		/* In the order in which they came. */
		expect(inside == user_of(turn),
		       "turn %d is user %u's, expected %u's", turn + 1, inside,
		       user_of(turn));
		left = WAITERS / USERS;
		for (i = 0; i < WAITERS; i++) {
			if (done[i] || user_of(i) != inside)
				continue;
			expect(user_inside(all, done) == inside,
			       "somebody came in while user %u is", inside);
			fd = comes_in(all[i]);
			done[i] = true;
			if (i % 2)
				leave(&all[i], fd);
			else
				kill_actor(&all[i]);
			left--;
		}
		expect(!left, "%d processes of user %u did not come in", left,
		       inside);
	}
	leave(&holder, let_in(holder));
}
END_TEST

/* --- signals --- */

static int *caught;

static void count_signal(int sig)
{
	++*caught;
}

static long do_handle(long flags, long unused)
{
	struct sigaction sa = { .sa_handler = count_signal, .sa_flags = flags };

	return sigaction(SIGUSR1, &sa, NULL);
}

START_TEST(interrupted)
{
	struct actor alice, bob, carol;
	int fd, i;

	begin(WUID);
	caught = shared(sizeof(*caught));
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	sys(ask(&bob, do_handle, 0, 0));
	fd = let_in(alice);
	for (i = 0; i < 100; i++) {
		wait_in_open(&bob, WUID, O_RDWR);
		sys(kill(bob.pid, SIGUSR1));
		expect_errno(answer(&bob), EINTR);
	}
	wait_in_open(&bob, WUID, O_RDWR);
	wait_in_open(&carol, WUID, O_RDWR);
	sys(kill(bob.pid, SIGUSR1));
	expect_errno(answer(&bob), EINTR);
	/* As if he had never been there. */
	expect_waiting(carol);
	leave(&alice, fd);
	fd = comes_in(carol);
	expect_busy(bob);
	expect_busy(alice);
	leave(&carol, fd);
	leave(&alice, let_in(alice));
	/* He may come again. */
	fd = let_in(alice);
	wait_in_open(&bob, WUID, O_RDWR);
	leave(&alice, fd);
	comes_in(bob);
	expect(*caught == 101, "%d signals were handled, expected 101", *caught);
}
END_TEST

START_TEST(restarted)
{
	struct actor alice, bob;
	int fd, i;

	begin(WUID);
	caught = shared(sizeof(*caught));
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	sys(ask(&bob, do_handle, SA_RESTART, 0));
	fd = let_in(alice);
	wait_in_open(&bob, WUID, O_RDWR);
	for (i = 1; i <= 100; i++) {
		sys(kill(bob.pid, SIGUSR1));
		wait_until(*(volatile int *)caught == i, 30,
			   "signal %d was not handled", i);
		wait_until(waits(&bob), 30, "signal %d ended the open", i);
	}
	/* So do being stopped and going on. */
	sys(kill(bob.pid, SIGSTOP));
	expect_ret(waitpid(bob.pid, NULL, WUNTRACED), bob.pid);
	sys(kill(bob.pid, SIGCONT));
	wait_until(waits(&bob), 30, "SIGCONT ended the open");
	leave(&alice, fd);
	comes_in(bob);
}
END_TEST

/* SIGSTOP ends the wait, SIGCONT begins it anew. */
START_TEST(stopped)
{
	struct actor alice, bob, carol;
	int fd;

	begin(WUID);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	fd = let_in(alice);
	wait_in_open(&bob, WUID, O_RDWR);
	sys(kill(bob.pid, SIGSTOP));
	expect_ret(waitpid(bob.pid, NULL, WUNTRACED), bob.pid);
	leave(&alice, fd);
	fd = let_in(carol);
	leave(&carol, fd);
	sys(kill(bob.pid, SIGCONT));
	comes_in(bob);
	expect_busy(carol);
}
END_TEST

static long do_alarm(long unused, long unused2)
{
	struct itimerval soon = { .it_value = { 0, 20000 } };

	return setitimer(ITIMER_REAL, &soon, NULL);
}

static long do_handle_alarm(long unused, long unused2)
{
	struct sigaction sa = { .sa_handler = count_signal };

	return sigaction(SIGALRM, &sa, NULL);
}

START_TEST(time_limit)
{
	struct actor alice, bob;
	int fd;

	begin(WUID);
	caught = shared(sizeof(*caught));
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	sys(ask(&bob, do_handle_alarm, 0, 0));
	fd = let_in(alice);
	order(&bob, do_alarm, 0, 0);
	order(&bob, do_open, WUID, O_RDWR);
	sys(answer(&bob));
	/* Even if the alarm came before the open: then he waits on. */
	wait_until(answered(&bob) || (*(volatile int *)caught && waits(&bob)),
		   30, "no alarm");
	if (!answered(&bob))
		sys(kill(bob.pid, SIGALRM));
	expect_errno(answer(&bob), EINTR);
	leave(&alice, fd);
	leave(&alice, let_in(alice));
}
END_TEST

/* --- who is next is next --- */

struct intruder {
	bool begun;
	bool over;
	int successes;
};

/* Opens without waiting, again and again, while the device changes hands. */
static long do_intrude(long arg, long unused)
{
	struct intruder *in = (struct intruder *)arg;
	int fd;

	while (!__atomic_load_n(&in->over, __ATOMIC_SEQ_CST)) {
		fd = open_device(WUID, O_RDONLY | O_NONBLOCK);
		if (fd >= 0) {
			in->successes++;
			close(fd);
		}
		__atomic_store_n(&in->begun, true, __ATOMIC_SEQ_CST);
	}
	return 0;
}

/* Closes and opens again, with nothing in between. */
static long do_come_back(long fd, long unused)
{
	close(fd);
	return open_device(WUID, O_RDWR | O_NONBLOCK);
}

START_TEST(no_barging)
{
	struct intruder *in = shared(sizeof(*in));
	struct actor alice, bob, carol;
	int round, fd;

	begin(WUID);
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	for (round = 0; round < repeat(200); round++) {
		fd = let_in(alice);
		wait_in_open(&bob, WUID, O_RDWR);
		*in = (struct intruder){ .begun = false };
		order(&carol, do_intrude, (long)in, 0);
		while (!__atomic_load_n(&in->begun, __ATOMIC_SEQ_CST))
			sched_yield();
		if (round % 2) {
			leave(&alice, fd);
		} else {
			fd = ask(&alice, do_come_back, fd, 0);
			expect(fd < 0 && errno == EAGAIN,
			       "round %d: the last to leave came back before the one who waits",
			       round);
		}
		fd = comes_in(bob);
		__atomic_store_n(&in->over, true, __ATOMIC_SEQ_CST);
		sys(answer(&carol));
		expect(!in->successes,
		       "round %d: somebody came in before the one who waits",
		       round);
		leave(&bob, fd);
	}
}
END_TEST

START_TEST(signal_at_the_moment)
{
	struct actor alice, bob, carol, dave;
	int round, fd, interrupted = 0, n;

	begin(WUID);
	seed_rnd();
	caught = shared(sizeof(*caught));
	alice = hire_user(ALICE);
	bob = hire_user(BOB);
	carol = hire_user(CAROL);
	dave = hire_user(CAROL + 1);
	sys(ask(&bob, do_handle, 0, 0));
	for (round = 0; round < repeat(200); round++) {
		fd = let_in(alice);
		wait_in_open(&bob, WUID, O_RDWR);
		wait_in_open(&carol, WUID, O_RDWR);
		order(&alice, do_close, fd, 0);
		for (n = below(20000); n; n--)
			__asm__ volatile("");
		sys(kill(bob.pid, SIGUSR1));
		expect_ret(answer(&alice), 0);
		fd = answer(&bob);
		if (fd >= 0) {
			/* He has it, signal or not. */
			expect_busy(dave);
			expect_waiting(carol);
			leave(&bob, fd);
		} else {
			expect(errno == EINTR, "open: %s", strerror(errno));
			interrupted++;
		}
		leave(&carol, comes_in(carol));
		leave(&dave, let_in(dave));
	}
	diag("%d rounds, in %d the signal came first", round, interrupted);
}
END_TEST

START_TEST(kill_at_the_moment)
{
	struct actor alice, bob, carol;
	int round, fd, n;

	begin(WUID);
	seed_rnd();
	alice = hire_user(ALICE);
	carol = hire_user(CAROL);
	for (round = 0; round < repeat(150); round++) {
		bob = hire_user(BOB);
		fd = let_in(alice);
		wait_in_open(&bob, WUID, round % 2 ? O_WRONLY : O_RDONLY);
		wait_in_open(&carol, WUID, O_RDWR);
		order(&alice, do_close, fd, 0);
		for (n = below(20000); n; n--)
			__asm__ volatile("");
		kill_actor(&bob);
		expect_ret(answer(&alice), 0);
		leave(&carol, comes_in(carol));
		leave(&alice, let_in(alice));
	}
}
END_TEST

static const struct test tests[] = {
	{ &waits_for_the_last_close, "another user waits for the last close; O_NONBLOCK: EAGAIN" },
	{ &waits_for_a_dying_holder, "a holder that exits or is killed lets the next one in" },
	{ &trims_when_let_in, "an open trims when it is let in, not while it waits" },
	{ &privileged_guest, "CAP_DAC_OVERRIDE neither waits nor changes the owner" },
	{ &with_whom_they_come, "real and effective uids of those who wait" },
	{ &many_waiters, "32 waiters of 4 users, one user's together, all in the end" },
	{ &interrupted, "a signal ends the wait with EINTR and leaves no trace" },
	{ &restarted, "a handler with SA_RESTART, a stop: it goes on waiting" },
	{ &stopped, "a stopped process keeps nobody out" },
	{ &time_limit, "an alarm ends the wait" },
	{ &no_barging, "nobody comes in before the one who waits", 0, 120 },
	{ &signal_at_the_moment, "a signal while it is handed on", 0, 180 },
	{ &kill_at_the_moment, "SIGKILL while it is handed on", 0, 180 },
};

TEST_MAIN("access_wuid", tests)
