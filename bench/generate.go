package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what processes took.
type usage struct {
	wall time.Duration
	// peak is the most memory that one of them had, if wrapper names testdata/peak.c.
	wrapper string
	peak    float64 // MB
}

// process runs a command whose output goes to a file, or nowhere.
func process(u *usage, out string, name string, args ...string) error {
	peak := u.wrapper + ".out"
	cmd := exec.Command(name, args...)
	if u.wrapper != "" {
		cmd = exec.Command(u.wrapper, append([]string{peak, name}, args...)...)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.Stdout = f
	}
	start := time.Now()
	err := cmd.Run()
	u.wall += time.Since(start)
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(stderr.String()))
	}
	if u.wrapper == "" {
		return nil
	}
	text, err := os.ReadFile(peak)
	if err != nil {
		return err
	}
	kB, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	u.peak = max(u.peak, kB*1024/1e6)
	return err
}

// generateOurs makes and signs the loaders of both schemes in one process.
func (b *bench) generateOurs(u *usage, f file) error {
	return process(u, "", b.signtool, "sign", "-key", b.key, "-cert", b.cert, "-object", f.path, "-out", filepath.Join(b.dir, "signed.bpfl"))
}

// generateApart is what the rules do: one process makes the loaders, and another, which has the key, signs them.
func (b *bench) generateApart(u *usage, f file) error {
	unsigned, signed := filepath.Join(b.dir, "unsigned.bpfl"), filepath.Join(b.dir, "signed.bpfl")
	err := process(u, "", b.loadergen, "-object", f.path, "-out", unsigned)
	if err == nil {
		err = process(u, "", b.signtool, "sign", "-key", b.key, "-cert", b.cert, "-in", unsigned, "-out", signed)
	}
	return err
}

// generatePeer makes and signs bpftool's light skeleton, which has one scheme's loader.
func (b *bench) generatePeer(u *usage, f file) error {
	return process(u, filepath.Join(b.dir, "signed.lskel.h"), b.bpftool.Path,
		"gen", "skeleton", "-L", "-S", "-k", b.key, "-i", b.cert, f.path, "name", "bench")
}

const (
	ourTools   = "signtool sign -object"
	ourTwo     = "loadergen, signtool"
	theirTools = "bpftool -L -S"
)

// generate compares whole processes, from object file to signed loader.
func (b *bench) generate() (*Section, error) {
	s := &Section{Name: "generate", About: "object file to signed loader, whole processes, RSA-2048"}
	tools := []struct {
		name string
		run  func(*usage, file) error
	}{{ourTools, b.generateOurs}, {ourTwo, b.generateApart}, {theirTools, b.generatePeer}}
	// contest has all of them generate some objects, and sums up the time.
	contest := func(name string, rounds int, files []file) error {
		var who []contestant
		for _, tool := range tools {
			who = append(who, contestant{tool.name, func() (float64, error) {
				var u usage
				for _, f := range files {
					if err := tool.run(&u, f); err != nil {
						return 0, fmt.Errorf("%s: %w", f.name, err)
					}
				}
				return milliseconds(u.wall), nil
			}})
		}
		samples, err := compete(b.rounds(rounds), who)
		if err != nil {
			return err
		}
		s.add(name, "ms", who, samples)
		if len(files) == 1 {
			for _, tool := range tools {
				u := usage{wrapper: b.peak}
				if err := tool.run(&u, files[0]); err != nil {
					return err
				}
				s.Rows = append(s.Rows, Row{name, tool.name, "MB at most", summarize([]float64{u.peak})})
			}
		}
		s.compare(name, ourTools, theirTools, ratios(samples[ourTools], samples[theirTools]), 1)
		s.compare(name, ourTwo, theirTools, ratios(samples[ourTwo], samples[theirTools]), 0)
		return nil
	}
	execsnoop, err := b.compiled("execsnoop", filepath.Join(b.root, "examples/execsnoop/execsnoop.bpf.c"))
	if err != nil {
		return nil, err
	}
	for _, f := range []file{b.trivial, execsnoop, b.large} {
		if err := contest(fmt.Sprintf("%s (%s)", f.name, size(len(f.raw))), 30, []file{f}); err != nil {
			return nil, err
		}
	}
	sets, err := b.sets()
	if err != nil {
		return nil, err
	}
	var both []file
	for _, set := range sets {
		for _, f := range set.files {
			var u usage
			if b.generateOurs(&u, f) == nil && b.generatePeer(&u, f) == nil {
				both = append(both, f)
			}
		}
	}
	if err := contest(fmt.Sprintf("all %d objects, one after the other", len(both)), 5, both); err != nil {
		return nil, err
	}
	s.note("ours makes and signs loaders of both schemes, bpftool that of one")
	return s, nil
}

func size(n int) string {
	if n < 10_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	if n < 1_000_000 {
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
