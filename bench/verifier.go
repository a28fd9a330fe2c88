package main

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/bundle"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// verified is what the kernel says of the verification of a loader. No library reaches these statistics: they come with a log
// level that none of them asks for.
type verified struct {
	insns, processed, states float64
	time                     float64 // us
}

var (
	processedRE = regexp.MustCompile(`processed (\d+) insns .* total_states (\d+)`)
	timeRE      = regexp.MustCompile(`verification time (\d+) usec`)
)

// verify has the kernel verify a loader a number of times, and returns the median.
func verify(rounds int, insns []byte, blobSize int) (v verified, err error) {
	mapAttr := struct {
		typ                 uapi.MapType
		key, value, entries uint32
	}{uapi.MapTypeArray, 4, uint32(blobSize), 1}
	mapFD, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(uapi.CmdMapCreate), uintptr(unsafe.Pointer(&mapAttr)), unsafe.Sizeof(mapAttr))
	if errno != 0 {
		return v, fmt.Errorf("the metadata map: %w", errno)
	}
	defer unix.Close(int(mapFD))
	fdArray := []int32{int32(mapFD)}
	license, log := []byte("Dual BSD/GPL\x00"), make([]byte, 1<<16)
	attr := struct {
		typ               uapi.ProgType
		insnCnt           uint32
		insns, license    unsafe.Pointer
		logLevel, logSize uint32
		logBuf            unsafe.Pointer
		kernVersion       uint32
		flags             uapi.ProgFlags
		name              [uapi.ObjNameLen]byte
		_                 [14]uint32 // prog_ifindex to attach_prog_fd, core_relo_cnt
		fdArray           unsafe.Pointer
	}{
		typ: uapi.ProgTypeSyscall, insnCnt: uint32(len(insns) / insn.Size), insns: unsafe.Pointer(unsafe.SliceData(insns)),
		license: unsafe.Pointer(unsafe.SliceData(license)), logLevel: uapi.LogStats, logSize: uint32(len(log)),
		logBuf: unsafe.Pointer(unsafe.SliceData(log)), flags: uapi.ProgFlagSleepable, fdArray: unsafe.Pointer(unsafe.SliceData(fdArray)),
	}
	var times []float64
	for len(times) < rounds {
		fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(uapi.CmdProgLoad), uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
		text, _, _ := bytes.Cut(log, []byte{0})
		if errno == unix.EAGAIN {
			continue // a signal of Go's scheduler came in between
		}
		if errno != 0 {
			return v, fmt.Errorf("the loader: %w: %s", errno, text)
		}
		unix.Close(int(fd))
		counts, took := processedRE.FindSubmatch(text), timeRE.FindSubmatch(text)
		if counts == nil || took == nil {
			return v, fmt.Errorf("the verifier's statistics: %q", text)
		}
		number := func(b []byte) float64 { f, _ := strconv.ParseFloat(string(b), 64); return f }
		v.processed, v.states = number(counts[1]), number(counts[2])
		times = append(times, number(took[1]))
	}
	runtime.KeepAlive(fdArray)
	v.insns, v.time = float64(len(insns)/insn.Size), summarize(times).Median
	return v, nil
}

// verifier tells where the time of a load goes: what the verifier has to do for each loader.
func (b *bench) verifier() (*Section, error) {
	s := &Section{Name: "verifier", About: "the kernel's own statistics of verifying the loaders, which is most of a load"}
	files, err := b.loadable()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		made, err := f.compile()
		if err != nil {
			return nil, err
		}
		peer, err := b.bpftool.Generate(f.path, b.dir, false)
		if err != nil {
			return nil, err
		}
		of := map[string]verified{}
		for _, l := range []struct {
			who         string
			insns, blob []byte
		}{
			{oursA, made.Loader(bundle.MapHash).Insns, made.Blob}, {oursB, made.Loader(bundle.Payload).Insns, made.Blob},
			{skelC, peer.Insns, peer.Blob},
		} {
			if l.who == oursA && !b.mapHash() {
				continue
			}
			v, err := verify(b.rounds(100), slices.Clone(l.insns), len(l.blob))
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", f.name, l.who, err)
			}
			for _, row := range []struct {
				unit  string
				value float64
			}{{"instructions", v.insns}, {"instructions processed", v.processed}, {"states kept", v.states}, {"us of verification", v.time}} {
				s.Rows = append(s.Rows, Row{f.name, l.who, row.unit, summarize([]float64{row.value})})
			}
			of[l.who] = v
		}
		s.compare(f.name+", verification time", oursB, skelC, []float64{of[oursB].time / of[skelC].time}, 0)
	}
	return s, nil
}
