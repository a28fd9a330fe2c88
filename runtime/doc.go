// Package runtime loads bundles: BPF programs that a signed loader brings into the kernel, and that the kernel attests.
//
//	coll, err := runtime.LoadBytes(ctx, bundleFile)
//	if err != nil {
//		return err
//	}
//	defer coll.Close()
//	reader, err := ringbuf.NewReader(coll.Map("events"))
//
// A load chooses the loader for the scheme that the running kernel attests with, which it finds in the kernel's type
// information and never by version number; makes the loader's metadata map, exclusive to the loader, and freezes it; has
// the kernel verify the signature and run the loader; and hands over what the loader made. It never falls back from
// signed to unsigned: AllowUnsigned is a decision of the program that loads.
//
// What a bundle says of itself (names, descriptions, kinds of keys) is not signed and not trusted: the maps and programs
// that the loader made are compared with it before they are handed over.
//
// The package does nothing when a program starts and keeps no goroutine. Any number of goroutines may load, and use what
// was loaded until one of them closes it.
package runtime
