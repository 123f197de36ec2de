// Package archive looks into attached files: what a file really is, judged by
// its first octets and never by its name, and what the archives among them
// hold, archives in archives included.
//
// Zip (with OOXML, ODF and jar), gzip, bzip2 and tar are opened; 7z, rar, xz
// and other containers are recognised only. A walk reads its input once from
// front to back, unpacks no more than it has to look at, and works within
// Limits; hostile input makes it stop and say why. The package knows neither
// messages nor rules, and has no clock: the caller says when time is up.
package archive

import (
	"bufio"
	"errors"
	"io"
)

// Limits bound one walk. A zero number stands for the default.
type Limits struct {
	// Output is the most octets that are unpacked; 100 MiB.
	Output int64
	// Ratio is the most octets unpacked for each octet read, and the most a
	// member may claim to be larger than its packed form; 100. It counts from
	// 1 MiB of output on.
	Ratio int64
	// Depth is how deep members may lie; 3. The file itself lies at 0.
	Depth int
	// Items is the most items that are reported; 10,000.
	Items int
	// Expired reports that time is up; nil for never. It is asked often.
	Expired func() bool
}

// ratioFloor is the output below which no ratio is suspicious.
const ratioFloor = 1 << 20

func (l Limits) complete() Limits {
	if l.Output <= 0 {
		l.Output = 100 << 20
	}
	if l.Ratio <= 0 {
		l.Ratio = 100
	}
	if l.Depth <= 0 {
		l.Depth = 3
	}
	if l.Items <= 0 {
		l.Items = 10_000
	}
	if l.Expired == nil {
		l.Expired = func() bool { return false }
	}
	return l
}

// Bound is a limit that was reached.
type Bound string

// The bounds; the empty one means that everything was looked at. After Depth
// and Ratio as a mere claim the walk goes on, after the others it has ended.
const (
	BoundNone   Bound = ""
	BoundOutput Bound = "output"
	BoundRatio  Bound = "ratio"
	BoundDepth  Bound = "depth"
	BoundItems  Bound = "items"
	BoundTime   Bound = "time"
)

// Item is the file that was walked, or one member of it.
type Item struct {
	// Name is the member's name as archived, folders included, in the form of
	// CleanName; empty for the file itself and where none is given.
	Name string
	// Type is what the first octets say; Unknown for what could not be read.
	Type Type
	// Parent is the index of the item this one lies in, -1 for the file.
	Parent int
	// Depth is the number of containers around the item.
	Depth int
	// Size is the unpacked size the archive states, -1 if it states none.
	Size int64
	// Encrypted: the content, or that of a rar or Office file, needs a password.
	Encrypted bool
	// Macros: an Office document with a Visual Basic project.
	Macros bool
	// Broken: a container that ends early, contradicts itself or hides members.
	Broken bool
}

// Report is the result of a walk.
type Report struct {
	// Items lists the file itself, always there, and then every member behind
	// the container it lies in.
	Items []Item
	// Bound is the first limit that was reached, At the index of the item in
	// which it was.
	Bound Bound
	At    int
	// In counts the octets read, Out those unpacked.
	In, Out int64
}

// Path returns the names of the containers around an item and its own,
// outermost first; the file itself has none.
func (r *Report) Path(i int) []string {
	var path []string
	for ; i > 0; i = r.Items[i].Parent {
		path = append([]string{r.Items[i].Name}, path...)
	}
	return path
}

// Walk reads a file to the end of what it has to know. What is malformed is
// told in the report; the only errors are those of r.
func Walk(r io.Reader, limits Limits) (*Report, error) {
	w := &walker{limits: limits.complete(), report: &Report{}, source: r}
	w.report.Items = append(w.report.Items, Item{Parent: -1, Size: -1})
	w.look(w.meterIn(), 0)
	return w.report, w.err
}

// walker is one walk. Readers of its levels end with errStop once a bound
// ended the walk or the source failed.
type walker struct {
	limits Limits
	report *Report
	source io.Reader
	err    error // of the source
	ended  bool
	since  int64 // octets since Expired was asked
	here   int   // the container being read
	levels []*level
}

var errStop = errors.New("archive: the walk has ended")

// item returns an item; the pointer is good until the next add.
func (w *walker) item(i int) *Item { return &w.report.Items[i] }

// add files a member of container parent and returns its index.
func (w *walker) add(parent int, it Item) (int, error) {
	if w.ended || w.expired() {
		return 0, errStop
	}
	if len(w.report.Items) >= w.limits.Items {
		return 0, w.end(BoundItems)
	}
	it.Name = CleanName(it.Name)
	it.Parent, it.Depth = parent, w.item(parent).Depth+1
	w.report.Items = append(w.report.Items, it)
	return len(w.report.Items) - 1, nil
}

// note records the first bound.
func (w *walker) note(b Bound) {
	if w.report.Bound == BoundNone {
		w.report.Bound, w.report.At = b, w.here
	}
}

// end records a bound after which nothing more is read.
func (w *walker) end(b Bound) error {
	w.note(b)
	w.ended = true
	return errStop
}

func (w *walker) expired() bool {
	if !w.ended && w.limits.Expired() {
		_ = w.end(BoundTime)
	}
	return w.ended
}

// look finds out what r holds, which is item i, and opens it if it is a
// container. It may leave r at any place.
func (w *walker) look(r io.Reader, i int) {
	level := w.level(w.item(i).Depth)
	br := level.buffer
	br.Reset(r)
	head, _ := br.Peek(peekSize) // what there is; errors come again
	it := w.item(i)
	it.Type = Identify(head)
	it.Encrypted = it.Encrypted || it.Type == RAR && rarEncrypted(head)
	if it.Type == OLE {
		w.ole(br, i)
		return
	}
	open := opener(it.Type)
	if open == nil {
		if i == 0 {
			w.hunt(br)
		}
		return
	}
	outer := w.here
	w.here = i
	defer func() { w.here = outer }()
	if it.Depth >= w.limits.Depth {
		w.note(BoundDepth)
		return
	}
	if err := open(w, br, i); err != nil && !w.ended {
		w.item(i).Broken = true
	}
}

// opener returns what lists the members of the container that is item i, nil
// for a type that is not opened.
func opener(t Type) func(w *walker, br *bufio.Reader, i int) error {
	switch t {
	case Zip:
		return (*walker).zip
	case Gzip:
		return (*walker).gzip
	case Bzip2:
		return (*walker).bzip2
	case Tar:
		return (*walker).tar
	}
	return nil
}
