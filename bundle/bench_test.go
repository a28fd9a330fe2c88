package bundle

import "testing"

// BenchmarkDecode is what a load begins with.
func BenchmarkDecode(b *testing.B) {
	data, err := Encode(sample())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckContract is what a load of a bundle in memory begins with.
func BenchmarkCheckContract(b *testing.B) {
	s := sample()
	b.ReportAllocs()
	for b.Loop() {
		if err := s.CheckContract(); err != nil {
			b.Fatal(err)
		}
	}
}
