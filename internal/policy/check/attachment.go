package check

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"

	"posthorn/internal/base/reply"
	"posthorn/internal/policy"
	"posthorn/internal/policy/scan"
)

// Attachments are rules about files in messages. A file is looked at by all
// names it goes by, and by what it really is.
type Attachments struct {
	// Extensions are endings of names: exe, or tar.gz.
	Extensions []string `default:""`
	// Names are patterns for whole names: * stands for anything, ? for one
	// character, [a-z] for one of them.
	Names []string `default:""`
	// DoubleExtensions finds the extension of a document before that of a
	// program, as in invoice.pdf.exe.
	DoubleExtensions bool `default:"false"`
	// Declared are content types as the sender gives them:
	// application/x-msdownload, or image/*.
	Declared []string `default:""`
	// Types are what files really are: executable for all that run, archive for
	// all that hold files, or one such as exe, elf, script, lnk, iso, zip, ole.
	Types []string `default:""`
	// Encrypted finds files that nobody can look into without a password.
	Encrypted bool `default:"false"`
	// Macros finds Office documents with programs in them.
	Macros bool `default:"false"`
	// Broken finds archives that contradict themselves.
	Broken bool `default:"false"`
	// Members applies the rules about attachments to the files inside archives
	// too, and to archives in them, three deep.
	Members bool `default:"true"`
	// Found is what happens to mail from outside that fits: it is refused, held in
	// quarantine, filed in Junk or only marked.
	Found string `default:"refuse" oneof:"refuse,quarantine,junk,mark"`
	// OnBound is what happens when an archive is larger, deeper or slower to look
	// into than the server goes (100 MB unpacked, 100 to 1, 5 seconds).
	OnBound string `default:"mark" oneof:"accept,refuse,quarantine,junk,mark"`
	// Outgoing looks at what users and trusted clients send too. What fits is
	// refused, or passes if it is only to be marked.
	Outgoing bool `default:"false"`
	// Mode is how the verdict on attachments counts.
	Mode policy.Mode `default:"enforce" oneof:"enforce,observe,off"`
}

// attachmentField is the field that tells what was found.
const attachmentField = "X-Attachment-Status"

// boundRule is the name of the rule about archives that are not looked at to
// their end.
const boundRule = "bound"

// Rules are the rules in the words of the scanner. The one about bounds comes
// last, so that what was seen before counts more.
func (a *Attachments) Rules() []scan.Rule {
	all := []scan.Rule{
		{Name: "extensions", Extensions: a.Extensions, Members: a.Members},
		{Name: "names", Names: a.Names, Members: a.Members},
		{Name: "double_extensions", DoubleExtension: a.DoubleExtensions, Members: a.Members},
		{Name: "declared", Declared: a.Declared},
		{Name: "types", Types: a.Types, Members: a.Members},
		{Name: "encrypted", Encrypted: a.Encrypted, Members: a.Members},
		{Name: "macros", Macros: a.Macros, Members: a.Members},
		{Name: "broken", Broken: a.Broken, Members: a.Members},
	}
	asked := [...]bool{len(a.Extensions) > 0, len(a.Names) > 0, a.DoubleExtensions, len(a.Declared) > 0, len(a.Types) > 0, a.Encrypted, a.Macros, a.Broken}
	var rules []scan.Rule
	deep := false
	for i, r := range all {
		if asked[i] {
			rules = append(rules, r)
			deep = deep || i > 3 || r.Members
		}
	}
	if deep && a.OnBound != "accept" {
		rules = append(rules, scan.Rule{Name: boundRule, Bound: true})
	}
	return rules
}

// Validate refuses patterns and types that do not exist.
func (a *Attachments) Validate() error {
	if _, err := scan.NewAttachments(scan.AttachmentOptions{Rules: a.Rules()}); err != nil {
		return fmt.Errorf("policy.attachments: %w", err)
	}
	return nil
}

// check refuses messages with forbidden files.
func (a *Attachments) check(ctx context.Context, f *policy.Facts) policy.Verdict {
	outside := fromOutside(f)
	if !outside && !a.Outgoing {
		return policy.Passed("only mail from outside is looked at")
	}
	rules := a.Rules()
	if len(rules) == 0 {
		return policy.Passed("there are no rules of attachments")
	}
	switch r := f.Attachment(ctx, digest(rules)); r.Opinion {
	case policy.Suspect:
		return a.found(&r, outside)
	case policy.Down:
		return policy.Unable("looking at attachments", errors.New(r.Problem))
	case policy.Clean:
		return policy.Passed("no attachment fits a rule")
	}
	return policy.Passed("nobody looked")
}

// digest is a word that differs where rules do.
func digest(rules []scan.Rule) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%+v", rules) // never fails
	return strconv.FormatUint(uint64(h.Sum32()), 36)
}

func (a *Attachments) found(r *policy.Attachment, outside bool) policy.Verdict {
	do, by := a.Found, "policy.attachments."+r.Rule
	if r.Rule == boundRule {
		do, by = a.OnBound, "policy.attachments.on_bound"
	}
	name := ascii(r.File, 100)
	if do == "refuse" || !outside && do != "mark" {
		text := fmt.Sprintf("The attachment %s is not allowed here", name)
		if r.Rule == boundRule {
			text = fmt.Sprintf("The attachment %s is too large or too deep to be looked into", name)
		}
		return policy.Refused(reply.New(554, reply.E(5, 7, 1), text), r.Reason).By(by)
	}
	if !outside {
		return policy.Passed(r.Reason).By(by)
	}
	v := marked(r.Reason, attachmentField, fmt.Sprintf("Suspicious (rule %s) %s", r.Rule, name)).By(by)
	switch do {
	case "quarantine":
		v.Effects.Quarantine = r.Reason
	case "junk":
		v.Effects.Junk = r.Reason
	}
	return v
}
