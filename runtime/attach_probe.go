//go:build linux

package runtime

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attachProbe is howToAttach for the sections of probes: of kernel functions, of system calls, and of functions of
// executables and libraries.
func attachProbe(kind, target string, prog *ebpf.Program) (attachFunc, error) {
	if kind == "usdt" {
		return nil, errors.New("AttachAll does not support USDT: attach a uprobe at the address that the note of the executable names")
	}
	if target == "" {
		example := "do_unlinkat"
		if strings.HasPrefix(kind, "u") {
			example = "libc.so.6:malloc"
		}
		return nil, needTarget(kind, example)
	}
	attach := map[string]func(string, *ebpf.Program) (link.Link, error){
		"kprobe":       func(t string, p *ebpf.Program) (link.Link, error) { return kprobe(link.Kprobe, t, p) },
		"kretprobe":    func(t string, p *ebpf.Program) (link.Link, error) { return kprobe(link.Kretprobe, t, p) },
		"ksyscall":     func(t string, p *ebpf.Program) (link.Link, error) { return link.Kprobe("sys_"+t, p, nil) },
		"kretsyscall":  func(t string, p *ebpf.Program) (link.Link, error) { return link.Kretprobe("sys_"+t, p, nil) },
		"kprobe.multi": func(t string, p *ebpf.Program) (link.Link, error) { return kprobeMulti(link.KprobeMulti, t, p, false) },
		"kretprobe.multi": func(t string, p *ebpf.Program) (link.Link, error) {
			return kprobeMulti(link.KretprobeMulti, t, p, false)
		},
		"kprobe.session": func(t string, p *ebpf.Program) (link.Link, error) { return kprobeMulti(link.KprobeMulti, t, p, true) },
		"uprobe":         func(t string, p *ebpf.Program) (link.Link, error) { return uprobe((*link.Executable).Uprobe, t, p) },
		"uretprobe":      func(t string, p *ebpf.Program) (link.Link, error) { return uprobe((*link.Executable).Uretprobe, t, p) },
		"uprobe.multi": func(t string, p *ebpf.Program) (link.Link, error) {
			return uprobeMulti((*link.Executable).UprobeMulti, t, p)
		},
		"uretprobe.multi": func(t string, p *ebpf.Program) (link.Link, error) {
			return uprobeMulti((*link.Executable).UretprobeMulti, t, p)
		},
	}[kind]
	if attach == nil {
		return nil, fmt.Errorf("AttachAll does not support section %s", kind)
	}
	return func() (link.Link, error) { return attach(target, prog) }, nil
}

func kprobe(attach func(string, *ebpf.Program, *link.KprobeOptions) (link.Link, error), target string, prog *ebpf.Program) (link.Link, error) {
	function, offset, err := cutOffset(target)
	if err != nil {
		return nil, err
	}
	return attach(function, prog, &link.KprobeOptions{Offset: offset})
}

func kprobeMulti(attach func(*ebpf.Program, link.KprobeMultiOptions) (link.Link, error), pattern string, prog *ebpf.Program, session bool) (link.Link, error) {
	functions := []string{pattern}
	if strings.ContainsAny(pattern, "*?") {
		var err error
		if functions, err = matchFunctions(pattern); err != nil {
			return nil, err
		}
	}
	return attach(prog, link.KprobeMultiOptions{Symbols: functions, Session: session})
}

// traceable are the files that list the functions that the kernel can trace, where tracefs is mounted or debugfs is.
var traceable = []string{"/sys/kernel/tracing/available_filter_functions", "/sys/kernel/debug/tracing/available_filter_functions"}

// matchFunctions returns the kernel's traceable functions whose names match a pattern of "*" and "?".
func matchFunctions(pattern string) (functions []string, err error) {
	var f *os.File
	for _, file := range traceable {
		if f, err = os.Open(file); !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the functions that match %s, by tracefs: %w", pattern, err)
	}
	defer f.Close()
	seen := map[string]bool{} // the kernel takes no function twice
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, _, module := strings.Cut(lines.Text(), " ") // "name [module]"
		if module || seen[name] {
			continue
		}
		if match, err := path.Match(pattern, name); err != nil {
			return nil, fmt.Errorf("%q: %w", pattern, err)
		} else if match {
			seen[name] = true
			functions = append(functions, name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("the functions that match %s: %w", pattern, err)
	}
	if len(functions) == 0 {
		return nil, fmt.Errorf("no function matches %s: %w", pattern, os.ErrNotExist)
	}
	return functions, nil
}

func uprobe(attach func(*link.Executable, string, *ebpf.Program, *link.UprobeOptions) (link.Link, error), target string, prog *ebpf.Program) (link.Link, error) {
	exe, symbol, err := openExecutable(target)
	if err != nil {
		return nil, err
	}
	function, offset, err := cutOffset(symbol)
	if err != nil {
		return nil, err
	}
	return attach(exe, function, prog, &link.UprobeOptions{Offset: offset})
}

func uprobeMulti(attach func(*link.Executable, []string, *ebpf.Program, *link.UprobeMultiOptions) (link.Link, error), target string, prog *ebpf.Program) (link.Link, error) {
	exe, symbol, err := openExecutable(target)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(symbol, "*?") {
		return nil, fmt.Errorf("%s is a pattern: name the functions, and use link.Executable.UprobeMulti", symbol)
	}
	return attach(exe, []string{symbol}, prog, nil)
}

// openExecutable opens the file of a uprobe's target, "FILE:SYMBOL". A file without folders is looked for where the shell or
// the dynamic linker would.
func openExecutable(target string) (exe *link.Executable, symbol string, err error) {
	file, symbol, ok := strings.Cut(target, ":")
	if !ok || file == "" || symbol == "" {
		return nil, "", fmt.Errorf("target %q is not of the form FILE:SYMBOL", target)
	}
	switch {
	case strings.Contains(file, "/"):
	case strings.Contains(file, ".so"):
		file, err = lookLibrary(file)
	default:
		file, err = exec.LookPath(file)
	}
	if err != nil {
		return nil, "", err
	}
	exe, err = link.OpenExecutable(file)
	return exe, symbol, err
}

// lookLibrary finds a shared library in the folders of the dynamic linker, but for those of ld.so.conf.
func lookLibrary(name string) (string, error) {
	dirs := filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))
	for _, lib := range []string{"/lib*", "/usr/lib*", "/lib/*-linux-gnu*", "/usr/lib/*-linux-gnu*"} {
		found, _ := filepath.Glob(lib) // the patterns are well-formed
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
	}
	return "", fmt.Errorf("library %s: %w: name its path in the section", name, os.ErrNotExist)
}

// cutOffset cuts "function+offset".
func cutOffset(target string) (function string, offset uint64, err error) {
	function, number, ok := strings.Cut(target, "+")
	if !ok {
		return function, 0, nil
	}
	if offset, err = strconv.ParseUint(number, 0, 64); err != nil {
		return "", 0, fmt.Errorf("the offset of target %q is no number", target)
	}
	return function, offset, nil
}
