package bpf_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bazel-contrib/bazel-gazelle/v2/cmd/gazelle/update"
	"github.com/bazelbuild/bazel-gazelle/language"
	golang "github.com/bazelbuild/bazel-gazelle/language/go"
	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/language/bpf"
)

var rewrite = flag.Bool("update", false, "rewrite BUILD.out and expectedStderr.txt in testdata")

// With this in the environment the test is a Gazelle with the language in it: Gazelle logs to the process's stderr, and
// walks one workspace in a process.
const asGazelle = "BPF_TEST_AS_GAZELLE"

func TestMain(m *testing.M) {
	if os.Getenv(asGazelle) == "" {
		os.Exit(m.Run())
	}
	log.SetFlags(0)
	log.SetPrefix("gazelle: ")
	wd, err := os.Getwd()
	if err == nil {
		err = update.Run(context.Background(), []language.Language{golang.NewLanguage(), bpf.NewLanguage()}, wd, os.Args[1:])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// gazelle runs in a workspace, and returns what it says. That is an error of the command only if it could not run.
func gazelle(t testing.TB, workspace string, args ...string) (stderr string) {
	t.Helper()
	self, err := os.Executable()
	qt.Assert(t, qt.IsNil(err))
	cmd := exec.Command(self, args...)
	cmd.Dir = workspace
	// PWD: Gazelle's paths are then those of the test, also where a temporary folder is a symbolic link. Go must fetch nothing.
	cmd.Env = append(os.Environ(), asGazelle+"=1", "PWD="+workspace, "GOPROXY=off", "GOFLAGS=-mod=mod")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = os.Stderr, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("gazelle: %v\n%s", err, out.String())
	}
	return strings.ReplaceAll(out.String(), workspace, "%WORKSPACEPATH%")
}

// TestGenerate runs Gazelle in each workspace in testdata: BUILD.in become BUILD.out, and expectedStderr.txt is said. A second
// run changes nothing. bazel test //language/bpf:generation_test runs the same files through a gazelle_binary.
func TestGenerate(t *testing.T) {
	workspaces, err := filepath.Glob("testdata/*/MODULE.bazel")
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.Not(qt.HasLen(workspaces, 0)))
	for _, file := range workspaces {
		testdata := filepath.Dir(file)
		t.Run(filepath.Base(testdata), func(t *testing.T) {
			workspace, err := filepath.EvalSymlinks(t.TempDir())
			qt.Assert(t, qt.IsNil(err))
			want := map[string]string{}
			wantStderr := ""
			var args []string
			for name, content := range files(t, testdata) {
				if in, ok := strings.CutSuffix(name, ".in"); ok {
					write(t, filepath.Join(workspace, in+".bazel"), content)
				} else if out, ok := strings.CutSuffix(name, ".out"); ok {
					want[out+".bazel"] = content
				} else if name == "expectedStderr.txt" {
					wantStderr = content
				} else if name == "arguments.txt" {
					args = strings.Fields(content)
				} else {
					write(t, filepath.Join(workspace, name), content)
				}
			}

			stderr := gazelle(t, workspace, args...)
			got := buildFiles(t, workspace)
			if *rewrite {
				for name, content := range got {
					write(t, filepath.Join(testdata, strings.TrimSuffix(name, ".bazel")+".out"), content)
				}
				for name := range want {
					if _, ok := got[name]; !ok {
						qt.Assert(t, qt.IsNil(os.Remove(filepath.Join(testdata, strings.TrimSuffix(name, ".bazel")+".out"))))
					}
				}
				os.Remove(filepath.Join(testdata, "expectedStderr.txt"))
				if stderr != "" {
					write(t, filepath.Join(testdata, "expectedStderr.txt"), stderr)
				}
			} else {
				qt.Check(t, qt.Equals(stderr, wantStderr))
				qt.Check(t, qt.DeepEquals(got, want))
			}

			again := gazelle(t, workspace, args...)
			qt.Check(t, qt.Equals(again, stderr))
			qt.Check(t, qt.DeepEquals(buildFiles(t, workspace), got), qt.Commentf("a second run"))
		})
	}
}

// files reads all files of a folder.
func files(t testing.TB, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := os.Stat(file); err != nil || info.IsDir() { // runfiles are symbolic links
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		found[name] = string(content)
		return err
	})
	qt.Assert(t, qt.IsNil(err))
	return found
}

func buildFiles(t testing.TB, root string) map[string]string {
	t.Helper()
	found := files(t, root)
	for name := range found {
		if filepath.Base(name) != "BUILD.bazel" {
			delete(found, name)
		}
	}
	return found
}

func write(t testing.TB, file, content string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(content), 0o644)
	}
	qt.Assert(t, qt.IsNil(err))
}

// BenchmarkGenerate is a run in an empty workspace with a thousand packages, each with a program, a header of its own and
// one of another package. Then one where nothing is to be done.
func BenchmarkGenerate(b *testing.B) {
	const packages = 1000
	for _, run := range []string{"empty", "done"} {
		b.Run(run, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				workspace := b.TempDir()
				write(b, filepath.Join(workspace, "MODULE.bazel"), `bazel_dep(name = "rules_bpf", version = "0.0.0")`)
				write(b, filepath.Join(workspace, "BUILD.bazel"), "# gazelle:prefix example.com/many\n")
				for i := range packages {
					folder := filepath.Join(workspace, fmt.Sprintf("group%02d/p%03d", i/100, i))
					write(b, filepath.Join(folder, "prog.bpf.c"), fmt.Sprintf(
						"#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n#include \"own.h\"\n#include \"group%02d/p%03d/own.h\"\n%s",
						(i+7)%packages/100, (i+7)%packages, strings.Repeat("static int x;\n", 200)))
					write(b, filepath.Join(folder, "own.h"), "#ifndef OWN\n#define OWN\n"+strings.Repeat("struct s;\n", 100)+"#endif\n")
				}
				if run == "done" {
					gazelle(b, workspace)
				}
				b.StartTimer()
				qt.Assert(b, qt.Equals(gazelle(b, workspace), ""))
				b.StopTimer()
				build, err := os.ReadFile(filepath.Join(workspace, "group09/p999/BUILD.bazel"))
				qt.Assert(b, qt.IsNil(err))
				qt.Assert(b, qt.StringContains(string(build), `"//group00/p006:bpf_headers"`))
				b.StartTimer()
			}
			b.ReportMetric(float64(packages*b.N)/b.Elapsed().Seconds(), "packages/s")
		})
	}
}
