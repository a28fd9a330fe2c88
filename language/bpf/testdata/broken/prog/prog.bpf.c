#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include "evnt.h"
#include <common/event.h>
#include "excluded/e.h"
#include "code.inc"
#include "../../outside.h"
#include "vmlinux.h"
#include "twice.h"
#include <unknown/to/us.h>
