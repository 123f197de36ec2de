package junk

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpu reports the processor time of an operation, which a busy machine changes
// less than the clock's. The returned function ends the measuring.
func cpu(b *testing.B) func() {
	begin := spent(b)
	return func() { b.ReportMetric(float64((spent(b)-begin).Nanoseconds())/float64(b.N)/1000, "cpu-µs/op") }
}

func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// letter is a message of about n octets of text with the words of the corpus.
func letter(c *corpus, n int) []byte {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(c.sentences(50, pick(c.r, c.language.ham), c.language.spam))
	}
	raw := string(c.ham())
	head, _, _ := strings.Cut(raw, "Content-Type: ")
	return []byte(head + "Content-Type: text/plain; charset=utf-8\r\n\r\n" + b.String())
}

func BenchmarkRead(b *testing.B) {
	f := reader()
	for _, l := range []language{english(), japanese()} {
		for _, size := range []int{2 << 10, 20 << 10} {
			m := parsed(letter(newCorpus(l, 1), size))
			b.Run(fmt.Sprintf("%s/%dKB", l.name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				defer cpu(b)()
				tokens := 0
				for b.Loop() {
					t, err := f.Read(m)
					if err != nil {
						b.Fatal(err)
					}
					tokens = t.Len()
				}
				b.ReportMetric(float64(tokens), "tokens")
			})
		}
	}
}

// full fills an account's model with tokens no message has.
func full(b *testing.B, f *Filter, a Account, tokens int) {
	b.Helper()
	for i := 0; tokens > 0; i++ {
		list := make([]string, min(tokens, 2000))
		for j := range list {
			list[j] = fmt.Sprintf("filler%dx%d", i, j)
		}
		tokens -= len(list)
		learn(b, f, Lesson{a, fmt.Sprint("filler", i), Class(1 + i%2), words(f, list...)})
	}
}

func BenchmarkScore(b *testing.B) {
	f := newFilter(b)
	c := newCorpus(english(), 1)
	teach(b, f, 1, c, 200)
	teach(b, f, 2, c, 200)
	full(b, f, 2, 150_000)
	full(b, f, 3, 150_000)
	for _, size := range []int{2 << 10, 20 << 10} {
		tokens := read(b, f, letter(c, size))
		for name, a := range map[string]Account{"200": 1, "large": 2} {
			b.Run(fmt.Sprintf("%s/%dKB", name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				defer cpu(b)()
				for b.Loop() {
					score(b, f, a, tokens)
				}
			})
		}
	}
	tokens := read(b, f, letter(c, 20<<10))
	for name, a := range map[string]Account{"200": 1, "large": 2} {
		b.Run("cold/"+name, func(b *testing.B) {
			defer cpu(b)()
			for b.Loop() {
				f.cache.mu.Lock()
				f.cache.remove(a)
				f.cache.mu.Unlock()
				score(b, f, a, tokens)
			}
		})
	}
}

func BenchmarkLearn(b *testing.B) {
	for _, together := range []int{1, 32} {
		for _, filler := range []int{0, 150_000} {
			b.Run(fmt.Sprintf("%d-at-once/%d-tokens", together, filler), func(b *testing.B) {
				f := newFilter(b)
				full(b, f, 1, filler)
				c := newCorpus(english(), 1)
				var list []Lesson
				for i := range 512 {
					list = append(list, Lesson{1, "", Class(1 + i%2), read(b, f, letter(c, 4<<10))})
				}
				n := 0
				defer cpu(b)()
				for b.Loop() {
					batch := make([]Lesson, together)
					for i := range batch {
						batch[i] = list[n%len(list)]
						batch[i].Key = fmt.Sprint(n)
						n++
					}
					if err := f.Learn(context.Background(), batch...); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
