package spf

import (
	"strings"

	"posthorn/internal/base/limit"
)

// Records keeps records as they were read. It goes by the text: DNS is asked all
// the same. The zero value is ready; several goroutines may use it. It needs some
// 4 MiB at most.
type Records struct{ read limit.Texts[reading] }

// reading is what parseRecord says of a text. Nobody changes it.
type reading struct {
	record *record
	err    error
}

// maxKept is how many terms and macros a record has that is kept.
const maxKept = 40

// parse is parseRecord, from memory where it can be. r may be nil.
func (r *Records) parse(domain, text string) (*record, error) {
	if r == nil || strings.Count(text, " ")+strings.Count(text, "%") > maxKept {
		return parseRecord(domain, text)
	}
	got := r.read.Read(text, func(text string) reading {
		record, err := parseRecord("", text)
		return reading{record, err}
	})
	if got.err != nil {
		return nil, got.err
	}
	own := *got.record
	own.domain = domain // several domains may publish the same
	return &own, nil
}
