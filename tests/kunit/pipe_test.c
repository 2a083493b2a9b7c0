// SPDX-License-Identifier: GPL-2.0
/*
 * The order in which a pipe stores, queues and looks, on which it depends that
 * no wakeup is lost. A processor may put a store off past later loads, but
 * hardly ever for long enough that a test with two processes would see it. So
 * the pipe is compiled here with the primitives of a processor that puts off
 * every published index until a full barrier, and with the other end at work in
 * the worst moment there is.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/tracepoint.h>
#include <linux/uio.h>
#include <linux/wait.h>

/* --- the processor --------------------------------------------------- */

/*
 * @where and @value are a store that is put off; @where is NULL if none is.
 * @unseen: somebody has queued himself and passed no barrier since. @stores,
 * @looks and @sleeps count published indices, looks for waiters, and sleeps.
 * @early and @hasty count what must not be: looks for waiters before a published
 * index can be seen, and looks at an index before it can be seen who is queued.
 * @meanwhile is what the other end does before the next waiter is queued.
 */
static struct {
	unsigned int *where;
	unsigned int value;
	bool unseen;
	unsigned int stores;
	unsigned int looks;
	unsigned int sleeps;
	unsigned int early;
	unsigned int hasty;
	void (*meanwhile)(void);
} weak;

static void weak_barrier(void)
{
	if (weak.where)
		WRITE_ONCE(*weak.where, weak.value);
	weak.where = NULL;
	weak.unseen = false;
}

static void weak_store(unsigned int *where, unsigned int value)
{
	if (weak.where)
		WRITE_ONCE(*weak.where, weak.value);
	weak.where = where;
	weak.value = value;
	weak.stores++;
}

static unsigned int weak_load(const unsigned int *where)
{
	weak.hasty += weak.unseen;
	return READ_ONCE(*where);
}

/* Nobody is ever queued but the caller, who does not wake himself. */
static int weak_awaited(struct wait_queue_head *queue)
{
	weak.looks++;
	weak.early += !!weak.where;
	weak_barrier();
	return false;
}

static void weak_poll_wait(struct file *file, struct wait_queue_head *queue,
			   poll_table *table)
{
	weak.unseen = true;
}

/* The other end gets in before the waiter is queued, so nobody wakes him. */
static bool weak_prepare(struct wait_queue_head *queue,
			 struct wait_queue_entry *entry, int state)
{
	void (*meanwhile)(void) = weak.meanwhile;

	weak.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	return prepare_to_wait_exclusive(queue, entry, state);
}

static void weak_schedule(void)
{
	weak.sleeps++;
	__set_current_state(TASK_RUNNING);
}

/* --- the pipe, on it ------------------------------------------------- */

/* Under other names, so that it goes into one kernel with the driver. */
#define scull_p_buffer pipe_test_buffer
#define scull_p_fifo pipe_test_fifo
#define scull_ioctl pipe_test_ioctl
#define scull_compat_ioctl pipe_test_compat_ioctl
#define scull_pipe_fops pipe_test_fops
#define scull_pipe_create pipe_test_create
#define scull_pipe_destroy pipe_test_destroy
#define scull_pipe_stir pipe_test_stir
#define scull_pipe_state pipe_test_state
#define scull_pipe_minor pipe_test_minor_of
#define scull_minor_drop pipe_test_minor_drop
#define scull_inject_key pipe_test_inject_key
#define scull_inject_call pipe_test_inject_call
#define scull_inject_transfer pipe_test_inject_transfer
#define scull_inject_read pipe_test_inject_read
#define scull_inject_write pipe_test_inject_write
#define scull_inject_poll pipe_test_inject_poll
#define scull_count_odd pipe_test_count_odd

#undef smp_mb
#undef smp_store_release
#undef smp_load_acquire
#define smp_mb weak_barrier
/* Put off until that barrier. */
#define smp_store_release(where, value) weak_store(where, value)
/* Of what is in memory, not of what is put off. */
#define smp_load_acquire(where) weak_load(where)
/* Here it is seen whether the barrier came before. */
#define waitqueue_active(queue) weak_awaited(queue)
#define poll_wait(file, queue, table) weak_poll_wait(file, queue, table)
#define prepare_to_wait_exclusive(queue, entry, state) \
	weak_prepare(queue, entry, state)
#define schedule() weak_schedule()

#include "../../pipe.c"

struct scull_setting scull_p_buffer = { .value = 16 };
struct scull_setting scull_p_fifo;

long scull_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return -ENOTTY;
}

#ifdef CONFIG_COMPAT
long scull_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return -ENOTTY;
}
#endif

/* Nobody looks at what is counted here. */
void scull_count_odd(struct scull_stats __percpu *stats,
		     struct scull_traffic __percpu *traffic, ssize_t ret)
{
}

/* Here no call is to fail, so nobody asks whether. */
DEFINE_STATIC_KEY_FALSE(scull_inject_key);

int scull_inject_call(struct scull_minor *minor, enum scull_op op,
		      const struct file *file)
{
	return -EIO;
}

ssize_t scull_inject_transfer(struct scull_minor *minor, enum scull_op op,
			      loff_t pos, struct kiocb *iocb,
			      struct iov_iter *iter, scull_inject_go_t *go)
{
	return -EIO;
}

ssize_t scull_inject_read(struct file *file, char __user *buf, size_t count,
			  loff_t *pos)
{
	return -EIO;
}

ssize_t scull_inject_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos)
{
	return -EIO;
}

__poll_t scull_inject_poll(struct scull_minor *minor, const struct file *file,
			   __poll_t events)
{
	return EPOLLERR;
}

void scull_minor_drop(struct scull_minor *minor)
{
}

static DEFINE_PER_CPU(struct scull_stats, pipe_test_stats);
static struct scull_minor pipe_test_minor = { .stats = &pipe_test_stats };

/* --- what is tried --------------------------------------------------- */

static struct file *pipe_test_file;

static ssize_t pipe_test_move(bool write, size_t len)
{
	struct kiocb iocb = { .ki_filp = pipe_test_file };
	char bytes[16] = "";
	struct kvec vec = { bytes, len };
	struct iov_iter iter;

	if (write) {
		iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, len);
		return scull_pipe_write_iter(&iocb, &iter);
	}
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return scull_pipe_read_iter(&iocb, &iter);
}

static void pipe_test_byte_comes(void)
{
	pipe_test_move(true, 1);
}

static void pipe_test_byte_goes(void)
{
	pipe_test_move(false, 1);
}

static int pipe_test_init(struct kunit *test)
{
	struct file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	void *pipe = scull_pipe_create(&pipe_test_minor);

	KUNIT_ASSERT_NOT_NULL(test, file);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pipe);
	file->f_mode = FMODE_READ | FMODE_WRITE;
	file->private_data = pipe;
	pipe_test_file = file;
	KUNIT_ASSERT_EQ(test, scull_pipe_open(NULL, file), 0);
	weak_barrier();
	memset(&weak, 0, sizeof(weak));
	return 0;
}

static void pipe_test_exit(struct kunit *test)
{
	scull_pipe_release(NULL, pipe_test_file);
	/* Before the place goes where the last store was put off to. */
	weak_barrier();
	scull_pipe_destroy(pipe_test_file->private_data);
}

/* Who publishes an index, at either end, looks for waiters after a barrier. */
static void pipe_test_publish(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pipe_test_move(true, 10), 10);
	KUNIT_EXPECT_EQ_MSG(test, weak.early, 0,
			    "a writer looks for readers too early");
	KUNIT_EXPECT_EQ(test, weak.stores, 1);
	weak.early = 0;
	KUNIT_EXPECT_EQ(test, pipe_test_move(false, 10), 10);
	KUNIT_EXPECT_EQ_MSG(test, weak.early, 0,
			    "a reader looks for writers too early");
	KUNIT_EXPECT_EQ(test, weak.stores, 2);
	KUNIT_EXPECT_GE(test, weak.looks, 2);
}

/* Who waits is queued, then looks, then sleeps; here he finds he need not. */
static void pipe_test_wait(struct kunit *test)
{
	weak.meanwhile = pipe_test_byte_comes;
	KUNIT_EXPECT_EQ(test, pipe_test_move(false, 1), 1);
	KUNIT_EXPECT_NULL_MSG(test, weak.meanwhile, "the reader did not wait");
	KUNIT_EXPECT_EQ_MSG(test, weak.sleeps, 0,
			    "a reader sleeps when there is data");

	KUNIT_EXPECT_EQ(test, pipe_test_move(true, 16), 16);
	weak.meanwhile = pipe_test_byte_goes;
	KUNIT_EXPECT_EQ(test, pipe_test_move(true, 1), 1);
	KUNIT_EXPECT_NULL_MSG(test, weak.meanwhile, "the writer did not wait");
	KUNIT_EXPECT_EQ_MSG(test, weak.sleeps, 0,
			    "a writer sleeps when there is room");
}

/* Who polls is queued at both ends, passes a barrier, then looks. */
static void pipe_test_poll(struct kunit *test)
{
	__poll_t room = EPOLLOUT | EPOLLWRNORM, data = EPOLLIN | EPOLLRDNORM;

	KUNIT_EXPECT_TRUE(test, scull_pipe_poll(pipe_test_file, NULL) == room);
	KUNIT_EXPECT_EQ(test, pipe_test_move(true, 16), 16);
	KUNIT_EXPECT_TRUE(test, scull_pipe_poll(pipe_test_file, NULL) == data);
	KUNIT_EXPECT_EQ_MSG(test, weak.hasty, 0,
			    "a poller looks before others can see him");
}

static struct kunit_case pipe_test_cases[] = {
	KUNIT_CASE(pipe_test_publish),
	KUNIT_CASE(pipe_test_wait),
	KUNIT_CASE(pipe_test_poll),
	{}
};

static struct kunit_suite pipe_test_suite = {
	.name = "scull_pipe",
	.init = pipe_test_init,
	.exit = pipe_test_exit,
	.test_cases = pipe_test_cases,
};

kunit_test_suite(pipe_test_suite);
