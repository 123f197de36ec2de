// Package boot reads posthorn.toml, the bootstrap file: only what is needed to
// find the store and to listen. Everything else is a setting in the store.
package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"posthorn/internal/base/unit"
	"posthorn/internal/server/listen"
)

// Config is the content of posthorn.toml, every field optional.
type Config struct {
	// Data is the folder of database, bodies, keys and certificates.
	Data string `toml:"data"`
	// User is whom the process becomes after it has opened its sockets as root.
	User  string `toml:"user"`
	Store Store  `toml:"store"`
	// Listen maps listener names to addresses. Absent: the standard ports of
	// serve. Present: only the named listeners start.
	Listen map[string][]string `toml:"listen"`
	// Proxies are the networks whose PROXY protocol header is believed.
	Proxies []netip.Prefix `toml:"proxies"`
	TLS     TLS            `toml:"tls"`
	DNS     DNS            `toml:"dns"`
	Log     Log            `toml:"log"`
}

// Store says which database is used.
type Store struct {
	// Engine is "sqlite" (in the data folder, default) or "postgresql".
	Engine string `toml:"engine"`
	// DSN is PostgreSQL's connection string, several hosts allowed.
	DSN string `toml:"dsn"`
	// Cache bounds the memory for pages of the SQLite database; 0 means 128 MB.
	Cache unit.Size `toml:"cache"`
}

// minCache is the least memory for the database's pages: below it one large
// transaction would write its pages twice.
const minCache = 2 * unit.MB

// TLS names certificate files in PEM form; without them a certificate of the
// server's own making is used.
type TLS struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
}

// DNS names the resolvers, ADDR:PORT; without them those of the system.
type DNS struct {
	Preferred string `toml:"preferred"`
	Alternate string `toml:"alternate"`
}

// Log says how the log is written.
type Log struct {
	// Format is "text" (default) or "json".
	Format string `toml:"format"`
	// Level is "debug", "info" (default), "warn" or "error".
	Level string `toml:"level"`
}

// Standard are the listeners of serve when the file names none.
func Standard() map[string][]string {
	return map[string][]string{
		"smtp": {":25"}, "submission": {":587"}, "submissions": {":465"},
		"imap": {":143"}, "imaps": {":993"}, "pop3": {":110"}, "pop3s": {":995"},
		"http": {"127.0.0.1:8025"},
	}
}

// Trial are the listeners of quickstart (design.md 9).
func Trial() map[string][]string {
	return map[string][]string{
		"smtp": {"127.0.0.1:2525"}, "submission": {"127.0.0.1:2587"}, "submissions": {"127.0.0.1:2465"},
		"imap": {"127.0.0.1:2143"}, "imaps": {"127.0.0.1:2993"}, "pop3": {"127.0.0.1:2110"}, "pop3s": {"127.0.0.1:2995"},
		"http": {"127.0.0.1:8025"},
	}
}

// Load reads and checks the file.
func Load(name string) (Config, error) {
	var c Config
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("configuration %s does not exist; write it, or start with --data DIR alone", name)
	}
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, explain(name, err)
	}
	if c.Data != "" && !filepath.IsAbs(c.Data) {
		c.Data = filepath.Join(filepath.Dir(name), c.Data)
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("configuration %s: %w", name, err)
	}
	return c, nil
}

// Check reports the first field that cannot be meant.
func (c Config) Check() error {
	switch c.Store.Engine {
	case "", "sqlite":
		if c.Store.DSN != "" {
			return errors.New(`store.dsn is set but store.engine is not "postgresql"`)
		}
	case "postgresql":
		if c.Store.DSN == "" {
			return errors.New("store.dsn is missing: give PostgreSQL's connection string")
		}
		if c.Store.Cache != 0 {
			return errors.New("store.cache is for SQLite; PostgreSQL has shared_buffers in its own configuration")
		}
	default:
		return fmt.Errorf("store.engine is %q; write sqlite or postgresql", c.Store.Engine)
	}
	if c.Store.Cache != 0 && c.Store.Cache < minCache {
		return fmt.Errorf("store.cache is %s; give at least %s, or leave it out for 128MB", c.Store.Cache, minCache)
	}
	for name, addrs := range c.Listen {
		for _, a := range addrs {
			if err := CheckListen(name, a); err != nil {
				return err
			}
		}
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		return errors.New("tls.certificate and tls.key belong together: give both or none")
	}
	for field, addr := range map[string]string{"dns.preferred": c.DNS.Preferred, "dns.alternate": c.DNS.Alternate} {
		if _, err := netip.ParseAddrPort(addr); addr != "" && err != nil {
			return fmt.Errorf("%s is %q; write ADDRESS:PORT, for example 192.0.2.53:53", field, addr)
		}
	}
	if c.DNS.Preferred == "" && c.DNS.Alternate != "" {
		return errors.New("dns.alternate needs dns.preferred: give both, or the preferred one alone")
	}
	if !slices.Contains([]string{"", "text", "json"}, c.Log.Format) {
		return fmt.Errorf("log.format is %q; write text or json", c.Log.Format)
	}
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, c.Log.Level) {
		return fmt.Errorf("log.level is %q; write debug, info, warn or error", c.Log.Level)
	}
	return nil
}

// CheckListen checks one listener's name and address; lmtp also takes the path
// of a Unix socket.
func CheckListen(name, addr string) error {
	if _, ok := listen.Lookup(name); !ok {
		return fmt.Errorf("listen: no listener is called %q; there are %s", name, listen.AllNames())
	}
	if strings.HasPrefix(addr, "/") {
		return nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("listen: %s = %q is no address; write ADDRESS:PORT, for example 127.0.0.1:2525", name, addr)
	}
	return nil
}
