package dsn

import (
	"io"
	"testing"
)

// BenchmarkWrite writes a notice in three languages.
func BenchmarkWrite(b *testing.B) {
	n := goldens(b)["expired-three-languages"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Write(io.Discard, n); err != nil {
			b.Fatal(err)
		}
	}
}
