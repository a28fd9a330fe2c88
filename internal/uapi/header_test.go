package uapi_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"
)

// The kernel's header documents each helper with its prototype, which says how many arguments it takes.
func TestHelperPrototypes(t *testing.T) {
	const file = "/usr/include/linux/bpf.h"
	header, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("no kernel headers: %v", err)
	}
	prototype := regexp.MustCompile(`(?m)^ \* \w+ (bpf_\w+)\(([^)]*)\)$`)
	args := map[string]int{}
	for _, m := range prototype.FindAllStringSubmatch(string(header), -1) {
		list := strings.Split(m[2], ", ")
		if last := len(list) - 1; list[last] == "..." {
			list = list[:last]
		}
		args[m[1]] = len(list)
	}
	for h := range ciliumHelpers {
		want, ok := args[h.String()]
		qt.Check(t, qt.IsTrue(ok), qt.Commentf("%s has no prototype of %v", file, h))
		n, ok := h.Args()
		qt.Check(t, qt.IsTrue(ok))
		qt.Check(t, qt.Equals(n, want), qt.Commentf("%v", h))
	}
}
