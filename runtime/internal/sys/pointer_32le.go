//go:build linux && (386 || arm || mipsle)

package sys

import "unsafe"

// Pointer is a pointer as the kernel's __aligned_u64 holds it. The garbage collector sees it, so what it points to
// stays alive and in its place as long as the attribute does.
type Pointer struct {
	ptr unsafe.Pointer
	_   uint32
}

// PointerTo returns p as the kernel takes it.
func PointerTo[T any](p *T) Pointer { return Pointer{ptr: unsafe.Pointer(p)} }
