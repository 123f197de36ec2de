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
	if strings.HasPrefix(text, "expected one of ") {
		var verbs []string
		for _, child := range node.Children {
			verbs = append(verbs, child.Name)
		}
		return "say what to do: " + strings.Join(verbs, ", ")
	}
	for _, w := range wrongs {
		if w.is.MatchString(text) {
			return strings.ReplaceAll(w.is.ReplaceAllString(text, w.say), `","`, `", "`)
		}
	}
	return text
}

// explain writes the error of a command for the terminal: what the server said
// without our names for it, and no system error behind words that say the same.
func explain(err error) string {
	text := strings.TrimSpace(err.Error())
	if refused := (*smtp.RefusedError)(nil); errors.As(err, &refused) {
		text = strings.Replace(text, refused.Error(), "the server refused "+refused.Verb+": "+clean(refused.Reply.String()), 1)
	}
	if name := (x509.HostnameError{}); errors.As(err, &name) {
		text = fmt.Sprintf("the server's certificate is not for %s, its name by the setting server.hostname, but for %s; one of the server's own making is made anew at the next start",
			name.Host, strings.Join(name.Certificate.DNSNames, ", "))
	}
	if before, _, ok := strings.Cut(text, " already: listen "); ok && errors.Is(err, syscall.EADDRINUSE) {
		text = strings.TrimPrefix(before, "listen: ") + " already; stop it, or name other ports with --listen NAME=ADDRESS:PORT (port 0: any free one)"
	}
	return text
}
