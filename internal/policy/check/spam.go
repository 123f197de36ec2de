package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/base/reply"
	"posthorn/internal/base/unit"
	"posthorn/internal/policy"
	"posthorn/internal/policy/scan"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
)

// Spam asks rspamd what it thinks of a message.
type Spam struct {
	// URL is that of a normal or proxy worker of rspamd: http://host:11333,
	// https://host:port or unix:/path. Empty asks nobody.
	URL string `name:"url" default:""`
	// Password is what rspamd's own settings demand from its clients; empty sends
	// none.
	Password setting.Secret `default:""`
	// Timeout is how long rspamd may take for one message, waiting for a turn
	// included.
	Timeout time.Duration `default:"30s" min:"1s" max:"5m"`
	// Most is the largest message that is sent to rspamd; its own max_message
	// must be no less. A larger one counts as harmless. 0 is no limit.
	Most unit.Size `default:"20MB" min:"0"`
	// Width is how many messages rspamd is asked about at once.
	Width int `default:"8" min:"1" max:"200"`
	// By is what decides: the score that rspamd gives a message, compared with
	// mark_from, junk_from and refuse_from of this group, or the action that
	// rspamd's own settings give it, where "add header" and "rewrite subject"
	// file the message in Junk.
	By string `default:"score" oneof:"score,action"`
	// RefuseFrom is the score from which mail is refused; 0 refuses none.
	RefuseFrom float64 `default:"15" min:"0" max:"10000"`
	// JunkFrom is the score from which mail is filed in Junk; 0 files none.
	JunkFrom float64 `default:"6" min:"0" max:"10000"`
	// MarkFrom is the score from which X-Spam-Flag says YES; 0 marks none.
	MarkFrom float64 `default:"6" min:"0" max:"10000"`
	// Fields writes X-Spam-Status and X-Spam-Score into all that was scanned.
	Fields bool `default:"true"`
	// Greylist puts a client off, by the greylist of policy.greylist, where
	// rspamd would do that.
	Greylist bool `default:"true"`
	// Rewrite makes the changes rspamd asks for: its own header fields, and a
	// subject that says so.
	Rewrite bool `default:"false"`
	// WhenDown is what happens while rspamd does not answer: mail is put off, or
	// taken and marked in its header.
	WhenDown string `default:"accept" oneof:"defer,accept"`
	// Outgoing scans what users and trusted clients send. It is refused as spam,
	// or passes unmarked.
	Outgoing bool `default:"false"`
	// Mode is how the verdict of the spam filter counts.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// The fields that tell what was found out.
const (
	spamStatus = "X-Spam-Status"
	spamScore  = "X-Spam-Score"
	spamFlag   = "X-Spam-Flag"
)

// Validate refuses an address that nobody could connect to, and scores in an
// order that makes no sense.
func (s *Spam) Validate() error {
	if s.URL != "" {
		if _, err := scan.NewRspamd(scan.RspamdOptions{URL: s.URL}); err != nil {
			return fmt.Errorf("policy.spam.url: %w", err)
		}
	}
	if s.RefuseFrom > 0 && s.RefuseFrom < s.JunkFrom {
		return errors.New("policy.spam.refuse_from: must not be less than policy.spam.junk_from, or nothing would ever be filed in Junk")
	}
	return nil
}

// fate is what the score, or rspamd's action, leads to.
type fate uint8

const (
	harmless fate = iota
	flagged
	junked
	refused
)

// judge compares the score with the thresholds.
func (s *Spam) judge(r *policy.Spam) (fate, string) {
	if s.By == "action" {
		switch scan.ScoreAction(r.Action) {
		case scan.ActionReject:
			return refused, "policy.spam.by"
		case scan.ActionAddHeader, scan.ActionSubject:
			return junked, "policy.spam.by"
		}
		return harmless, "policy.spam.by"
	}
	reached := func(from float64) bool { return from > 0 && r.Score >= from }
	switch {
	case reached(s.RefuseFrom):
		return refused, "policy.spam.refuse_from"
	case reached(s.JunkFrom):
		return junked, "policy.spam.junk_from"
	case reached(s.MarkFrom):
		return flagged, "policy.spam.mark_from"
	}
	return harmless, "policy.spam.mark_from"
}

// check refuses, files or marks spam.
func (s *Spam) check(all *Settings) policy.CheckFunc {
	return func(ctx context.Context, f *policy.Facts) policy.Verdict {
		outside := fromOutside(f)
		switch {
		case s.URL == "":
			return policy.Passed("there is no spam filter")
		case !outside && !s.Outgoing:
			return policy.Passed("only mail from outside is scanned")
		}
		r := f.Spam(ctx)
		switch r.Opinion {
		case policy.Clean, policy.Suspect:
			if v := s.later(ctx, f, all, &r); v.Action != policy.Pass {
				return v
			}
			return s.verdict(&r, outside)
		case policy.TooLarge:
			return marked("too large to be scanned: "+r.Problem, spamStatus, "No, not scanned (too large)")
		case policy.Down:
			if s.WhenDown == "defer" {
				return policy.Refused(scannerDown("Spam filter").Because(errors.New(r.Problem)), "the spam filter is down: "+r.Problem).By("policy.spam.when_down")
			}
			return marked("the spam filter is down: "+r.Problem, spamStatus, "No, not scanned (filter unavailable)")
		}
		return policy.Passed("nobody was asked")
	}
}

// later puts off what rspamd wants put off. Its action greylist is only a wish:
// our own greylist remembers who came back.
func (s *Spam) later(ctx context.Context, f *policy.Facts, all *Settings, r *policy.Spam) policy.Verdict {
	switch action := scan.ScoreAction(r.Action); {
	case action == scan.ActionSoftReject:
		text := ascii(r.Reply, 200)
		if text == "" {
			text = "Try again later"
		}
		return policy.Refused(reply.New(451, reply.E(4, 7, 1), text), "rspamd puts the message off (soft reject): "+r.Reply)
	case action == scan.ActionGreylist && s.Greylist && all.Greylist.Mode == policy.Enforce && !spared(ctx, f, all):
		return greylisted(ctx, f, &all.Greylist).By("policy.spam.greylist")
	}
	return policy.Passed("")
}

// spared reports that a message is exempt from rspamd's greylisting: for
// whatever exempts from ours, and for hosts whose mail we know, if those do not
// wait at the door.
func spared(ctx context.Context, f *policy.Facts, all *Settings) bool {
	switch {
	case !fromOutside(f), !f.Client.IsValid(), f.Client.IsLoopback():
		return true
	case f.Class == policy.ClassNoGreylist, f.Class == policy.ClassNoGreylistNoBan, f.Class == policy.ClassTrusted:
		return true
	case f.Lifted(ctx, policy.TestGreylist) != "", all.Door.WellKnown && f.WellKnown():
		return true
	case !slices.ContainsFunc(f.Recipients, func(a mail.Address) bool { return !strings.EqualFold(a.Local, "abuse") }):
		return true // all are
	}
	return all.SPF.PassSkipsGreylist && all.SPF.Mode != policy.Off && f.SPF(ctx).Result == "pass"
}

// greylisted asks the greylist for the whole message.
func greylisted(ctx context.Context, f *policy.Facts, g *Greylist) policy.Verdict {
	row, wait, err := f.Greylisted(ctx, store.GreylistRow{Key: g.KeyOf(f.Client), Sender: f.Sender.String(), Recipient: f.Recipients[0].String(), Helo: f.Helo}, g.Rules())
	switch {
	case err != nil:
		return policy.Unable("asking the greylist", err)
	case wait == 0:
		return policy.Passed("")
	}
	return policy.Refused(reply.Newf(451, reply.E(4, 7, 1), "Greylisted, try again in %d seconds", int((wait+time.Second-1)/time.Second)),
		"rspamd would greylist it, and "+attempts(f, row))
}

// verdict tells what becomes of a message with an opinion.
func (s *Spam) verdict(r *policy.Spam, outside bool) policy.Verdict {
	what, by := s.judge(r)
	reason := fmt.Sprintf("score %s, action %s", Number(r.Score), r.Action)
	if what == refused {
		return policy.Refused(reply.New(554, reply.E(5, 7, 1), "Message rejected as spam"), reason).By(by)
	}
	v := policy.Passed(reason).By(by)
	if !outside {
		return v
	}
	var e policy.Effects
	if s.Fields {
		e.Fields = append(e.Fields, s.status(r, what), spamScore+": "+Number(r.Score)+"\r\n")
	}
	if what >= flagged {
		e.Fields = append(e.Fields, spamFlag+": YES\r\n")
	}
	if what == junked {
		e.Junk = "spam, score " + Number(r.Score)
	}
	if s.Rewrite && r.Edits != nil {
		e.Edits = append(e.Edits, r.Edits)
	}
	v.Effects = &e
	return v
}

// mostSymbols bounds the rules that a field names.
const mostSymbols = 20

// status is the field in the form that SpamAssassin made common, folded after
// each rule.
func (s *Spam) status(r *policy.Spam, what fate) string {
	var b strings.Builder
	word := "No"
	if what >= flagged {
		word = "Yes"
	}
	fmt.Fprintf(&b, "%s: %s, score=%s", spamStatus, word, Number(r.Score))
	if s.By == "score" {
		fmt.Fprintf(&b, " required=%s", Number(s.MarkFrom))
	}
	b.WriteString("\r\n\ttests=[")
	for i, symbol := range r.Symbols[:min(len(r.Symbols), mostSymbols)] {
		if i > 0 {
			b.WriteString(",\r\n\t ")
		}
		name, score, _ := strings.Cut(symbol, "(")
		b.WriteString(ascii(name, 100) + "=" + ascii(strings.TrimSuffix(score, ")"), 20))
	}
	b.WriteString("]\r\n")
	return b.String()
}

// Number writes a score as people do.
func Number(score float64) string { return strconv.FormatFloat(score, 'f', -1, 64) }
