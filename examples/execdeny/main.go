//go:build linux

// Command execdeny keeps everybody on the host from executing some files, until it ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rules-bpf/rules_bpf/examples/execdeny/execdeny"
	"github.com/rules-bpf/rules_bpf/examples/internal/lsm"
	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("execdeny: ")
	how := options.New()
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: execdeny [flags] FILE ...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	opts, err := how.Load()
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, flag.Args(), opts); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, files []string, opts []runtime.Option) error {
	if err := lsm.Check(); err != nil {
		return err
	}
	objs, err := execdeny.Load(ctx, opts...)
	if err != nil {
		return err
	}
	defer objs.Close()
	ids := make([]execdeny.FileId, len(files))
	for i, file := range files {
		if ids[i], err = identify(file); err != nil {
			return err
		}
		if err := objs.Denied.Put(ids[i], uint64(0)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	links, err := objs.AttachAll()
	if err != nil {
		return err
	}
	defer links.Close()
	fmt.Println("refusing; interrupt to end")
	<-ctx.Done()

	for i, file := range files {
		var count uint64
		if err := objs.Denied.Lookup(ids[i], &count); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		fmt.Printf("%s: refused %d times\n", file, count)
	}
	return nil
}

// identify returns what the BPF program knows a file by.
func identify(file string) (id execdeny.FileId, err error) {
	var stat unix.Stat_t
	if err := unix.Stat(file, &stat); err != nil {
		return id, fmt.Errorf("%s: %w", file, err)
	}
	device := uint64(stat.Dev)
	id.Inode, id.Device = stat.Ino, unix.Major(device)<<20|unix.Minor(device)
	return id, nil
}
