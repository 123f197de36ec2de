package app

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"time"

	"posthorn/internal/base/dns"
	"posthorn/internal/base/unit"
	"posthorn/internal/flow/accept"
	"posthorn/internal/flow/bounce"
	"posthorn/internal/flow/queue"
	"posthorn/internal/flow/remote"
	"posthorn/internal/flow/report"
	"posthorn/internal/flow/route"
	"posthorn/internal/policy/check"
	"posthorn/internal/server/auth"
	"posthorn/internal/server/imapd"
	"posthorn/internal/server/pop3d"
	"posthorn/internal/server/smtpd"
	"posthorn/internal/state/access"
	"posthorn/internal/state/ban"
	"posthorn/internal/state/directory"
	"posthorn/internal/state/junk"
	"posthorn/internal/state/record"
	"posthorn/internal/state/setting"
)

// Server is what the server as a whole is called and how much it takes on.
type Server struct {
	// Hostname is the server's full name, such as mail.example.org: in the
	// greeting, in Received fields, and to other servers (M-GEN-07). The name
	// must lead to the server's address in DNS, and the address back to it.
	// Empty takes the machine's name.
	Hostname string `default:"" kind:"domain"`
	// TimeZone decides when a day begins for limits and traces, and how times are
	// shown; a name such as Europe/Berlin. Empty is the machine's.
	TimeZone string `default:""`
	// Memory is how much memory the server may have in use. From seven eighths
	// of it on, new connections and transactions are put off (421, 452).
	Memory unit.Size `default:"1GB" min:"64MB" max:"1TB"`
}

// Validate refuses host names that no other server would believe.
func (s *Server) Validate() error {
	if s.Hostname != "" && !strings.Contains(s.Hostname, ".") {
		return errors.New("hostname: a full name with a domain is needed, such as mail.example.org")
	}
	if _, err := netip.ParseAddr(s.Hostname); err == nil || strings.HasPrefix(s.Hostname, "[") {
		return errors.New("hostname: an address is no name; give a name such as mail.example.org")
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil {
		return errors.New("time_zone: unknown; give a name such as Europe/Berlin")
	}
	return nil
}

// Connections bound what is open at once.
type Connections struct {
	// Total is the most connections of all listeners together; 0 is no bound.
	Total int `default:"20000" min:"0" max:"1000000"`
	// Reserved is how many of all connections (connections.total) strangers may
	// not use: they are kept for users who have logged in, or connect where one
	// logs in.
	Reserved int `default:"5000" min:"0" max:"1000000"`
	// PerListener is the most connections of one listener; 0 is no bound.
	PerListener int `default:"0" min:"0" max:"1000000"`
	// PerHost is the most connections from one IPv4 address or IPv6 /64
	// (M-SEC-CON-02); 0 is no bound. This machine, clients of class trusted and
	// those with an allow rule by address or network are exempt.
	PerHost int `default:"20" min:"0" max:"100000"`
	// PerHostExemptTrusted leaves trusted clients out of the bound of connections
	// from one host (connections.per_host).
	PerHostExemptTrusted bool `default:"true"`
}

// Validate refuses a share larger than the whole.
func (c *Connections) Validate() error {
	if c.Total > 0 && c.Reserved >= c.Total {
		return errors.New("reserved: must be less than total, or nobody could connect who has not logged in")
	}
	return nil
}

// handles read the settings in force.
type handles struct {
	server      *setting.Handle[Server]
	connections *setting.Handle[Connections]
	login       *setting.Handle[auth.Settings]
	directory   *setting.Handle[directory.Settings]
	dns         *setting.Handle[dns.Settings]
	policy      *setting.Handle[check.Settings]
	smtp        *setting.Handle[smtpd.Settings]
	imap        *setting.Handle[imapd.Settings]
	pop3        *setting.Handle[pop3d.Settings]
	queue       *setting.Handle[queue.Settings]
	relay       *setting.Handle[route.RelaySettings]
	delivery    *setting.Handle[remote.Settings]
	bounce      *setting.Handle[bounce.Settings]
	record      *setting.Handle[record.Settings]
	ban         *setting.Handle[ban.Settings]
	access      *setting.Handle[access.Settings]
	junk        *setting.Handle[junk.Settings]
	quarantine  *setting.Handle[accept.QuarantineSettings]
	reports     *setting.Handle[report.Settings]
}

// Declare registers every setting there is. docs/settings.md is made from it.
func Declare(r *setting.Registry) {
	declareAll(r)
}

func declareAll(r *setting.Registry) handles {
	return handles{
		server:      setting.Register[Server](r, "server"),
		connections: setting.Register[Connections](r, "connections"),
		login:       setting.Register[auth.Settings](r, "login"),
		directory:   setting.Register[directory.Settings](r, "directory"),
		dns:         setting.Register[dns.Settings](r, "dns"),
		policy:      setting.Register[check.Settings](r, "policy"),
		smtp:        setting.Register[smtpd.Settings](r, "smtp"),
		imap:        setting.Register[imapd.Settings](r, "imap"),
		pop3:        setting.Register[pop3d.Settings](r, "pop3"),
		queue:       setting.Register[queue.Settings](r, "queue"),
		relay:       setting.Register[route.RelaySettings](r, "relay"),
		delivery:    setting.Register[remote.Settings](r, "delivery"),
		bounce:      setting.Register[bounce.Settings](r, "bounce"),
		record:      setting.Register[record.Settings](r, "record"),
		ban:         setting.Register[ban.Settings](r, "ban"),
		access:      setting.Register[access.Settings](r, "access"),
		junk:        setting.Register[junk.Settings](r, "junk"),
		quarantine:  setting.Register[accept.QuarantineSettings](r, "quarantine"),
		reports:     setting.Register[report.Settings](r, "reports"),
	}
}

// named reports whether a name is configured.
func (h handles) named() bool { return h.server.Get().Hostname != "" }

// hostname returns the configured name or the machine's.
func (h handles) hostname() string {
	if name := h.server.Get().Hostname; name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "localhost"
	}
	if !strings.Contains(name, ".") {
		name += ".localdomain"
	}
	return strings.ToLower(name)
}
