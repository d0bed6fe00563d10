// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first program of a guest whose /usr is on a disk: mounts that, and goes on
 * as the rig's init, which is a script and needs the programs there. It makes
 * out the initramfs, which is read, hashed twice and unpacked at each kexec; so
 * it is without the C library, a hundred times its size.
 */
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

static long call(long nr, long a, long b, long c, long d, long e)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

static long mount(const char *what, const char *where, const char *type, long flags)
{
	return call(SYS_mount, (long)what, (long)where, (long)type, flags, 0);
}

/* The value of "NAME=VALUE", if that is what @text begins with. */
static const char *value(const char *text, const char *name)
{
	while (*name && *text == *name) {
		text++;
		name++;
	}
	return *name ? 0 : text;
}

static void say(long fd, const char *text)
{
	long len = 0;

	while (text[len])
		len++;
	call(SYS_write, fd, (long)text, len, 0, 0);
}

/* That init ends makes the kernel panic, and the rig tell so. */
static void __attribute__((noreturn)) stop(const char *why)
{
	long fd = call(SYS_open, (long)"/dev/console", O_WRONLY, 0, 0, 0);

	say(fd, "mountusr: error: ");
	say(fd, why);
	say(fd, "\n");
	for (;;)
		call(SYS_exit, 1, 0, 0, 0, 0);
}

__attribute__((noreturn, used)) static void start(char **stack)
{
	/* argc, argv with its end, and what the kernel did not know of its command line. */
	char **argv = stack + 1, **envp = argv + (long)stack[0] + 1, **env;
	const char *disk = 0;

	for (env = envp; *env && !disk; env++)
		disk = value(*env, "rig_usr=");
	if (!disk)
		stop("no rig_usr= on the command line says which disk /usr is on");
	if (mount("dev", "/dev", "devtmpfs", 0))
		stop("devtmpfs cannot be mounted at /dev");
	if (mount(disk, "/usr", "ext4", MS_RDONLY | MS_NOATIME))
		stop("the disk that rig_usr= names cannot be mounted at /usr");
	call(SYS_execve, (long)"/rig/init", (long)argv, (long)envp, 0, 0);
	stop("/rig/init, or the bash that it needs, is not there");
}

__asm__(".globl _start\n"
	"_start:\n\t"
	"xor %ebp, %ebp\n\t"
	"mov %rsp, %rdi\n\t"
	"and $-16, %rsp\n\t"
	"call start\n");
