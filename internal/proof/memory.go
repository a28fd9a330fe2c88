package proof

// cell is a byte of memory: byte i of a value, the least significant one being byte 0. The zero cell is a byte that this run has not
// written.
type cell struct {
	v *value
	i uint8
}

// Memory is a persistent tree of words of 8 bytes, so that the two states after a branch share what they have in common.
const (
	wordSize = 8
	fanBits  = 4
	fan      = 1 << fanBits
)

type word [wordSize]cell

// node is an inner node, or a leaf (word != nil).
type node struct {
	kids [fan]*node
	word *word
	// owner is the merge that made this node and may still change it; from is what it last merged into it, which it need not look at
	// again.
	owner *int
	from  *node
}

// memory is the bytes of one region that a run has written.
type memory struct {
	root  *node
	depth int // levels of inner nodes
}

// newMemory is for a region of size bytes.
func newMemory(size int64) memory {
	depth := 1
	for span := int64(wordSize * fan); span < size; span <<= fanBits {
		depth++
	}
	return memory{depth: depth}
}

// slot is which child of an inner node at a level leads to a word.
func slot(index int64, level int) int { return int(index>>(fanBits*level)) & (fan - 1) }

// load returns the cell of a byte.
func (m *memory) load(off int64) cell {
	n, index := m.root, off/wordSize
	for level := m.depth - 1; n != nil && level >= 0; level-- {
		n = n.kids[slot(index, level)]
	}
	if n == nil {
		return cell{}
	}
	return n.word[off%wordSize]
}

// store writes cells from an offset on.
func (m *memory) store(off int64, cells []cell) {
	for len(cells) > 0 {
		at := int(off % wordSize)
		n := min(len(cells), wordSize-at)
		m.root = m.root.store(m.depth, off/wordSize, at, cells[:n])
		off, cells = off+int64(n), cells[n:]
	}
}

func (n *node) store(level int, index int64, at int, cells []cell) *node {
	fresh := &node{}
	if n != nil {
		fresh.kids = n.kids
	}
	if level == 0 {
		w := word{}
		if n != nil {
			w = *n.word
		}
		copy(w[at:], cells)
		fresh.word = &w
		return fresh
	}
	i := slot(index, level-1)
	fresh.kids[i] = fresh.kids[i].store(level-1, index, at, cells)
	return fresh
}

// visit calls f for every written byte in a range, in order.
func (m *memory) visit(off, size int64, f func(off int64, c cell)) {
	m.root.visit(m.depth, 0, off, off+size, f)
}

func (n *node) visit(level int, base, from, to int64, f func(int64, cell)) {
	span := int64(wordSize) << (fanBits * level)
	if n == nil || base >= to || base+span <= from {
		return
	}
	if level == 0 {
		for i, c := range n.word {
			if at := base + int64(i); c.v != nil && at >= from && at < to {
				f(at, c)
			}
		}
		return
	}
	for i, k := range n.kids {
		k.visit(level-1, base+int64(i)*(span>>fanBits), from, to, f)
	}
}

// merge merges another memory into this one. Its nodes with this owner are changed in place. words merges two words at an offset.
func (m *memory) merge(o memory, owner *int, words func(off int64, a, b *word) *word) {
	g := merger{owner, words}
	m.root = g.nodes(m.root, o.root, m.depth, 0)
}

type merger struct {
	owner *int
	words func(off int64, a, b *word) *word
}

// nowhere stands in node.from for no node at all, and unwritten for the words of one.
var (
	nowhere   = &node{}
	unwritten word
)

func (g *merger) nodes(a, b *node, level int, base int64) *node {
	if b == nil {
		b = nowhere
	}
	mine := a != nil && a.owner == g.owner
	if a == b || a == nil && b == nowhere || mine && a.from == b {
		return a
	}
	if !mine {
		fresh := &node{owner: g.owner}
		if a != nil {
			fresh.kids, fresh.word = a.kids, a.word
		}
		a = fresh
	}
	a.from = b
	if level == 0 {
		wa, wb := a.word, b.word
		if wa == nil {
			wa = &unwritten
		}
		if wb == nil {
			wb = &unwritten
		}
		a.word = g.words(base, wa, wb)
		return a
	}
	span := int64(wordSize) << (fanBits * (level - 1))
	for i, k := range a.kids {
		if k != b.kids[i] {
			a.kids[i] = g.nodes(k, b.kids[i], level-1, base+int64(i)*span)
		}
	}
	return a
}
