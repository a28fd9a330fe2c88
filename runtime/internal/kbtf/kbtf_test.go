package kbtf

import (
	"os"
	"testing"

	"github.com/go-quicktest/qt"
)

const vmlinux = "/sys/kernel/btf/vmlinux"

func TestRunningKernel(t *testing.T) {
	data, err := os.ReadFile(vmlinux)
	if err != nil {
		t.Skip("this kernel has no BTF:", err)
	}
	facts, err := Scan(data)
	qt.Assert(t, qt.IsNil(err))
	t.Logf("%+v", facts)
}

func BenchmarkScan(b *testing.B) {
	data, err := os.ReadFile(vmlinux)
	if err != nil {
		b.Skip("this kernel has no BTF:", err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		if _, err := os.ReadFile(vmlinux); err != nil {
			b.Skip("this kernel has no BTF:", err)
		}
	}
}
