package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// skeletonMain is the program around a C light skeleton: a main function that loads as often as it is told.
//
//go:embed testdata/skeleton.c
var skeletonMain string

// skeleton is a running C program that loads through bpftool's light skeleton and libbpf's skel_internal.h.
type skeleton struct {
	in  io.Writer
	out *bufio.Reader
}

// startSkeleton generates, compiles and starts one.
func (b *bench) startSkeleton(f file) (s *skeleton, stop func(), err error) {
	stop = func() {}
	program := filepath.Join(b.dir, f.name+".skeleton")
	if _, err := os.Stat(program); err != nil {
		header := program + ".h"
		var u usage
		if err := process(&u, header, b.bpftool.Path, "gen", "skeleton", "-L", f.path, "name", "object"); err != nil {
			return nil, stop, err
		}
		source := program + ".c"
		if err := os.WriteFile(source, fmt.Appendf(nil, "#include <errno.h>\n#include %q\n%s", header, skeletonMain), 0o644); err != nil {
			return nil, stop, err
		}
		if _, err := output("gcc", "-O2", "-o", program, source); err != nil {
			return nil, stop, err
		}
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, stop, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, stop, err
	}
	if err := cmd.Start(); err != nil {
		return nil, stop, err
	}
	stop = func() {
		in.Close() // at which it ends
		_ = cmd.Wait()
	}
	return &skeleton{in, bufio.NewReader(out)}, stop, nil
}

// load has it load, and returns what it has measured, in microseconds.
func (s *skeleton) load() (float64, error) {
	if _, err := fmt.Fprintln(s.in, perSample); err != nil {
		return 0, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the light skeleton ended: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(line), 64)
}
