// Not part of the module above, so that `go build ./...` leaves the examples out: only Bazel makes the Go packages of
// their BPF programs.
module github.com/rules-bpf/rules_bpf/examples

go 1.26.0
