//go:build linux

package here

import (
	"encoding/binary"
	"net"
	"runtime"
	"testing"

	"github.com/go-quicktest/qt"
	"golang.org/x/sys/unix"
)

// vethPair makes a pair of network interfaces that are one another's cable, in a network namespace of the test's own: its
// goroutine's thread is in there, and so are processes that it starts.
func vethPair(t *testing.T, one, other string) {
	t.Helper()
	runtime.LockOSThread() // and never unlock: the thread and the namespace end with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("needs the right to make a network namespace:", err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	qt.Assert(t, qt.IsNil(err))
	defer unix.Close(fd)

	// An interface is a struct ifinfomsg, here of zeros, and attributes.
	named := func(name string) []byte {
		return append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, []byte(name+"\x00"))...)
	}
	const peer = 1 // VETH_INFO_PEER, include/uapi/linux/veth.h
	body := append(named(one), attribute(unix.IFLA_LINKINFO, append(
		attribute(unix.IFLA_INFO_KIND, []byte("veth")),
		attribute(unix.IFLA_INFO_DATA, attribute(peer, named(other)))...))...)
	message := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(message, uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(message[4:], unix.RTM_NEWLINK)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	qt.Assert(t, qt.IsNil(unix.Sendto(fd, append(message, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})))

	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	qt.Assert(t, qt.IsNil(err))
	qt.Assert(t, qt.IsTrue(n >= unix.SizeofNlMsghdr+4))
	errno := unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])))
	if errno == unix.EOPNOTSUPP {
		t.Skip("this kernel has no veth")
	}
	qt.Assert(t, qt.Equals(errno, 0))
	for _, name := range []string{one, other} {
		setUp(t, name)
	}
}

// setUp brings an interface up.
func setUp(t *testing.T, name string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	qt.Assert(t, qt.IsNil(err))
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	qt.Assert(t, qt.IsNil(err))
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	qt.Assert(t, qt.IsNil(unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)))
}

// attribute is one of netlink's: struct nlattr, its value and what pads it.
func attribute(typ uint16, value []byte) []byte {
	a := make([]byte, unix.SizeofNlAttr, unix.SizeofNlAttr+len(value)+3)
	binary.NativeEndian.PutUint16(a, uint16(unix.SizeofNlAttr+len(value)))
	binary.NativeEndian.PutUint16(a[2:], typ)
	a = append(a, value...)
	return append(a, make([]byte, -len(a)&3)...)
}

// send sends a UDP packet with 100 bytes in it out of an interface.
func send(t *testing.T, name string) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	qt.Assert(t, qt.IsNil(err))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	qt.Assert(t, qt.IsNil(err))
	defer unix.Close(fd)
	frame := make([]byte, 14+20+8+100)
	binary.BigEndian.PutUint16(frame[12:], unix.ETH_P_IP)
	frame[14] = 0x45 // version 4, 5 words of header
	binary.BigEndian.PutUint16(frame[16:], 20+8+100)
	frame[23] = unix.IPPROTO_UDP
	qt.Assert(t, qt.IsNil(unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index})))
}
