package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Three programs that differ in how they load BPF, and otherwise import the same.
const (
	noLoader = `package main

import (
	"os"

	"github.com/cilium/ebpf"
)

func main() {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		os.Exit(1)
	}
	m.Close()
}
`
	withELF = `package main

import (
	"bytes"
	"os"

	"github.com/cilium/ebpf"
)

func main() {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader([]byte(os.Args[1])))
	if err != nil {
		os.Exit(1)
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		os.Exit(1)
	}
	c.Close()
}
`
	withRuntime = `package main

import (
	"context"
	"os"

	bpf "github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	c, err := bpf.LoadBytes(context.Background(), []byte(os.Args[1]))
	if err != nil {
		os.Exit(1)
	}
	c.Close()
}
`
)

// binary compares how large programs are.
func (b *bench) binary() (*Section, error) {
	s := &Section{Name: "binary", About: "static Go programs without symbols that load BPF"}
	for _, p := range []struct{ who, name, source string }{
		{"cilium/ebpf, no loading", "none", noLoader}, {fromC, "elf", withELF}, {"ours", "runtime", withRuntime},
	} {
		source, out := filepath.Join(b.dir, p.name+".go"), filepath.Join(b.dir, p.name)
		if err := os.WriteFile(source, []byte(p.source), 0o644); err != nil {
			return nil, err
		}
		if _, err := output("env", "CGO_ENABLED=0", "go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", out, source); err != nil {
			return nil, err
		}
		info, err := os.Stat(out)
		if err != nil {
			return nil, fmt.Errorf("a program was not built: %w", err)
		}
		s.Rows = append(s.Rows, Row{"program", p.who, "MB", summarize([]float64{float64(info.Size()) / 1e6})})
	}
	return s, nil
}
