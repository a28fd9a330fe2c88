//go:build linux

package release_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/tests/internal/guide"
)

// guide does what a document says. A path of the reader's machine is one of the workspace's here.
func (w *workspace) guide(document string) {
	w.t.Helper()
	guide.Run(w.t, strings.ReplaceAll(document, "/run/secrets", w.path("secrets")), w.src, w.try)
}

// ciPassphrase is that of the guide's encrypted key in the build.
const ciPassphrase = "sesame-opens-this-one-key"

// All that the release team's guide says holds, in the order in which it says so, and no key is seen where it does not belong.
func TestRelease(t *testing.T) {
	w := newWorkspace(t)
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "signing.md"))
	qt.Assert(t, qt.IsNil(err))
	w.write("secrets/bpf-ci", ciPassphrase+"\n")
	t.Run("Guide", func(t *testing.T) { w.in(t).guide(string(document)) })
	t.Run("ExportedKey", func(t *testing.T) { w.in(t).exportKey() })
	t.Run("Leaks", func(t *testing.T) { w.in(t).searchLeaks() })
}
