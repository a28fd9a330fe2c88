#include "vmlinux.h"
#include "ext4_types.h"
#include <bpf/bpf_helpers.h>
#include "bpf/bpf_tracing.h"
#include "stdint.h"
#include <api/v1.h>
#include "root.h"
#include "third_party/api.h"
#include "gen/limits.gen.h"
#include "sibling/deep/near.h"
#ifdef NEVER
#include "nowhere.h"
#include "common/maybe.h"
#endif
#if 0
#include "common/unused.h"
#endif
/*
#include "common/unused.h"
*/
