package archive

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// BenchmarkWalk reads a zip of 25 MB with ten members that are no containers,
// and one whose members have to be unpacked.
func BenchmarkWalk(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 5<<20)
	for i := range noise {
		noise[i] = byte(random.Uint32() >> 28) // packs to half
	}
	inner := zipOf(b, entry{"a.bin", noise}, entry{"b.bin", noise})
	var many []entry
	for range 10 {
		many = append(many, entry{"file.bin", noise})
	}
	for name, file := range map[string][]byte{"flat": zipOf(b, many...), "nested": zipOf(b, entry{"in.zip", inner}, entry{"t.tgz", gzipOf(b, "", tarOf(b, entry{"x", noise}, entry{"y", noise}))})} {
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
