package manage

import (
	"fmt"
	"reflect"
	"strconv"
)

// Paging is how every long list is asked for.
type Paging struct {
	After string `json:"after" query:"after" doc:"Where to go on: next of the page before"`
	Limit int    `json:"limit" query:"limit" minimum:"0" maximum:"1000" doc:"Most items of the page; 0: 100"`
}

// MaxPage is how many items a page has at most, as the schema of Paging says.
const MaxPage = 1000

// usualPage is how many items a page has when nobody says.
const usualPage = 100

func (p Paging) limit() int {
	if p.Limit <= 0 {
		return usualPage
	}
	return min(p.Limit, MaxPage)
}

// checkLimit refuses over every door a page longer than its tag allows; HTTP has
// done so by the schema.
func checkLimit(in any) (err error) {
	walk(reflect.ValueOf(in).Elem(), func(f reflect.StructField, n reflect.Value) {
		most, failed := strconv.ParseInt(f.Tag.Get("maximum"), 10, 64)
		if f.Name == "Limit" && failed == nil && (n.Int() < 0 || n.Int() > most) {
			err = inField("limit", fmt.Errorf("%d; a page has 1 to %d items, or 0 for as many as usual", n.Int(), most))
		}
	})
	return err
}

// Page is a part of a long list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Give it as after for the next page; absent: this was the last"`
}
