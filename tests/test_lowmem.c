// SPDX-License-Identifier: GPL-2.0
/*
 * vm: memory=256M
 *
 * A device that takes all memory of a small machine: the write fails with
 * ENOMEM and never calls the OOM killer, what was written is there, and a trim
 * gives the memory back.
 */
#include <sys/mman.h>

#include "harness.h"

#include <sys/klog.h>
#include <sys/wait.h>

#define BLOCK (256 * KiB)
#define BALLAST (16 * MiB)
#define READ_ALL 3		/* of syslog(2) */

static long long mem(const char *key)
{
	return number_in("/proc/meminfo", key);
}

/*
 * How often the kernel log tells that this program called the OOM killer. On a
 * machine that is full any other may, if it needs a page at the wrong moment.
 */
static int oom_calls(void)
{
	static char log[4 * MiB];
	int n = klogctl(READ_ALL, log, sizeof(log) - 1), calls = 0;
	char *at = log;

	expect(n >= 0, "the kernel log: %s", strerror(errno));
	log[n] = '\0';
	while ((at = strstr(at, "test_lowmem invoked oom-killer"))) {
		calls++;
		at++;
	}
	return calls;
}

static void fill_it_up(void *quantum)
{
	unsigned char *buf = xmalloc(BLOCK);
	void *ballast;
	long long before;
	int fd, calls, err;
	size_t size = 0, at;
	ssize_t n;

	/* A page of our own that must be read back would call the OOM killer. */
	sys(mlockall(MCL_CURRENT | MCL_FUTURE));
	calls = oom_calls();
	fd = fresh(0, *(int *)quantum, 1000);
	before = mem("MemAvailable");
	/*
	 * From here on this process needs no memory of its own, and makes no
	 * other calls than on the device, for those might need the kernel's
	 * and call the OOM killer to get some. That is over once it drops what
	 * it holds as ballast: at once, for the sake of the others here.
	 */
	sys(mlockall(MCL_CURRENT | MCL_FUTURE));
	ballast = shared(BALLAST);
	for (;;) {
		fill(buf, BLOCK, size, 1);
		n = pwrite(fd, buf, BLOCK, size);
		if (n < 0)
			break;
		expect(n > 0, "pwrite gave 0");
		size += n;
		expect(size < 512UL * MiB, "%zu bytes fitted", size);
	}
	err = errno;
	munmap(ballast, BALLAST);
	errno = err;
	expect_errno(n, ENOMEM);
	for (at = 0; at < size; at += n) {
		n = sys(pread(fd, buf, BLOCK, at));
		expect(n > 0, "read 0 bytes at %zu of %zu", at, size);
		expect_pattern(buf, n, at, 1);
	}
	expect_ret(lseek(fd, 0, SEEK_END), size);
	dev_trim(0);
	wait_until(mem("MemAvailable") > before - 24 * 1024, 30,
		   "MemAvailable: %lld KiB before, %lld after the trim",
		   before, mem("MemAvailable"));
	diag("%lld MiB fitted", size / MiB);
	expect_ret(oom_calls(), calls);
	/* And it works as before. */
	expect_ret(pwrite(fd, buf, BLOCK, 0), BLOCK);
}

/*
 * Whoever else needs a page while all is full calls the OOM killer, which takes
 * the largest: this. That says nothing of the device, so it gets another try.
 */
START_TEST(fill_up)
{
	int quantum = _i, status, tries, calls = oom_calls();

	if (mem("MemTotal") > 512 * 1024)
		skip("this is for a machine of 256 MiB, not of %lld",
		     mem("MemTotal") / 1024);
	for (tries = 1;; tries++) {
		pid_t pid = spawn(fill_it_up, &quantum);

		expect_ret(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			break;
		dev_trim(0);
		expect_ret(oom_calls(), calls);
		expect(tries < 5, "killed %d times", tries);
		diag("killed, because another program needed memory");
	}
	expect(!status, "the child ended with status %#x", status);
}
END_TEST

static const struct test tests[] = {
	{ &fill_up, "256 MiB full: ENOMEM and no OOM killer, quantum 4000", 4000, 240 },
	{ &fill_up, "256 MiB full: ENOMEM and no OOM killer, quantum 512", 512, 240 },
	{ &fill_up, "256 MiB full: ENOMEM and no OOM killer, quantum 262144", 262144, 240 },
};

TEST_MAIN("lowmem", tests)
