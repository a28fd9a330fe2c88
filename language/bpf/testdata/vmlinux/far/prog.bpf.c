#include "vmlinux_7_3.h"
#include <bpf/bpf_helpers.h>
