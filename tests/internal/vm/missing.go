package vm

import (
	"os"
	"testing"
)

// Missing skips a test for want of something that the machine has not got, or fails it where tests are there to be run: in
// continuous integration, which sets CI=true.
func Missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
