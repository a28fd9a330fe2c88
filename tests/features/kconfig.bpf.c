// Kernel configuration: values that the signer declares (-kconfig NAME=VALUE).
#include "features.h"

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned CONFIG_HZ __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_TUN __kconfig;
extern char CONFIG_DEFAULT_HOSTNAME[16] __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig;

__u64 seen;

SEC("syscall")
int look(void *ctx)
{
	seen = LINUX_KERNEL_VERSION + CONFIG_HZ + CONFIG_BPF_SYSCALL + CONFIG_TUN + CONFIG_DEFAULT_HOSTNAME[0] + LINUX_HAS_BPF_COOKIE;
	return 0;
}

LICENSE("GPL");
