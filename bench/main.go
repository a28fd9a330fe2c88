// Command bench measures this project against what else does the same, in one run on one machine: bpftool and its light
// skeletons, and cilium/ebpf. bench/run runs it where all of them are installed.
//
//	bench [-only SECTION,...] [-quick] [-bazel FILE] [-json FILE] [-svg FILE] [-doc FILE]
//
// Contestants alternate, and a ratio is of two samples of the same round, so that what else the machine does cancels out for the
// most part. Tables have medians and quartiles.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	whole "github.com/rules-bpf/rules_bpf/internal/file"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
)

// bench is what the sections share.
type bench struct {
	root string // of the repository
	dir  string // for temporary files
	// quick is for trying the benchmarks themselves.
	quick        bool
	bazelSamples string

	bpftool             *bpftool.Tool
	loadergen, signtool string
	key, cert           string
	peak                string // testdata/peak.c, compiled
	trivial, large      file
}

func main() {
	if who := os.Getenv("BENCH_FIRST"); who != "" {
		if err := first(who, os.Args[1]); err != nil {
			fatal(err)
		}
		return
	}
	var o options
	flag.StringVar(&o.only, "only", "", "`sections` to run, separated by commas")
	flag.BoolVar(&o.quick, "quick", false, "few rounds, to try the benchmarks")
	flag.StringVar(&o.bazel, "bazel", "", "`file` of samples by bench/bazel, to be reported as well")
	flag.StringVar(&o.json, "json", "", "`file` for the report as JSON")
	flag.StringVar(&o.svg, "svg", "", "`file` for the chart")
	flag.StringVar(&o.doc, "doc", "", "Markdown `file` in which the tables are to be replaced")
	flag.Parse()
	if err := run(o); err != nil {
		fatal(err)
	}
}

// options are the command line.
type options struct {
	only, bazel, json, svg, doc string
	quick                       bool
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, quick: o.quick, bazelSamples: o.bazel}
	if err := b.setUp(); err != nil {
		return err
	}
	report := &Report{Machine: b.machine()}
	var tables bytes.Buffer
	out := io.MultiWriter(os.Stdout, &tables)
	report.head(out)
	for _, s := range []struct {
		name string
		run  func() (*Section, error)
	}{
		{"size", b.counts}, {"generate", b.generate}, {"load", b.load}, {"first", b.firstLoad}, {"steps", b.steps}, {"verifier", b.verifier},
		{"memory", b.memory}, {"scale", b.scale}, {"binary", b.binary}, {"bazel", b.bazel},
	} {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), s.name) || s.name == "bazel" && o.bazel == "" {
			continue
		}
		b.logf("%s ...", s.name)
		section, err := s.run()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		report.Sections = append(report.Sections, section)
		if err := section.text(out); err != nil {
			return err
		}
	}
	return report.write(o, tables.Bytes())
}

// write writes the files that were asked for.
func (r *Report) write(o options, tables []byte) error {
	if o.json != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := whole.Write(o.json, append(data, '\n')); err != nil {
			return err
		}
	}
	if o.svg != "" {
		if err := whole.Write(o.svg, chart(r)); err != nil {
			return err
		}
	}
	if o.doc == "" {
		return nil
	}
	doc, err := whole.Read(o.doc, whole.MaxText)
	if err != nil {
		return err
	}
	before, rest, ok1 := bytes.Cut(doc, []byte(measuredStart))
	_, after, ok2 := bytes.Cut(rest, []byte(measuredEnd))
	if !ok1 || !ok2 {
		return fmt.Errorf("%s: no place for the tables: want %q and %q in it", o.doc, measuredStart, measuredEnd)
	}
	lines := strings.Split(string(tables), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	text := fmt.Sprintf("%s%s\n```text\n%s```\n%s%s", before, measuredStart, strings.Join(lines, "\n"), measuredEnd, after)
	return whole.Write(o.doc, []byte(text))
}

// The tables' place in a Markdown file.
const (
	measuredStart = "<!-- measured: bench/run writes what follows -->"
	measuredEnd   = "<!-- end of what bench/run writes -->"
)

// rounds is how many rounds a comparison has.
func (b *bench) rounds(n int) int {
	if b.quick {
		return 2
	}
	return n
}

func (b *bench) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// setUp builds our tools, makes a key, and compiles the objects that several sections use.
func (b *bench) setUp() error {
	mod, err := output("go", "env", "GOMOD")
	if err != nil {
		return err
	}
	b.root = filepath.Dir(mod)
	tools := bpftool.Installed()
	if len(tools) == 0 {
		return fmt.Errorf("no bpftool: run bench/run, or install it")
	}
	b.bpftool = tools[0]
	b.loadergen, b.signtool = filepath.Join(b.dir, "loadergen"), filepath.Join(b.dir, "signtool")
	for _, tool := range []string{b.loadergen, b.signtool} {
		// As the rules build them: without symbols, without cgo.
		if _, err := output("go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", tool,
			"github.com/rules-bpf/rules_bpf/tools/"+filepath.Base(tool)); err != nil {
			return err
		}
	}
	b.key, b.cert = filepath.Join(b.dir, "signer.pem"), filepath.Join(b.dir, "signer.der")
	if _, err := output(b.signtool, "keygen", "-type", "rsa-2048", "-cn", "bench", "-key", b.key, "-cert", b.cert); err != nil {
		return err
	}
	b.peak = filepath.Join(b.dir, "peak")
	if _, err := output("gcc", "-O2", "-o", b.peak, filepath.Join(b.root, "bench/testdata/peak.c")); err != nil {
		return err
	}
	if b.trivial, err = b.compiled("trivial", filepath.Join(b.root, "bench/testdata/trivial.bpf.c")); err != nil {
		return err
	}
	b.large, err = b.compiled("large", filepath.Join(b.root, "bench/testdata/large.bpf.c"))
	return err
}
