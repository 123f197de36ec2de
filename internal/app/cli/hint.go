package cli

import (
	"os"
	"reflect"
	"regexp"
	"strings"
)

// hint adds, to every command that a text names, the flags that name the
// server: what is typed as it stands is about the same server again. Flags that
// come from the environment are in the shell already.
func (s *Streams) hint(text string) string {
	if s.where == nil {
		return text
	}
	return s.where.hint(text)
}

func (w *Where) hint(text string) string {
	flags := w.flags()
	if flags == "" || os.Getenv("POSTHORN_DATA")+os.Getenv("POSTHORN_CONFIG") != "" {
		return text
	}
	var b strings.Builder
	done := 0
	for _, at := range mention.FindAllStringIndex(text, -1) {
		if !strings.HasPrefix(text[at[0]:], "posthorn") {
			continue // a quoted value
		}
		end := at[0] + commandLength(text[at[0]:at[1]])
		if end == at[0] || selfContained.MatchString(text[at[0]:end]) || ownFlags.MatchString(text[end:]) {
			continue
		}
		b.WriteString(text[done:end] + flags)
		done = end
	}
	return b.String() + text[done:]
}

var (
	// mention is what may be a command, or a quoted word of one, in which nothing
	// is: flags put there would end its quotes.
	mention = regexp.MustCompile(`(?:^|[ (])(?:'[^']*'|\\')+|\bposthorn(?: [a-z][a-z-]*)+`)
	// selfContained are the commands that are not about a server that is there.
	selfContained = regexp.MustCompile(`^posthorn (?:quickstart|serve|version)$`)
	// ownFlags is what follows a command that needs no more.
	ownFlags = regexp.MustCompile(`^ (?:--data|--config|--help)\b`)
)

// commandLength is how much of a text names a command: 0 when it names none.
func commandLength(text string) int {
	node, length := reflect.TypeFor[root](), len("posthorn")
	for word := range strings.FieldsSeq(text[length:]) {
		next, ok := subcommand(node, word)
		if !ok {
			break
		}
		node, length = next, length+1+len(word)
	}
	if length == len("posthorn") {
		return 0
	}
	return length
}

// subcommand finds a command below another one by its name.
func subcommand(node reflect.Type, word string) (reflect.Type, bool) {
	for f := range node.Fields() {
		if _, ok := f.Tag.Lookup("cmd"); !ok {
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		if name == word {
			return f.Type, true
		}
	}
	return nil, false
}
