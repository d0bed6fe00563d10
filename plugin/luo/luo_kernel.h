/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the kernel's interface /dev/liveupdate that is used here. It is young:
 * systems that have such a kernel seldom have its header yet.
 */
#ifndef PRAM_PLUGIN_LUO_KERNEL_H
#define PRAM_PLUGIN_LUO_KERNEL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define LUO_DEVICE_PATH		"/dev/liveupdate"

/* Of a session's name, with its nul. */
#define LUO_SESSION_NAME_MAX	64

/* Both: @size and @name in, @fd out. */
struct luo_ioctl_session {
	__u32		size;
	__s32		fd;
	__u8		name[LUO_SESSION_NAME_MAX];
};

/* Preserve: all in. Retrieve: @size and @token in, @fd out. */
struct luo_ioctl_file {
	__u32		size;
	__s32		fd;
	__aligned_u64	token;
};

struct luo_ioctl_finish {
	__u32		size;
	__u32		reserved;
};

/* On the device. */
#define LUO_IOCTL_CREATE	_IO(0xBA, 0x00)
#define LUO_IOCTL_RETRIEVE	_IO(0xBA, 0x01)
/* On a session. */
#define LUO_IOCTL_PRESERVE_FD	_IO(0xBA, 0x40)
#define LUO_IOCTL_RETRIEVE_FD	_IO(0xBA, 0x41)
#define LUO_IOCTL_FINISH	_IO(0xBA, 0x42)

#endif /* PRAM_PLUGIN_LUO_KERNEL_H */
