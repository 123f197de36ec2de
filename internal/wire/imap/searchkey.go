package imap

import (
	"strconv"
	"time"
)

// SearchOp says what a SearchKey tests.
type SearchOp uint8

// The operators and tests. Keys that are only other words for these are
// turned into them: ANSWERED is KeyFlag, OLD is KeyUnflag, NEW is KeyAnd,
// FROM and SUBJECT are KeyHeader.
const (
	KeyAll        SearchOp = iota // every message
	KeyAnd                        // all of Keys
	KeyOr                         // one of Keys
	KeyNot                        // not Keys[0]
	KeySeq                        // sequence number in Set, or "$"
	KeyUID                        // UID in Set
	KeyFlag                       // Text is set
	KeyUnflag                     // Text is not set
	KeyHeader                     // header field Field contains Text; empty Text: is there
	KeyBody                       // the body contains Text
	KeyText                       // header or body contains Text
	KeyLarger                     // more than Number octets
	KeySmaller                    // fewer than Number octets
	KeyBefore                     // internal date before Date
	KeyOn                         // internal date on Date
	KeySince                      // internal date on Date or later
	KeySentBefore                 // the same for the Date header field
	KeySentOn
	KeySentSince
	KeySavedBefore // the same for the time of filing (RFC 8514)
	KeySavedOn
	KeySavedSince
	KeySaveDateSupported
	KeyOlder   // filed more than Number seconds ago (RFC 5032)
	KeyYounger // filed less than Number seconds ago
	KeyModSeq  // mod-sequence at least Number (RFC 7162 §3.1.5)
	KeyEmailID // the object identifier is Text (RFC 8474)
	KeyThreadID
)

// SearchKey is a search program: a tree of at most MaxSearchKeys keys and
// MaxNesting levels. Text is UTF-8, Field lower case, Date midnight in UTC
// (only its day counts, RFC 3501 §6.4.4).
type SearchKey struct {
	Op     SearchOp
	Text   string
	Field  string
	Date   time.Time
	Number uint64
	Set    SeqSet
	Keys   []SearchKey
}

// searchWord ties a word of the protocol to a key. A Text or Field given here
// belongs to the word, otherwise what the key needs is read.
type searchWord struct {
	name string
	key  SearchKey
}

// searchWords lists all keys but operators, sets and NEW.
var searchWords = []searchWord{
	{"ALL", SearchKey{Op: KeyAll}},
	{"ANSWERED", SearchKey{Op: KeyFlag, Text: FlagAnswered}},
	{"DELETED", SearchKey{Op: KeyFlag, Text: FlagDeleted}},
	{"DRAFT", SearchKey{Op: KeyFlag, Text: FlagDraft}},
	{"FLAGGED", SearchKey{Op: KeyFlag, Text: FlagFlagged}},
	{"SEEN", SearchKey{Op: KeyFlag, Text: FlagSeen}},
	{"RECENT", SearchKey{Op: KeyFlag, Text: FlagRecent}},
	{"UNANSWERED", SearchKey{Op: KeyUnflag, Text: FlagAnswered}},
	{"UNDELETED", SearchKey{Op: KeyUnflag, Text: FlagDeleted}},
	{"UNDRAFT", SearchKey{Op: KeyUnflag, Text: FlagDraft}},
	{"UNFLAGGED", SearchKey{Op: KeyUnflag, Text: FlagFlagged}},
	{"UNSEEN", SearchKey{Op: KeyUnflag, Text: FlagSeen}},
	{"OLD", SearchKey{Op: KeyUnflag, Text: FlagRecent}},
	{"KEYWORD", SearchKey{Op: KeyFlag}},
	{"UNKEYWORD", SearchKey{Op: KeyUnflag}},
	{"FROM", SearchKey{Op: KeyHeader, Field: "from"}},
	{"TO", SearchKey{Op: KeyHeader, Field: "to"}},
	{"CC", SearchKey{Op: KeyHeader, Field: "cc"}},
	{"BCC", SearchKey{Op: KeyHeader, Field: "bcc"}},
	{"SUBJECT", SearchKey{Op: KeyHeader, Field: "subject"}},
	{"HEADER", SearchKey{Op: KeyHeader}},
	{"BODY", SearchKey{Op: KeyBody}},
	{"TEXT", SearchKey{Op: KeyText}},
	{"LARGER", SearchKey{Op: KeyLarger}},
	{"SMALLER", SearchKey{Op: KeySmaller}},
	{"BEFORE", SearchKey{Op: KeyBefore}},
	{"ON", SearchKey{Op: KeyOn}},
	{"SINCE", SearchKey{Op: KeySince}},
	{"SENTBEFORE", SearchKey{Op: KeySentBefore}},
	{"SENTON", SearchKey{Op: KeySentOn}},
	{"SENTSINCE", SearchKey{Op: KeySentSince}},
	{"SAVEDBEFORE", SearchKey{Op: KeySavedBefore}},
	{"SAVEDON", SearchKey{Op: KeySavedOn}},
	{"SAVEDSINCE", SearchKey{Op: KeySavedSince}},
	{"SAVEDATESUPPORTED", SearchKey{Op: KeySaveDateSupported}},
	{"OLDER", SearchKey{Op: KeyOlder}},
	{"YOUNGER", SearchKey{Op: KeyYounger}},
	{"MODSEQ", SearchKey{Op: KeyModSeq}},
	{"UID", SearchKey{Op: KeyUID}},
	{"EMAILID", SearchKey{Op: KeyEmailID}},
	{"THREADID", SearchKey{Op: KeyThreadID}},
}

// Uses reports whether op stands anywhere in the program, as a search with
// MODSEQ turns CONDSTORE on.
func (k *SearchKey) Uses(op SearchOp) bool {
	if k.Op == op {
		return true
	}
	for i := range k.Keys {
		if k.Keys[i].Uses(op) {
			return true
		}
	}
	return false
}

// Append appends the key as a client would write it.
func (k *SearchKey) Append(b []byte) []byte {
	switch k.Op {
	case KeyAnd:
		return k.appendKeys(append(b, '('), " ", ")")
	case KeyOr:
		for range len(k.Keys) - 1 {
			b = append(b, "OR "...)
		}
		return k.appendKeys(b, " ", "")
	case KeyNot:
		return k.Keys[0].Append(append(b, "NOT "...))
	case KeySeq:
		return k.Set.Append(b)
	}
	word := k.word()
	b = append(b, word.name...)
	if k.Op == KeyHeader && word.key.Field == "" {
		b = appendAString(append(b, ' '), k.Field)
	}
	return k.appendArg(b, word.key.Text != "")
}

func (k *SearchKey) appendKeys(b []byte, sep, end string) []byte {
	for i := range k.Keys {
		if i > 0 {
			b = append(b, sep...)
		}
		b = k.Keys[i].Append(b)
	}
	return append(b, end...)
}

// word finds the word for the key: the one with its flag or field, or else
// the general one, which stands last.
func (k *SearchKey) word() searchWord {
	var found searchWord
	for _, w := range searchWords {
		if w.key.Op != k.Op {
			continue
		}
		found = w
		if w.key.Text != "" && w.key.Text == k.Text || w.key.Field != "" && w.key.Field == k.Field {
			break
		}
	}
	return found
}

// appendArg appends what follows the word, if anything.
func (k *SearchKey) appendArg(b []byte, known bool) []byte {
	switch k.Op {
	case KeyAll, KeySaveDateSupported:
		return b
	case KeyFlag, KeyUnflag:
		if known {
			return b
		}
		return append(append(b, ' '), k.Text...)
	case KeyEmailID, KeyThreadID:
		return append(append(b, ' '), k.Text...)
	case KeyHeader, KeyBody, KeyText:
		return appendString(append(b, ' '), k.Text, true)
	case KeyLarger, KeySmaller, KeyOlder, KeyYounger, KeyModSeq:
		return strconv.AppendUint(append(b, ' '), k.Number, 10)
	case KeyUID:
		return k.Set.Append(append(b, ' '))
	}
	return appendDate(append(b, ' '), k.Date)
}
