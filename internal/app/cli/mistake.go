package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"posthorn/internal/wire/smtp"
)

// wrongs turns what the parser says of a command line into plain words.
var wrongs = []struct {
	is  *regexp.Regexp
	say string
}{
	{regexp.MustCompile(`^expected "(.*)"$`), `missing: $1`},
	{regexp.MustCompile(`^missing flags: (.*)$`), `missing: $1`},
	{regexp.MustCompile(`^(\S+): expected (?:value )?(\w+) value but got "(.*)" \(.*$`), `$1: "$3" is not a value it can have`},
	{regexp.MustCompile(`^(\S+): expected a valid \d+ bit u?int but got "(.*)"$`), `$1: "$2" is not a whole number`},
	{regexp.MustCompile(`^(\S+): expected an? (\w+) but got "(.*)".*$`), `$1: "$3" is not a value it can have`},
	{regexp.MustCompile(`^(\S+): stat (.*): no such file or directory$`), `$1: the file $2 does not exist`},
	{regexp.MustCompile(`^(\S+) must be one of (?:"",)?(.*) but got (".*")$`), `$1: $3 is none of $2`},
}

// misread explains why a command line was not understood. node is the command
// as far as it was.
func misread(err error, node *kong.Node) string {
	text := err.Error()
	word, unknown := strings.CutPrefix(text, "unexpected argument ")
	switch unknown = unknown && !strings.Contains(word, "did you mean"); {
	case strings.HasPrefix(text, "expected one of "), strings.HasPrefix(text, "expected \"") && len(node.Children) > 0:
		return "say what to do: " + verbs(node)
	case unknown && len(node.Children) > 0 && len(elsewhere(word, node)) > 0:
		return fmt.Sprintf("%s is no command here; perhaps: %s", word, strings.Join(elsewhere(word, node), ", "))
	case unknown && len(node.Children) > 0:
		return fmt.Sprintf("%s is no command here; there are: %s", word, verbs(node))
	}
	for _, w := range wrongs {
		if w.is.MatchString(text) {
			return strings.ReplaceAll(w.is.ReplaceAllString(text, w.say), `","`, `", "`) + meaning(text, node)
		}
	}
	return text
}

// meaning repeats of a flag that has a value it cannot have what it is for.
func meaning(text string, node *kong.Node) string {
	name, _, ok := strings.Cut(strings.TrimPrefix(text, "--"), ": expected ")
	for _, f := range node.Flags {
		if ok && f.Name == name {
			return "; it is: " + f.Help
		}
	}
	return ""
}

// elsewhere finds the commands that end in the word, wherever they are.
func elsewhere(word string, node *kong.Node) (found []string) {
	for node.Parent != nil {
		node = node.Parent
	}
	var look func(*kong.Node)
	look = func(n *kong.Node) {
		for _, child := range n.Children {
			if child.Name == word {
				found = append(found, child.FullPath())
			}
			look(child)
		}
	}
	look(node)
	return found
}

// verbs lists the commands below a noun.
func verbs(node *kong.Node) string {
	var names []string
	for _, child := range node.Children {
		names = append(names, child.Name)
	}
	return strings.Join(names, ", ")
}

// explain writes the error of a command for the terminal: what the server said
// without our names for it, and no system error behind words that say the same.
func explain(err error) string {
	text := strings.TrimSpace(err.Error())
	if refused := (*smtp.RefusedError)(nil); errors.As(err, &refused) {
		text = strings.Replace(text, refused.Error(), "the server refused "+refused.Verb+": "+clean(refused.Reply.String()), 1)
	}
	if name := (x509.HostnameError{}); errors.As(err, &name) {
		text = fmt.Sprintf("the server's certificate is not for %s, its name by the setting server.hostname, but for %s. Restart the server: a certificate of its own making is then made anew; one of yours (tls.certificate in posthorn.toml) has to name it",
			name.Host, strings.Join(name.Certificate.DNSNames, ", "))
	}
	if before, _, ok := strings.Cut(text, " already: listen "); ok && errors.Is(err, syscall.EADDRINUSE) {
		text = strings.TrimPrefix(before, "listen: ") + " already; stop it, or name other ports with --listen NAME=ADDRESS:PORT (port 0: any free one), once for every listener you need: those not named stay closed"
	}
	return text
}
