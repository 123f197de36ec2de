package spf

import (
	"errors"
	"strings"
	"testing"
)

func TestARecordIsReadOnceForAllDomainsThatPublishIt(t *testing.T) {
	t.Parallel()
	const text = "v=spf1 a:%{d} include:b.test -all"
	var kept Records
	a, errA := kept.parse("a.test", text)
	b, errB := kept.parse("b.test", text)
	if errA != nil || errB != nil || a.domain != "a.test" || b.domain != "b.test" || &a.directives[0] != &b.directives[0] {
		t.Errorf("%+v %v, %+v %v", a, errA, b, errB)
	}
	for range 2 {
		if r, err := kept.parse("a.test", "v=spf1 junk"); r != nil || !errors.Is(err, ErrSyntax) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if _, err := kept.parse("a.test", "v=spf1"+strings.Repeat(" a", maxKept+1)); err != nil || kept.read.Len() != 2 {
		t.Errorf("%v, %d are kept", err, kept.read.Len())
	}
	if _, err := kept.parse("a.test", "v=spf1 a:"+strings.Repeat("%%", maxKept)+".%{d}"); err != nil || kept.read.Len() != 2 {
		t.Errorf("%v, %d are kept with many macros", err, kept.read.Len())
	}
	if r, err := (*Records)(nil).parse("a.test", text); err != nil || r.domain != "a.test" {
		t.Errorf("%+v, %v", r, err)
	}
}
