package manage

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"posthorn/internal/base/event"
	"posthorn/internal/state/setting"
	"posthorn/internal/state/store"
	"posthorn/internal/wire/sasl"
)

// TokenPrefix begins every token, so that programs that look for secrets in
// published code find it: 256 random bits in base 32 follow.
const TokenPrefix = "ph_"

// Token is a secret by which a program calls the API, without the secret.
type Token struct {
	Name     string     `json:"name"`
	Role     Role       `json:"role" doc:"What it may do"`
	Networks []string   `json:"networks" doc:"Where it may be used from; empty: everywhere"`
	Created  time.Time  `json:"created"`
	Author   string     `json:"author" doc:"Who made it"`
	Expires  *time.Time `json:"expires,omitempty" doc:"When it stops working; absent: never"`
	Used     *time.Time `json:"used,omitempty" doc:"Last use, to the minute; absent: never"`
	Expired  bool       `json:"expired"`
}

// NewToken is a token just made.
type NewToken struct {
	Token
	Secret string `json:"secret" doc:"Send it as Authorization: Bearer SECRET. It is shown this once and cannot be found out later"`
}

// The inputs of the token operations.
type (
	// TokenWish describes a token to make.
	TokenWish struct {
		Name     string     `json:"name" doc:"What it is for: letters, digits, dot, dash, underscore" example:"backup-script"`
		Role     string     `json:"role" doc:"What it may do" enum:"reader,operator,administrator"`
		Networks []string   `json:"networks,omitempty" doc:"Where it may be used from; without them everywhere" example:"192.0.2.0/24"`
		Expires  *time.Time `json:"expires,omitempty" doc:"When it stops working (RFC 3339); without it never"`
		Author   string     `json:"author,omitempty" doc:"Who makes it, for the list; over the API it is who asks"`
	}
	// TokenAddInput is the input of token-add.
	TokenAddInput struct{ Body TokenWish }
	// TokenInput names a token.
	TokenInput struct {
		Name string `json:"name" path:"name"`
	}
	// TokenListInput is the input of token-list.
	TokenListInput struct{ Paging }
)

func tokenOperations() []Operation {
	return []Operation{
		declare("token-list", get, "/tokens", administrator, "List the tokens of the API by name, without their secrets", (*Service).tokens),
		declare("token-add", post, "/tokens", administrator, "Make a token; the answer has its secret, once", (*Service).addToken),
		declare("token-show", get, "/tokens/{name}", administrator, "Show a token without its secret", (*Service).token),
		declare("token-remove", remove, "/tokens/{name}", administrator, "Revoke a token at once", (*Service).removeToken),
	}
}

// tokenName is what a token may be called.
var tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxNetworks bounds where one token may be used from.
const maxNetworks = 100

func tokenView(k store.TokenRow) Token {
	v := Token{Name: k.Name, Role: Role(k.Role), Networks: []string{}, Created: k.Created, Author: k.Author, Expired: expired(k)}
	for _, p := range k.Networks {
		v.Networks = append(v.Networks, p.String())
	}
	if !k.Expires.IsZero() {
		v.Expires = &k.Expires
	}
	if !k.Used.IsZero() {
		v.Used = &k.Used
	}
	return v
}

func expired(k store.TokenRow) bool { return !k.Expires.IsZero() && !time.Now().Before(k.Expires) }

func (s *Service) tokens(ctx context.Context, in *TokenListInput) (Page[Token], error) {
	limit := in.limit()
	rows, err := s.o.Store.Tokens().List(ctx, in.After, limit)
	if err != nil {
		return Page[Token]{}, err
	}
	p := Page[Token]{Items: []Token{}}
	for _, k := range rows {
		p.Items = append(p.Items, tokenView(k))
	}
	if len(rows) == limit {
		p.Next = rows[len(rows)-1].Name
	}
	return p, nil
}

func (s *Service) token(ctx context.Context, in *TokenInput) (Token, error) {
	k, err := s.o.Store.Tokens().Get(ctx, in.Name)
	return tokenView(k), err
}

func (s *Service) removeToken(ctx context.Context, in *TokenInput) (None, error) {
	return None{}, s.o.Store.Tokens().Remove(ctx, in.Name)
}

func (s *Service) addToken(ctx context.Context, in *TokenAddInput) (NewToken, error) {
	k, err := in.Body.row()
	if err != nil {
		return NewToken{}, err
	}
	if k.Author = author(ctx, in.Body.Author); k.Author == "" {
		k.Author = nobody
	}
	secret := newSecret()
	k.Hash = sha256.Sum256([]byte(secret))
	if err := s.o.Store.Tokens().Add(ctx, k); err != nil {
		return NewToken{}, err
	}
	return NewToken{tokenView(k), secret}, nil
}

// row checks a wish.
func (w TokenWish) row() (store.TokenRow, error) {
	k := store.TokenRow{Name: w.Name, Role: w.Role, Created: time.Now().UTC().Truncate(time.Microsecond)}
	if !tokenName.MatchString(w.Name) {
		return k, inField("name", fmt.Errorf("%q; take up to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit", w.Name))
	}
	if _, err := ParseRole(w.Role); err != nil {
		return k, inField("role", err)
	}
	if len(w.Networks) > maxNetworks {
		return k, inField("networks", fmt.Errorf("%d of them; at most %d", len(w.Networks), maxNetworks))
	}
	for _, text := range w.Networks {
		p, err := setting.ParseNetwork(text)
		if err != nil {
			return k, inField("networks", err)
		}
		k.Networks = append(k.Networks, p)
	}
	if w.Expires != nil {
		if k.Expires = w.Expires.UTC().Truncate(time.Microsecond); !k.Expires.After(k.Created) {
			return k, inField("expires", fmt.Errorf("%s is over; name a time to come, or none", k.Expires.Format(time.RFC3339)))
		}
	}
	return k, nil
}

// newSecret makes a token of 256 random bits.
func newSecret() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return TokenPrefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random[:]))
}

// touchEvery is how exact the time of the last use is: a program that calls
// often must not cost a commit each time.
const touchEvery = time.Minute

// TokenLogin returns who calls with a token, and what they may do. An error
// wraps sasl.ErrCredentials when the token is unknown, expired, or not good
// where the client is; the text says which, for the log alone.
func (s *Service) TokenLogin(ctx context.Context, secret string, client netip.Addr) (who string, role Role, err error) {
	if !strings.HasPrefix(secret, TokenPrefix) {
		return "", "", fmt.Errorf("%w: no token begins so", sasl.ErrCredentials)
	}
	k, err := s.o.Store.Tokens().Find(ctx, sha256.Sum256([]byte(secret)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", "", fmt.Errorf("%w: unknown token", sasl.ErrCredentials)
	case err != nil:
		return "", "", err
	case expired(k):
		return "", "", fmt.Errorf("%w: token %s expired", sasl.ErrCredentials, k.Name)
	case !within(k.Networks, client):
		return "", "", fmt.Errorf("%w: token %s is not good for this address", sasl.ErrCredentials, k.Name)
	}
	if now := time.Now(); now.Sub(k.Used) >= touchEvery {
		if err := s.o.Store.Tokens().Touch(ctx, k.Name, now); err != nil { // a full disk locks nobody out
			s.o.Log.Log(event.StoreFailed, event.Err(fmt.Errorf("last use of token %s: %w", k.Name, err)))
		}
	}
	return "token:" + k.Name, Role(k.Role), nil
}

// within reports whether the address is in one of the networks, or there are none.
func within(networks []netip.Prefix, client netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(client) {
			return true
		}
	}
	return len(networks) == 0
}
