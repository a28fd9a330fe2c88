#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "near.h"
#include "lib/far.h"
#include "other/plain.h"
