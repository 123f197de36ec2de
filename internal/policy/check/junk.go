package check

import (
	"context"
	"strconv"

	"posthorn/internal/policy"
)

// Junk is the statistical filter: what follows from its opinion. Each account
// has its own, which learns from what its owner moves into and out of Junk (group
// junk). It never refuses a message; mail from outside alone is judged.
type Junk struct {
	// From is the probability from which a message is filed in Junk. 0.9 finds
	// most junk; nearer to 1, less innocent mail is taken for it.
	From float64 `default:"0.9" min:"0.5" max:"1"`
	// Mode is how the filter's opinion counts. Observed, it is asked about mail
	// for one account and recorded, and mail stays where it would have been.
	Mode policy.Mode `default:"enforce" trial:"observe" oneof:"enforce,observe,off"`
}

// check asks the filter of the account whose copy is filed at once, and has
// those of others asked later.
func (j *Junk) check(ctx context.Context, f *policy.Facts) policy.Verdict {
	e := policy.Effects{Sift: f.Later}
	v := policy.Passed("no mailbox here gets the message")
	switch {
	case f.AtOnce != 0:
		e.Copy = j.Copy(f.Opinion(ctx, f.AtOnce))
		v.Reason = e.Copy.Why
		if e.Copy.Junk {
			v.Reason += "; its copy goes to Junk"
		}
	case f.Later:
		v.Reason = "the filter of each account is asked when its copy is filed"
	}
	if e.Sift || e.Copy.Field != "" {
		v.Effects = &e
	}
	return v
}

// Copy is what becomes of the copy of an account whose filter has this opinion.
func (j *Junk) Copy(o policy.Opinion) policy.Copy {
	c := policy.Copy{Why: "the account's filter says " + o.String()}
	if !o.Known {
		return c
	}
	word, limit := "no", strconv.FormatFloat(j.From, 'f', -1, 64)
	if o.Probability >= j.From {
		word, c.Junk = "yes", true
	}
	c.Field = "X-Posthorn-Junk: " + word + " " + o.Percent() + " (from " + limit + ")\r\n"
	return c
}
