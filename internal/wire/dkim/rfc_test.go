package dkim_test

import (
	"strings"
	"testing"

	"posthorn/internal/wire/dkim"
)

const rfc6376Message = `DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
`

const rfc8463Message = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`

func rfcZone() zone {
	return zone{
		"brisbane._domainkey.example.com":          {rfcRSA},
		"brisbane._domainkey.football.example.com": {rfcEd25519},
		"test._domainkey.football.example.com":     {rfcTest},
	}
}

// RFC 6376 appendix A.2.
func TestTheExampleOfRFC6376Passes(t *testing.T) {
	t.Parallel()
	r := one(t, rfcZone(), wire(rfc6376Message))
	if r.Status != dkim.Pass || r.Domain != "example.com" || r.Selector != "brisbane" || r.Bits != 1024 ||
		r.Algorithm != "rsa-sha256" || r.Identity != "joe@football.example.com" || r.Mark != "AuUoFEfD" || r.Testing || r.Reason != "" {
		t.Errorf("got %+v", r)
	}
	if got := strings.Join(r.Signed, " "); got != "received from to subject date message-id" {
		t.Errorf("signed fields: %s", got)
	}
}

// RFC 8463 appendix A: two signatures of one message.
func TestTheExampleOfRFC8463Passes(t *testing.T) {
	t.Parallel()
	rs := verify(t, rfcZone(), wire(rfc8463Message))
	if len(rs) != 2 || rs[0].Status != dkim.Pass || rs[1].Status != dkim.Pass {
		t.Fatalf("got %+v", rs)
	}
	if rs[0].Algorithm != "ed25519-sha256" || rs[0].Bits != 256 || rs[1].Algorithm != "rsa-sha256" || rs[1].Bits != 1024 {
		t.Errorf("got %+v", rs)
	}
}

// RFC 6376 §3.4.5.
func TestCanonicalFormsAreThoseOfTheExample(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		canon dkim.Canon
		raw   string
		want  string
	}{
		{dkim.Simple, "A: X\r\n", "A: X"},
		{dkim.Simple, "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  "},
		{dkim.Relaxed, "A: X\r\n", "a:X"},
		{dkim.Relaxed, "B : Y\t\r\n\tZ  \r\n", "b:Y Z"},
		{dkim.Relaxed, "Empty:\r\n", "empty:"},
		{dkim.Relaxed, "Empty: \r\n \r\n", "empty:"},
		{dkim.Relaxed, "C:a\rb\r\n", "c:a\rb"},
	} {
		if got := string(c.canon.AppendField(nil, []byte(c.raw))); got != c.want {
			t.Errorf("%v of %q is %q, want %q", c.canon, c.raw, got, c.want)
		}
	}
}
