package manage

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"posthorn/internal/base/mail"
	"posthorn/internal/state/store"
)

// sideBySide runs n operations at the same time and returns how each ended.
func (o *office) sideBySide(n int, operation func(i int) (id, input string)) []error {
	o.t.Helper()
	var together sync.WaitGroup
	out := make([]error, n)
	for i := range n {
		together.Go(func() {
			id, input := operation(i)
			_, out[i] = o.does(id, input)
		})
	}
	together.Wait()
	return out
}

// teamOffice is an office with the domain team.test.
func teamOffice(t *testing.T) *office {
	t.Helper()
	o := newOffice(t)
	o.must("domain-add", `{"Body":{"name":"team.test"}}`)
	return o
}

func (o *office) alias(text string) (*store.AliasRow, error) {
	o.t.Helper()
	a, err := mail.ParseAddress(text)
	if err != nil {
		o.t.Fatal(err)
	}
	owner, err := o.o.Store.Directory().Owner(o.t.Context(), a)
	return owner.Alias, err
}

func TestNoMemberAddedBesideOthersIsLost(t *testing.T) {
	t.Parallel()
	o := teamOffice(t)
	o.must("group-add", `{"Body":{"address":"all@team.test"}}`)
	const n = 20
	for _, err := range o.sideBySide(n, func(i int) (string, string) {
		return "group-set", fmt.Sprintf(`{"address":"all@team.test","Body":{"add":["m%d@far.test"]}}`, i)
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if a, err := o.alias("all@team.test"); err != nil || len(a.Targets) != n {
		t.Errorf("of %d members there are %+v, %v", n, a, err)
	}
}

func TestOneAddressIsGivenAwayOnce(t *testing.T) {
	t.Parallel()
	o := teamOffice(t)
	winner := ""
	for i, err := range o.sideBySide(20, func(i int) (string, string) {
		return "alias-add", fmt.Sprintf(`{"Body":{"address":"info@team.test","targets":["m%d@far.test"]}}`, i)
	}) {
		switch {
		case err == nil && winner != "":
			t.Error("another one has it too")
		case err == nil:
			winner = fmt.Sprintf("m%d@far.test", i)
		case !errors.Is(err, store.ErrExists):
			t.Error(err)
		}
	}
	if a, err := o.alias("info@team.test"); err != nil || a.Targets[0].String() != winner {
		t.Errorf("%s was told that it has the address; stored is %+v, %v", winner, a, err)
	}
}

func TestAGroupRemovedBesideAChangeStaysRemoved(t *testing.T) {
	t.Parallel()
	o := teamOffice(t)
	for range 20 {
		o.must("group-add", `{"Body":{"address":"all@team.test"}}`)
		for i, err := range o.sideBySide(8, func(i int) (string, string) {
			if i == 0 {
				return "group-remove", `{"address":"all@team.test"}`
			}
			return "group-set", fmt.Sprintf(`{"address":"all@team.test","Body":{"add":["m%d@far.test"]}}`, i)
		}) {
			if err != nil && (i == 0 || !errors.Is(err, store.ErrNotFound)) {
				t.Error(i, err)
			}
		}
		if a, err := o.alias("all@team.test"); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("it is there again: %+v, %v", a, err)
		}
	}
}

func TestTwoChangesOfADomainBothHold(t *testing.T) {
	t.Parallel()
	o := teamOffice(t)
	for round := range 20 {
		separator, off := string("+-"[round%2]), round%2 == 0
		for _, err := range o.sideBySide(2, func(i int) (string, string) {
			change := []string{`"separator":"` + separator + `"`, fmt.Sprintf(`"disabled":%v`, off)}[i]
			return "domain-set", `{"name":"team.test","Body":{` + change + `}}`
		}) {
			if err != nil {
				t.Error(err)
			}
		}
		d, err := o.o.Store.Directory().Domain(t.Context(), "team.test")
		if err != nil || d.Separator != separator || d.Disabled != off {
			t.Fatalf("round %d: %+v, %v", round, d, err)
		}
	}
}
