//go:build linux

// Command execsnoop prints each program that is executed on the host, with its process id, its parent's and its path.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/rules-bpf/rules_bpf/examples/execsnoop/execsnoop"
	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("execsnoop: ")
	var (
		how   = options.New()
		count = flag.Int("count", 0, "end after `N` events; 0 goes on until interrupted")
	)
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	opts, err := how.Load()
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *count, opts); err != nil {
		log.Fatal(err)
	}
}

// run prints events until ctx is done or, unless it is 0, count of them.
func run(ctx context.Context, count int, opts []runtime.Option) error {
	objs, err := execsnoop.Load(ctx, opts...)
	if err != nil {
		return err
	}
	defer objs.Close()

	links, err := objs.AttachAll()
	if err != nil {
		return err
	}
	defer links.Close()

	events, err := ringbuf.NewReader(objs.Events)
	if err != nil {
		return err
	}
	defer events.Close()
	context.AfterFunc(ctx, func() { events.Close() })

	fmt.Printf("%-8s %-8s %-16s %s\n", "PID", "PARENT", "COMMAND", "FILE")
	for n := 0; count == 0 || n < count; n++ {
		record, err := events.Read()
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		event, err := parse(record.RawSample)
		if err != nil {
			return err
		}
		fmt.Printf("%-8d %-8d %-16s %s\n", event.Pid, event.Parent, text(event.Comm[:]), text(event.Filename[:]))
	}
	return nil
}

// parse reads an event as the BPF program wrote it.
func parse(sample []byte) (*execsnoop.Event, error) {
	var event execsnoop.Event
	if _, err := binary.Decode(sample, binary.NativeEndian, &event); err != nil {
		return nil, fmt.Errorf("an event of %d bytes, want %d: %w", len(sample), unsafe.Sizeof(event), err)
	}
	return &event, nil
}

// text returns a C string.
func text(chars []int8) string {
	b := make([]byte, 0, len(chars))
	for _, c := range chars {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
