//go:build linux

// Command tasks prints a table of the host's tasks, as a BPF iterator writes it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/cilium/ebpf/link"

	"github.com/rules-bpf/rules_bpf/examples/internal/options"
	"github.com/rules-bpf/rules_bpf/examples/tasks/tasks"
	"github.com/rules-bpf/rules_bpf/runtime"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("tasks: ")
	how := options.New()
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	opts, err := how.Load()
	if err != nil {
		log.Fatal(err)
	}
	if err := run(opts); err != nil {
		log.Fatal(err)
	}
}

func run(opts []runtime.Option) error {
	objs, err := tasks.Load(context.Background(), opts...)
	if err != nil {
		return err
	}
	defer objs.Close()

	links, err := objs.AttachAll()
	if err != nil {
		return err
	}
	defer links.Close()

	// Reading runs the program, once for each task.
	table, err := links.Link("dump").(*link.Iter).Open()
	if err != nil {
		return err
	}
	defer table.Close()
	if _, err := io.Copy(os.Stdout, table); err != nil {
		return fmt.Errorf("read the table: %w", err)
	}
	return nil
}
