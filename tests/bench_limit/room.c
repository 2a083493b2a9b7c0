// SPDX-License-Identifier: GPL-2.0
/*
 * Takes up room among the modules, and does nothing else. What is loaded after
 * it comes to lie elsewhere than it did before, which is what the benchmark
 * loads it for.
 */
#include <linux/module.h>

static int __init room_init(void)
{
	return 0;
}
module_init(room_init);

static void __exit room_exit(void)
{
}
module_exit(room_exit);

MODULE_DESCRIPTION("Takes up room, so that other modules lie elsewhere");
MODULE_LICENSE("GPL");
