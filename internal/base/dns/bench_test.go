package dns_test

import (
	"testing"

	"posthorn/internal/testkit/authority"
)

func BenchmarkHit(b *testing.B) {
	r := resolver(b, authority.New(b, zone))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.MX(b.Context(), "example.test"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMiss(b *testing.B) {
	r := resolver(b, authority.New(b, zone))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.A(b.Context(), "flash.example.test"); err != nil {
			b.Fatal(err)
		}
	}
}
