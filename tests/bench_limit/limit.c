// SPDX-License-Identifier: GPL-2.0
/*
 * The least that a memory device can do, which the benchmark holds against the
 * devices that it measures: /dev/bench_limit has as many single pages as it is
 * told, finds them by an index into an array, and copies page by page. It takes
 * no lock, allocates nothing when it is written to, and knows no holes, so it is
 * of no use but to be measured.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "limit.h"

/**
 * struct limit - what the device holds
 * @pages:	the pages, each an address
 * @count:	how many
 * @size:	in bytes, a multiple of the size of a page
 *
 * Nothing guards it: who resizes the device is alone with it.
 */
struct limit {
	void **pages;
	size_t count;
	loff_t size;
};

static struct limit limit;

static void limit_free(void)
{
	while (limit.count) {
		free_page((unsigned long)limit.pages[--limit.count]);
		cond_resched();
	}
	kvfree(limit.pages);
	limit.pages = NULL;
	limit.size = 0;
}

static int limit_resize(u64 size)
{
	size_t count;

	limit_free();
	if (size > (u64)totalram_pages() << PAGE_SHIFT)
		return -ENOMEM;
	count = DIV_ROUND_UP_ULL(size, PAGE_SIZE);
	if (!count)
		return 0;
	limit.pages = kvcalloc(count, sizeof(*limit.pages), GFP_KERNEL);
	if (!limit.pages)
		return -ENOMEM;
	while (limit.count < count) {
		void *page = (void *)get_zeroed_page(GFP_KERNEL);

		if (!page) {
			limit_free();
			return -ENOMEM;
		}
		limit.pages[limit.count++] = page;
		cond_resched();
	}
	limit.size = (loff_t)count << PAGE_SHIFT;
	return 0;
}

/* Nothing ever waits, so io_uring need not leave its calls to a thread. */
static int limit_open(struct inode *inode, struct file *file)
{
	file->f_mode |= FMODE_NOWAIT;
	return 0;
}

static long limit_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	__u64 size;

	if (cmd != BENCH_LIMIT_RESIZE)
		return -ENOTTY;
	if (copy_from_user(&size, (void __user *)arg, sizeof(size)))
		return -EFAULT;
	return limit_resize(size);
}

/* Inline, so that neither way asks at each page which it is. */
static __always_inline ssize_t limit_copy(struct kiocb *iocb,
					  struct iov_iter *iter, bool write)
{
	size_t left = min_t(u64, iov_iter_count(iter), limit.size - iocb->ki_pos);
	size_t offset, len, copied;
	loff_t pos = iocb->ki_pos;
	void *place;

	while (left) {
		offset = offset_in_page(pos);
		len = min_t(size_t, left, PAGE_SIZE - offset);
		place = limit.pages[pos >> PAGE_SHIFT] + offset;
		copied = write ? copy_from_iter(place, len, iter) :
				 copy_to_iter(place, len, iter);
		pos += copied;
		left -= copied;
		if (copied < len)
			break;
	}
	len = pos - iocb->ki_pos;
	iocb->ki_pos = pos;
	return len ?: -EFAULT;
}

static ssize_t limit_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return iocb->ki_pos < limit.size ? limit_copy(iocb, to, false) : 0;
}

static ssize_t limit_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return iocb->ki_pos < limit.size ? limit_copy(iocb, from, true) : -ENOSPC;
}

static const struct file_operations limit_fops = {
	.owner		= THIS_MODULE,
	.open		= limit_open,
	.read_iter	= limit_read_iter,
	.write_iter	= limit_write_iter,
	.llseek		= default_llseek,
	.unlocked_ioctl	= limit_ioctl,
};

static struct miscdevice limit_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "bench_limit",
	.fops	= &limit_fops,
};

static int __init limit_init(void)
{
	return misc_register(&limit_device);
}

static void __exit limit_exit(void)
{
	misc_deregister(&limit_device);
	limit_free();
}

module_init(limit_init);
module_exit(limit_exit);

MODULE_DESCRIPTION("The least that a memory device can do, to be measured");
MODULE_LICENSE("GPL");
