#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "own_y.h"
#include "x.h"
