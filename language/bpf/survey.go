package bpf

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bazelbuild/bazel-gazelle/config"
	"github.com/bazelbuild/bazel-gazelle/walk"
)

const (
	sourceSuffix    = ".bpf.c"
	bpfHeaderSuffix = ".bpf.h"
	headerSuffix    = ".h"
)

// survey is what must be known of the whole repository before rules are generated anywhere: which headers BPF programs
// include. Whether a plain *.h is one of them only its includers tell, and they may be anywhere.
//
// Paths are relative to the repository's root.
type survey struct {
	root     string
	exists   map[string]bool      // sources and headers
	names    map[string]bool      // their names without folders
	scanned  map[string][]include // what a file includes
	used     map[string]bool      // headers that BPF programs include, and those that rules list
	owner    map[string]string    // folder -> the package above it, a rule of which lists files in the folder
	below    map[string][]string  // package -> used headers in folders that it owns
	includes []string             // folders that libraries have searched
	roots    []string             // files from which used is found
}

// surveyOf looks at the whole repository once, or at one folder only if Gazelle is not to read all (-index=lazy).
func (l *bpfLanguage) surveyOf(c *config.Config, rel string) *survey {
	if l.survey != nil && !c.IndexLazy {
		return l.survey
	}
	s := &survey{
		root:    c.RepoRoot,
		exists:  map[string]bool{},
		names:   map[string]bool{},
		scanned: map[string][]include{},
		used:    map[string]bool{},
		owner:   map[string]string{},
		below:   map[string][]string{},
	}
	if l.survey != nil {
		s.scanned = l.survey.scanned
	}
	l.survey = s
	if c.IndexLazy {
		// The folders above, the root among them, may have the files of this one.
		for ; rel != "" && rel != "."; rel = path.Dir(rel) {
			s.visit(c, rel, false)
		}
		s.visit(c, "", false)
	} else {
		s.visit(c, "", true)
	}
	s.follow()
	return s
}

func (s *survey) visit(c *config.Config, rel string, recursive bool) {
	folders := []string{rel}
	for len(folders) > 0 {
		rel := folders[len(folders)-1]
		folders = folders[:len(folders)-1]
		// What cannot be read is told when Gazelle comes there.
		info, _ := walk.GetDirInfo(rel)
		if recursive {
			for _, sub := range info.Subdirs {
				folders = append(folders, path.Join(rel, sub))
			}
		}
		for _, files := range [][]string{info.RegularFiles, info.GenFiles} {
			for _, name := range files {
				s.file(path.Join(rel, name))
			}
		}
		if info.File == nil {
			continue
		}
		for _, r := range info.File.Rules {
			s.rule(rel, existing{r, kindOf(c, r)})
		}
	}
}

func (s *survey) file(file string) {
	if strings.HasSuffix(file, sourceSuffix) || strings.HasSuffix(file, bpfHeaderSuffix) {
		s.roots = append(s.roots, file)
	} else if !strings.HasSuffix(file, headerSuffix) {
		return
	}
	s.exists[file], s.names[path.Base(file)] = true, true
}

// rule notes the files that a rule of ours names.
func (s *survey) rule(rel string, r existing) {
	if r.kind != objectKind && r.kind != libraryKind {
		return
	}
	for _, attr := range []string{"srcs", "hdrs"} {
		for _, name := range r.files(attr) {
			file := path.Join(rel, name)
			s.roots = append(s.roots, file)
			if strings.Contains(name, "/") {
				s.owner[path.Dir(file)] = rel
			}
		}
	}
	for _, folder := range r.AttrStrings("includes") {
		s.includes = append(s.includes, path.Join(rel, folder))
	}
}

// follow finds the headers that are included from the roots.
func (s *survey) follow() {
	seen := map[string]bool{}
	for len(s.roots) > 0 {
		file := s.roots[len(s.roots)-1]
		s.roots = s.roots[:len(s.roots)-1]
		if seen[file] {
			continue
		}
		seen[file] = true
		if strings.HasSuffix(file, headerSuffix) {
			s.used[file] = true
			if pkg, ok := s.owner[path.Dir(file)]; ok {
				s.below[pkg] = append(s.below[pkg], file)
			}
		}
		for _, i := range s.scan(file) {
			for _, candidate := range s.candidates(i) {
				if s.exists[candidate] {
					s.roots = append(s.roots, candidate)
					break
				}
			}
		}
	}
}

// candidates returns the files that an include may mean.
func (s *survey) candidates(i include) []string {
	if !s.names[path.Base(i.path)] {
		return nil // most includes are of the toolchain's headers
	}
	var files []string
	for _, spec := range i.specs() {
		if !strings.HasPrefix(spec, "<") {
			files = append(files, spec)
		}
	}
	for _, folder := range s.includes {
		files = append(files, path.Join(folder, i.path))
	}
	return files
}

// scan returns what a file includes. One that does not exist, such as one that is generated in the build, includes nothing.
func (s *survey) scan(file string) []include {
	includes, ok := s.scanned[file]
	if !ok {
		if src, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(file))); err == nil {
			includes = scanIncludes(file, src)
		}
		s.scanned[file] = includes
	}
	return includes
}
