package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"posthorn/internal/wire/archive"
	"posthorn/internal/wire/mime"
)

// Attachments judges the files in a message by rules about their names, types
// and, for archives, members. It may be used by many goroutines.
type Attachments struct {
	o     AttachmentOptions
	rules []rule
	deep  bool // some rule asks what the files are
}

// AttachmentOptions say what is looked for and how far.
type AttachmentOptions struct {
	Rules []Rule
	// Limits bound the work on one message, all its attachments together.
	Limits archive.Limits
	// Timeout bounds its time; what is not looked at by then has reached the
	// bound "time". 0 stands for 5 s.
	Timeout time.Duration
}

// NewAttachments compiles the rules; the error names the one that is wrong.
func NewAttachments(o AttachmentOptions) (*Attachments, error) {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	a := &Attachments{o: o}
	for i, r := range o.Rules {
		c, err := r.compile()
		if err != nil {
			return nil, fmt.Errorf("attachment rule %d (%s): %w", i+1, word(r.Name), err)
		}
		a.rules = append(a.rules, c)
		a.deep = a.deep || c.deep
	}
	return a, nil
}

// Attachment is a part of a message as a file.
type Attachment struct {
	// Name is what the author calls it, in a form fit to be shown; "" for a
	// part without a name. Names are all it goes by: programs differ in which
	// they take.
	Name  string
	Names []string
	// Declared is the content type, "application/zip" say.
	Declared string
	// Report says what the part really is and holds. Without a rule that asks
	// for it there is just one item of unknown type.
	Report *archive.Report
}

// Match is the first rule that an attachment fulfils.
type Match struct {
	// Rule is the rule's name, "" if there was no match.
	Rule string
	// Attachment is the file's name, and the member's behind " > ".
	Attachment string
	// Reason is for the operator: attachment, rule and what fitted.
	Reason string
}

// Scan returns the first match, in the order of parts, rules and members. The
// only errors are those of reading message, and of the context if it ends.
func (a *Attachments) Scan(ctx context.Context, s *mime.Structure, message io.ReaderAt) (Match, error) {
	if len(a.rules) == 0 {
		return Match{}, nil
	}
	var m Match
	err := a.walk(ctx, s, message, func(f Attachment) bool {
		m = a.match(f)
		return m.Rule == ""
	})
	if m.Rule != "" {
		return m, nil
	}
	return m, err
}

// List returns all attachments, real types and members included.
func (a *Attachments) List(ctx context.Context, s *mime.Structure, message io.ReaderAt) ([]Attachment, error) {
	var all []Attachment
	deep := *a
	deep.deep = true
	err := deep.walk(ctx, s, message, func(f Attachment) bool {
		all = append(all, f)
		return true
	})
	return all, err
}

// budget is what is left of the limits for a message.
type budget struct {
	ctx    context.Context
	limits archive.Limits
	nested int // messages in base64 that may still be opened
}

// The most messages that hide in a transfer encoding, against RFC 2045 §6.4,
// and the most octets of one.
const (
	maxHidden     = 5
	maxHiddenSize = 16 << 20
)

func (a *Attachments) walk(ctx context.Context, s *mime.Structure, message io.ReaderAt, see func(Attachment) bool) error {
	end := time.Now().Add(a.o.Timeout)
	b := &budget{ctx: ctx, limits: a.o.Limits, nested: maxHidden}
	b.limits.Expired = func() bool { return ctx.Err() != nil || !time.Now().Before(end) }
	if b.limits.Output <= 0 {
		b.limits.Output = 100 << 20
	}
	if b.limits.Items <= 0 {
		b.limits.Items = 10_000
	}
	_, err := a.parts(b, s, message, see)
	return errors.Join(err, ctx.Err())
}

// parts shows every part that is a file of its own, until see has enough.
func (a *Attachments) parts(b *budget, s *mime.Structure, message io.ReaderAt, see func(Attachment) bool) (more bool, err error) {
	for i := range s.Parts {
		p := &s.Parts[i]
		if b.ctx.Err() != nil {
			return false, nil
		}
		if hasChildren(s, i) {
			continue
		}
		f := describe(p)
		if a.deep {
			if f.Report, err = b.look(p, message); err != nil {
				return false, err
			}
		}
		if !see(f) {
			return false, nil
		}
		if more, err := a.hidden(b, p, message, see); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

func hasChildren(s *mime.Structure, i int) bool {
	for range s.Children(i) {
		return true
	}
	return false
}

func isMessage(p *mime.Part) bool {
	return p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global")
}

// hidden shows the parts of a message in base64 or quoted-printable, which the
// parser rightly leaves alone and mail programs open nevertheless.
func (a *Attachments) hidden(b *budget, p *mime.Part, message io.ReaderAt, see func(Attachment) bool) (more bool, err error) {
	if !isMessage(p) || b.nested == 0 {
		return true, nil
	}
	b.nested--
	content, err := io.ReadAll(io.LimitReader(decoded(p, message), maxHiddenSize))
	if err != nil {
		return false, fmt.Errorf("attachments: %w", err)
	}
	return a.parts(b, mime.Parse(content), bytes.NewReader(content), see)
}

// decoded is a part's content; in an unknown encoding as it stands.
func decoded(p *mime.Part, message io.ReaderAt) io.Reader {
	raw := io.NewSectionReader(message, p.Body.Start, p.Body.Len())
	if r, err := mime.DecodeReader(raw, p.Encoding); err == nil {
		return r
	}
	return raw
}

// look finds out what a part is, from what is left of the limits.
func (b *budget) look(p *mime.Part, message io.ReaderAt) (*archive.Report, error) {
	if b.limits.Output <= 0 || b.limits.Items <= 0 {
		r := unseen()
		r.Bound = archive.BoundItems
		if b.limits.Output <= 0 {
			r.Bound = archive.BoundOutput
		}
		return r, nil
	}
	r, err := archive.Walk(decoded(p, message), b.limits)
	if err != nil {
		return nil, fmt.Errorf("attachments: %w", err)
	}
	b.limits.Output -= r.Out
	b.limits.Items -= len(r.Items) - 1
	return r, nil
}

func unseen() *archive.Report {
	return &archive.Report{Items: []archive.Item{{Parent: -1, Size: -1}}}
}

// describe names a part.
func describe(p *mime.Part) Attachment {
	f := Attachment{Declared: line(p.Type+"/"+p.Subtype, maxWord), Report: unseen()}
	for _, name := range []string{p.Filename(), p.Param("name")} {
		if name != "" && (len(f.Names) == 0 || f.Names[0] != name) {
			f.Names = append(f.Names, name)
		}
	}
	if len(f.Names) > 0 {
		f.Name = archive.CleanName(f.Names[0])
	}
	return f
}

// match returns the first rule that the file or a member fulfils.
func (a *Attachments) match(f Attachment) Match {
	for i := range a.rules {
		r := &a.rules[i]
		for _, c := range candidates(f, r.members) {
			what, ok := r.matches(c)
			if !ok {
				continue
			}
			return Match{Rule: r.name, Attachment: c.shown,
				Reason: fmt.Sprintf("the attachment %s fits the rule %s (%s)", c.shown, r.name, what)}
		}
	}
	return Match{}
}

// candidate is a file or member as rules see it.
type candidate struct {
	shown    string
	names    []string
	declared string // of the file itself only
	item     *archive.Item
	bound    archive.Bound
}

func candidates(f Attachment, members bool) []candidate {
	items := f.Report.Items
	all := []candidate{{shown: shown(f), names: f.Names, declared: f.Declared, item: &items[0], bound: f.Report.Bound}}
	if !members {
		return all
	}
	for i := 1; i < len(items); i++ {
		outer := all[items[i].Parent]
		name := items[i].Name
		c := candidate{item: &items[i], shown: outer.shown + " > " + quoted(name)}
		if name == "" && len(outer.names) > 0 {
			name = unpackedName(outer.names[0])
			c.shown = outer.shown + " > its content"
		}
		c.names = []string{name}
		all = append(all, c)
	}
	return all
}

// shown is how reasons call a file.
func shown(f Attachment) string {
	if f.Name == "" {
		return "without a name (" + f.Declared + ")"
	}
	return quoted(f.Name)
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, "'") + `"` }

// unpackedName is what programs call the content of a compressed file that
// does not say: the name less the last extension.
func unpackedName(name string) string {
	key := nameKey(name)
	if i := strings.LastIndexByte(key, '.'); i > 0 {
		return key[:i]
	}
	return key
}
