package contract_test

import (
	"fmt"
	"reflect"

	"github.com/rules-bpf/rules_bpf/bundle"
)

// change is one change of a contract. Paths name the field: "Maps[1].Name".
type change struct {
	name  string
	apply func(*bundle.Contract)
}

// changesOf lists changes of every field that a contract has, of the number and the order of the elements of every list, and
// exchanges of every field between any two elements of a list: names, sections, pins, arenas and all others.
func changesOf(c *bundle.Contract) []change {
	var all []change
	walk(reflect.ValueOf(c).Elem(), "", func(root reflect.Value) reflect.Value { return root }, func(ch change) { all = append(all, ch) })
	return all
}

// find goes to the same place in another copy of the contract.
type find func(root reflect.Value) reflect.Value

func (f find) change(add func(change), name string, apply func(v reflect.Value)) {
	add(change{name, func(c *bundle.Contract) { apply(f(reflect.ValueOf(c).Elem())) }})
}

// walk adds changes of a value and of all that is in it.
func walk(v reflect.Value, path string, at find, add func(change)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := path + "." + v.Type().Field(i).Name
			walk(v.Field(i), name, func(root reflect.Value) reflect.Value { return at(root).Field(i) }, add)
		}
	case reflect.Pointer:
		if v.IsNil() {
			at.change(add, path+": made", func(v reflect.Value) { v.Set(reflect.New(v.Type().Elem())) })
			return
		}
		at.change(add, path+": removed", func(v reflect.Value) { v.SetZero() })
		walk(v.Elem(), path, func(root reflect.Value) reflect.Value { return at(root).Elem() }, add)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			at.change(add, path+": another byte", func(v reflect.Value) { v.Index(v.Len() - 1).SetUint(v.Index(v.Len()-1).Uint() ^ 1) })
			return
		}
		walkList(v, path, at, add)
	case reflect.String:
		at.change(add, path+": longer", func(v reflect.Value) { v.SetString(v.String() + "x") })
		if v.Len() > 0 {
			at.change(add, path+": empty", func(v reflect.Value) { v.SetString("") })
			at.change(add, path+": another", func(v reflect.Value) { v.SetString(v.String()[:v.Len()-1] + "Z") })
		}
	case reflect.Bool:
		at.change(add, path+": changed", func(v reflect.Value) { v.SetBool(!v.Bool()) })
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		at.change(add, path+": another bit", func(v reflect.Value) { v.SetUint(v.Uint() ^ 1) })
		at.change(add, path+": 8 more", func(v reflect.Value) { v.SetUint(v.Uint() + 8) })
	default:
		panic(fmt.Sprintf("%s: add changes of a %v", path, v.Kind()))
	}
}

// walkList adds changes of a list and of its elements.
func walkList(v reflect.Value, path string, at find, add func(change)) {
	at.change(add, path+": one more", func(v reflect.Value) {
		last := reflect.Zero(v.Type().Elem())
		if v.Len() > 0 {
			last = v.Index(v.Len() - 1)
		}
		v.Set(reflect.Append(v, last))
	})
	for i := range v.Len() {
		at.change(add, fmt.Sprintf("%s[%d]: removed", path, i), func(v reflect.Value) {
			v.Set(reflect.AppendSlice(v.Slice(0, i), v.Slice(i+1, v.Len())))
		})
		for j := range i {
			at.change(add, fmt.Sprintf("%s[%d] and [%d]: exchanged", path, j, i), func(v reflect.Value) { swap(v.Index(i), v.Index(j)) })
			exchange(v.Index(i), v.Index(j), fmt.Sprintf("%s[%d] and [%d]", path, j, i), func(root reflect.Value) (a, b reflect.Value) {
				return at(root).Index(i), at(root).Index(j)
			}, add)
		}
		walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i), func(root reflect.Value) reflect.Value { return at(root).Index(i) }, add)
	}
}

// exchange adds the exchange of each field that differs between two elements of a list.
func exchange(a, b reflect.Value, path string, at func(root reflect.Value) (a, b reflect.Value), add func(change)) {
	for k := range a.NumField() {
		if reflect.DeepEqual(a.Field(k).Interface(), b.Field(k).Interface()) {
			continue
		}
		name := path + "." + a.Type().Field(k).Name
		add(change{name + ": exchanged", func(c *bundle.Contract) {
			x, y := at(reflect.ValueOf(c).Elem())
			swap(x.Field(k), y.Field(k))
		}})
		if a.Field(k).Kind() == reflect.Struct {
			exchange(a.Field(k), b.Field(k), name, func(root reflect.Value) (reflect.Value, reflect.Value) {
				x, y := at(root)
				return x.Field(k), y.Field(k)
			}, add)
		}
	}
}

func swap(a, b reflect.Value) {
	kept := reflect.ValueOf(a.Interface())
	a.Set(b)
	b.Set(kept)
}

// copyOf returns a copy of a bundle that shares nothing with it.
func copyOf(b *bundle.Bundle) *bundle.Bundle {
	res := deepCopy(reflect.ValueOf(*b)).Interface().(bundle.Bundle)
	return &res
}

func deepCopy(v reflect.Value) reflect.Value {
	res := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			res.Field(i).Set(deepCopy(v.Field(i)))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			res.Set(reflect.New(v.Type().Elem()))
			res.Elem().Set(deepCopy(v.Elem()))
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		res.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		if v.Type().Elem().Kind() == reflect.Uint8 { // the blob: thousands of bytes
			reflect.Copy(res, v)
			break
		}
		for i := range v.Len() {
			res.Index(i).Set(deepCopy(v.Index(i)))
		}
	default:
		res.Set(v)
	}
	return res
}
