package dmarc

import (
	"errors"
	"testing"
)

func TestARecordThatComesAgainIsReadOnce(t *testing.T) {
	t.Parallel()
	var kept Records
	first, again, other := kept.parse("v=DMARC1; p=reject"), kept.parse("v=DMARC1; p=reject"), kept.parse("v=DMARC1; p=none")
	if first.err != nil || first.rec != again.rec || other.rec == first.rec || other.rec.Policy != PolicyNone || first.rec.Policy != PolicyReject {
		t.Errorf("%+v, %+v, %+v", first, again, other)
	}
	for range 2 {
		if bad := kept.parse("v=DMARC1"); bad.rec != nil || !errors.Is(bad.err, ErrRecord) {
			t.Errorf("%+v", bad)
		}
	}
	if one := (*Records)(nil).parse("v=DMARC1; p=reject"); one.rec == nil || one.rec == first.rec {
		t.Errorf("%+v", one)
	}
}
