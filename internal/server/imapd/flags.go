package imapd

import (
	"strings"

	"posthorn/internal/state/store"
	"posthorn/internal/wire/imap"
)

// systemFlagNames are the flags every mailbox has, in the order of their bits.
var systemFlagNames = []string{imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft}

// flagWriter writes flag lists and remembers those it has written: a mailbox
// has few different ones.
type flagWriter struct {
	v     *view
	names []string
	made  map[store.Flags]string
}

// recentBit marks \Recent in the keys of made; the store keeps it free.
const recentBit store.Flags = 1 << (store.FirstKeyword - 1)

func (v *view) flagWriter() *flagWriter {
	return &flagWriter{v: v, names: v.told.Keywords, made: map[store.Flags]string{}}
}

// text returns the flags of a message in parentheses.
func (w *flagWriter) text(e *store.Entry) string {
	flags := e.Flags &^ recentBit
	if w.v.isRecent(e.UID) {
		flags |= recentBit
	}
	s, ok := w.made[flags]
	if !ok {
		s = w.write(flags)
		w.made[flags] = s
	}
	return s
}

func (w *flagWriter) write(flags store.Flags) string {
	var names []string
	for i, name := range systemFlagNames {
		if flags&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if flags&recentBit != 0 {
		names = append(names, imap.FlagRecent)
	}
	for i, name := range w.names {
		if flags&(1<<(store.FirstKeyword+i)) != 0 {
			names = append(names, name)
		}
	}
	return "(" + strings.Join(names, " ") + ")"
}

// splitFlags divides what a client wrote into system flags and keywords. A
// flag with a backslash that is none of the five is refused.
func splitFlags(names []string) (flags store.Flags, keywords []string, err error) {
names:
	for _, name := range names {
		for i, system := range systemFlagNames {
			if name == system {
				flags |= 1 << i
				continue names
			}
		}
		if strings.HasPrefix(name, `\`) {
			return 0, nil, &imap.Error{Response: imap.Response{Status: imap.BAD, Text: "Flag " + name + " is not known"}}
		}
		keywords = append(keywords, name)
	}
	return flags, keywords, nil
}

// flagBits returns the bits of a flag name in a mailbox, 0 if it has none.
func flagBits(name string, keywords []string) store.Flags {
	for i, system := range systemFlagNames {
		if strings.EqualFold(name, system) {
			return 1 << i
		}
	}
	for i, k := range keywords {
		if strings.EqualFold(name, k) {
			return 1 << (store.FirstKeyword + i)
		}
	}
	return 0
}
