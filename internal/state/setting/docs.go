package setting

import (
	_ "embed"
	"strings"
)

// docsText holds the doc comments of all declarations; gen writes it and its
// test fails when it is stale.
//
//go:embed docs.txt
var docsText string

// docMark starts the line that names what the following text documents.
const docMark = "== "

// parseDocs reads docs.txt.
func parseDocs(text string) map[string]string {
	out := map[string]string{}
	for block := range strings.SplitSeq("\n"+text, "\n"+docMark) {
		key, doc, _ := strings.Cut(block, "\n")
		if key != "" {
			out[key] = strings.TrimSpace(doc)
		}
	}
	return out
}
