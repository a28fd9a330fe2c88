// Global variables: the sections that become maps, and what they hold.
#include "features.h"

const volatile __u32 limit = 42;          // .rodata
const char greeting[] = "signed and sealed"; // .rodata
__u64 counter = 7;                        // .data
__u64 zeroed;                             // .bss
static volatile __u32 own = 11;           // .data, not seen from outside
__u32 custom SEC(".data.custom") = 0x600d;
const volatile __u32 fixed SEC(".rodata.fixed") = 0xf1;
__u64 empty SEC(".bss.empty");
// A section that user space cannot map: all its variables are hidden.
__attribute__((visibility("hidden"))) __u32 hidden SEC(".data.hidden") = 5;

SEC("syscall")
int sum(void *ctx)
{
	__u64 n = limit + counter + zeroed + own + custom + fixed + empty + hidden;

	counter++;
	zeroed = n;
	return n + greeting[0];
}

LICENSE("GPL");
