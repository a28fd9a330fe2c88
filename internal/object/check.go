package object

import "unicode/utf8"

// checkNames holds what is read to what everything behind it counts on: maps and programs are found by their names, and all
// text is UTF-8.
func (r *reader) checkNames() error {
	if !utf8.ValidString(r.License) {
		return r.errorf("section license", "%q is not UTF-8", r.License)
	}
	maps := map[string]bool{}
	for _, m := range r.Maps {
		if err := r.checkName("map", m.Name, maps); err != nil {
			return err
		}
	}
	programs := map[string]bool{}
	for _, p := range r.Programs {
		if err := r.checkName("program", p.Name, programs); err != nil {
			return err
		}
		if !utf8.ValidString(p.Section) {
			return r.errorf("program "+p.Name, "section name %q is not UTF-8", p.Section)
		}
	}
	return nil
}

func (r *reader) checkName(what, name string, seen map[string]bool) error {
	switch {
	case name == "":
		return r.errorf(what, "one has no name")
	case !utf8.ValidString(name):
		return r.errorf(what, "name %q is not UTF-8", name)
	case seen[name]:
		return r.errorf(what+" "+name, "is there twice: rename one, or its section")
	}
	seen[name] = true
	return nil
}
