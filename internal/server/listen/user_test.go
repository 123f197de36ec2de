package listen

import (
	"strings"
	"testing"
)

func TestAUserWhoIsMissingIsToBeMade(t *testing.T) {
	t.Parallel()
	if _, _, _, err := lookupUser("nosuch-user"); err == nil || !strings.Contains(err.Error(), "useradd --system nosuch-user") {
		t.Error(err)
	}
}
