#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "parent/headers/below.h"
