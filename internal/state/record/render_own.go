package record

import "strings"

// Facts that policy puts into the step of the content: why accepted mail is
// filed in Junk or held back, and the check that wants it so.
const (
	FactJunk    = "junk because"
	FactHeld    = "held because"
	FactFiledBy = "filed by"
)

// filed says why accepted mail went elsewhere than into the inbox, "" when it
// did not.
func (b Biography) filed() string {
	a := b.Attempt
	if a.Outcome != Accepted {
		return ""
	}
	for i := range a.Steps {
		s := &a.Steps[i]
		if why, ok := s.Fact(FactHeld); ok {
			return b.heldBack() + ": " + s.because(why)
		}
		if why, ok := s.Fact(FactJunk); ok {
			return "It is filed in Junk: " + s.because(why)
		}
	}
	return ""
}

// heldBack says whether the message still is.
func (b Biography) heldBack() string {
	for i := range b.Events {
		switch e := &b.Events[i]; {
		case e.ID != b.id(): // what it was forwarded as
		case e.Kind == Released:
			return "It was held back until it was released" + by(e)
		case e.Kind == Removed:
			return "It was held back, and then removed" + by(e)
		}
	}
	return "It is held back until somebody releases it"
}

// because is the reason of a filing with the check that wants it and what to
// change.
func (s *Step) because(why string) string {
	why = strings.TrimSuffix(clean(why), ".") + "."
	name, _ := s.Fact(FactFiledBy)
	for i := range s.Checks {
		if c := &s.Checks[i]; c.Name == name {
			return why + " The check " + name + " decided" + in("; ", c.change())
		}
	}
	return why
}

// change is what to change to get another verdict, "" for nothing.
func change(setting string) string {
	switch {
	case setting == "":
		return ""
	case strings.Contains(setting, " "):
		return "it goes by " + setting
	}
	return "to have it otherwise: posthorn setting explain " + setting
}

func (s *Step) change() string  { return change(s.Setting) }
func (c *Check) change() string { return change(c.Setting) }

// own are refusals that no check decides but a setting does, by how their
// replies begin.
var own = []struct{ reply, sentence string }{
	{"552 5.3.4", "It outgrew the limit that the session had announced; to have it otherwise: posthorn setting explain policy.size.inbound (of users: policy.size.outbound)"},
	{"452 4.2.2", "No check decided that: nothing is filed above the quota of an account. To give it more room: posthorn account set ADDRESS --quota SIZE (or --quota-messages N)"},
	{"553 5.6.7", "No check decided that: an address with letters beyond a-z can be used only by a client that asks for SMTPUTF8 (RFC 6531), and this one did not."},
	{"550 5.6.11", "No check decided that; to have it otherwise: posthorn setting explain smtp.bare_line_ends"},
}

// ours says who decided where no check did.
func (s *Step) ours() string {
	for _, o := range own {
		if strings.HasPrefix(s.Reply, o.reply) {
			return o.sentence
		}
	}
	switch {
	case strings.HasPrefix(s.Reply, "5"):
		return "No check decided that: the server does not take it from any client."
	case strings.HasPrefix(s.Reply, "451 4.3"):
		return "No check decided that: the server itself had a problem, of which its log says more."
	}
	return "No check decided that; it is the server's own doing."
}
