package setting

import "strings"

// nearest returns the declared name most like the given one, or "".
func (r *Registry) nearest(name string) string {
	if len(name) > 100 {
		return ""
	}
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	best, nearest := 1+len(name)/3, ""
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, f := range r.fields {
		d := distance(name, f.name)
		if f.name[strings.LastIndexByte(f.name, '.')+1:] == last {
			d = min(d, 1) // right name in another group
		}
		if d < best {
			best, nearest = d, f.name
		}
	}
	return nearest
}

// distance is the number of single-octet edits between two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
