/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernel versions differ. The rest of the driver is written for the
 * newest kernel; each entry here names the version that made the difference
 * and gives older kernels the new name.
 */
#ifndef _SCULL_COMPAT_H
#define _SCULL_COMPAT_H

#include <linux/version.h>

#define SCULL_KERNEL_BEFORE(major, minor)				\
	(KERNEL_VERSION(major, minor, 0) > LINUX_VERSION_CODE)

/* 6.4: class_create() no longer takes the module. */
#if SCULL_KERNEL_BEFORE(6, 4)
#include <linux/device.h>

static inline struct class *scull_class_create(const char *name)
{
	return class_create(THIS_MODULE, name);
}

#undef class_create
#define class_create(name) scull_class_create(name)
#endif

/* 6.5: a device without a page cache is spliced from by copying. */
#if SCULL_KERNEL_BEFORE(6, 5)
#define copy_splice_read generic_file_splice_read
#endif

#endif /* _SCULL_COMPAT_H */
