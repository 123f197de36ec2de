package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"posthorn/internal/base/shell"
	"posthorn/internal/server/manage"
	"posthorn/internal/state/setting"
)

type queueCmd struct {
	List     queueListCmd     `cmd:"" help:"List waiting messages, and why they wait."`
	Show     queueShowCmd     `cmd:"" help:"Show one message with every recipient."`
	Retry    queueRetryCmd    `cmd:"" help:"Try to deliver now."`
	Hold     queueHoldCmd     `cmd:"" help:"Do not deliver until released."`
	Release  queueReleaseCmd  `cmd:"" help:"Deliver a held message."`
	Redirect queueRedirectCmd `cmd:"" help:"Send a message to another address instead."`
	Remove   queueRemoveCmd   `cmd:"" help:"Remove a message; nobody is told."`
}

// selection says which recipients in the queue.
type selection struct {
	From        string `field:"sender" help:"Only from this address or domain." placeholder:"SENDER" aliases:"sender"`
	To          string `field:"recipient" help:"Only to this address or domain." placeholder:"RECIPIENT" aliases:"recipient"`
	Destination string `help:"Only what last went this way: a domain, a relay host with or without its port, or the host that the list shows under VIA." placeholder:"ROUTE"`
	State       string `help:"Only recipients in this state." enum:",queued,held" default:"" placeholder:"queued|held"`
}

func (c *selection) input() manage.QueueSelection {
	return manage.QueueSelection{Sender: c.From, Recipient: c.To, Destination: c.Destination, State: c.State}
}

type queueListCmd struct {
	selection
	Limit int `help:"Most messages to list." default:"100"`
}

func (c *queueListCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.QueueListInput{QueueSelection: c.input(), Paging: manage.Paging{Limit: c.Limit}}
	paused := false
	return showPaused(ctx, w, s, "queue-list", in, &paused, func(p manage.QueuePage) error {
		switch {
		case p.Messages == 0:
			_, err := fmt.Fprintln(s.Out, "The queue is empty: nothing waits to be delivered.")
			return err
		case len(p.Items) == 0:
			_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("Nothing in the queue matches. All of it (%s): posthorn queue list\n", plural(p.Messages, "message"))))
			return err
		}
		t := newTable(s.Out, "ID", "AGE", "SIZE", "FROM", "TO", "STATE", "VIA", "NEXT TRY", "WHY IT WAITS")
		for _, m := range p.Items {
			for i, r := range m.Recipients {
				id, old, size, from := m.ID, age(m.Accepted), human(m.Size), none(m.Sender, "<> (notification)")
				if i > 0 {
					id, old, size, from = "", "", "", ""
				}
				t.row(id, old, size, from, r.Address, r.State, via(r), next(r, paused), why(r, paused))
			}
		}
		if err := t.end(); err != nil {
			return err
		}
		return c.foot(s, p, paused)
	})
}

// foot says how much there is, and what can be asked next.
func (c *queueListCmd) foot(s *Streams, p manage.QueuePage, paused bool) error {
	shown := ""
	if n := int64(len(p.Items)); n < p.Messages {
		shown = fmt.Sprintf("%d shown of ", n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s%s for %s in the queue.\n", shown, plural(p.Messages, "message"), plural(p.Recipients, "recipient"))
	for _, n := range claims(p) {
		fmt.Fprintf(&b, "Claimed by node %s, to be delivered now: %s of these.\n", n.node, plural(n.recipients, "recipient"))
	}
	if p.Next != "" {
		more := ""
		if c.Limit < manage.MaxPage {
			more = fmt.Sprintf("--limit %d, or ", min(10*max(c.Limit, 1), manage.MaxPage))
		}
		fmt.Fprintf(&b, "There are more of these: %sask for less with --from, --to, --destination, --state.\n", more)
	}
	if paused {
		b.WriteString("Nothing goes out: " + pausedNote + "\n")
	}
	b.WriteString("One of them in full: posthorn queue show ID. What happened to it so far: posthorn trace ID\n")
	_, err := io.WriteString(s.Out, s.hint(b.String()))
	return err
}

// nodeClaims is how many recipients a node has claimed.
type nodeClaims struct {
	node       string
	recipients int64
}

// claims counts by node, in the order of their names.
func claims(p manage.QueuePage) (list []nodeClaims) {
	by := map[string]int64{}
	for _, m := range p.Items {
		for _, r := range m.Recipients {
			if r.ClaimedBy != "" {
				by[r.ClaimedBy]++
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		list = append(list, nodeClaims{name, by[name]})
	}
	return list
}

// pausedNote says how a paused queue goes on.
const pausedNote = "delivery to other servers is paused; go on: posthorn setting set queue.paused=false"

// showPaused is show, and learns for the renderer whether delivery to other
// servers is paused.
func showPaused[O any](ctx context.Context, w *Where, s *Streams, id string, in any, paused *bool, render func(O) error) error {
	var out O
	err := w.with(ctx, s, func(c manage.Caller) (err error) {
		if out, err = manage.Invoke[O](ctx, c, id, in); err != nil || w.JSON {
			return err
		}
		i, err := manage.Invoke[setting.Info](ctx, c, "setting-explain", manage.SettingInput{Name: "queue.paused"})
		*paused = i.Value == "true"
		return err
	})
	switch {
	case err != nil:
		return err
	case w.JSON:
		return printJSON(s.Out, out)
	}
	return render(out)
}

// age writes how long ago.
func age(t time.Time) string {
	return brief(time.Since(t))
}

// brief writes a time span in its largest unit.
func brief(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func next(r manage.QueueRecipient, paused bool) string {
	switch d := time.Until(r.NextTry); {
	case r.ClaimedBy != "":
		return "now (claimed)"
	case r.State == "held":
		return "when released"
	case paused && !r.Local:
		return "paused"
	case d <= 0:
		return "now"
	case d < 24*time.Hour:
		return "in " + brief(d)
	}
	return when(r.NextTry)
}

// via is where the last attempt went and who answered.
func via(r manage.QueueRecipient) string {
	switch {
	case r.Local:
		return "mailbox here"
	case r.LastHost != "":
		return r.LastHost
	}
	return none(r.Route, "-")
}

func why(r manage.QueueRecipient, paused bool) string {
	switch {
	case r.LastError != "":
		return r.LastError
	case r.State == "held":
		return "held by an administrator"
	case r.Attempts == 0 && r.ClaimedBy != "":
		return "the first attempt is under way, or next in turn"
	case r.Attempts == 0 && !(paused && !r.Local) && !r.NextTry.After(time.Now()):
		return "the first attempt is due"
	case r.Attempts == 0:
		return "not tried yet"
	}
	return fmt.Sprintf("tried %d times", r.Attempts)
}

type queueShowCmd struct {
	ID string `arg:"" help:"Identifier of the message."`
}

func (c *queueShowCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	paused := false
	return showPaused(ctx, w, s, "queue-show", manage.QueueShowInput{ID: c.ID}, &paused, func(m manage.QueueItem) error {
		head := []string{"Message", m.ID, "From", none(m.Sender, "<> (notification)"), "Came from", none(m.Client, "this server"), "Size", human(m.Size),
			"Accepted", when(m.Accepted) + " (" + age(m.Accepted) + " ago)", "Tried until", when(m.Expires), "Envelope", envelope(m)}
		if m.EnvelopeID != "" {
			head = append(head, "Envelope id", m.EnvelopeID)
		}
		if err := facts(s.Out, head...); err != nil {
			return err
		}
		for _, r := range m.Recipients {
			if _, err := fmt.Fprintln(s.Out); err != nil {
				return err
			}
			if err := facts(s.Out, recipientFacts(r, paused)...); err != nil {
				return err
			}
		}
		advice := "Try it now: posthorn queue retry " + shell.Word(m.ID)
		if paused {
			advice = "Nothing goes out: " + pausedNote
		}
		_, err := fmt.Fprint(s.Out, s.hint(fmt.Sprintf("\n%s\nWhat happened to it so far: posthorn trace %s\n", advice, shell.Word(m.ID))))
		return err
	})
}

// envelope is what the session asked for beyond addresses.
func envelope(m manage.QueueItem) string {
	words := []string{m.Body}
	if m.SMTPUTF8 {
		words = append(words, "SMTPUTF8")
	}
	if m.RequireTLS {
		words = append(words, "REQUIRETLS")
	}
	if m.Return != "" {
		words = append(words, "RET="+m.Return)
	}
	return strings.Join(words, " ")
}

func recipientFacts(r manage.QueueRecipient, paused bool) []string {
	list := []string{"To", r.Address, "State", r.State, "Attempts", fmt.Sprint(r.Attempts), "Next try", next(r, paused), "Via", via(r)}
	if r.ClaimedBy != "" {
		list = append(list, "Claimed by", "node "+r.ClaimedBy)
	}
	switch {
	case r.Route != "":
		list = append(list, "Route", r.Route)
	case r.WouldGo != "":
		list = append(list, "Route", "not tried yet; now it would be "+r.WouldGo)
	}
	if !r.LastTry.IsZero() {
		list = append(list, "Last try", when(r.LastTry)+" ("+age(r.LastTry)+" ago)")
	}
	list = append(list, "Why it waits", why(r, paused))
	if r.Original != "" {
		list = append(list, "Sender wrote", r.Original)
	}
	if len(r.Notify) > 0 {
		list = append(list, "NOTIFY", strings.Join(r.Notify, ","))
	}
	if r.Notified {
		list = append(list, "Told of delay", "yes")
	}
	return list
}

// target is one message, or what is selected.
type target struct {
	ID string `arg:"" optional:"" help:"Identifier of the message; without it, everything the options select."`
	selection
}

// act runs an operation and says what came of it.
func (c *target) act(ctx context.Context, w *Where, s *Streams, verb, done string, confirmed bool) error {
	say := func(n manage.Count) error {
		if n.Count == 0 {
			_, err := fmt.Fprintln(s.Out, s.hint("Nothing was done: nothing in the queue matches. What waits: posthorn queue list"))
			return err
		}
		where := ""
		if c.ID != "" {
			where = " of message " + c.ID
		}
		_, err := fmt.Fprintf(s.Out, "%s: %s%s.\n", strings.ToUpper(done[:1])+done[1:], plural(int64(n.Count), "recipient"), where)
		return err
	}
	many := manage.QueueManyInput{QueueSelection: c.input(), Author: author()}
	switch {
	case c.ID == "" && c.selection == selection{}:
		all := "queued: all that is not held"
		if verb == "release" {
			all = "held: all that is held"
		}
		return misuse("nothing is selected: give the identifier of a message, or --from, --to, --destination or --state (posthorn queue %s --state %s)", verb, all)
	case c.ID == "" && verb == "remove":
		return show(ctx, w, s, "queue-remove-many", manage.QueuePurgeInput{QueueManyInput: many, Confirm: confirmed}, say)
	case c.ID == "":
		return show(ctx, w, s, "queue-"+verb+"-many", many, say)
	case c.From != "" || c.Destination != "" || c.State != "":
		return misuse("of one message only a recipient can be selected (--to); leave the identifier out to select messages")
	}
	return show(ctx, w, s, "queue-"+verb, manage.QueueInput{ID: c.ID, Recipient: c.To, Author: author()}, say)
}

type queueRetryCmd struct{ target }

func (c *queueRetryCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return c.act(ctx, w, s, "retry", "to be tried at once, or when released", true)
}

type queueHoldCmd struct{ target }

func (c *queueHoldCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return c.act(ctx, w, s, "hold", "held", true)
}

type queueReleaseCmd struct{ target }

func (c *queueReleaseCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	return c.act(ctx, w, s, "release", "released", true)
}

type queueRedirectCmd struct {
	ID        string `arg:"" help:"Identifier of the message."`
	To        string `arg:"" help:"Address that gets the message instead."`
	Recipient string `help:"Only for this recipient, or those of this domain." placeholder:"RECIPIENT"`
}

func (c *queueRedirectCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	in := manage.QueueRedirectInput{ID: c.ID, Recipient: c.Recipient, Author: author()}
	in.Body.To = c.To
	return show(ctx, w, s, "queue-redirect", in, func(n manage.Count) error {
		_, err := fmt.Fprintf(s.Out, "Redirected to %s: %s of message %s.\n", c.To, plural(int64(n.Count), "recipient"), c.ID)
		return err
	})
}

type queueRemoveCmd struct {
	target
	Yes bool `help:"Needed: nothing is asked, and what is removed does not come back."`
}

func (c *queueRemoveCmd) Run(ctx context.Context, w *Where, s *Streams) error {
	if !c.Yes && c.ID != "" {
		what := "message " + c.ID
		if c.To != "" {
			what = c.To + " from " + what
		}
		return fmt.Errorf("this removes %s for good and tells nobody; repeat the command with --yes", what)
	}
	return c.act(ctx, w, s, "remove", "removed", c.Yes)
}
