#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "prog.bpf.h"
