#ifdef __bpf__
#include <vmlinux.h>
#else
#include "user.h"
#endif
