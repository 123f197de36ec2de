package manage

// Paging is how every long list is asked for.
type Paging struct {
	After string `json:"after" query:"after" doc:"Where to go on: next of the page before"`
	Limit int    `json:"limit" query:"limit" minimum:"0" maximum:"1000" doc:"Most items of the page; 0: 100"`
}

// usualPage is how many items a page has when nobody says.
const usualPage = 100

func (p Paging) limit() int {
	if p.Limit <= 0 || p.Limit > 1000 {
		return usualPage
	}
	return p.Limit
}

// Page is a part of a long list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Give it as after for the next page; absent: this was the last"`
}
