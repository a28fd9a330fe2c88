// Package runtime loads bundles: BPF programs that a signed loader brings into the kernel, where the kernel verifies the
// loader's signature before it runs.
//
//	coll, err := runtime.LoadBytes(ctx, bundleFile)
//	if err != nil {
//		return err
//	}
//	defer coll.Close()
//	reader, err := ringbuf.NewReader(coll.Map("events"))
//
// A load has these steps. It reads the kernel's BTF and picks the loader that this kernel can verify; version numbers play
// no part. It creates the loader's metadata map, exclusive to the loader, and freezes it. It has the kernel verify the
// signature and run the loader. Finally it takes over the maps and programs the loader made. It never falls back from
// signed to unsigned: that is your decision, by AllowUnsigned.
//
// What a bundle says about itself (names, descriptions, kinds of keys) is neither signed nor trusted: Load compares the
// maps and programs the loader made with the description before it returns them.
//
// The package has no init-time side effects and starts no background goroutines. You may call Load from any number of
// goroutines, and use a Collection from several until one of them closes it.
package runtime
