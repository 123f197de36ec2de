// Package cli is posthorn's command line: one file a noun. A command turns its
// arguments into the input of an operation of server/manage and renders the
// answer, as text or, with --json, as the answer itself. The operation runs in
// the server of the data folder when one is running, else in this process on
// the store itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Streams are what a command reads from and writes to.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer

	where *Where // for hints; nil names no server
}

// root lists every command in the order of the help text.
type root struct {
	Quickstart quickstartCmd `cmd:"" help:"Start a trial server on loopback and print what to try."`
	Serve      serveCmd      `cmd:"" help:"Start the server."`
	Domain     domainCmd     `cmd:"" help:"Domains whose mail is received here."`
	Account    accountCmd    `cmd:"" help:"People who log in and have mailboxes."`
	Alias      aliasCmd      `cmd:"" help:"Addresses that lead to other addresses."`
	Group      groupCmd      `cmd:"" help:"Lists of members under one address."`
	Relay      relayCmd      `cmd:"" help:"Ways of mail: relay domains, and rules for relay hosts."`
	Setting    settingCmd    `cmd:"" help:"Settings: list, explain, change, undo."`
	Queue      queueCmd      `cmd:"" help:"Messages that wait to be delivered."`
	Quarantine quarantineCmd `cmd:"" help:"Messages that are held back until somebody looks at them."`
	DNS        dnsCmd        `cmd:"" name:"dns" help:"What DNS says about this server and its domains."`
	Policy     policyCmd     `cmd:"" help:"The checks: list them, or try a message against them."`
	List       listCmd       `cmd:"" help:"Allow and block rules by client, sender, recipient, domain."`
	Ban        banCmd        `cmd:"" help:"Client hosts that are not let in."`
	Greylist   greylistCmd   `cmd:"" help:"Clients that have to come back before their mail is taken."`
	Report     reportCmd     `cmd:"" help:"DMARC reports: who sends in our name."`
	Trace      traceCmd      `cmd:"" help:"What happened to a message, accepted or refused, and why."`
	Try        tryCmd        `cmd:"" help:"Send or read a message as an ordinary client would."`
	Token      tokenCmd      `cmd:"" help:"Secrets by which programs call the HTTP API."`
	Status     statusCmd     `cmd:"" help:"What the running server is doing."`
	Version    versionCmd    `cmd:"" help:"Version of this binary."`

	Where `embed:""`
}

// Where says which server a command is about, and how it answers.
type Where struct {
	Data   string `help:"Data folder of the server." placeholder:"DIR" env:"POSTHORN_DATA" type:"path"`
	Config string `help:"Bootstrap file of the server (posthorn.toml)." placeholder:"FILE" env:"POSTHORN_CONFIG" type:"path"`
	JSON   bool   `name:"json" help:"Answer in JSON."`
}

const description = `posthorn is a complete mail server: SMTP with a durable queue, submission, IMAP and POP3.

Start with:  posthorn quickstart`

// Run executes one command line and returns the exit code: 0 done, 1 the
// command failed, 2 the command line was wrong.
func Run(ctx context.Context, args []string, s Streams) int {
	var r root
	s.where = &r.Where
	code := -1
	parser, err := kong.New(&r,
		kong.Name("posthorn"), kong.Description(description),
		kong.Writers(s.Out, s.Err), kong.Exit(func(c int) { code = c; panic(exited{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&r.Where), kong.Bind(&s))
	if err != nil {
		fmt.Fprintln(s.Err, "posthorn:", err)
		return 1
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "help":
		args = append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version":
		args[0] = "version"
	}
	command, err := parse(parser, args)
	if code >= 0 {
		return code
	}
	if err != nil {
		words, node := known(parser, args)
		fmt.Fprintf(s.Err, "posthorn: %s\nTry: posthorn %s--help\n", misread(err, node), words)
		return 2
	}
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		node := command.Selected()
		fmt.Fprintln(s.Err, "posthorn:", s.hint(whatThereIs(asTyped(explain(err), err, node), err, node)))
		if wrong(err, node) {
			fmt.Fprintf(s.Err, "Try: %s --help\n", node.FullPath())
			return 2
		}
		return 1
	}
	return 0
}

// exited carries kong's early exit (help) out of Parse.
type exited struct{}

func parse(p *kong.Kong, args []string) (c *kong.Context, err error) {
	defer func() {
		if x := recover(); x != nil {
			if _, ok := x.(exited); !ok {
				panic(x)
			}
		}
	}()
	return p.Parse(args)
}

// known returns the leading words that are a command, for the hint.
func known(p *kong.Kong, args []string) (string, *kong.Node) {
	var words strings.Builder
	node := p.Model.Node
	for _, a := range args {
		next := (*kong.Node)(nil)
		for _, child := range node.Children {
			if child.Name == a {
				next = child
			}
		}
		if next == nil {
			break
		}
		node = next
		words.WriteString(a + " ")
	}
	return words.String(), node
}
