package dkim

import "testing"

const someKey = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

func TestAKeyRecordIsReadOnceAndAnotherTextIsAnotherKey(t *testing.T) {
	t.Parallel()
	var r Records
	first, f := r.parse(someKey)
	again, _ := r.parse(someKey)
	other, _ := r.parse(someKey + "; t=y")
	if f != nil || first != again || other == first || first.testing || !other.testing {
		t.Errorf("%p %v, %p, %p", first, f, again, other)
	}
	_, f = r.parse("v=DKIM1; p=")
	_, twice := r.parse("v=DKIM1; p=")
	if f == nil || twice != f {
		t.Errorf("a revoked key: %v, then %v", f, twice)
	}
}

func TestTheLeastKeySizeIsThatOfTheMessageNotOfTheRecord(t *testing.T) {
	t.Parallel()
	const small = "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
	var r Records
	for _, c := range []struct {
		least int
		good  bool
	}{{0, true}, {2048, false}, {1024, true}} {
		if _, f := r.Keys(nil, c.least).accept(small); (f == nil) != c.good {
			t.Errorf("at least %d bits: %v", c.least, f)
		}
	}
}
