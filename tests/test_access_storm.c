// SPDX-License-Identifier: GPL-2.0
/*
 * vm: parallel
 *
 * Processes of several users open and close one device as they please, and are
 * killed and interrupted at any moment. No two are ever in that must not be,
 * and when all let go, nobody is left waiting and the device is free.
 */
#include "access.h"

#include <time.h>

#define WORKERS	8
#define USERS	4
#define FIRST	1001
#define LIMIT	30		/* seconds */

struct worker {
	uid_t uid;
	uid_t inside;		/* its uid while it surely has the device */
	bool doomed;		/* what it says may not be true any more */
	unsigned int life;	/* of the processes that were this one */
	unsigned int opens;
};

struct storm {
	enum device which;
	uint32_t seed;
	bool over;
	struct worker workers[WORKERS];
};

#define get(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define set(x, to) __atomic_store_n(&(x), (to), __ATOMIC_SEQ_CST)

static uint32_t chance(uint32_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % n;
}

/* May these two have it open at the same time? */
static bool go_together(enum device which, uid_t a, uid_t b)
{
	return which != SINGLE && a == b;
}

static void expect_alone(struct storm *storm, int me)
{
	uid_t uid = storm->workers[me].uid;
	int i;

	for (i = 0; i < WORKERS; i++) {
		struct worker *other = &storm->workers[i];
		unsigned int life = get(other->life);
		uid_t theirs = get(other->inside);

		if (i == me || !theirs || go_together(storm->which, uid, theirs))
			continue;
		/* One who was doomed then may have a successor now. */
		expect(get(other->doomed) || get(other->life) != life,
		       "users %u and %u have %s open at once",
		       uid, theirs, device_names[storm->which]);
	}
}

static void expect_reason(enum device which, int flags)
{
	int wanted = which == WUID ? EAGAIN : EBUSY;

	if (errno == wanted && (which != WUID || flags & O_NONBLOCK))
		return;
	expect(which == WUID && errno == EINTR && !(flags & O_NONBLOCK),
	       "open with flags 0%o: %s", flags, strerror(errno));
}

static void work(struct storm *storm, int me, uint32_t state)
{
	static const int modes[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC,
	};
	struct worker *self = &storm->workers[me];
	int flags, fd, n;

	while (!get(storm->over)) {
		flags = modes[chance(&state, ARRAY_SIZE(modes))];
		if (storm->which == WUID && chance(&state, 3) == 0)
			flags |= O_NONBLOCK;
		fd = open_device(storm->which, flags);
		if (fd < 0) {
			expect_reason(storm->which, flags);
			continue;
		}
		set(self->inside, self->uid);
		expect_alone(storm, me);
		self->opens++;
		for (n = chance(&state, 3); n; n--)
			sched_yield();
		expect_alone(storm, me);
		set(self->inside, 0);
		close(fd);
	}
}

static void do_nothing(int sig)
{
}

static pid_t start_worker(struct storm *storm, int me, uint32_t seed)
{
	struct user user = PLAIN_USER(storm->workers[me].uid);
	pid_t pid;

	set(storm->workers[me].inside, 0);
	set(storm->workers[me].life, storm->workers[me].life + 1);
	set(storm->workers[me].doomed, false);
	pid = sys(fork());
	if (pid)
		return pid;
	become(&user);
	work(storm, me, seed);
	_exit(0);
}

static void reap(struct storm *storm, int me, pid_t pid, bool killed)
{
	bool gone = false;
	int status;

	wait_until((gone = waitpid(pid, &status, WNOHANG) == pid), LIMIT,
		   "user %u %s though nobody has %s open any more",
		   storm->workers[me].uid,
		   sleeps_in_open(pid, 'S') ? "waits in open" : "does not end",
		   device_names[storm->which]);
	if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	expect(!WIFSIGNALED(status), "user %u died of signal %d",
	       storm->workers[me].uid, WTERMSIG(status));
	expect(!WEXITSTATUS(status), "user %u failed", storm->workers[me].uid);
}

/* All begin, some are killed or interrupted, all let go. */
static void run_round(struct storm *storm, int round)
{
	pid_t pids[WORKERS];
	bool killed[WORKERS] = { false };
	int i, n, victim;

	set(storm->over, false);
	for (i = 0; i < WORKERS; i++)
		pids[i] = start_worker(storm, i, 1 + rnd() % UINT32_MAX);
	for (n = 0; n < 12; n++) {
		struct timespec pause = { 0, below(2000000) };

		nanosleep(&pause, NULL);
		victim = below(WORKERS);
		if (below(3)) {
			sys(kill(pids[victim], SIGUSR1));
			continue;
		}
		set(storm->workers[victim].doomed, true);
		sys(kill(pids[victim], SIGKILL));
		reap(storm, victim, pids[victim], true);
		pids[victim] = start_worker(storm, victim,
					    1 + rnd() % UINT32_MAX);
	}
	/* In every other round some die as all let go. */
	for (i = 0; i < WORKERS; i++)
		killed[i] = round % 2 && below(3) == 0;
	for (i = 0; i < WORKERS; i++)
		if (killed[i])
			set(storm->workers[i].doomed, true);
	set(storm->over, true);
	for (i = 0; i < WORKERS; i++)
		if (killed[i])
			sys(kill(pids[i], SIGKILL));
	for (i = 0; i < WORKERS; i++)
		reap(storm, i, pids[i], killed[i]);
}

START_TEST(storms)
{
	struct storm *storm = shared(sizeof(*storm));
	struct user stranger = PLAIN_USER(FIRST + USERS);
	struct sigaction sa = { .sa_handler = do_nothing };
	unsigned int opens = 0;
	struct actor last;
	int round, i;

	begin(_i);
	seed_rnd();
	storm->which = _i;
	for (i = 0; i < WORKERS; i++)
		storm->workers[i].uid = FIRST + i % USERS;
	last = hire(become_user, &stranger);
	/* Before there are workers, so that none dies of it. */
	sys(sigaction(SIGUSR1, &sa, NULL));
	for (round = 0; round < repeat(15); round++) {
		int fd;

		run_round(storm, round);
		fd = ask(&last, do_open, _i, O_RDWR | O_NONBLOCK);
		expect(fd >= 0, "round %d: all have let go, and %s is taken: %s",
		       round, device_names[_i], strerror(errno));
		sys(ask(&last, do_close, fd, 0));
	}
	for (i = 0; i < WORKERS; i++)
		opens += storm->workers[i].opens;
	diag("%d rounds, %u opens", round, opens);
	expect(opens > 0, "nobody ever came in");
}
END_TEST

static const struct test tests[] = {
	{ &storms, "scullsingle: never two at once, free in the end", SINGLE, 240 },
	{ &storms, "sculluid: never two users at once, free in the end", UID, 240 },
	{ &storms, "scullwuid: never two users at once, nobody stranded", WUID, 240 },
};

TEST_MAIN("access_storm", tests)
