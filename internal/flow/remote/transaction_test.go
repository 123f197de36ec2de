package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"posthorn/internal/base/mail"
	"posthorn/internal/flow/queue"
	"posthorn/internal/state/store"
)

// rcpts is the part of a dialogue with pipelined recipients.
func rcpts(mailReply string, replies ...string) string {
	b := "C: MAIL FROM:<a@here.test>*\n"
	for range replies {
		b += "C: RCPT TO:<*@far.test>\n"
	}
	b += "S: " + mailReply + "\n"
	for _, r := range replies {
		b += "S: " + r + "\n"
	}
	return b
}

const data = "C: DATA\nS: 354 go\nD\n"

func TestEachRecipientHasItsOwnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialogue string
		want     []string
	}{
		"taken, unknown, greylisted": {
			rcpts("250 ok", "250 ok", "550 5.1.1 no", "450 later") + data + "S: 250 taken",
			[]string{"delivered 250 2.0.0", "failed 550 5.1.1", "deferred 450 4.2.0"},
		},
		"sender refused":      {rcpts("550 5.7.1 no", "503 x", "503 x", "503 x") + "C: RSET\nS: 250 ok", []string{"failed 550 5.7.1", "failed 550 5.7.1", "failed 550 5.7.1"}},
		"sender deferred":     {rcpts("451 x", "503 x", "503 x", "503 x") + "C: RSET\nS: 250 ok", []string{"deferred 451 4.3.0", "deferred 451 4.3.0", "deferred 451 4.3.0"}},
		"all refused":         {rcpts("250 ok", "550 a", "551 b", "450 c") + "C: RSET\nS: 250 ok", []string{"failed 550 5.1.0", "failed 551 5.1.6", "deferred 450 4.2.0"}},
		"content refused":     {rcpts("250 ok", "250 ok", "550 5.1.1 no", "250 ok") + data + "S: 554 5.7.1 spam", []string{"failed 554 5.7.1", "failed 550 5.1.1", "failed 554 5.7.1"}},
		"content deferred":    {rcpts("250 ok", "250 ok", "550 5.1.1 no", "250 ok") + data + "S: 452 full", []string{"deferred 452 4.3.1", "failed 550 5.1.1", "deferred 452 4.3.1"}},
		"DATA refused":        {rcpts("250 ok", "250 ok", "250 ok", "250 ok") + "C: DATA\nS: 554 no\nC: RSET\nS: 250 ok", []string{"failed 554 5.0.0", "failed 554 5.0.0", "failed 554 5.0.0"}},
		"421 for the content": {rcpts("250 ok", "250 ok", "250 ok", "250 ok") + data + "S: 421 4.3.2 bye", []string{"deferred 421 4.3.2", "deferred 421 4.3.2", "deferred 421 4.3.2"}},
		"a full mailbox is final where the host says so": {rcpts("250 ok", "250 ok", "552 5.2.2 full", "452 4.2.2 full") + data + "S: 250 ok", []string{"delivered 250 2.0.0", "failed 552 5.2.2", "deferred 452 4.2.2"}},
		"552 for all is temporary":                       {rcpts("250 ok", "552 too many", "552 x", "452 x") + "C: RSET\nS: 250 ok", []string{"deferred 452 4.5.3", "deferred 452 4.5.3", "deferred 452 4.2.2"}},
		"other 2xx count":                                {rcpts("251 ok", "251 will forward", "252 perhaps", "250 ok") + data + "S: 252 sure", []string{"delivered 252 2.0.0", "delivered 252 2.0.0", "delivered 252 2.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				w.set.Reuse.Idle = 0
				end := "\n" + bye
				if strings.HasPrefix(c.dialogue[strings.LastIndex(c.dialogue, "S: "):], "S: 421") {
					end = ""
				}
				w.one(pipe + c.dialogue + end)
				w.want(job(text, "b", "c", "d"), false, c.want...)
				w.wantDialled("1")
			})
		})
	}
}

func TestTooManyRecipientsGoInTheNextTransaction(t *testing.T) {
	t.Parallel()
	for _, tooMany := range []string{"452 4.5.3 enough", "452 enough", "552 enough", "552 5.5.3 enough"} {
		inWorld(t, func(w *world) {
			w.one(pipe + rcpts("250 ok", "250 ok", tooMany, "550 5.1.1 no", tooMany) + data + "S: 250 1\n" +
				rcpts("250 ok", "250 ok", "250 ok") + data + "S: 250 2\n" + bye)
			w.want(job(text, "b", "c", "d", "e"), false, "delivered 250 2.0.0", "delivered 250 2.0.0", "failed 550 5.1.1", "delivered 250 2.0.0")
			w.wantDialled("1")
		})
	}
}

func TestManyRecipientsAreSentByTheHundredOrTheHostsLimit(t *testing.T) {
	t.Parallel()
	for limit, sizes := range map[string][]int{
		"":                                  {100, 100, 50},
		`\n250-LIMITS RCPTMAX=120`:          {100, 100, 50},
		`\n250-LIMITS MAILMAX=9 rcptmax=90`: {90, 90, 70},
		`\n250-LIMITS RCPTMAX=0 RCPTMAX=x`:  {100, 100, 50},
	} {
		inWorld(t, func(w *world) {
			var to, want []string
			for i := range 250 {
				to, want = append(to, fmt.Sprintf("u%d", i)), append(want, "delivered 250 2.0.0")
			}
			script := "S: 220 mx\nC: EHLO me.test\nS: 250-mx" + limit + `\n250 PIPELINING` + "\n"
			for _, n := range sizes {
				replies := make([]string, n)
				for i := range replies {
					replies[i] = "250 ok"
				}
				script += rcpts("250 ok", replies...) + data + "S: 250 ok\n"
			}
			w.one(script + bye)
			w.want(job(text, to...), false, want...)
		})
	}
}

func TestAHostMayLimitTheMessagesOfASession(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		const limited = "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 LIMITS MAILMAX=1 RCPTMAX=1\n"
		w.one(limited+send+bye, limited+strings.ReplaceAll(send, "<b@", "<c@")+bye)
		w.want(job(text, "b", "c"), false, "delivered 250 2.0.0", "delivered 250 2.0.0")
	})
}

// TestAHostMayVanishAtEveryStep: what is known then is kept, the rest goes to
// the next host while that cannot make two of it.
func TestAHostMayVanishAtEveryStep(t *testing.T) {
	t.Parallel()
	steps := strings.Split(strings.TrimSpace(hello+"C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:<b@far.test>\nS: 250 ok\nC: RCPT TO:<c@far.test>\nS: 550 5.1.1 no\nC: DATA\nS: 354 go\nD\nS: 250 2.0.0 taken"), "\n")
	for n := range len(steps) + 1 {
		for _, how := range []string{"", "\nstall", "\nS: 421 4.3.2 bye"} {
			cut := strings.Join(steps[:n], "\n")
			if how == "\nS: 421 4.3.2 bye" && (n == 0 || !strings.HasPrefix(steps[n-1], "C:") && steps[n-1] != "D") {
				continue
			}
			t.Run(fmt.Sprintf("%d%q", n, how), func(t *testing.T) {
				t.Parallel()
				inWorld(t, func(w *world) {
					w.set.Reuse.Idle = 0
					w.mx["far.test"], w.addr["a.test"], w.addr["b.test"] = "1 a.test,2 b.test", "192.0.2.1", "192.0.2.2"
					w.hosts["192.0.2.1:25"] = []string{strings.TrimPrefix(cut+how, "\n")}
					second := "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:<b@far.test>\nS: 250 ok\n"
					if n < 9 && !(n == 8 && strings.Contains(how, "421")) {
						second += "C: RCPT TO:<c@far.test>\nS: 550 5.1.1 no\n"
					}
					w.hosts["192.0.2.2:25"] = []string{hello + second + "C: DATA\nS: 354 go\nD\nS: 250 2.0.0 taken\n" + bye}
					b, c := "delivered 250 2.0.0", "failed 550 5.1.1"
					dialled := "1 2"
					answered := strings.Contains(how, "421")
					switch {
					case n == 4 && answered: // MAIL: an answer about the message
						b, c, dialled = "deferred 421 4.3.2", "deferred 421 4.3.2", "1"
					case n == 6 && answered: // the first recipient has one; nobody answers for the second
						b = "deferred 421 4.3.2"
						w.hosts["192.0.2.2:25"] = []string{hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:<c@far.test>\nS: 550 5.1.1 no\nC: RSET\nS: 250 ok\n" + bye}
					case n == 8 && answered: // the second has one
						c = "deferred 421 4.3.2"
					case (n == 10 || n == 12) && answered: // DATA or the content
						b, dialled = "deferred 421 4.3.2", "1"
					case n == 11 || n == 12: // the end of the content is out
						b, dialled = "deferred 451 4.4.2", "1"
					case n == 13:
						dialled = "1"
					}
					start := time.Now()
					got, outage := w.deliver(w.t.Context(), job(text, "b", "c"))
					if outage {
						t.Error("an outage although the second host answers")
					}
					if got[0] != b || got[1] != c {
						t.Errorf("after %q: %q, want %q %q", cut+how, got, b, c)
					}
					w.wantDialled(dialled)
					if d := time.Since(start); d > 25*time.Minute {
						t.Errorf("took %v", d)
					}
				})
			})
		}
	}
}

func TestAConversationThatBreaksTwiceIsDeferred(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.mx["far.test"] = "1 a.test,2 b.test,3 c.test"
		for i, h := range []string{"a", "b", "c"} {
			w.addr[h+".test"] = fmt.Sprintf("192.0.2.%d", i+1)
			w.hosts[fmt.Sprintf("192.0.2.%d:25", i+1)] = []string{hello + "C: MAIL FROM:*\nS: 250 ok"}
		}
		w.want(job(text), false, "deferred 451 4.4.2")
		w.wantDialled("1 2")
	})
}

func TestGreetingsThatRefuseGoToTheNextHost(t *testing.T) {
	t.Parallel()
	for first, alone := range map[string]string{
		"S: 421 4.3.2 busy": "deferred 421 4.3.2 outage",
		"S: 450 later":      "deferred 450 4.2.0 outage",
		"S: 554 5.7.1 no":   "deferred 451 4.7.1 outage",
		"S: 521 never":      "failed 521 5.3.2",
		"S: 354 odd":        "deferred 451 4.5.0 outage",
		"S: hello":          "deferred 451 4.5.0 outage",
		"S: 220 mx\nC: EHLO me.test\nS: 421 busy":                           "deferred 421 4.3.2 outage",
		"S: 220 mx\nC: EHLO me.test\nS: 550 no\nC: HELO me.test\nS: 550 no": "deferred 451 4.0.0 outage",
	} {
		inWorld(t, func(w *world) {
			w.one(first)
			word, outage := strings.CutSuffix(alone, " outage")
			w.want(job(text), outage, word)
		})
		inWorld(t, func(w *world) {
			w.one(first)
			w.mx["far.test"], w.addr["b.test"] = "1 mx.far.test,2 b.test", "192.0.2.2"
			w.hosts["192.0.2.2:25"] = []string{hello + send + bye}
			w.want(job(text), false, "delivered 250 2.0.0")
		})
	}
}

func TestTheHostsLimitsAreKept(t *testing.T) {
	t.Parallel()
	const eight = "Subject: x\r\n\r\nhällo\r\n"
	const utf8 = "Subject: hällo\r\n\r\nx\r\n"
	const nested = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment; filename=ä\r\n\r\nx\r\n--b--\r\n"
	const binary = "Subject: x\r\n\r\na\x00\nb\rc"
	plain := func(*store.QueueMessage) {}
	for name, c := range map[string]struct {
		offers, body string
		change       func(*store.QueueMessage)
		mail, want   string
	}{
		"too large":               {"SIZE 30", text, plain, "", "failed 552 5.3.4"},
		"not too large":           {"SIZE 300", text, plain, " SIZE=43", "delivered 250 2.0.0"},
		"no limit":                {"SIZE 0", text, plain, " SIZE=43", "delivered 250 2.0.0"},
		"8-bit converted":         {"HELP", eight, plain, "", "delivered 250 2.0.0"},
		"8-bit header":            {"HELP", utf8, plain, "", "failed 554 5.6.3"},
		"8-bit, then too large":   {"SIZE 80", eight, plain, "", "failed 552 5.3.4"},
		"8-bit taken":             {"8BITMIME", eight, plain, " BODY=8BITMIME", "delivered 250 2.0.0"},
		"8-bit declared in vain":  {"HELP", text, func(m *store.QueueMessage) { m.EightBit = true }, "", "delivered 250 2.0.0"},
		"binary converted":        {"CHUNKING", binary, func(m *store.QueueMessage) { m.Binary = true }, "", "delivered 250 2.0.0"},
		"binary declared in vain": {"HELP", text, func(m *store.QueueMessage) { m.Binary = true }, "", "delivered 250 2.0.0"},
		"SMTPUTF8 refused":        {"8BITMIME", utf8, func(m *store.QueueMessage) { m.SMTPUTF8 = true }, "", "failed 553 5.6.7"},
		"SMTPUTF8 in a part":      {"8BITMIME", nested, func(m *store.QueueMessage) { m.SMTPUTF8 = true }, "", "failed 553 5.6.7"},
		"SMTPUTF8 in vain":        {"8BITMIME", eight, func(m *store.QueueMessage) { m.SMTPUTF8 = true }, " BODY=8BITMIME", "delivered 250 2.0.0"},
		"SMTPUTF8 taken":          {"SMTPUTF8", utf8 + "", func(m *store.QueueMessage) { m.SMTPUTF8 = true }, "", "failed 554 5.6.3"},
		"sender needs it":         {"8BITMIME", text, func(m *store.QueueMessage) { m.Sender.Local = "ä" }, "", "failed 553 5.6.7"},
		"recipient needs it":      {"8BITMIME", text, func(m *store.QueueMessage) { m.Recipients[0].Address.Local = "ä" }, "", "failed 553 5.6.7"},
		"DSN":                     {"DSN", text, func(m *store.QueueMessage) { m.Return, m.EnvelopeID = "HDRS", "x y" }, " RET=HDRS ENVID=x+20y", "delivered 250 2.0.0"},
		"no DSN":                  {"HELP", text, func(m *store.QueueMessage) { m.Return, m.EnvelopeID = "HDRS", "x y" }, "", "delivered 250 2.0.0"},
		"line end in an address":  {"HELP", text, func(m *store.QueueMessage) { m.Recipients[0].Address.Local = "b\r\nRSET" }, "never", "failed 553 5.1.3"},
		"line end in the sender":  {"HELP", text, func(m *store.QueueMessage) { m.Sender = mail.Address{Local: "b\n", Domain: "x"} }, "never", "failed 553 5.1.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(w *world) {
				script := "S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 " + c.offers + "\n"
				if strings.HasPrefix(c.want, "delivered") {
					script += strings.Replace(send, "<a@here.test>*", "<a@here.test>"+c.mail, 1)
				}
				w.one(script + bye)
				j := job(c.body)
				c.change(&j.Claim.Message)
				w.want(j, false, c.want)
				if c.mail == "never" && len(w.dialled) > 0 {
					t.Error("a host was called")
				}
			})
		})
	}
}

func TestBinaryContentGoesAsItIs(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		const head, body = "Received: by me.test\r\n", "Subject: x\r\n\r\na\x00\n.\rb"
		w.one("S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250-CHUNKING\\n250 BINARYMIME\nC: MAIL FROM:<a@here.test> BODY=BINARYMIME\nS: 250 ok\nC: RCPT TO:<b@far.test>\nS: 250 ok\n" +
			fmt.Sprintf("C: BDAT %d LAST\nC: Received: by me.test\nC: Subject: x\nC: \nS: 250 ok\nstall", len(head)+len(body)))
		j := job(body)
		j.Claim.Message.Binary = true
		w.want(j, false, "delivered 250 2.0.0")
	})
}

func TestBinaryContentIsMadeTextWhereItMustBe(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(pipe + rcpts("250 ok", "250 ok") + data + "S: 250 ok\n" + bye)
		j := job("MIME-Version: 1.0\r\n\r\na\x00\n.\rb")
		j.Claim.Message.Binary = true
		w.want(j, false, "delivered 250 2.0.0")
		if want := "Received: by me.test\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nYQAKLg1i\r\n.\r\n"; w.contents[0] != want {
			t.Errorf("%q, want %q", w.contents[0], want)
		}
	})
}

func TestNotifyIsPassedOn(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one("S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250-DSN\\n250 PIPELINING\nC: MAIL FROM:<a@here.test>\nC: RCPT TO:<b@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;old+2Bx@x.test\nC: RCPT TO:<c@far.test> NOTIFY=NEVER ORCPT=utf-8;?x{E4}@x.test\nS: 250 ok\nS: 250 ok\nS: 250 ok\n" + data + "S: 250 ok")
		j := job(text, "b", "c")
		r := j.Claim.Message.Recipients
		r[0].Notify, r[0].Original = store.NotifySuccess|store.NotifyDelay, "rfc822;old+x@x.test"
		r[1].Notify, r[1].Original = store.NotifyNever, "utf-8;ä@x.test"
		results, err := w.d.Deliver(w.t.Context(), j)
		if err != nil || len(results) != 2 || !results[0].Aware || results[0].Fate != queue.Delivered {
			t.Errorf("%+v %v", results, err)
		}
	})
}

func TestAMessageThatCannotBeReadIsNotTheHostsFault(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(pipe + "stall")
		j := job(text)
		j.Claim.BodyOpener = func(context.Context) (store.Body, error) { return nil, errors.New("disk") }
		w.want(j, false, "deferred 451 4.3.0")
	})
	inWorld(t, func(w *world) {
		w.one(pipe + rcpts("250 ok", "250 ok") + "C: DATA\nS: 354 go\nstall")
		w.mx["far.test"], w.addr["b.test"] = "1 mx.far.test,2 b.test", "192.0.2.2"
		j := job(text)
		open := j.Claim.BodyOpener
		j.Claim.BodyOpener = func(ctx context.Context) (store.Body, error) {
			b, err := open(ctx)
			return brokenBody{b}, err
		}
		w.want(j, false, "deferred 451 4.3.0")
		w.wantDialled("1")
	})
}

func TestAShortOutageOfTheStoreDefersNothing(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one(hello + send + "stall")
		j := job(text)
		open, back := j.Claim.BodyOpener, time.Now().Add(10*time.Second)
		j.Claim.BodyOpener = func(ctx context.Context) (store.Body, error) {
			if time.Now().Before(back) {
				return nil, fmt.Errorf("refused: %w", store.ErrUnavailable)
			}
			return open(ctx)
		}
		w.want(j, false, "delivered 250 2.0.0")
	})
}

func TestAPanicCostsNoConnection(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) { // which looks at what is left open
		w.one(pipe + "stall")
		j := job(text)
		j.Claim.BodyOpener = func(context.Context) (store.Body, error) { panic("a fault") }
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		w.want(j, false, "never")
	})
}

func TestAMessageThatCannotBeReadIsNotTriedForTheRest(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one("S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 LIMITS RCPTMAX=1\nC: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nstall")
		j := job(text, "b", "c")
		open := j.Claim.BodyOpener
		j.Claim.BodyOpener = func(ctx context.Context) (store.Body, error) {
			b, err := open(ctx)
			return brokenBody{b}, err
		}
		w.want(j, false, "deferred 451 4.3.0", "deferred 451 4.3.0")
	})
}

// TestAStopBeginsNoFurtherTransaction: what is taken is taken, the rest waits.
func TestAStopBeginsNoFurtherTransaction(t *testing.T) {
	t.Parallel()
	inWorld(t, func(w *world) {
		w.one("S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 LIMITS RCPTMAX=1\nC: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:<b@*\nS: 250 ok\nC: DATA\nS: 354 go\nD\nwait 4s\nS: 250 taken\nstall")
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if got, outage := w.deliver(ctx, job(text, "b", "c")); got[0] != "delivered 250 2.0.0" || got[1] != "untried" || outage {
			t.Errorf("%q %v", got, outage)
		}
		if d := time.Since(start); d != 4*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

type brokenBody struct{ store.Body }

func (brokenBody) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk") }

func TestAStopLetsTheHostFinish(t *testing.T) {
	t.Parallel()
	for end, want := range map[string]string{
		"wait 4s\nS: 250 taken": "delivered 250 2.0.0",
		"wait 4s\nS: 550 no":    "failed 550 5.0.0",
		"stall":                 "deferred 451 4.4.2",
	} {
		inWorld(t, func(w *world) {
			w.one(hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nS: 354 go\nD\n" + end)
			ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if got, outage := w.deliver(ctx, job(text)); got[0] != want || outage {
				t.Errorf("%q: %q %v, want %q", end, got, outage, want)
			}
			if d := time.Since(start); d > afterTheStop+time.Second || len(w.d.pool.idle) > 0 {
				t.Errorf("took %v, kept %d connections", d, len(w.d.pool.idle))
			}
		})
	}
	for _, before := range []string{"stall", "S: 220 mx\nstall", hello + "stall", hello + "C: MAIL FROM:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\nC: DATA\nstall"} {
		inWorld(t, func(w *world) {
			w.one(before)
			ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if got, outage := w.deliver(ctx, job(text)); got[0] != "untried" || outage {
				t.Errorf("%q: %q %v", before, got, outage)
			}
			if d := time.Since(start); d != time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

// What the host said and what we say about it are told apart, because notices
// must not put words into its mouth (RFC 3464 §2.3.6).
func TestOurWordsAreNotTakenForTheHosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialogue, reply string
		ours            bool
	}{
		"recipient refused": {pipe + rcpts("250 ok", "450 4.2.1 busy") + "C: RSET\nS: 250 ok\n" + bye, "450 4.2.1 busy", false},
		"content refused":   {pipe + rcpts("250 ok", "250 ok") + data + "S: 554 5.7.1 spam\n" + bye, "554 5.7.1 spam", false},
		"leaves":            {"S: 421 4.3.2 closing", "421 4.3.2 closing", false},
		"hangs up":          {hello + "C: *", "451 4.4.2 ", true},
		"unwilling":         {"S: 554 5.7.1 go away", "451 4.7.1 refused for now: 554 5.7.1 go away", true},
		"too large":         {"S: 220 mx\nC: EHLO me.test\nS: 250-mx\\n250 SIZE 10\n" + bye, "552 5.3.4 ", true},
	} {
		inWorld(t, func(w *world) {
			w.one(c.dialogue)
			results, _ := w.d.Deliver(w.t.Context(), job(text))
			if len(results) != 1 || !strings.HasPrefix(results[0].Reply.String(), c.reply) || results[0].Ours != c.ours || results[0].Host == "" {
				t.Errorf("%s: %+v", name, results)
			}
		})
	}
}
