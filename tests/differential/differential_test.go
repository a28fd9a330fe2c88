// Package differential compares what our loaders ask of the kernel with what bpftool's do, for the same objects.
//
// The objects are the compiler's fixtures, or those in the folder of -objects or $BPF_OBJECTS; bpftool is the last one in
// $BPFTOOL, or the installed one.
package differential

import (
	"encoding/binary"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/audit"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/loader"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/simkernel"
	"github.com/rules-bpf/rules_bpf/internal/trace"
	"github.com/rules-bpf/rules_bpf/tests/bpftool"
)

var objects = flag.String("objects", os.Getenv("BPF_OBJECTS"), "`folder` of BPF object files to compare loaders of")

// knownDifferences are the lines, or pairs of such, in which the contents may differ, and why ours is right.
var knownDifferences = []struct{ line, why string }{
	{`^[-+] arena "`, "a signed loader cannot learn an arena's address later: ours puts one into map_extra"},
	{`^[-+] perf_event_array .* max_entries=\d+ `, "bpftool counts the CPUs of the machine that it runs on"},
	{`^- update key 00000000 flags 0x10 value \d+ bytes $`, "zeros for all CPUs: a new map has them"},
	{`^- key type void\n- value type `, "a key without a type has no place in BTF, and ours then gives none for the value"},
	{`^[-+] \d+: (r\d = |call )func [\w@]+$`, "a kernel function's name may have a ___flavor, which bpftool asks the kernel for"},
}

// knownRefusals are what we refuse to compile and bpftool does not, and why.
var knownRefusals = []struct{ err, why string }{
	{`its value is the running kernel's`, "bpftool takes the configuration of the machine that it runs on"},
	{`section name ".text" says no program type`, "bpftool's loader loads programs without a type, which the kernel refuses"},
}

func isKnownRefusal(err error) bool {
	for _, r := range knownRefusals {
		if regexp.MustCompile(r.err).MatchString(err.Error()) {
			return true
		}
	}
	return false
}

// unknownDifferences removes the known ones from a diff, and the headings of what is then equal.
func unknownDifferences(diff []string) []string {
	var left []string
	heading := ""
	for i, line := range diff {
		if !strings.HasPrefix(line, "- ") && !strings.HasPrefix(line, "+ ") {
			heading = line
			continue
		}
		pairs := []string{line, strings.Join(diff[max(0, i-1):i+1], "\n"), strings.Join(diff[i:min(i+2, len(diff))], "\n")}
		known := false
		for _, k := range knownDifferences {
			known = known || slices.ContainsFunc(pairs, regexp.MustCompile(k.line).MatchString)
		}
		if known {
			continue
		}
		if heading != "" {
			left, heading = append(left, heading), ""
		}
		left = append(left, line)
	}
	return left
}

// forEach runs a test for every object, with our bundle for it. err says why there is none.
func forEach(t *testing.T, test func(t *testing.T, file string, b *bundle.Bundle, err error)) {
	folders := []string{*objects}
	if *objects == "" {
		folders = []string{"../../internal/object/testdata", "../../internal/object/testdata/eb"}
	}
	var files []string
	for _, dir := range folders {
		for _, ext := range []string{"*.o", "*.elf"} {
			list, err := filepath.Glob(filepath.Join(dir, ext))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, list...)
		}
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".bpf.o")
		if filepath.Base(filepath.Dir(file)) == "eb" {
			name += "-eb"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var b *bundle.Bundle
			obj, err := object.Parse(file, raw, object.Options{})
			if err == nil {
				b, err = loader.Compile(obj, loader.Options{})
			}
			test(t, file, b, err)
		})
	}
}

// run runs our loader for a scheme. It must do nothing wrong.
func run(t *testing.T, b *bundle.Bundle, s bundle.Scheme, o simkernel.Options) *simkernel.Result {
	t.Helper()
	l, err := simkernel.FromBundle(b, s)
	if err != nil {
		t.Fatal(err)
	}
	res := simkernel.Run(l, o)
	if err := res.Err(); err != nil {
		t.Errorf("%v: %v\n%s", s, err, trace.Text(res))
	}
	return res
}

// kernels returns the kernels to compare on: one that knows every symbol, one that has all in a module, and one for
// every symbol that res asks for, without it.
func kernels(res *simkernel.Result) map[string]simkernel.Options {
	list := map[string]simkernel.Options{"": {}}
	add := func(name string, lookup func(string, uint32) (string, bool)) {
		list[name] = simkernel.Options{Config: simkernel.Config{Lookup: lookup}}
	}
	add("all in a module", func(string, uint32) (string, bool) { return "mod", true })
	for _, ev := range res.Events {
		if ev.Symbol == nil {
			continue
		}
		missing := ev.Symbol.Name
		add("without "+missing, func(name string, _ uint32) (string, bool) {
			base, _, _ := strings.Cut(name, "___")
			return "", base != missing
		})
	}
	return list
}

// TestContent compares the decoded content of all calls.
func TestContent(t *testing.T) {
	tools := bpftool.ForTest(t)
	tool := tools[len(tools)-1]
	forEach(t, func(t *testing.T, file string, b *bundle.Bundle, err error) {
		s, toolErr := tool.Generate(file, t.TempDir(), false)
		switch {
		case toolErr != nil && !errors.Is(toolErr, bpftool.ErrRefused):
			t.Fatal(toolErr)
		case toolErr != nil && err != nil:
			t.Skipf("both refuse: %v", err)
		case toolErr != nil:
			t.Skipf("only we make a loader: %v", toolErr)
		case err != nil && isKnownRefusal(err):
			t.Skipf("only bpftool makes a loader: %v", err)
		case err != nil:
			t.Fatalf("only bpftool makes a loader: %v", err)
		}
		theirLoader := simkernel.Loader{BigEndian: b.Object.BigEndian, Insns: s.Insns, Blob: s.Blob, CtxSize: s.CtxSize}
		ours := run(t, b, bundle.Payload, simkernel.Options{})
		list := kernels(ours)
		if ours.Errno != 0 { // what is asked for before and after the failure is free
			list = map[string]simkernel.Options{"": {}}
		}
		for name, kernel := range list {
			theirs, ours := simkernel.Run(theirLoader, kernel), run(t, b, bundle.MapHash, kernel)
			if theirs.Fault != nil {
				if name == "" {
					t.Skipf("bpftool's loader is broken: %v", theirs.Err())
				}
				continue // it closes a template of an inner map twice when it fails
			}
			if theirs.Errno != ours.Errno {
				if name != "" && theirs.Errno == 0 && ours.Errno == simkernel.ENOENT && asksKallsyms(ours) {
					continue // where kallsyms has no such symbol bpftool's loader goes on, whether it is weak or not
				}
				t.Errorf("%s: bpftool's loader returns %v, ours %v\ntheirs:\n%sours:\n%s",
					name, theirs.Errno, ours.Errno, trace.Text(theirs), trace.Text(ours))
				continue
			}
			if ours.Errno != 0 {
				continue
			}
			made := trace.ContentOf(ours)
			maps.DeleteFunc(made, func(name, _ string) bool { return trial.MatchString(name) })
			diff := unknownDifferences(trace.Diff(trace.ContentOf(theirs), made))
			if len(diff) > 0 {
				t.Errorf("%s: bpftool's loader -, ours +:\n%s", name, strings.Join(diff, "\n"))
			}
		}
	})
}

// trial is a program that our loaders load to find out what prototype a weak kernel function has, and close again. bpftool's do not ask.
var trial = regexp.MustCompile(`^program trial(#\d+)?$`)

// asksKallsyms says whether the last thing that a loader asked for is an address.
func asksKallsyms(res *simkernel.Result) bool {
	for i := len(res.Events) - 1; i >= 0; i-- {
		if ev := res.Events[i]; ev.Symbol != nil {
			return ev.Kind == simkernel.EventKallsyms
		}
	}
	return false
}

// TestFaults makes every call of our loaders fail, on a kernel that has everything in modules, and looks for descriptors
// that are left open.
func TestFaults(t *testing.T) {
	forEach(t, func(t *testing.T, _ string, b *bundle.Bundle, err error) {
		if err != nil {
			t.Skip(err)
		}
		config := simkernel.Config{Lookup: func(string, uint32) (string, bool) { return "mod", true }}
		for _, s := range bundle.Schemes {
			for n := 1; ; n++ {
				config.FailCall = n
				res := run(t, b, s, simkernel.Options{Config: config})
				if !res.Injected() {
					break
				}
				if t.Failed() {
					return
				}
			}
		}
	})
}

// TestAudit audits all loaders: ours hold, and bpftool's do but for what they close when they refuse.
func TestAudit(t *testing.T) {
	tools := bpftool.Installed()
	forEach(t, func(t *testing.T, file string, b *bundle.Bundle, err error) {
		if err != nil {
			t.Skip(err)
		}
		if findings := audit.Bundle(b); len(findings) > 0 {
			if slices.ContainsFunc(findings, func(f audit.Finding) bool { return f.ID != audit.Fails }) {
				t.Errorf("ours: %v", findings)
			}
		}
		dir := t.TempDir()
		for _, tool := range tools {
			s, err := tool.Generate(file, dir, true)
			if err != nil {
				continue
			}
			order := binary.ByteOrder(binary.LittleEndian)
			if b.Object.BigEndian {
				order = binary.BigEndian
			}
			insns, err := insn.Decode(s.Insns, order)
			if err != nil {
				t.Fatal(err)
			}
			scheme := bundle.Payload
			if slices.ContainsFunc(insns, func(in insn.Insn) bool { return in.IsLoadImm64() && in.Src == insn.PseudoMapIdx }) {
				scheme = bundle.MapHash // it looks at the map itself
			}
			if findings := audit.Audit(scheme, order, s.Insns, s.Blob); audit.Failed(findings) {
				t.Errorf("%s's: %v", tool.Path, findings)
			}
		}
	})
}
