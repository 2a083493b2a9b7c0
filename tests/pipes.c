// SPDX-License-Identifier: GPL-2.0
/* What the C tests of the pipes share: see pipes.h. */
#include "pipes.h"

#include <linux/userfaultfd.h>
#include <sys/sysmacros.h>

/* --- pipes --- */

static char private_node[64];

static void remove_private_node(void)
{
	unlink(private_node);
}

const char *pipe_path(int number)
{
	static char path[64];
	struct stat st;
	dev_t rdev;

	if (number >= scull_param("scull_p_nr_devs", 0))
		skip("the module has no scullpipe%d", number);
	rdev = makedev(scull_major(),
		       scull_first_minor() + scull_nr_devs() + number);
	snprintf(path, sizeof(path), "/dev/scullpipe%d", number);
	if (!stat(path, &st) && S_ISCHR(st.st_mode) && st.st_rdev == rdev)
		return path;
	snprintf(path, sizeof(path), "/dev/scull-test.%d.pipe%d",
		 (int)getpid(), number);
	if (!mknod(path, S_IFCHR | 0666, rdev)) {
		strcpy(private_node, path);
		atexit(remove_private_node);
	}
	return path;
}

int pipe_open(int number, int flags)
{
	const char *path = pipe_path(number);
	int fd = open(path, flags);

	if (fd < 0)
		fail_case("open %s with flags 0%o: %s", path, flags,
			  strerror(errno));
	return fd;
}

void pipe_set_capacity(int capacity)
{
	int fd = dev_open(0, O_RDONLY);

	sys(ioctl(fd, SCULL_P_IOCTSIZE, capacity));
	close(fd);
}

int pipe_fresh(int number, int flags, int capacity)
{
	pipe_set_capacity(capacity);
	return pipe_open(number, flags);
}

void set_nonblock(int fd, bool on)
{
	int flags = sys(fcntl(fd, F_GETFL));

	sys(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

short poll_now(int fd, short events)
{
	struct pollfd p = { fd, events };

	sys(poll(&p, 1, 0));
	return p.revents;
}

/* --- processes --- */

/* Is it in this state, in system call @nr? */
static bool waits_in(pid_t pid, long nr, char wanted)
{
	char path[64], line[512];
	const char *state;
	bool asleep;
	FILE *f;
	long in;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	state = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	asleep = state && state[1] == ' ' && state[2] == wanted;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	f = asleep ? fopen(path, "r") : NULL;
	if (f) {
		asleep = fscanf(f, "%ld", &in) == 1 && in == nr;
		fclose(f);
	}
	return asleep;
}

bool asleep_in(pid_t pid, long nr)
{
	return waits_in(pid, nr, 'S');
}

bool held_in(pid_t pid, long nr)
{
	return waits_in(pid, nr, 'D');
}

int join_within(pid_t pid, int seconds)
{
	long long end = now_ms() + seconds * 1000LL;
	int status;

	while (!sys(waitpid(pid, &status, WNOHANG))) {
		if (now_ms() >= end)
			return -1;
		nap_ms(2);
	}
	return status;
}

void kill_and_join(pid_t pid)
{
	int status;

	sys(kill(pid, SIGKILL));
	status = join_within(pid, 30);
	expect(status != -1, "process %d outlives SIGKILL", (int)pid);
	expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	       "process %d ended with status 0x%x before it was killed",
	       (int)pid, status);
}

/* --- memory that holds a call up --- */

static int snare_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd >= 0)
		sys(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

void snare_possible(void)
{
	int fd = snare_open();

	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	close(fd);
}

void snare_set(struct snare *snare, int pages)
{
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = sys(snare_open());

	snare->len = pages * sysconf(_SC_PAGESIZE);
	snare->mem = mmap(NULL, snare->len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(snare->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	range.range.start = (uintptr_t)snare->mem;
	range.range.len = snare->len;
	sys(ioctl(fd, UFFDIO_REGISTER, &range));
	__atomic_store_n(&snare->fd, fd, __ATOMIC_SEQ_CST);
}

static void snare_adopt(struct snare *snare, pid_t owner)
{
	int pidfd = sys(syscall(SYS_pidfd_open, owner, 0));

	wait_until(__atomic_load_n(&snare->fd, __ATOMIC_SEQ_CST), 30,
		   "process %d sets no snare", (int)owner);
	snare->watched = sys(syscall(SYS_pidfd_getfd, pidfd, snare->fd, 0));
	close(pidfd);
}

void snare_wait(struct snare *snare, pid_t owner)
{
	struct pollfd p = { .events = POLLIN };
	struct uffd_msg msg;

	if (!snare->watched)
		snare_adopt(snare, owner);
	p.fd = snare->watched;
	expect_ret(poll(&p, 1, 30000), 1);
	expect_ret(read(p.fd, &msg, sizeof(msg)), sizeof(msg));
	expect(msg.event == UFFD_EVENT_PAGEFAULT, "userfaultfd event %d",
	       msg.event);
}

void snare_fill(struct snare *snare, size_t offset, const void *from)
{
	long page = sysconf(_SC_PAGESIZE);
	struct uffdio_copy copy = {
		.dst = (uintptr_t)snare->mem + offset,
		.src = (uintptr_t)from,
		.len = page,
	};

	sys(ioctl(snare->watched, UFFDIO_COPY, &copy));
}

/* --- chance --- */

struct chance chance_new(void)
{
	return (struct chance){ rnd() | 1 };
}

uint64_t chance_next(struct chance *chance)
{
	chance->state ^= chance->state >> 12;
	chance->state ^= chance->state << 25;
	chance->state ^= chance->state >> 27;
	return chance->state * 0x2545f4914f6cdd1dull;
}

size_t chance_below(struct chance *chance, size_t n)
{
	return (chance_next(chance) >> 16) % n;
}

long env_number(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtol(text, NULL, 0) : otherwise;
}
