#ifndef BPF_EVENT_H
#define BPF_EVENT_H

#include <linux/types.h>

// What each program sends.
struct event {
	__u32 pid;
	char comm[16];
};

#endif
