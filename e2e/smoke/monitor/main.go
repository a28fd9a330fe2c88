//go:build linux

// Command monitor prints what processes do.
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

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/rules-bpf/rules_bpf/runtime"

	"example.com/smoke/monitor/exec"
	"example.com/smoke/monitor/exit"
	"example.com/smoke/monitor/fork"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("monitor: ")
	unsigned := flag.Bool("unsigned", false, "load without signatures: for development")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var opts []runtime.Option
	if *unsigned {
		opts = append(opts, runtime.AllowUnsigned())
	}
	if err := run(ctx, opts); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, opts []runtime.Option) error {
	execs, err := exec.Load(ctx, opts...)
	if err != nil {
		return err
	}
	defer execs.Close()
	exits, err := exit.Load(ctx, opts...)
	if err != nil {
		return err
	}
	defer exits.Close()
	forks, err := fork.Load(ctx, opts...)
	if err != nil {
		return err
	}
	defer forks.Close()

	ctx, stop := context.WithCancel(ctx) // when one reader ends, all do
	defer stop()
	done := make(chan error)
	for _, p := range []struct {
		name       string
		tracepoint string
		program    *ebpf.Program
		events     *ebpf.Map
	}{
		{"exec", "sched_process_exec", execs.OnExec, execs.Events},
		{"exit", "sched_process_exit", exits.OnExit, exits.Events},
		{"fork", "sched_process_fork", forks.OnFork, forks.Events},
	} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: p.tracepoint, Program: p.program})
		if err != nil {
			return fmt.Errorf("attach %s: %w", p.name, err)
		}
		defer l.Close()
		events, err := ringbuf.NewReader(p.events)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { events.Close() })
		go func() {
			defer stop()
			done <- show(p.name, events)
		}()
	}
	return errors.Join(<-done, <-done, <-done)
}

// show prints events until their reader is closed. All programs send the struct of bpf/event.h, so that any package's type will
// do.
func show(name string, events *ringbuf.Reader) error {
	for {
		record, err := events.Read()
		if errors.Is(err, ringbuf.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		var event exec.Event
		if _, err := binary.Decode(record.RawSample, binary.NativeEndian, &event); err != nil {
			return err
		}
		fmt.Println(name, event.Pid, text(event.Comm[:]))
	}
}

// text returns a C string.
func text(chars []int8) string {
	var b []byte
	for _, c := range chars {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}
