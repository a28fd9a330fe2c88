package cli

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/file"
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		says   string
	}{
		{nil, ExitOK, ""},
		{fmt.Errorf("%w: %w", ErrUsage, flag.ErrHelp), ExitOK, ""},
		{fmt.Errorf("%w: want -out FILE", ErrUsage), ExitUsage, "tool: wrong usage: want -out FILE\n"},
		{fmt.Errorf("-in: %w", file.ErrStdTwice), ExitUsage, "tool: -in: - is given twice\n"},
		{errors.New("map \x1b[2J\ntool: all is well"), ExitFailed, "tool: map \\x1b[2J\n\ttool: all is well\n"},
	} {
		var stdout, stderr strings.Builder
		qt.Check(t, qt.Equals(NewEnv(nil, &stdout, &stderr).Report("tool", c.err), c.status))
		qt.Check(t, qt.Equals(stderr.String(), c.says))
		qt.Check(t, qt.Equals(stdout.String(), ""))
	}
}

// Text is escaped, files are not; and text is never in the middle of a file.
func TestStreams(t *testing.T) {
	var stdout, stderr strings.Builder
	env := NewEnv(nil, &stdout, &stderr)
	fmt.Fprintln(env.Messages("file"), "done\x1b")
	qt.Check(t, qt.IsNil(env.Files.Write(file.Std, []byte("\x1b"))))
	fmt.Fprintln(env.Messages("file", file.Std), "done\x1b")
	qt.Check(t, qt.Equals(stdout.String(), "done\\x1b\n\x1b"))
	qt.Check(t, qt.Equals(stderr.String(), "done\\x1b\n"))
}

func TestReadBundle(t *testing.T) {
	env := NewEnv(strings.NewReader("no bundle"), nil, nil)
	_, err := env.ReadBundle(file.Std)
	qt.Check(t, qt.ErrorMatches(err, "standard input: malformed bundle: .*"))
	_, err = env.ReadBundle(file.Std)
	qt.Check(t, qt.ErrorIs(err, file.ErrStdTwice))
}
