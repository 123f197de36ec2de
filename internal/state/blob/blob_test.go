package blob

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
)

func openTest(t *testing.T, dir string, size int64, tails []Tail) *Segments {
	t.Helper()
	files, err := Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(files, size, tails, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.NewPCG(uint64(n), 1)
	for i := range b {
		b[i] = byte(r.Uint64())
	}
	return b
}

func readAll(t *testing.T, s *Segments, places []Place) []byte {
	t.Helper()
	b, err := s.Open(s.Pin(), places)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDraftsKeepTheirOctets(t *testing.T) {
	s := openTest(t, t.TempDir(), 1<<20, nil)
	for _, n := range []int{0, 1, 4096, 4097, MemoryLimit, MemoryLimit + 1, 700_000, 3_000_000} {
		for _, expected := range []int64{0, int64(n), 10} {
			want := pattern(n)
			var d Draft
			d.Init(expected, s)
			for rest := want; len(rest) > 0; {
				k := min(len(rest), 1+len(rest)/3)
				if _, err := d.Write(rest[:k]); err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			if err := d.Seal(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(io.NewSectionReader(&d, 0, d.Size()))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d octets, %d expected: differ, %v", n, expected, err)
			}
			if w, ok := d.Spilled().(*Stream); ok && !bytes.Equal(readAll(t, s, w.Places()), want) {
				t.Errorf("%d octets, %d expected: places differ", n, expected)
			}
			if _, err := d.Write([]byte("x")); err == nil {
				t.Error("a sealed draft was written to")
			}
			d.Discard()
			d.Discard()
		}
	}
}

func TestSmallDraftsAllocateNearlyNothing(t *testing.T) {
	body := pattern(2000)
	var d Draft
	n := testing.AllocsPerRun(100, func() {
		d.Init(0, nil)
		if _, err := d.Write(body); err != nil {
			t.Fatal(err)
		}
		d.Discard()
	})
	if n > 1 { // a collection may empty the pools
		t.Errorf("%v allocations", n)
	}
}

func TestBatchesInterleavedWithStreamsStayApart(t *testing.T) {
	s := openTest(t, t.TempDir(), 1<<20, nil)
	b := s.NewBatch()
	type stored struct {
		want   []byte
		places []Place
	}
	var all []stored
	for i := range 40 {
		w, err := s.NewStream(0)
		if err != nil {
			t.Fatal(err)
		}
		big := pattern(70_000 + i)
		if _, err := w.Write(big); err != nil {
			t.Fatal(err)
		}
		for j := range 5 {
			small := pattern(5000 + 31*j + i)
			p, err := b.Add(small)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, stored{small, []Place{p}})
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		stream := w.(*Stream)
		all = append(all, stored{big, stream.Places()})
		for _, p := range stream.Places() {
			b.Include(p.Segment)
		}
		if err := b.Sync(); err != nil {
			t.Fatal(err)
		}
		stream.Settle()
	}
	for i, x := range all {
		if !bytes.Equal(readAll(t, s, x.places), x.want) {
			t.Errorf("body %d at %v differs", i, x.places)
		}
	}
}

func TestRoomIsNotGivenBackUnderAReader(t *testing.T) {
	s := openTest(t, t.TempDir(), 1<<20, nil)
	b := s.NewBatch()
	want := pattern(50_000)
	p, err := b.Add(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	pin := s.Pin()
	s.Free(p)
	if _, err := s.Reclaim(); err != nil {
		t.Fatal(err)
	}
	body, err := s.Open(pin, []Place{p})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := body.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Error("the body changed under its reader:", err)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reclaim(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, s, []Place{p}); bytes.Equal(got, want) {
		t.Error("the room was not given back")
	}
}

// fullFS has no room for files over a limit.
type fullFS struct {
	FS
	limit int64
}

type fullFile struct {
	File
	limit int64
}

func (f fullFS) Create(name string) (File, error) {
	file, err := f.FS.Create(name)
	return fullFile{file, f.limit}, err
}

func (f fullFile) Allocate(n int64) error {
	if n > f.limit {
		return syscall.ENOSPC
	}
	return f.File.Allocate(n)
}

func TestNearlyFullDiskGetsSmallerSegments(t *testing.T) {
	files, err := Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(fullFS{files, 300_000}, 16<<20, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.NewBatch().Add(pattern(100_000)); err != nil {
		t.Error(err)
	}
	if _, err := s.NewStream(400_000); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	names, err := files.Names()
	if err != nil || len(names) != 1 {
		t.Error("a segment without room was left behind:", names, err)
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"README", "1.seg", "000009.seg", "x.seg"} {
		if err := os.WriteFile(dir+"/"+name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openTest(t, dir, 1<<20, nil)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Error(entries, err)
	}
}
