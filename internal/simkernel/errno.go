package simkernel

import "fmt"

// Errno is an error number as Linux has it on most architectures, positive. It is a type of its own because a trace must
// not change with the system that prints it.
type Errno int32

// The error numbers that the simulated kernel returns.
const (
	EPERM        Errno = 1
	ENOENT       Errno = 2
	E2BIG        Errno = 7
	EBADF        Errno = 9
	ENOMEM       Errno = 12
	EACCES       Errno = 13
	EFAULT       Errno = 14
	EBUSY        Errno = 16
	EEXIST       Errno = 17
	EINVAL       Errno = 22
	EMFILE       Errno = 24
	EPROTO       Errno = 71
	EOPNOTSUPP   Errno = 95
	EKEYREJECTED Errno = 129
	ENOTSUPP     Errno = 524
)

var errnoNames = map[Errno]string{
	EPERM: "EPERM", ENOENT: "ENOENT", E2BIG: "E2BIG", EBADF: "EBADF", ENOMEM: "ENOMEM", EACCES: "EACCES", EFAULT: "EFAULT",
	EBUSY: "EBUSY", EEXIST: "EEXIST", EINVAL: "EINVAL", EMFILE: "EMFILE", EPROTO: "EPROTO", EOPNOTSUPP: "EOPNOTSUPP",
	EKEYREJECTED: "EKEYREJECTED", ENOTSUPP: "ENOTSUPP",
}

// String returns the number's name, "EINVAL".
func (e Errno) String() string {
	if name, ok := errnoNames[e]; ok {
		return name
	}
	return fmt.Sprintf("errno %d", int32(e))
}

// Error implements the error interface.
func (e Errno) Error() string { return e.String() }

// ret is what a helper returns for the error: its negative value, sign-extended.
func (e Errno) ret() int64 { return -int64(e) }
