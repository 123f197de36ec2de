package check

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"posthorn/internal/policy"
	"posthorn/internal/state/setting"
)

// expected are the steps that look at what came of the last one:
//
//	= pass                         the verdict
//	= 450 4.7.1 … [message-rate]   "…" stands for anything; "held" may follow
//	reason … text …                what the operator is told
//	skipped spf … text             the check did not count, because of …; "-" if it did
//	found spf 550 5.7.23 …         what the check said, whether it counted or not
//	delay 5s                       how long the reply is held back
//	junk DMARC policy of b.test    why the message goes to Junk; "-" if it does not
//	field Received-SPF: …          a header field that is added; "-" for none
//	class dial-up mx               class and kind of the session
//	asked list zen.test 2          how often the world was asked
//	hits rule-1 2                  how often a rule of the lists took part
//	setting greylist.wait 8h0m0s   a setting as it stands
//	wrong … text …                 the settings contradict themselves
//	unreadable size.cap 10XB       no such value can be set
func (p *player) expected(w []string) (known bool, err error) {
	text := strings.Join(w[1:], " ")
	switch w[0] {
	case "=":
		return true, expect(text, said(p.last))
	case "reason":
		return true, expect(text, p.last.Reason)
	case "skipped":
		return true, p.result(w[1], func(r *policy.Result) error { return expect(strings.Join(w[2:], " "), dash(r.Skipped)) })
	case "found":
		return true, p.result(w[1], func(r *policy.Result) error { return expect(strings.Join(w[2:], " "), found(r)) })
	case "delay":
		return true, expect(text, p.last.Delay.String())
	case "junk":
		return true, expect(text, dash(p.last.Effects.Junk))
	case "field":
		return true, expect(text, dash(strings.Join(p.last.Effects.Fields, " | ")))
	case "class":
		return true, expect(text, p.facts.Class.String()+" "+p.facts.Kind.String())
	case "asked":
		what := strings.Join(w[1:len(w)-1], " ")
		return true, expect(w[len(w)-1], strconv.Itoa(p.world.times(what)))
	case "hits":
		return true, expect(w[2], strconv.Itoa(p.access.hits[w[1]]))
	case "setting":
		v, err := field(&p.settings, w[1])
		if err != nil {
			return true, err
		}
		return true, expect(strings.Join(w[2:], " "), fmt.Sprint(v.Interface()))
	case "wrong":
		err := p.settings.Validate()
		if err == nil {
			return true, errors.New("the settings are fine")
		}
		return true, expect(text, err.Error())
	case "unreadable":
		if err := set(&p.settings, w[1], strings.Join(w[2:], " ")); err == nil {
			return true, errors.New("it could be read")
		}
		return true, nil
	}
	return false, nil
}

func (p *player) result(name string, look func(*policy.Result) error) error {
	for _, results := range [...][]policy.Result{p.last.Results, p.before} {
		for i := range results {
			if r := &results[i]; r.Entry.Name == name {
				return look(r)
			}
		}
	}
	return fmt.Errorf("check %s is not in the results", name)
}

func found(r *policy.Result) string {
	if r.Action >= policy.Defer {
		return r.Reply.String()
	}
	return r.Action.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return strings.TrimSpace(s)
}

func said(d policy.Decision) string {
	text := d.Action.String()
	if d.Refuses() {
		text = fmt.Sprintf("%s [%s]", d.Reply, d.Check)
	}
	if d.Action == policy.Drop {
		text += " and close"
	}
	if d.Held {
		text += " held"
	}
	return text
}

// expect compares, with "…" standing for anything.
func expect(want, got string) error {
	rest := got
	for i, piece := range strings.Split(want, "…") {
		at := strings.Index(rest, piece)
		if at < 0 || i == 0 && at > 0 {
			return fmt.Errorf("got %q", got)
		}
		rest = rest[at+len(piece):]
	}
	if !strings.HasSuffix(want, "…") && rest != "" {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// field finds a setting by its name; the real names and rules of text are
// tested by package setting.
func field(s *Settings, name string) (reflect.Value, error) {
	v := reflect.ValueOf(s).Elem()
	for part := range strings.SplitSeq(name, ".") {
		want := strings.ReplaceAll(part, "_", "")
		v = v.FieldByNameFunc(func(f string) bool { return strings.EqualFold(f, want) })
		if !v.IsValid() {
			return v, fmt.Errorf("no setting %s", name)
		}
	}
	return v, nil
}

// set changes a setting by its name.
func set(s *Settings, name, text string) error {
	v, err := field(s, name)
	if err != nil {
		return err
	}
	if v.Kind() != reflect.Slice {
		return read(v, text)
	}
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := read(e, one); err != nil {
			return err
		}
		list = reflect.Append(list, e)
	}
	v.Set(list)
	return nil
}

func read(v reflect.Value, text string) (err error) {
	switch x := v.Addr().Interface().(type) {
	case *bool:
		*x, err = strconv.ParseBool(text)
	case *int:
		*x, err = strconv.Atoi(text)
	case *string:
		*x = text
	case *time.Duration:
		*x, err = setting.ParseDuration(text)
	case encoding.TextUnmarshaler:
		if v.Type() == networkType { // as package setting reads them
			p, err := setting.ParseNetwork(text)
			v.Set(reflect.ValueOf(p))
			return err
		}
		err = x.UnmarshalText([]byte(text))
	default:
		err = fmt.Errorf("cannot read a %s", v.Type())
	}
	return err
}
