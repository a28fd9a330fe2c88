package loader

import (
	"bytes"
	"fmt"

	"github.com/rules-bpf/rules_bpf/internal/btf"
	"github.com/rules-bpf/rules_bpf/internal/insn"
	"github.com/rules-bpf/rules_bpf/internal/object"
	"github.com/rules-bpf/rules_bpf/internal/uapi"
)

// arenaAddress is where an arena lies in user space when the object does not say: a loader cannot map one, so its address
// has to be known when it is created (map_extra).
const arenaAddress = 1 << 44

// mapPlan is a map and where in the blob its attributes are.
type mapPlan struct {
	// Map is a copy of the object's map. The plan completes it with what the object leaves open.
	object.Map
	index  int
	inner  *innerPlan
	attr   uint32
	size   int
	update *updatePlan // of a data map's contents, or nil
	fills  []updatePlan
	ops    *structOpsPlan
	data   uint32 // where an arena's initial contents are
}

// innerPlan is the template of a map of maps, a map of its own while the outer one is created.
type innerPlan struct {
	*object.Map
	temp int
	attr uint32
	size int
}

// updatePlan is a BPF_MAP_UPDATE_ELEM.
type updatePlan struct {
	attr       uint32
	size       int
	key, value uint32
	keyData    []byte
	program    *programPlan // whose slot is the value, or
	mapIndex   int          // the map whose slot is
}

func (c *compiler) planMaps() error {
	c.mapPlans = map[*object.Map]*mapPlan{}
	for _, m := range c.obj.Maps {
		if m.Disabled {
			continue
		}
		p := &mapPlan{Map: *m, index: len(c.maps)}
		if m.Inner != nil {
			p.inner = &innerPlan{Map: m.Inner, temp: c.slots.addTemp()}
		}
		if p.Type == uapi.MapTypeArena && p.Extra == 0 {
			p.Extra = arenaAddress
		}
		c.maps = append(c.maps, p)
		c.mapPlans[m] = p
	}
	c.slots.maps = len(c.maps)
	if c.slots.maps == 0 {
		c.slots.maps = 1 // a kernel function's index in fd_array must not be zero, which stands for vmlinux
	}
	for _, p := range c.maps {
		if p.StructOps != nil {
			if err := c.planStructOps(p); err != nil {
				return fmt.Errorf("map %s: %w", p.Name, err)
			}
		}
	}
	return nil
}

// checkContents says what the object puts into a map and the loader cannot.
func (c *compiler) checkContents() error {
	for _, p := range c.maps {
		if err := c.checkMapSlots(p); err != nil {
			return fmt.Errorf("map %s: %w", p.Name, err)
		}
		if p.ops == nil {
			continue
		}
		for _, f := range p.ops.funcs {
			if err := c.checkLoaded(f.program); err != nil {
				return fmt.Errorf("map %s: member %s: %w", p.Name, f.member, err)
			}
		}
	}
	return nil
}

func (c *compiler) checkMapSlots(p *mapPlan) error {
	if p.Type == uapi.MapTypeHashOfMaps && uint64(len(p.Slots)) > uint64(p.MaxEntries) {
		return fmt.Errorf("it is given %d values, and has max_entries %d", len(p.Slots), p.MaxEntries)
	}
	for _, s := range p.Slots {
		if p.Type != uapi.MapTypeHashOfMaps && s.Index >= p.MaxEntries {
			return fmt.Errorf("value %d is beyond its max_entries, %d", s.Index, p.MaxEntries)
		}
		if s.Program == nil {
			continue
		}
		if err := c.checkLoaded(s.Program); err != nil {
			return fmt.Errorf("value %d: %w", s.Index, err)
		}
	}
	return nil
}

// checkLoaded says when the loader does not load a program that a map is given.
func (c *compiler) checkLoaded(p *object.Program) error {
	if c.plans[p] == nil {
		return fmt.Errorf(`program %s is disabled, SEC("?%s"): remove the "?", or take the program out of the map`, p.Name, p.Section)
	}
	return nil
}

// mapTypes returns the types that a map is created with, if any.
func (c *compiler) mapTypes(m *object.Map) (key, value btf.ID) {
	if c.btf == nil || m.StructOps != nil {
		return 0, 0
	}
	return c.btf.ID(m.KeyType), c.btf.ID(m.ValueType)
}

// createAttr makes the attribute of BPF_MAP_CREATE.
func (c *compiler) createAttr(m *object.Map) *attr {
	a := &attr{order: c.order}
	a.u32(uapi.MapCreateType, uint32(m.Type))
	a.u32(uapi.MapCreateKeySize, m.KeySize)
	a.u32(uapi.MapCreateValueSize, m.ValueSize)
	a.u32(uapi.MapCreateMaxEntries, m.MaxEntries)
	a.u32(uapi.MapCreateFlags, uint32(m.Flags))
	a.u32(uapi.MapCreateNUMANode, m.NUMANode)
	a.name(uapi.MapCreateName, m.KernelName)
	a.u64(uapi.MapCreateExtra, m.Extra)
	key, value := c.mapTypes(m)
	a.u32(uapi.MapCreateKeyTypeID, key)
	a.u32(uapi.MapCreateValueTypeID, value)
	if m.Inner != nil {
		a.reserve(uapi.MapCreateInnerMapFD + 4)
	}
	if m.StructOps != nil {
		a.reserve(uapi.MapCreateValueTypeBTFFD + 4)
	}
	return a
}

// layOutMaps puts the maps' attributes into the blob.
func (c *compiler) layOutMaps() {
	for _, p := range c.maps {
		if p.inner != nil {
			a := c.createAttr(p.inner.Map)
			p.inner.attr, p.inner.size = c.blob.add(a.data, 8), len(a.data)
		}
		a := c.createAttr(&p.Map)
		p.attr, p.size = c.blob.add(a.data, 8), len(a.data)
		if len(bytes.Trim(p.Data, "\x00")) > 0 && p.Type != uapi.MapTypeArena { // a new map is zero already
			var flags uapi.UpdateFlags
			if p.Type == uapi.MapTypePerCPUArray {
				flags = uapi.UpdateFlagAllCPUs
			}
			p.update = c.layOutUpdate(flags)
		}
		for _, s := range p.Slots {
			u := c.layOutUpdate(0)
			u.keyData = make([]byte, 4)
			c.order.PutUint32(u.keyData, s.Index)
			if s.Program != nil {
				u.program = c.plans[s.Program]
			} else {
				u.mapIndex = c.mapPlans[s.Map].index
			}
			p.fills = append(p.fills, *u)
		}
		if p.ops != nil {
			c.layOutStructOps(&p.Map, p.ops)
		}
	}
}

// layOutUpdate puts the attribute of a BPF_MAP_UPDATE_ELEM into the blob.
func (c *compiler) layOutUpdate(flags uapi.UpdateFlags) *updatePlan {
	a := &attr{order: c.order}
	a.reserve(uapi.MapUpdateValue + 8)
	a.u64(uapi.MapUpdateFlags, uint64(flags))
	return &updatePlan{attr: c.blob.add(a.data, 8), size: len(a.data)}
}

// layOutContents puts the maps' keys and values into the blob.
func (c *compiler) layOutContents() {
	for _, p := range c.maps {
		if p.update != nil {
			p.update.key = c.blob.zeroKey()
			p.update.value = c.blob.add(p.Data, 8)
		}
		if p.Type == uapi.MapTypeArena && len(p.Data) > 0 {
			p.data = c.blob.add(p.Data, 8)
		}
		for i := range p.fills {
			u := &p.fills[i]
			u.key = c.blob.add(u.keyData, 4)
			if u.program != nil {
				u.value = slotOffset(c.slots.ofProgram(u.program.index))
			} else {
				u.value = slotOffset(u.mapIndex)
			}
		}
		if p.ops != nil && p.ops.update != nil {
			p.ops.update.key = c.blob.zeroKey()
		}
	}
}

// createMaps emits the creation of all maps, and the filling of those with data.
func (c *compiler) createMaps() {
	for _, p := range c.maps {
		if p.inner != nil {
			c.code.sys(uapi.CmdMapCreate, p.inner.attr, p.inner.size)
			c.code.store(insn.StoreW, p.attr+uapi.MapCreateInnerMapFD, insn.R0)
			c.code.store(insn.StoreW, slotOffset(c.slots.ofTemp(p.inner.temp)), insn.R0)
		}
		c.code.sys(uapi.CmdMapCreate, p.attr, p.size)
		c.keep(p.index, ctxOffset(p.index))
		for _, u := range p.updates() {
			c.code.store(insn.StoreW, u.attr+uapi.MapUpdateMapFD, insn.R0)
		}
		if p.update != nil {
			c.code.sys(uapi.CmdMapUpdateElem, p.update.attr, p.update.size)
		}
		if p.Freeze && len(p.fills) == 0 {
			c.freeze(p)
		}
	}
}

// freeze emits a freeze. Its attribute is a descriptor, and the slot is one.
func (c *compiler) freeze(p *mapPlan) { c.code.sys(uapi.CmdMapFreeze, slotOffset(p.index), 4) }

// freezeFilled emits the freezes that had to wait until the maps were filled: a frozen map takes no update.
func (c *compiler) freezeFilled() {
	for _, p := range c.maps {
		if p.Freeze && len(p.fills) > 0 {
			c.freeze(p)
		}
	}
}

// updates are all that need the map's descriptor.
func (p *mapPlan) updates() []updatePlan {
	u := p.fills
	if p.update != nil {
		u = append([]updatePlan{*p.update}, u...)
	}
	if p.ops != nil && p.ops.update != nil {
		u = append(u, *p.ops.update)
	}
	return u
}

// fillMapsOfMaps emits the updates that put maps into maps, once all maps are there.
func (c *compiler) fillMapsOfMaps() {
	c.fill(func(u updatePlan) bool { return u.program == nil })
}

// fillProgramArrays emits the updates that put programs into maps, once all programs are loaded.
func (c *compiler) fillProgramArrays() {
	c.fill(func(u updatePlan) bool { return u.program != nil })
}

// fill emits those of the maps' updates that want accepts.
func (c *compiler) fill(want func(updatePlan) bool) {
	for _, p := range c.maps {
		for _, u := range p.fills {
			if want(u) {
				c.code.sys(uapi.CmdMapUpdateElem, u.attr, u.size)
			}
		}
	}
}

// keep emits the storing of the descriptor in R0 in its slot and in the context.
func (c *compiler) keep(slot int, ctx uint32) {
	c.code.store(insn.StoreW, slotOffset(slot), insn.R0)
	c.code.emit(insn.Insn{Op: insn.StoreW, Dst: regCtx, Src: insn.R0, Off: int16(ctx)})
}
