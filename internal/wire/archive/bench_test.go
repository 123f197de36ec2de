package archive

import (
	"bytes"
	"testing"
)

// BenchmarkWalk reads a zip of 25 MB with ten members that are no containers,
// and one whose members have to be unpacked.
func BenchmarkWalk(b *testing.B) {
	half := noise(5 << 20)
	for i := range half {
		half[i] &= 15 // packs to half
	}
	inner := zipOf(b, entry{"a.bin", half}, entry{"b.bin", half})
	var many []entry
	for range 10 {
		many = append(many, entry{"file.bin", half})
	}
	for name, file := range map[string][]byte{"flat": zipOf(b, many...), "nested": zipOf(b, entry{"in.zip", inner}, entry{"t.tgz", gzipOf(b, "", tarOf(b, entry{"x", half}, entry{"y", half}))})} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Walk(bytes.NewReader(file), Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
