// An exception and the callback that the program names for it.
#include "features.h"

#define __exception_cb(name) __attribute__((btf_decl_tag("exception_callback:" #name)))

extern void bpf_throw(__u64 cookie) __ksym;

__attribute__((noinline)) int on_throw(__u64 cookie) { return cookie + 1; }

SEC("tc")
__exception_cb(on_throw)
int thrower(struct __sk_buff *skb)
{
	if (skb->mark)
		bpf_throw(41);
	return 0;
}

LICENSE("GPL");
