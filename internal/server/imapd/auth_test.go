package imapd

import "posthorn/internal/server/auth"

// The authenticator of the house fits.
var _ Guard = (*auth.Guard)(nil)
