#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "types.h"
#include "new.h"
