package imap

import (
	"strconv"
)

// FetchAttr is a set of fetch items without arguments.
type FetchAttr uint32

// The items of RFC 3501 §6.4.5, then MODSEQ (RFC 7162), EMAILID and THREADID
// (RFC 8474), SAVEDATE (RFC 8514) and PREVIEW (RFC 8970).
const (
	FetchUID FetchAttr = 1 << iota
	FetchFlags
	FetchInternalDate
	FetchSize
	FetchEnvelope
	FetchBody
	FetchBodyStructure
	FetchModSeq
	FetchEmailID
	FetchThreadID
	FetchSaveDate
	FetchPreview
	// FetchPreviewLazy wants the preview only if it is at hand.
	FetchPreviewLazy
)

// fetchAttrs lists the items in the order Append writes them.
var fetchAttrs = []struct {
	name string
	attr FetchAttr
}{
	{"UID", FetchUID},
	{"FLAGS", FetchFlags},
	{"INTERNALDATE", FetchInternalDate},
	{"RFC822.SIZE", FetchSize},
	{"ENVELOPE", FetchEnvelope},
	{"BODY", FetchBody},
	{"BODYSTRUCTURE", FetchBodyStructure},
	{"MODSEQ", FetchModSeq},
	{"EMAILID", FetchEmailID},
	{"THREADID", FetchThreadID},
	{"SAVEDATE", FetchSaveDate},
	{"PREVIEW", FetchPreview},
	{"PREVIEW (LAZY)", FetchPreviewLazy},
}

// Fetch is the arguments of FETCH and UID FETCH.
type Fetch struct {
	Set      SeqSet
	Attrs    FetchAttr
	Sections []Section
	// ChangedSince, if not 0, wants only what changed after that
	// mod-sequence (RFC 7162 §3.1.4); Vanished wants the expunged UIDs too.
	ChangedSince uint64
	Vanished     bool
	// Window, if not zero, wants only part of the set (RFC 9394).
	Window Window
}

// Fetch takes the arguments of FETCH to the end of the command.
func (d *Decoder) Fetch() (Fetch, error) {
	var f Fetch
	d.arg("a message set")
	f.Set = d.Set()
	d.arg("fetch items")
	if c, ok := d.peek(); ok && c == '(' {
		d.list("fetch items", false, MaxListItems, func() { d.fetchItem(&f) })
	} else {
		d.fetchMacro(&f)
	}
	if d.accept(' ') {
		d.list("fetch modifiers", false, MaxListItems, func() { d.fetchModifier(&f) })
	}
	if f.Vanished && f.ChangedSince == 0 {
		d.fail(expected("CHANGEDSINCE beside VANISHED"))
	}
	return f, d.End()
}

// fetchMacro takes a single item, which may be one of the macros.
func (d *Decoder) fetchMacro(f *Fetch) {
	const fast = FetchFlags | FetchInternalDate | FetchSize
	switch {
	case d.acceptMacro("ALL"):
		f.Attrs = fast | FetchEnvelope
	case d.acceptMacro("FAST"):
		f.Attrs = fast
	case d.acceptMacro("FULL"):
		f.Attrs = fast | FetchEnvelope | FetchBody
	default:
		d.fetchItem(f)
	}
}

// acceptMacro takes a macro name that stands alone.
func (d *Decoder) acceptMacro(name string) bool {
	end := d.pos + len(name)
	if end < len(d.line) && isKeywordChar(d.line[end]) {
		return false
	}
	return d.acceptFold(name)
}

// fetchItem takes one item.
func (d *Decoder) fetchItem(f *Fetch) {
	switch word := d.keyword("a fetch item"); string(word) {
	case "BODY":
		if c, ok := d.peek(); !ok || c != '[' {
			f.Attrs |= FetchBody
			return
		}
		d.addSection(f, FormBody, false)
	case "BODY.PEEK":
		d.addSection(f, FormBody, true)
	case "BINARY":
		d.addSection(f, FormBinary, false)
	case "BINARY.PEEK":
		d.addSection(f, FormBinary, true)
	case "BINARY.SIZE":
		d.addSection(f, FormBinarySize, true)
	case "RFC822":
		f.add(d, Section{Form: FormRFC822})
	case "RFC822.HEADER":
		f.add(d, Section{Form: FormRFC822Header, Peek: true, Part: PartHeader})
	case "RFC822.TEXT":
		f.add(d, Section{Form: FormRFC822Text, Part: PartText})
	case "PREVIEW":
		f.Attrs |= d.preview()
	default:
		f.Attrs |= d.fetchAttr(word)
	}
}

// fetchAttr finds an item without arguments.
func (d *Decoder) fetchAttr(word []byte) FetchAttr {
	for i := range fetchAttrs {
		if string(word) == fetchAttrs[i].name {
			return fetchAttrs[i].attr
		}
	}
	d.fail(expected("a fetch item such as FLAGS, ENVELOPE or BODY[]"))
	return 0
}

// preview takes the modifier of PREVIEW.
func (d *Decoder) preview() FetchAttr {
	if d.acceptFold(" (LAZY)") {
		return FetchPreviewLazy
	}
	return FetchPreview
}

func (d *Decoder) addSection(f *Fetch, form SectionForm, peek bool) {
	f.add(d, d.section(form, peek))
}

func (f *Fetch) add(d *Decoder, s Section) {
	if len(f.Sections) == MaxSections {
		d.fail(tooMany("body sections"))
		return
	}
	f.Sections = append(f.Sections, s)
}

// fetchModifier takes one modifier.
func (d *Decoder) fetchModifier(f *Fetch) {
	switch word := d.keyword("a fetch modifier"); string(word) {
	case "CHANGEDSINCE":
		d.arg("a mod-sequence")
		if f.ChangedSince = d.Number64("a mod-sequence"); f.ChangedSince == 0 {
			d.fail(expected("a mod-sequence greater than 0"))
		}
	case "VANISHED":
		f.Vanished = true
	case "PARTIAL":
		d.arg("a range such as 1:100")
		f.Window = d.window()
	default:
		d.fail(expected("CHANGEDSINCE, VANISHED or PARTIAL"))
	}
}

// Append appends the arguments as a client would write them.
func (f *Fetch) Append(b []byte) []byte {
	b = append(f.Set.Append(b), " ("...)
	start := len(b)
	sep := func() {
		if len(b) > start {
			b = append(b, ' ')
		}
	}
	for _, a := range fetchAttrs {
		if f.Attrs&a.attr != 0 {
			sep()
			b = append(b, a.name...)
		}
	}
	for i := range f.Sections {
		sep()
		b = f.Sections[i].Append(b)
	}
	return f.appendModifiers(append(b, ')'))
}

func (f *Fetch) appendModifiers(b []byte) []byte {
	sep := " ("
	if f.ChangedSince != 0 {
		b = strconv.AppendUint(append(append(b, sep...), "CHANGEDSINCE "...), f.ChangedSince, 10)
		sep = " "
	}
	if f.Vanished {
		b = append(append(b, sep...), "VANISHED"...)
		sep = " "
	}
	if f.Window != (Window{}) {
		b = f.Window.Append(append(append(b, sep...), "PARTIAL "...))
		sep = " "
	}
	if sep == " " {
		b = append(b, ')')
	}
	return b
}
