package btf

// ExtBytes returns the contents of a .BTF.ext section that goes with what w writes: the records of the sections named, in
// that order. Strings that it needs are added to w, so it comes before Bytes.
func (w *Writer) ExtBytes(e *Ext, sections []string) []byte {
	const header, funcLen, lineLen, reloLen = 32, 8, 16, 16
	order := w.spec.Order
	var out []byte
	u32 := func(values ...uint32) {
		for _, v := range values {
			out = append(out, 0, 0, 0, 0)
			order.PutUint32(out[len(out)-4:], v)
		}
	}
	out = make([]byte, header)
	order.PutUint16(out, magic)
	out[2] = 1
	order.PutUint32(out[4:], header)
	// part writes one part: the size of its records, then for each section its name, how many there are, and these.
	part := func(at int, size uint32, count func(sec string) int, record func(sec string, i int)) {
		start := len(out)
		u32(size)
		for _, sec := range sections {
			n := count(sec)
			if n == 0 {
				continue
			}
			u32(w.String(sec), uint32(n))
			for i := range n {
				record(sec, i)
			}
		}
		if len(out) == start+4 {
			out = out[:start]
		}
		order.PutUint32(out[at:], uint32(start-header))
		order.PutUint32(out[at+4:], uint32(len(out)-start))
	}
	part(8, funcLen, func(sec string) int { return len(e.Funcs[sec]) }, func(sec string, i int) {
		f := e.Funcs[sec][i]
		u32(f.Offset, w.ID(f.Type))
	})
	part(16, lineLen, func(sec string) int { return len(e.Lines[sec]) }, func(sec string, i int) {
		l := e.Lines[sec][i]
		u32(l.Offset, w.String(l.File), w.String(l.Text), l.LineCol)
	})
	part(24, reloLen, func(sec string) int { return len(e.Relos[sec]) }, func(sec string, i int) {
		r := e.Relos[sec][i]
		u32(r.Offset, w.ID(r.Type), w.String(r.Access), r.Kind)
	})
	return out
}
