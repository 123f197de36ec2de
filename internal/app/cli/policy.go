package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/server/manage"
)

type policyCmd struct {
	List   policyListCmd   `cmd:"" help:"List the checks in the order they are asked."`
	Try    policyTryCmd    `cmd:"" help:"What would happen to this mail?"`
	Replay policyReplayCmd `cmd:"" help:"Who would have been treated differently by other settings or rules?"`

	Scanners policyScannersCmd `cmd:"" help:"Are the scanners there that look into mail?"`
}

type policyListCmd struct {
	Long bool `help:"Say what each check is for."`
}

func (c *policyListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return show(ctx, w, s, "policy-list", manage.None{}, func(p manage.Page[policy.Row]) error {
		rows := p.Items
		if c.Long {
			return c.long(s, rows)
		}
		t := newTable(s.Out, "STAGE", "CHECK", "MODE", "SET BY", "WORST", "GOES BY", "WHAT IT IS FOR")
		for _, r := range rows {
			t.row(r.Stage, r.Name, mode(r), none(r.ModeBy, "-"), r.Worst, r.GoesBy, short(r.Doc, 48))
		}
		if err := t.end(); err != nil {
			return err
		}
		_, err := fmt.Fprintln(s.Out, s.hint("\n"+policyLegend+"\n\nEach in full: posthorn policy list --long. What would happen to a mail: posthorn policy try --help\nWho would have been treated differently: posthorn policy replay --help"))
		return err
	})
}

// policyLegend explains the words of the list.
const policyLegend = `MODE     enforce: it counts. observe: it is only written into traces. off: it is not asked. always: it counts and cannot
         be switched off. not set up: no scanner, list or rule is set that it could ask, so it finds nothing; the settings
         of its group say which, as in posthorn setting list policy.virus
SET BY   the setting of the mode, as in posthorn setting set policy.spf.mode=observe
WORST    the most it can do. pass: nothing, it only looks. defer: refuse for now (4xx), and proper senders come back. reject:
         refuse for good (5xx). drop: refuse and hang up.
GOES BY  what decides whom it refuses: a setting, or a command.`

func mode(r policy.Row) string {
	switch {
	case r.Idle && r.Mode != policy.Off.String():
		return "not set up"
	case r.Fixed:
		return "always"
	}
	return r.Mode
}

// setBy names the setting of the mode, where there is one.
func setBy(r policy.Row) string {
	if r.ModeBy == "" {
		return ""
	}
	return " (" + r.ModeBy + ")"
}

func (c *policyListCmd) long(s *Streams, rows []policy.Row) error {
	for i, r := range rows {
		if i > 0 {
			if _, err := fmt.Fprintln(s.Out); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(s.Out, "%s\n%s\n", r.Name, wrap(r.Doc, 76, "  ")); err != nil {
			return err
		}
		if err := facts(s.Out, "  asked at", r.Stage, "  mode", mode(r)+setBy(r), "  worst verdict", r.Worst,
			"  goes by", r.GoesBy, "  replies", strings.Join(r.Replies, ", "), "  not asked when", none(strings.Join(r.Exempt, "; or "), "(always asked)"),
			"  requirements", strings.Join(r.IDs, " ")); err != nil {
			return err
		}
	}
	return nil
}

type policyTryCmd struct {
	Client   string    `help:"Address of the client." required:"" placeholder:"IP"`
	Helo     string    `help:"Name the client gives itself (EHLO)." placeholder:"NAME"`
	From     string    `help:"Sender; <> or empty for the null sender." default:"" placeholder:"ADDRESS"`
	Rcpt     []string  `field:"to" aliases:"to" help:"Recipient; may be given several times. --to is the same." required:"" placeholder:"ADDRESS"`
	Login    string    `help:"Who logs in (default: nobody)." placeholder:"ADDRESS"`
	Listener string    `help:"Listener: smtp, submission, submissions or lmtp." enum:"smtp,submission,submissions,lmtp" default:"smtp"`
	TLS      bool      `name:"tls" help:"The connection is encrypted. On submissions it always is, and with --login it is taken to be where logins need it."`
	Size     unit.Size `help:"Size the client declares." placeholder:"SIZE"`
	Message  string    `help:"File with the message, to judge its content too." placeholder:"FILE" type:"existingfile"`
	rehearsal
	All bool `help:"Show the checks that had nothing to say, too."`
}

func (c *policyTryCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	r, err := c.rehearsal.input()
	if err != nil {
		return err
	}
	q := manage.PolicyQuestion{Listener: c.Listener, Client: c.Client, Helo: c.Helo, TLS: c.TLS, Login: c.Login,
		From: strings.Trim(c.From, "<>"), To: c.Rcpt, Size: manage.Size(c.Size), Rehearsal: r}
	if c.Message != "" {
		text, err := os.ReadFile(c.Message)
		if err != nil {
			return err
		}
		q.Message = string(text)
	}
	return show(ctx, w, s, "policy-try", manage.PolicyTryInput{Body: q}, func(a policy.Answer) error {
		if err := a.Text(s.Out, c.All); err != nil || c.Message != "" || len(a.Accepted) == 0 {
			return err
		}
		_, err := fmt.Fprintln(s.Out, "\nThe content was not judged; give it with --message FILE.")
		return err
	})
}
