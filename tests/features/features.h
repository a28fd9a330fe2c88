// What the sources of this folder share.
#ifndef FEATURES_H
#define FEATURES_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#define LICENSE(text) char _license[] SEC("license") = text

#endif
