package uapi_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-quicktest/qt"

	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// The kernel's header numbers the helpers, and these are the numbers that programs call.
func TestHelperNumbers(t *testing.T) {
	const file = "/usr/include/linux/bpf.h"
	header, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("no kernel headers: %v", err)
	}
	// Linux 6.1 and older count them; newer ones write the number too.
	entry := regexp.MustCompile(`(?m)^\tFN\((\w+)(?:, (\d+), ##ctx)?\)`)
	all := entry.FindAllStringSubmatch(string(header), -1)
	qt.Assert(t, qt.IsTrue(len(all) > 200), qt.Commentf("%d helpers in %s", len(all), file))
	for i, m := range all[1:] { // the first is unspec
		number := i + 1
		if m[2] != "" {
			number, err = strconv.Atoi(m[2])
			qt.Assert(t, qt.IsNil(err))
		}
		qt.Check(t, qt.Equals(uapi.Helper(number).String(), "bpf_"+m[1]))
	}
}

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
