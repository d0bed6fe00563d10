/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/pram, from within the control group of a container. */
#ifndef PRAM_PLUGIN_DEVICE_H
#define PRAM_PLUGIN_DEVICE_H

/**
 * pram_device_open() - open /dev/pram, past the device filter of criu's control group
 * @outside: set to 0, or the error with which it could not be opened from outside either
 *
 * A container runtime puts criu into the container's control group before it has criu
 * restore something there, and that group's filter forbids all devices that the container
 * may not have. It looks at who opens, not at who has the descriptor. So a child that shares
 * criu's descriptors opens the device from the root of the control groups. That takes
 * a cgroup file system that criu may write to, which lets whoever has it do as much.
 * Nothing of it is left for the container: its filter is as it was, restored tasks get no
 * descriptor of criu's, and the kernel asks for CAP_SYS_ADMIN at each call.
 *
 * Return: as pram_open().
 */
int pram_device_open(int *outside);

#endif /* PRAM_PLUGIN_DEVICE_H */
