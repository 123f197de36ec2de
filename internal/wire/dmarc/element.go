package dmarc

import "net/netip"

// metadataXML, publishedXML and rowXML are the elements of a report as they
// stand in the schema (RFC 7489 appendix C). Namespaces are not looked at: half
// of the reporters have none.
type metadataXML struct {
	OrgName  text   `xml:"org_name"`
	Email    text   `xml:"email"`
	Contact  text   `xml:"extra_contact_info"`
	ReportID text   `xml:"report_id"`
	Begin    text   `xml:"date_range>begin"`
	End      text   `xml:"date_range>end"`
	Errors   []text `xml:"error"`
}

func (m *metadataXML) into(r *Report) {
	r.Organization, r.Email, r.Contact, r.ID = string(m.OrgName), string(m.Email), string(m.Contact), string(m.ReportID)
	r.Begin, r.End = seconds(m.Begin), seconds(m.End)
	r.Errors = nil
	for _, e := range m.Errors[:min(len(m.Errors), maxErrors)] {
		r.Errors = append(r.Errors, string(e))
	}
}

type publishedXML struct {
	Domain  text `xml:"domain"`
	ADKIM   text `xml:"adkim"`
	ASPF    text `xml:"aspf"`
	P       text `xml:"p"`
	SP      text `xml:"sp"`
	NP      text `xml:"np"`
	Percent text `xml:"pct"`
	FO      text `xml:"fo"`
	Method  text `xml:"discovery_method"`
}

func (x *publishedXML) published() Published {
	p := Published{
		Domain: lower(x.Domain), DKIM: alignment(string(x.ADKIM)), SPF: alignment(string(x.ASPF)),
		Policy: wanted(x.P), Subdomain: wanted(x.SP), Nonexistent: wanted(x.NP),
		Percent: number(string(x.Percent), 100, 100), FailureOptions: string(x.FO), Method: lower(x.Method),
	}
	if p.Subdomain == "" {
		p.Subdomain = p.Policy
	}
	return p
}

// wanted is a policy or "".
func wanted(s text) Policy {
	switch p := Policy(lower(s)); p {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		return p
	}
	return ""
}

type rowXML struct {
	Source      text `xml:"row>source_ip"`
	Count       text `xml:"row>count"`
	Disposition text `xml:"row>policy_evaluated>disposition"`
	DKIM        text `xml:"row>policy_evaluated>dkim"`
	SPF         text `xml:"row>policy_evaluated>spf"`
	Reasons     []struct {
		Type    text `xml:"type"`
		Comment text `xml:"comment"`
	} `xml:"row>policy_evaluated>reason"`
	HeaderFrom   text      `xml:"identifiers>header_from"`
	EnvelopeFrom text      `xml:"identifiers>envelope_from"`
	EnvelopeTo   text      `xml:"identifiers>envelope_to"`
	Signatures   []authXML `xml:"auth_results>dkim"`
	Senders      []authXML `xml:"auth_results>spf"`
}

type authXML struct {
	Domain   text `xml:"domain"`
	Selector text `xml:"selector"`
	Scope    text `xml:"scope"`
	Result   text `xml:"result"`
	Text     text `xml:"human_result"`
}

// row reports a row that counts messages of an address. Results that are
// neither pass nor fail count as fail: nothing else is defined.
func (x *rowXML) row() (Row, bool) {
	ip, err := netip.ParseAddr(string(x.Source))
	n, ok := count(x.Count)
	if err != nil || !ok {
		return Row{}, false
	}
	r := Row{
		Source: ip.Unmap().WithZone(""), Count: n, Disposition: wanted(x.Disposition), DKIM: verdict(x.DKIM), SPF: verdict(x.SPF),
		HeaderFrom: lower(x.HeaderFrom), EnvelopeFrom: lower(x.EnvelopeFrom), EnvelopeTo: lower(x.EnvelopeTo),
		Signatures: authResults(x.Signatures), Senders: authResults(x.Senders),
	}
	if r.Disposition == "" {
		r.Disposition = PolicyNone
	}
	for _, why := range x.Reasons[:min(len(x.Reasons), maxResults)] {
		r.Reasons = append(r.Reasons, Reason{lower(why.Type), string(why.Comment)})
	}
	return r, true
}

func verdict(s text) Result {
	if lower(s) == string(Pass) {
		return Pass
	}
	return Fail
}

func authResults(list []authXML) []AuthResult {
	var all []AuthResult
	for _, a := range list[:min(len(list), maxResults)] {
		all = append(all, AuthResult{lower(a.Domain), string(a.Selector), lower(a.Scope), lower(a.Result), string(a.Text)})
	}
	return all
}
